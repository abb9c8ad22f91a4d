// How near the kernels come to reading their weights at the speed of memory, and what they multiply when
// several rows of activations share that reading. Every figure stands beside the plain-read limit of the same
// bytes, measured in turns with it: memory's own speed moves from minute to minute.
//
//   bench [tier [kernel [ROWSxCOLUMNSxMATRICESxBLOCKTILES]]]     "" for the best tier, all kernels

#include "others.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#include <time.h>

typedef struct kind {
  const char *name;
  size_t member;
  size_t tile_bytes;
  bool scales, minimums, coded, table; // coded: scales of 8 bits
} kind;

static const kind kinds[] = {
  {"float32", offsetof(furl_kernels, float32), 2048, .scales = false},
  {"int8_a8", offsetof(furl_kernels, int8_a8), 512, .scales = true},
  {"int8_a32", offsetof(furl_kernels, int8_a32), 512, .scales = true},
  {"int4_a8", offsetof(furl_kernels, int4_a8), 256, .scales = true},
  {"int4_a32", offsetof(furl_kernels, int4_a32), 256, .scales = true},
  {"int4_minimum_a8", offsetof(furl_kernels, int4_minimum_a8), 256, .scales = true, .minimums = true},
  {"int4_minimum_a32", offsetof(furl_kernels, int4_minimum_a32), 256, .scales = true, .minimums = true},
  {"int4_u8_a8", offsetof(furl_kernels, int4_a8), 256, .scales = true, .coded = true},
  {"table4_a8", offsetof(furl_kernels, table4_a8), 256, .scales = true, .table = true},
  {"table4_u8_a8", offsetof(furl_kernels, table4_a8), 256, .scales = true, .table = true, .coded = true},
  {"int3_a8", offsetof(furl_kernels, int3_a8), 192, .scales = true},
  {"int3_minimum_a8", offsetof(furl_kernels, int3_minimum_a8), 192, .scales = true, .minimums = true},
  {"int2_a8", offsetof(furl_kernels, int2_a8), 128, .scales = true},
  {"int2_minimum_a8", offsetof(furl_kernels, int2_minimum_a8), 128, .scales = true, .minimums = true},
};

typedef struct shape {
  size_t rows, columns, matrices, block_tiles;
} shape;

// Sixteen matrices do not fit the cache; one of the others does.
static shape shapes[] = {
  {4096, 4096, 16, 1}, {4096, 4096, 16, 128}, {1024, 256, 1, 1}, {256, 1024, 1, 1}, {8192, 256, 1, 1},
};
static size_t shape_count = sizeof shapes / sizeof *shapes;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/// In large pages where the system gives them, as models are loaded.
static void *memory(size_t bytes) {
  void *p = NULL;
  if (posix_memalign(&p, 2 << 20, bytes) != 0) abort();
#if defined(__linux__)
  madvise(p, bytes, MADV_HUGEPAGE);
#endif
  return p;
}

// MARK: The work of one round over all matrices

typedef struct job {
  furl_multiply multiply; // NULL: read only
  const furl_matrix *matrix;
  const furl_activations *x;
  furl_output output;
  size_t bytes_a_tile, halves_a_tile;
  uint64_t sink[64];
} job;

typedef uint64_t wide __attribute__((vector_size(64)));

#define READ(name, attribute)                                                                               \
  attribute static uint64_t name(const void *bytes, size_t n) {                                             \
    const wide *p = bytes;                                                                                  \
    wide a = {0}, b = {0}, c = {0}, d = {0};                                                                \
    for (size_t i = 0; i + 4 <= n / 64; i += 4) a |= p[i], b |= p[i + 1], c |= p[i + 2], d |= p[i + 3];     \
    a |= b | c | d;                                                                                         \
    return a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7];                                           \
  }

READ(read_plain, )
#if defined(__x86_64__)
READ(read_256, __attribute__((target("avx2"))))
READ(read_512, __attribute__((target("avx512f"))))
#endif

static uint64_t read_bytes(const void *bytes, size_t n) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return read_512(bytes, n);
  if (__builtin_cpu_supports("avx2")) return read_256(bytes, n);
