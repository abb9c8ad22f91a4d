// What attention costs on one thread, beside what limits it: prompts beside the multiply-adds of FP32 that the CPU does
// in registers, decoding beside plain reading of as many bytes. Multiply-adds of scores and values are counted, not the
// exponentials.

#include "others.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUERIES = 64, FORMATS = 3, CAPACITY = 1024, READ = 96 << 20 };

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
  void *m = NULL;
  if (posix_memalign(&m, 4096, bytes) != 0) abort();
  return m;
}

static void fill(float *x, size_t n, size_t seed) {
  for (size_t i = 0; i < n; i++) x[i] = (float)((i + seed) * 2654435761u % 1009) / 504.5f - 1;
}

// MARK: Limits

typedef float floats __attribute__((vector_size(64)));
typedef uint64_t words __attribute__((vector_size(64)));

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx512f,fma")))
#define NARROW __attribute__((target("avx2,fma")))
#else
#define WIDE
#define NARROW
#endif

#define LIMITS(name, attribute, chains)                                                                     \
  attribute static void multiply_##name(floats *x, size_t n) {                                              \
    floats sums[chains], by = x[0];                                                                         \
    for (int i = 0; i < (chains); i++) sums[i] = x[i];                                                      \
    for (size_t k = 0; k < n; k++) {                                                                        \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < (chains); i++) {                               \
        sums[i] = __builtin_elementwise_fma(by, sums[i], by);                                               \
      }                                                                                                     \
    }                                                                                                       \
    for (int i = 0; i < (chains); i++) x[i] = sums[i];                                                      \
  }                                                                                                         \
  attribute static uint64_t read_##name(const void *bytes, size_t n) {                                      \
    const words *p = bytes;                                                                                 \
    words a = {0}, b = {0}, c = {0}, d = {0};                                                               \
    for (size_t i = 0; i + 4 <= n / 64; i += 4) a |= p[i], b |= p[i + 1], c |= p[i + 2], d |= p[i + 3];     \
    a |= b | c | d;                                                                                         \
    return a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7];                                           \
  }

LIMITS(wide, WIDE, 12)
LIMITS(narrow, NARROW, 6)

static bool is_wide(const furl_kernels *k) { return strncmp(k->name, "avx512", 6) == 0; }

/// GMAC/s of FP32 in registers.
static double arithmetic_limit(const furl_kernels *k) {
  floats x[12] = {0};
  double best = 1e9, n = 20000, chains = is_wide(k) ? 12 : 6;
  for (int i = 0; i < 40; i++) {
    double start = now();
    (is_wide(k) ? multiply_wide : multiply_narrow)(x, (size_t)n);
    double time = now() - start;
    if (time < best) best = time;
  }
  return n * chains * 16 / best * 1e-9;
}

static double read_seconds(const furl_kernels *k, const void *bytes, size_t n) {
  static volatile uint64_t sink;
  double start = now();
  sink = (is_wide(k) ? read_wide : read_narrow)(bytes, n);
  (void)sink;
  return now() - start;
}

// MARK: Attention

/// Heads that hold some positions of the 1,024 that they have room for.
typedef struct heads {
  furl_kv_head *all;
  size_t count, positions;
  int format;
} heads;

static heads make_heads(const furl_kernels *k, int format, size_t count, size_t positions, size_t size) {
  heads h = {calloc(count, sizeof(furl_kv_head)), count, positions, format};
  size_t blocks = (size + 31) / 32, bytes = CAPACITY * size * formats[format].bytes;
  float key[256], value[256];
  for (size_t i = 0; i < count; i++) {
    h.all[i] = (furl_kv_head){
      .keys = memory(bytes), .values = memory(bytes), .key_scales = memory(CAPACITY * blocks * 2),
      .value_scales = memory(CAPACITY * 2), .capacity = CAPACITY, .head_size = size};
    for (size_t p = 0; p < positions; p++) {
      fill(key, size, p), fill(value, size, p + 500);
      (format == 0 ? k->store_f32 : format == 1 ? k->store_f16 : k->store_i8)(&h.all[i], key, value, p);
    }
  }
  return h;
}

