// Attention of a few rows at once over one head's cache, tile by tile: rows of a prompt, and heads that share keys
// and values, read and convert them once. A row's tile is computed by itself and the tiles are joined in order
// (the softmax of Milakov and Gimelshein 2018, tiled as by Dao et al. 2022), so memory does not grow with the
// context. Every sum of a row runs in the order of its positions, whatever rows are beside it.

#pragma once

#include "cells.h"
#include "exponential.h"
#include "multiply_a32.h"

#define TILE FURL_ATTENTION_TILE

// MARK: Scores

/// One head of one query.
typedef struct row {
  const float *query;
  float *target;  // its part of the tile
  furl_span seen; // of the tile
} row;

/// sums[q][d % 4] += query * key over dimensions d from `from` on, for n rows and 16 positions. Four sums, so that
/// with a single row no addition waits for the one before. The number of dimensions is even.
INLINE void add_scores(
  const cells kind, const int n, const void *keys, size_t from, size_t dimensions, const row *rows, v16 sums[][4])
{
  const float *queries[4];
  UNROLL for (int q = 0; q < n; q++) queries[q] = rows[q].query + from;
  size_t d = 0;
#define ADD(count)                                                                                          \
  UNROLL for (int i = 0; i < (count); i++) {                                                                \
    v16 key = load_cells(kind, 16, keys, (d + (size_t)i) * 16);                                             \
    UNROLL for (int q = 0; q < n; q++) sums[q][i] = fma16(key, splat(queries[q][d + (size_t)i]), sums[q][i]); \
  }
  for (; d + 4 <= dimensions; d += 4) ADD(4)
  if (d < dimensions) ADD(2)
#undef ADD
}

/// Scores of n rows against 16 positions.
INLINE void score(
  const cells kind, const int n, const char *keys, const uint16_t *scales, size_t size, const row *rows, float *scores)
{
  v16 sums[4][4], totals[4];
  UNROLL for (int q = 0; q < n; q++) totals[q] = splat(0);
  for (size_t d = 0, block; d < size; d += block) {
    block = kind == CODES && size - d > FURL_KEY_BLOCK ? FURL_KEY_BLOCK : size - d;
    UNROLL for (int q = 0; q < n; q++) {
      UNROLL for (int i = 0; i < 4; i++) sums[q][i] = splat(0);
    }
    add_scores(kind, n, keys + d * 16 * cell_bytes(kind), d, block, rows, sums);
    v16 scale = kind == CODES ? floats_from_halves(scales + d / FURL_KEY_BLOCK * 16) : splat(1);
    UNROLL for (int q = 0; q < n; q++) {
      v16 sum = joined(sums[q]);
      totals[q] = kind == CODES ? fma16(sum, scale, totals[q]) : sum;
    }
  }
  UNROLL for (int q = 0; q < n; q++) store(scores + (size_t)q * TILE, totals[q]);
}

/// Scores of n rows against positions of a tile, from a multiple of 16 on.
INLINE void score_positions(
  const cells kind, const int n, const furl_attention *a, size_t tile, furl_span positions, const row *rows,
  float *scores)
{
  size_t size = a->cache.head_size, step = furl_padded(size) * cell_bytes(kind), blocks = furl_key_blocks(&a->cache);
  for (size_t p = positions.begin; p < positions.end;) {
    size_t index = furl_index(&a->cache, tile * TILE + p), whole = p + (a->cache.capacity - index);
    size_t end = positions.end < whole ? positions.end : whole;
    const char *keys = (const char *)a->cache.keys + index * step;
    const uint16_t *scales = kind == CODES ? a->cache.key_scales + index * blocks : NULL;
    for (; p < end; p += 16, keys += 16 * step) {
      score(kind, n, keys, scales, size, rows, scores + p);
      if (kind == CODES) scales += 16 * blocks;
    }
  }
}

/// Scores -> e^(score - largest), in place, zero beside what is seen; returns their sum. What lies beside it may be
/// anything, not-a-numbers included.
INLINE float softmax(float *scores, furl_span seen, float scale, float *top) {
  size_t first = seen.begin / 16 * 16;
  v16 largest = splat(-__builtin_inff());
  for (size_t p = first; p < seen.end; p += 16) {
    v16 s = load(scores + p) * splat(scale);
    if (p < seen.begin || p + 16 > seen.end) {
      v16i at = lane_index() + splat_int((int32_t)p);
      v16i inside = (at >= splat_int((int32_t)seen.begin)) & (at < splat_int((int32_t)seen.end));
      s = select16(inside, s, splat(-__builtin_inff()));
    }
    largest = select16(s > largest, s, largest);
    store(scores + p, s);
  }
  *top = largest_of_lanes(largest);
  v16 sum = splat(0);
  for (size_t p = first; p < seen.end; p += 16) {
    v16 e = exponential(load(scores + p) - splat(*top));
    sum += e;
    store(scores + p, e);
  }
  return sum_of_lanes(sum);
}