#endif
  return read_plain(bytes, n);
}

static void task(void *context, size_t part, size_t parts) {
  job *j = context;
  size_t tiles = (j->matrix->rows + 15) / 16;
  size_t begin = tiles * part / parts, end = tiles * (part + 1) / parts;
  if (j->multiply != NULL) {
    j->multiply(j->matrix, j->x, begin, end, &j->output);
    return;
  }
  const char *codes = j->matrix->codes, *scales = (const char *)j->matrix->scales;
  uint64_t sum = read_bytes(codes + begin * j->bytes_a_tile, (end - begin) * j->bytes_a_tile);
  if (scales != NULL) sum |= read_bytes(scales + begin * j->halves_a_tile, (end - begin) * j->halves_a_tile);
  j->sink[part * 8] |= sum;
}

/// Seconds of one round over all matrices.
static double round_seconds(furl_pool *pool, job *j, const furl_matrix *matrices, size_t n, size_t repeats) {
  double start = now();
  for (size_t r = 0; r < repeats; r++) {
    for (size_t i = 0; i < n; i++) {
      j->matrix = &matrices[i];
      furl_pool_run(pool, task, j);
    }
  }
  return (now() - start) / (double)repeats;
}

// MARK: One line of the table

static void measure(const furl_kernels *tier, const kind *k, const shape *s, size_t count, size_t threads) {
  size_t row_tiles = (s->rows + 15) / 16, tiles = (s->columns + 31) / 32;
  size_t blocks = (tiles + s->block_tiles - 1) / s->block_tiles;
  // Of coded scales there are half as many bytes, and factors in memory of their own.
  size_t code_bytes = row_tiles * tiles * k->tile_bytes, half_bytes = row_tiles * blocks * (k->coded ? 16 : 32);
  float *factors = memory(row_tiles * 64 + 64);
  for (size_t i = 0; i < row_tiles * 16; i++) factors[i] = 1e-4f;
  static int8_t levels[16] = {-127, -88, -67, -50, -36, -23, -12, 0, 10, 20, 31, 43, 56, 71, 92, 127};
  float table_values[16];
  for (int i = 0; i < 16; i++) table_values[i] = (float)levels[i] / 127;
  furl_matrix *matrices = calloc(s->matrices, sizeof *matrices);
  char *codes = memory(code_bytes * s->matrices);
  // Scales and minimums of a matrix follow each other, so that reading them is one piece.
  size_t halves = half_bytes * (k->minimums ? 2 : k->scales ? 1 : 0);
  uint16_t *scales = memory(halves * s->matrices + 64);
  size_t all = code_bytes * s->matrices;
  for (size_t i = 0; k->scales && i < all; i++) codes[i] = (char)(i * 2654435761u >> 13);
  for (size_t i = 0; !k->scales && i < all / 4; i++) ((float *)codes)[i] = (float)(i % 255) - 127;
  for (size_t i = 0; i < halves / 2 * s->matrices; i++) scales[i] = 0x1c00;
  for (size_t i = 0; i < s->matrices; i++) {
    uint16_t *mine = k->scales ? scales + i * halves / 2 : NULL;
    matrices[i] = (furl_matrix){
      .codes = codes + i * code_bytes, .scales = mine, .minimums = k->minimums ? mine + half_bytes / 2 : NULL,
      .rows = s->rows, .column_tiles = tiles, .block_tiles = s->block_tiles, .blocks = blocks, .values = table_values,
      .levels = levels, .unit = 1.0f / 127};
    if (k->coded) {
      matrices[i].scale_codes = (const uint8_t *)mine, matrices[i].scales = NULL;
      matrices[i].factors = factors, matrices[i].scale_zero = 128;
    }
  }
  float *values = memory(count * tiles * 128), *x_scales = memory(count * tiles * 4 + 64);
  int8_t *x_codes = memory(count * tiles * 32), *panels = memory(count * tiles * 32);
  int32_t *sums = memory(count * tiles * 4 + 64);
  for (size_t i = 0; i < count * tiles * 32; i++) values[i] = (float)(i * 7 % 31) / 31 - 0.5f;
  for (size_t a = 0; a < count; a++) {
    size_t at = furl_group_scales(tiles, a);
    tier->quantize(values + a * tiles * 32, tiles * 32, furl_group_rows(count, a),
      x_codes + furl_group_codes(tiles, a), x_scales + at, sums + at,
      a < count / 16 * 16 ? panels + furl_panel_codes(tiles, a) : NULL);
  }
  furl_activations x = {count, x_codes, x_scales, sums, values, panels};
  float *out = memory(count * s->rows * 4);
  furl_multiply multiply;
  memcpy(&multiply, (const char *)tier + k->member, sizeof multiply);

  job j = {.x = &x, .output = {out, s->rows, NULL, false}, .bytes_a_tile = tiles * k->tile_bytes,
    .halves_a_tile = k->scales ? halves / row_tiles : 0};
  furl_pool *pool = furl_pool_create(threads);
  double best_read = 1e9, best = 1e9;
  double work = (double)s->rows * (double)s->columns * (double)count * (double)s->matrices;
  size_t repeats = work > 1e8 ? 1 : (size_t)(1e8 / work) + 1;
  double until = now() + 0.4;
  for (int i = 0; i < 5 || (now() < until && i < 60); i++) {
    j.multiply = NULL;
    double t = round_seconds(pool, &j, matrices, s->matrices, repeats);
    if (t < best_read) best_read = t;
    j.multiply = multiply;
    t = round_seconds(pool, &j, matrices, s->matrices, repeats);
    if (t < best) best = t;
  }
  double bytes = (double)(code_bytes + halves) * (double)s->matrices;
  printf("%-17s %4zux%-5zu %2zu %5zu %8zu %6zu %9.1f %9.1f %6.0f %% %8.1f\n", k->name, s->rows, s->columns,
    s->matrices, s->block_tiles * 32, threads, count, bytes / best * 1e-9, bytes / best_read * 1e-9,
    100 * best_read / best, work / best * 1e-9);
  furl_pool_destroy(pool);
  free(matrices), free(codes), free(scales), free(values), free(factors);
  free(x_scales), free(x_codes), free(panels), free(sums), free(out);
}

