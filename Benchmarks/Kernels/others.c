// What the kernels that are not products cost: one thread, data in cache.

#include "others.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WIDTH = 4096, VOCABULARY = 51200, HEAD = 64, POSITIONS = 1024, QUERIES = 64 };

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
  MEASURE("quantize 4096", WIDTH, "Gvalues/s", k->quantize(x, WIDTH, codes, scales, sums));
  MEASURE("layer_norm 4096", WIDTH, "Gvalues/s", k->layer_norm(x, WIDTH, y, y, 1e-5f, out));
  MEASURE("rms_norm 4096", WIDTH, "Gvalues/s", k->rms_norm(x, WIDTH, y, NULL, 1e-5f, out));
  MEASURE("gelu 4096", WIDTH, "Gvalues/s", k->activate(FURL_GELU, out, NULL, WIDTH));
  MEASURE("gelu_tanh 4096", WIDTH, "Gvalues/s", k->activate(FURL_GELU_TANH, out, NULL, WIDTH));
  MEASURE("silu 4096, times another", WIDTH, "Gvalues/s", k->activate(FURL_SILU, out, x, WIDTH));
  MEASURE("rotate 32 heads of 128", WIDTH, "Gvalues/s",
    for (size_t h = 0; h < WIDTH; h += 128) k->rotate(out + h, 64, x, y));
  MEASURE("argmax 51200", VOCABULARY, "Gvalues/s", largest = k->argmax(x, VOCABULARY));
  (void)largest;

  size_t cells = (size_t)(POSITIONS + QUERIES) * HEAD;
  float *keys = numbers(cells), *values = numbers(cells), *query = numbers(QUERIES * HEAD);
  float *scratch = numbers(furl_attention_scratch(POSITIONS + QUERIES));
  uint16_t *half_keys = calloc(cells, 2), *half_values = calloc(cells, 2);
  MEASURE("store_f16, head 64", 2 * HEAD, "Gvalues/s", k->store_f16(x, y, HEAD, 17, half_keys, half_values));
  for (size_t p = 0; p < POSITIONS; p++) {
    k->store_f16(x + p, y + p, HEAD, p, half_keys, half_values);
    k->store_f32(x + p, y + p, HEAD, p, keys, values);
  }
  furl_attention a = {.query = query, .query_stride = HEAD, .queries = 1, .keys = keys, .values = values,
    .visible = POSITIONS, .head_size = HEAD, .scale = 0.125f, .scratch = scratch, .out = out,
    .out_stride = HEAD};
  furl_attention prompt = a;
  prompt.queries = QUERIES, prompt.visible = POSITIONS - QUERIES + 1;
  double one = 2.0 * POSITIONS * HEAD, many = one * QUERIES;
  MEASURE("attend_f32, 1 query, 1024 x 64", one, "GMAC/s", k->attend_f32(&a));
  MEASURE("attend_f32, 64 queries, 1024 x 64", many, "GMAC/s", k->attend_f32(&prompt));
  a.keys = prompt.keys = half_keys, a.values = prompt.values = half_values;
  MEASURE("attend_f16, 1 query, 1024 x 64", one, "GMAC/s", k->attend_f16(&a));
  MEASURE("attend_f16, 64 queries, 1024 x 64", many, "GMAC/s", k->attend_f16(&prompt));
  free(x), free(y), free(out), free(codes), free(keys), free(values), free(query), free(scratch);
  free(half_keys), free(half_values);
}