// MARK: Values

/// sums[q] += weight * value over positions of a tile, for n rows.
INLINE void add_values(
  const cells kind, const int n, const int vectors, const int lanes, const furl_attention *a, size_t tile,
  const float *weights, furl_span positions, size_t d, v16 sums[][8])
{
  size_t head = furl_padded(a->cache.head_size);
  for (size_t p = positions.begin; p < positions.end;) {
    size_t index = furl_index(&a->cache, tile * TILE + p), whole = p + (a->cache.capacity - index);
    size_t end = positions.end < whole ? positions.end : whole;
    for (; p < end; p++, index++) {
      UNROLL for (int v = 0; v < vectors; v++) {
        v16 value = load_cells(kind, lanes, a->cache.values, index * head + d + 16 * (size_t)v);
        UNROLL for (int q = 0; q < n; q++) {
          sums[q][v] = fma16(splat(weights[(size_t)q * TILE + p]), value, sums[q][v]);
        }
      }
    }
  }
}

/// `vectors` * `lanes` dimensions of n rows. Positions that all of them see are read once for all; those before
/// and after are each row's own, so that a value which a row does not see cannot touch it.
INLINE void weigh_values(
  const cells kind, const int n, const int vectors, const int lanes, const furl_attention *a, size_t tile,
  const float *weights, const row *rows, size_t d)
{
  furl_span shared = {rows[n - 1].seen.begin, rows[0].seen.end};
  if (shared.end < shared.begin) shared.end = shared.begin;
  v16 sums[4][8];
  UNROLL for (int q = 0; q < n; q++) {
    UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = splat(0);
    furl_span seen = rows[q].seen, before = {seen.begin, seen.end < shared.begin ? seen.end : shared.begin};
    if (n > 1) add_values(kind, 1, vectors, lanes, a, tile, weights + q * TILE, before, d, sums + q);
  }
  add_values(kind, n, vectors, lanes, a, tile, weights, shared, d, sums);
  UNROLL for (int q = 0; q < n; q++) {
    furl_span after = {shared.end, rows[q].seen.end};
    if (n > 1) add_values(kind, 1, vectors, lanes, a, tile, weights + q * TILE, after, d, sums + q);
    float *target = rows[q].target + FURL_PART_SUMS + d;
    UNROLL for (int v = 0; v < vectors; v++) store_first(target + 16 * v, sums[q][v], (size_t)lanes);
  }
}

/// The scales of 8-bit values go into the weights.
INLINE void scale_weights(const int n, const furl_attention *a, size_t tile, furl_span positions, float *weights) {
  for (size_t p = positions.begin / 16 * 16; p < positions.end; p += 16) {
    v16 scale = floats_from_halves(a->cache.value_scales + furl_index(&a->cache, tile * TILE + p));
    UNROLL for (int q = 0; q < n; q++) {
      float *here = weights + (size_t)q * TILE + p;
      store(here, load(here) * scale);
    }
  }
}

// MARK: Tiles

INLINE void attend_rows(
  const cells kind, const int n, const furl_attention *a, size_t tile, const row *rows, float *weights)
{
  furl_span any = {rows[0].seen.begin, rows[n - 1].seen.end};
  score_positions(kind, n, a, tile, (furl_span){any.begin / 16 * 16, any.end}, rows, weights);
  UNROLL for (int q = 0; q < n; q++) {
    rows[q].target[1] = softmax(weights + q * TILE, rows[q].seen, a->scale, rows[q].target);
  }
  if (kind == CODES) scale_weights(n, a, tile, any, weights);

  // A single row has one sum for each vector of values to hide the additions' latency behind: it takes more.
  const size_t most = n == 1 ? 8 : VALUE_VECTORS;
  size_t d = 0, head = furl_padded(a->cache.head_size);
#define VALUES(vectors, lanes)                                                                              \
  for (; d + (vectors) * (lanes) <= head && (vectors) <= most; d += (vectors) * (lanes)) {                  \
    weigh_values(kind, n, vectors, lanes, a, tile, weights, rows, d);                                       \
  }
  VALUES(8, 16)
  VALUES(6, 16)
  VALUES(5, 16)
  VALUES(4, 16)
  VALUES(2, 16)
  VALUES(1, 16)
  VALUES(1, 8)
#undef VALUES
}

typedef void (*attend_function)(const furl_attention *a, size_t tile, const row *rows, float *weights);

/// The same for 4, 2 and 1 rows.
typedef struct row_functions {
  attend_function four, two, one;
} row_functions;

// Functions of their own: inlined into one, they would make a frame too large for a thread's stack where nothing is
// optimized.
#define ATTEND_ROWS(name, kind, n)                                                                          \
  static __attribute__((noinline)) void name##_##n(                                                         \
    const furl_attention *a, size_t tile, const row *rows, float *weights)                                  \
  {                                                                                                         \
    attend_rows(kind, n, a, tile, rows, weights);                                                           \
  }