static const furl_kernels *tier_named(const char *name) {
  const furl_kernels *best = NULL;
  static const furl_isa order[] = {
    FURL_ISA_SCALAR, FURL_ISA_PORTABLE, FURL_ISA_AVX2, FURL_ISA_AVX_VNNI, FURL_ISA_NEON, FURL_ISA_AVX512_VNNI, FURL_ISA_AMX};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    const furl_kernels *tier = furl_kernels_for(order[i]);
    if (tier != NULL && (name == NULL || strcmp(tier->name, name) == 0)) best = tier;
  }
  return best;
}

int main(int argc, char **argv) {
  const furl_kernels *tier = tier_named(argc > 1 && argv[1][0] != 0 ? argv[1] : NULL);
  if (tier == NULL) {
    fprintf(stderr, "bench: this CPU has no such tier\n");
    return 69;
  }
  if (argc > 3) {
    shape *s = shapes;
    shape_count = 1;
    int found = sscanf(argv[3], "%zux%zux%zux%zu", &s->rows, &s->columns, &s->matrices, &s->block_tiles);
    if (found != 4) return 64;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("tier: %s; GB/s of weights and scales, limit: plain reading of the same\n", tier->name);
  printf("kernel            shape      n block  threads  count      GB/s     limit    share   GMAC/s\n");
  static const size_t counts[] = {1, 8, 64};
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    if (argc > 2 && argv[2][0] != 0 && strcmp(argv[2], kinds[k].name) != 0) continue;
    for (size_t s = 0; s < shape_count; s++) {
      if (shapes[s].block_tiles > 1 && !kinds[k].scales) continue;
      for (size_t c = 0; c < 3; c++) {
        measure(tier, &kinds[k], &shapes[s], counts[c], 1);
        measure(tier, &kinds[k], &shapes[s], counts[c], 2);
      }
    }
  }
  if (argc <= 2) {
    bench_others(tier);
    bench_attention(tier);
  }
  return 0;
}