static void free_heads(heads *h) {
  for (size_t i = 0; i < h->count; i++) {
    free(h->all[i].keys), free(h->all[i].values), free(h->all[i].key_scales), free(h->all[i].value_scales);
  }
  free(h->all);
}

/// The best time of one attention, over all heads one after the other.
static double best_seconds(const furl_kernels *k, const heads *h, size_t queries, size_t group, int rounds) {
  size_t size = h->all[0].head_size, rows = queries * group;
  furl_attention a = {.query = memory(rows * size * 4), .query_stride = group * size, .queries = queries,
    .heads = group, .position = h->positions - queries, .scale = 0.125f, .out = memory(rows * size * 4),
    .out_stride = group * size, .scratch = memory(furl_attention_scratch(rows, size) * 4)};
  fill((float *)(uintptr_t)a.query, rows * size, 7);
  double best = 1e9;
  for (int i = 0; i < rounds; i++) {
    double start = now();
    for (size_t j = 0; j < h->count; j++) {
      a.cache = h->all[j];
      a.next_keys = h->all[(j + 1) % h->count].keys, a.next_positions = h->positions;
      (h->format == 0 ? k->attend_f32 : h->format == 1 ? k->attend_f16 : k->attend_i8)(&a);
    }
    double time = (now() - start) / (double)h->count;
    if (time < best) best = time;
  }
  free((void *)(uintptr_t)a.query), free(a.out), free(a.scratch);
  return best;
}

/// The last rows of a chunk of a prompt, twelve heads in turn: what one block of CodeGPT has.
static void bench_prompt(const furl_kernels *k, int format, size_t size, size_t group, size_t positions) {
  size_t queries = QUERIES / group / 4 * 4;
  heads h = make_heads(k, format, 12, positions, size);
  double time = best_seconds(k, &h, queries, group, 60), limit = arithmetic_limit(k);
  double seen = (double)positions - (double)(queries - 1) / 2;
  double rate = 2 * seen * (double)(size * queries * group) / time * 1e-9;
  printf("%-3s %2zu queries of %2zu heads of %3zu, %4zu positions %9.2f us %6.1f of %5.1f GMAC/s, %3.0f %%\n",
    formats[format].name, queries, group, size, positions, time * 1e6, rate, limit, 100 * rate / limit);
  free_heads(&h);
}

/// Single queries over heads that lie in memory, one after the other.
static void bench_decode(const furl_kernels *k, int format, size_t size, size_t group, size_t positions) {
  size_t bytes = 2 * positions * size * formats[format].bytes;
  heads h = make_heads(k, format, READ / bytes + 1, positions, size);
  char *plain = memory(READ);
  memset(plain, 1, READ);
  double time = 1e9, read = 1e9;
  for (int i = 0; i < 12; i++) {
    double a = read_seconds(k, plain, READ), b = best_seconds(k, &h, 1, group, 1);
    read = a < read ? a : read, time = b < time ? b : time;
  }
  double rate = (double)bytes / time * 1e-9, limit = READ / read * 1e-9;
  double macs = 2 * (double)(positions * size * group) / time * 1e-9;
  printf("%-3s  1 query  of %2zu heads of %3zu, %4zu positions %9.2f us ", formats[format].name, group, size, positions,
    time * 1e6);
  printf("%6.1f of %5.1f GB/s,   %3.0f %%, %5.1f GMAC/s\n", rate, limit, 100 * rate / limit, macs);
  free_heads(&h), free(plain);
}

void bench_attention(const furl_kernels *k) {
  static const struct {
    size_t size, group, positions;
  } prompts[] = {{64, 1, 128}, {64, 1, 512}, {64, 1, 1000}, {64, 3, 1000}, {80, 1, 1000}, {128, 12, 1000}},
    decodes[] = {{64, 1, 240}, {64, 1, 1000}, {64, 3, 1000}, {80, 1, 240}, {128, 12, 240}, {128, 12, 1000}};
  for (int format = 0; format < FORMATS; format++) {
    for (int i = 0; i < 6; i++) bench_prompt(k, format, prompts[i].size, prompts[i].group, prompts[i].positions);
    for (int i = 0; i < 6; i++) bench_decode(k, format, decodes[i].size, decodes[i].group, decodes[i].positions);
  }
}