#define ATTEND(name, kind)                                                                                  \
  ATTEND_ROWS(name##_rows, kind, 4)                                                                         \
  ATTEND_ROWS(name##_rows, kind, 2)                                                                         \
  ATTEND_ROWS(name##_rows, kind, 1)                                                                         \
  static void name(const furl_attention *attention) {                                                       \
    attend(attention, (row_functions){name##_rows_4, name##_rows_2, name##_rows_1});                        \
  }

// MARK: Whole attentions

/// Adds the positions of one part to those of another one before it.
INLINE void join(float *into, const float *part, size_t head_size) {
  float largest = part[0] > into[0] ? part[0] : into[0];
  v16 factors = exponential((v16){into[0] - largest, part[0] - largest});
  into[0] = largest;
  into[1] = into[1] * factors[0] + part[1] * factors[1];
  for (size_t d = FURL_PART_SUMS; d < furl_part_row(head_size); d += 16) {
    store(into + d, fma16(load(part + d), splat(factors[1]), load(into + d) * splat(factors[0])));
  }
}

INLINE void finish_row(const furl_attention *a, size_t query, size_t head, const float *part) {
  size_t n = a->cache.head_size;
  float *out = a->out + query * a->out_stride + head * n;
  for (size_t d = 0; d < n; d += 16) {
    store_first(out + d, load(part + FURL_PART_SUMS + d) / splat(part[1]), n - d < 16 ? n - d : 16);
  }
}

/// All rows over one tile. `parts` holds the tile's; a row whose first tile this is may have it in `first` instead.
INLINE void attend_tile(
  const furl_attention *a, row_functions functions, size_t tile, float *parts, float *first, float *weights)
{
  furl_span in = furl_queries_in(a, tile);
  size_t stride = furl_part_row(a->cache.head_size), query = in.begin, head = 0;
  for (size_t left = (in.end - in.begin) * a->heads, n; left != 0; left -= n) {
    row rows[4];
    n = left >= 4 && GROUP_QUERIES >= 4 ? 4 : left >= 2 && GROUP_QUERIES >= 2 ? 2 : 1;
    for (size_t q = 0; q < n; q++) {
      float *into = first != NULL && furl_first_tile(a, query) == tile ? first : parts;
      rows[q].query = a->query + query * a->query_stride + head * a->cache.head_size;
      rows[q].target = into + (query * a->heads + head) * stride;
      rows[q].seen = furl_in_tile(a, query, tile);
      if (++head == a->heads) head = 0, query++;
    }
    (n == 4 ? functions.four : n == 2 ? functions.two : functions.one)(a, tile, rows, weights);
  }
}

static void attend(const furl_attention *a, row_functions functions) {
  size_t heads = a->heads, size = a->cache.head_size, stride = furl_part_row(size), part = a->queries * heads * stride;
  furl_span tiles = furl_tiles(a);
  float *sums = a->scratch, *fresh = sums + part, *weights = fresh + part;
  if (a->parts != NULL) {
    for (size_t tile = a->tile_begin; tile < a->tile_end; tile++) {
      attend_tile(a, functions, tile, a->parts + (tile - tiles.begin) * part, NULL, weights);
    }
    return;
  }
  for (size_t tile = tiles.begin; tile < tiles.end; tile++) {
    attend_tile(a, functions, tile, fresh, sums, weights);
    furl_span in = furl_queries_in(a, tile);
    for (size_t query = in.begin; query < in.end; query++) {
      if (furl_first_tile(a, query) == tile) continue;
      for (size_t row = query * heads * stride; row < (query + 1) * heads * stride; row += stride) {
        join(sums + row, fresh + row, size);
      }
    }
  }
  for (size_t query = 0; query < a->queries; query++) {
    for (size_t head = 0; head < heads; head++) finish_row(a, query, head, sums + (query * heads + head) * stride);
  }
}

ATTEND(attend_f32, FLOATS)
ATTEND(attend_f16, HALVES)
ATTEND(attend_i8, CODES)

static void join_parts(const furl_attention *a) {
  size_t size = a->cache.head_size, stride = furl_part_row(size), part = a->queries * a->heads * stride;
  furl_span tiles = furl_tiles(a);
  for (size_t query = 0; query < a->queries; query++) {
    size_t first = furl_first_tile(a, query), end = furl_visible(a, query).end;
    for (size_t head = 0; head < a->heads; head++) {
      float *here = a->parts + (query * a->heads + head) * stride, *sums = here + (first - tiles.begin) * part;
      for (size_t tile = first + 1; tile * TILE < end; tile++) join(sums, here + (tile - tiles.begin) * part, size);
      finish_row(a, query, head, sums);
    }
  }
}

#undef ATTEND
#undef ATTEND_ROWS
#undef TILE
