// What attention costs, on one thread: decoding with heads that lie in memory, one query head or four to each, and
// the last 64 positions of a prompt. Multiply-adds of scores and values are counted, not the exponentials.

#include "others.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GROUP = 4, QUERIES = 64, FORMATS = 3 };

static const struct {
  const char *name;
  size_t bytes; // of a number
} formats[FORMATS] = {{"f32", 4}, {"f16", 2}, {"i8", 1}};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *memory(size_t bytes) {
  void *m = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (m == NULL) abort();
  return m;
}

static void fill(float *x, size_t n, size_t seed) {
  for (size_t i = 0; i < n; i++) x[i] = (float)((i + seed) * 2654435761u % 1009) / 504.5f - 1;
}

static furl_kv_head make_head(const furl_kernels *k, int format, size_t positions, size_t size) {
  furl_kv_head head = {
    .keys = memory(positions * size * formats[format].bytes),
    .values = memory(positions * size * formats[format].bytes), .key_scales = memory(positions * (size / 32 + 1) * 2),
    .value_scales = memory(positions * 2), .capacity = positions, .head_size = size};
  float key[256], value[256];
  for (size_t p = 0; p < positions; p++) {
    fill(key, size, p), fill(value, size, p + 500);
    (format == 0 ? k->store_f32 : format == 1 ? k->store_f16 : k->store_i8)(&head, key, value, p);
  }
  return head;
}

static void free_head(furl_kv_head *head) {
  free(head->keys), free(head->values), free(head->key_scales), free(head->value_scales);
}

/// The best time of one attention, over heads one after the other.
static double best_time(
  const furl_kernels *k, int format, furl_attention a, const furl_kv_head *heads, size_t n, int rounds)
{
  double best = 1e9;
  for (int i = 0; i < rounds; i++) {
    double start = now();
    for (size_t h = 0; h < n; h++) {
      a.cache = heads[h];
      (format == 0 ? k->attend_f32 : format == 1 ? k->attend_f16 : k->attend_i8)(&a);
    }
    double time = (now() - start) / (double)n;
    if (time < best) best = time;
  }
  return best;
}

static void bench_shape(const furl_kernels *k, int format, size_t size, size_t positions) {
  size_t bytes = 2 * positions * size * formats[format].bytes, n = ((size_t)96 << 20) / bytes;
  n = n < 2 ? 2 : n > 64 ? 64 : n;
  furl_kv_head heads[64];
  for (size_t i = 0; i < n; i++) heads[i] = make_head(k, format, positions, size);
  float *query = memory(QUERIES * size * 4), *out = memory(QUERIES * size * 4);
  fill(query, QUERIES * size, 7);
  furl_attention a = {.query = query, .query_stride = GROUP * size, .queries = 1, .heads = 1,
    .position = positions - 1, .scale = 0.125f, .out = out, .out_stride = GROUP * size,
    .scratch = memory(furl_attention_scratch(QUERIES, size) * 4)};
  int rounds = positions > 8000 ? 6 : 40;
  double one = best_time(k, format, a, heads, n, rounds), macs = 2.0 * (double)(positions * size);
  a.heads = GROUP;
  double group = best_time(k, format, a, heads, n, rounds);
  a.queries = QUERIES, a.heads = 1, a.position = positions - QUERIES, a.query_stride = a.out_stride = size;
  double prompt = best_time(k, format, a, heads, 2, rounds);
  printf(
    "%-3s head %3zu, %5zu positions: 1 query %8.2f us %6.2f GB/s, %d heads %8.2f us, %d queries %6.1f GMAC/s\n",
    formats[format].name, size, positions, one * 1e6, (double)bytes / one * 1e-9, GROUP, group * 1e6, QUERIES,
    macs * (QUERIES - (double)(QUERIES * (QUERIES - 1) / 2) / (double)positions) / prompt * 1e-9);
  for (size_t i = 0; i < n; i++) free_head(&heads[i]);
  free(query), free(out), free(a.scratch);
}

void bench_attention(const furl_kernels *k) {
  static const size_t sizes[] = {64, 80, 128}, positions[] = {512, 4096, 16384};
  for (int format = 0; format < FORMATS; format++) {
    for (int s = 0; s < 3; s++) for (int p = 0; p < 3; p++) bench_shape(k, format, sizes[s], positions[p]);
  }
}
