// What the kernel tests share: seeded draws, exact allocations, and one line for each kernel and tier.

#ifndef SUPPORT_H
#define SUPPORT_H

#include "CFurlKernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int failures;
extern uint64_t seed;

uint64_t draw(void);
/// 0 <= n < bound
size_t draw_below(size_t bound);
/// Whether this one of a test's cases is run: all of them, or the share that the second argument asks for.
bool is_taken(void);
/// -1...1
float draw_unit(void);
/// Memory of exactly that size, filled with a byte pattern that is not a number as float and as half.
void *garbage(size_t bytes);
bool same_bits(const float *a, const float *b, size_t n);

/// The worst of many comparisons of one kernel.
typedef struct outcome {
  const char *kernel, *tier;
  double worst;
  size_t checks, wrong;
} outcome;

/// |value - expected| <= bound * magnitude, or both infinite or not a number.
void compare(outcome *o, double value, double expected, double magnitude, double bound);
void require(outcome *o, bool holds, const char *what);
void report(const outcome *o);

/// The header's words on an activation, in double precision.
double activated(furl_activation activation, double x);

/// Of one CPU, the scalar one included.
#define MOST_TIERS 8

/// The AMX tier above a model of its tiles.
const furl_kernels *modelled_tiles(void);

/// Whether a tier has another kernel than those before it: some share all but products of weights.
bool is_first(const furl_kernels *const *found, size_t t, size_t member);

/// The tiers above scalar that this CPU has, and that one.
size_t tiers(const furl_kernels *found[MOST_TIERS]);

void test_bfloat_rows(void);
void test_conversions(void);
void test_encode(void);
void test_entropy(void);
void test_files(void);
void test_grid(void);
void test_hash(void);
void test_multiply(void);
void test_outliers(void);
void test_attention(void);
void test_elementwise(void);
void test_pool(void);
void test_product(void);
void test_functions(void);
void test_same(void);
void test_training(void);

#endif
