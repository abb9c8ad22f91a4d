// 16 float lanes, one for each row of a tile, in clang's vector extensions: one body compiles to one zmm, two
// ymm or four NEON registers. A tier includes this inside its target pragma, after its intrinsics header.

#pragma once

#include "../tiers.h"

#include <string.h>

// All functions belong to one file, so how a 64-byte vector would be passed to a call of another is of no concern.
#pragma clang diagnostic ignored "-Wpsabi"

// Only what says fma16 is fused: codes and scales of activations come out the same on every tier.
#pragma STDC FP_CONTRACT OFF

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
// Loops over the columns of a tile: where fused steps are calls, unrolling them makes the program larger and no faster.
#if defined(FMA_FROM_DOUBLES)
#define UNROLL_TILE ROLLED
#else
#define UNROLL_TILE UNROLL
#endif

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef uint32_t v16u __attribute__((vector_size(64)));
typedef uint8_t v16b __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(32)));
typedef float v4 __attribute__((vector_size(16)));

#define INFINITY_BITS 0x7f800000

INLINE v16 splat(float x) {
  return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

INLINE v16i splat_int(int32_t x) {
  return (v16i){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

INLINE v16 load(const float *p) {
  v16 v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store(float *p, v16 v) {
  memcpy(p, &v, sizeof v);
}

/// The first n of 16 lanes; the others are zero.
INLINE v16 load_first(const float *p, size_t n) {
  if (n == 16) return load(p);
  float padded[16] = {0};
  for (size_t i = 0; i < n; i++) padded[i] = p[i];
  return load(padded);
}

INLINE void store_first(float *p, v16 v, size_t n) {
  if (n == 16) return store(p, v);
  float all[16];
  store(all, v);
  for (size_t i = 0; i < n; i++) p[i] = all[i];
}

/// a * b + c, rounded once.
#if !defined(FMA_FROM_DOUBLES)
INLINE v16 fma16(v16 a, v16 b, v16 c) {
  return __builtin_elementwise_fma(a, b, c);
}

// Where products of matrices spend their time.
#define fma16_here fma16
#else
typedef double v16d __attribute__((vector_size(128)));
typedef int64_t v16l __attribute__((vector_size(128)));

/// The product is exact in double precision, and so is the error of the sum (Knuth's two-sum). Rounding the sum to odd
/// before it is rounded to a float makes that the only rounding (Boldo and Melquiond 2008, "Emulation of a FMA and
/// correctly rounded sums").
INLINE v16 fma16_here(v16 a, v16 b, v16 c) {
  v16d product = __builtin_convertvector(a, v16d) * __builtin_convertvector(b, v16d);
  v16d added = __builtin_convertvector(c, v16d), sum = product + added;
  v16d part = sum - product, error = (product - (sum - part)) + (added - part);
  v16l bits = (v16l)sum, one = bits - bits + 1;
  // No error where the sum is exact; none to speak of where it is not finite.
  v16l is_off = (error < 0 | error > 0) & ((bits & one) == 0);
  v16l grows = ((v16l)error ^ bits) >> 63; // all ones where the signs differ
  return __builtin_convertvector((v16d)(bits + (is_off & ((grows & -one) | (~grows & one)))), v16);
}

/// A call: inlined everywhere it would be half of the tier's code.
static __attribute__((noinline)) v16 fma16(v16 a, v16 b, v16 c) {
  return fma16_here(a, b, c);
}
#endif

/// Lanes of a where the mask's lane is all ones, of b where it is zero.
INLINE v16 select16(v16i mask, v16 a, v16 b) {
  return (v16)((mask & (v16i)a) | (~mask & (v16i)b));
}

INLINE v16i select16_int(v16i mask, v16i a, v16i b) {
  return (mask & a) | (~mask & b);
}

/// The nearest whole numbers, ties to even, of numbers below 2^22.
INLINE v16 nearest_whole(v16 x) {
  return (x + splat(0x1.8p23f)) - splat(0x1.8p23f);
}

INLINE v16i magnitude_bits(v16 x) {
  return (v16i)x & splat_int(0x7fffffff);
}

INLINE v16i lane_index(void) {
  return (v16i){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
}

/// The lanes' sum in one fixed order.
INLINE float sum_of_lanes(v16 v) {
  v8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
    + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  v4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
  return (b[0] + b[2]) + (b[1] + b[3]);
}

INLINE float largest_of_lanes(v16 v) {
#define LARGER(...)                                                                                         \
  do {                                                                                                      \
    v16 other = __builtin_shufflevector(v, v, __VA_ARGS__);                                                 \
    v = select16(v > other, v, other);                                                                      \
  } while (0)
  LARGER(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  LARGER(4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  LARGER(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  LARGER(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
#undef LARGER
  return v[0];
}

// MARK: What a tier adds before it includes the bodies

INLINE v16 floats_from_halves(const uint16_t *halves);
INLINE void halves_from_floats(v16 v, uint16_t *halves);
/// The values of 16 codes below 16.
INLINE v16 table_values(const float *values, v16i codes);
