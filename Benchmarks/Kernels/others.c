// What the kernels that are not products cost: one thread, data in cache.

#include "others.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WIDTH = 4096, VOCABULARY = 51200 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *numbers(size_t n) {
  float *x = malloc(n * sizeof(float));
  if (x == NULL) abort();
  for (size_t i = 0; i < n; i++) x[i] = (float)(i * 2654435761u % 1009) / 504.5f - 1;
  return x;
}

/// Prints the best time of `statement` and the rate of the `items` it works on.
#define MEASURE(name, items, unit, statement)                                                               \
  do {                                                                                                      \
    double best = 1e9;                                                                                      \
    for (int i_ = 0; i_ < 200; i_++) {                                                                      \
      double start_ = now();                                                                                \
      for (int r_ = 0; r_ < 5; r_++) statement;                                                             \
      double t_ = (now() - start_) / 5;                                                                     \
      if (t_ < best) best = t_;                                                                             \
    }                                                                                                       \
    printf("%-34s %9.2f us %9.2f %s\n", name, best * 1e6, (double)(items) / best * 1e-9, unit);             \
  } while (0)

void bench_others(const furl_kernels *k) {
  float *x = numbers(VOCABULARY), *y = numbers(VOCABULARY), *out = numbers(VOCABULARY);
  int8_t *codes = malloc(WIDTH);
  int32_t sums[WIDTH / 32];
  float scales[WIDTH / 32];
  volatile int64_t largest;
  MEASURE("quantize 4096", WIDTH, "Gvalues/s", k->quantize(x, WIDTH, 1, codes, scales, sums, NULL));
  MEASURE("layer_norm 4096", WIDTH, "Gvalues/s", k->layer_norm(x, WIDTH, y, y, 1e-5f, out));
  MEASURE("rms_norm 4096", WIDTH, "Gvalues/s", k->rms_norm(x, WIDTH, y, NULL, 1e-5f, out));
  MEASURE("gelu 4096", WIDTH, "Gvalues/s", k->activate(FURL_GELU, out, NULL, WIDTH));
  MEASURE("gelu_tanh 4096", WIDTH, "Gvalues/s", k->activate(FURL_GELU_TANH, out, NULL, WIDTH));
  MEASURE("silu 4096, times another", WIDTH, "Gvalues/s", k->activate(FURL_SILU, out, x, WIDTH));
  MEASURE("rotate 32 heads of 128", WIDTH, "Gvalues/s",
    for (size_t h = 0; h < WIDTH; h += 128) k->rotate(out + h, 64, x, y));
  MEASURE("argmax 51200", VOCABULARY, "Gvalues/s", largest = k->argmax(x, VOCABULARY));
  (void)largest;
  free(x), free(y), free(out), free(codes);
}
