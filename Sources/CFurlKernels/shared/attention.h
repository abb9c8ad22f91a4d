// Attention of a few rows at once over one head's cache, tile by tile: rows of a prompt, and heads that share keys and
// values, read and convert them once. A row's tile is computed by itself and the tiles are joined in order
// (the softmax of Milakov and Gimelshein 2018, tiled as by Dao et al. 2022), so memory does not grow with the
// context. Every sum of a row runs in one order, whatever rows are beside it.

#pragma once

#include "activate.h"
#include "values.h"

#define TILE FURL_ATTENTION_TILE
#define LOG2_E 1.44269504f

// MARK: Tiles

/// For so many rows as the index says, and one more: all of them over one tile.
typedef struct attend_functions {
  void (*rows[GROUP_QUERIES])(const furl_attention *a, size_t tile, const row *rows);
} attend_functions;

/// The stretch that begins at a position of the tile.
INLINE stretch stretch_from(const furl_attention *a, size_t tile, size_t begin, size_t end) {
  size_t at = furl_index(&a->cache, tile * TILE + begin), most = a->cache.capacity - at;
  return (stretch){.begin = begin, .end = end - begin < most ? end : begin + most, .at = at};
}

INLINE void score_rows(const cells kind, const int n, const furl_attention *a, size_t tile, const row *rows) {
  const furl_kv_head *cache = &a->cache;
  const piece keys = {cache->keys, cache->key_scales, furl_padded(cache->head_size), cache->values};
  size_t end = rows[n - 1].seen.end;
  for (stretch s = {.end = rows[0].seen.begin / 16 * 16}; s.end < end;) {
    s = stretch_from(a, tile, s.end, end);
    score_piece(kind, n, &keys, s.at, s.end - s.begin, cache->head_size, rows, s.begin);
  }
}

/// The scales of 8-bit values go into the weights.
INLINE void scale_weights(const furl_attention *a, size_t tile, const row *row) {
  for (size_t p = row->seen.begin / 16 * 16; p < row->seen.end; p += 16) {
    v16 scale = floats_from_halves(a->cache.value_scales + furl_index(&a->cache, tile * TILE + p));
    store(row->scores + p, load(row->scores + p) * scale);
  }
}

INLINE void weigh_rows(const cells kind, const int n, const furl_attention *a, size_t tile, const row *rows) {
  const furl_kv_head *cache = &a->cache;
  piece values = {cache->values, NULL, furl_padded(cache->head_size), NULL};
  furl_span common = {rows[n - 1].seen.begin, larger_size(rows[0].seen.end, rows[n - 1].seen.begin)};
  size_t begin = rows[0].seen.begin, end = rows[n - 1].seen.end;
  for (stretch s = {.end = begin}; s.end < end;) {
    s = stretch_from(a, tile, s.end, end);
    s.common = common, s.is_first = s.begin == begin;
    values.next = s.at < a->next_positions ? a->next_keys : cache->values;
    if (s.at < a->next_positions) s.end = smaller_size(s.end, s.begin + a->next_positions - s.at);
    weigh_stretch(kind, n, &values, &s, rows);
  }
}

/// Scores grow with their positions; they are scaled later.
INLINE void slope_scores(const furl_attention *a, const row *row) {
  v16 slope = splat(row->slope / a->scale), lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (size_t p = row->seen.begin / 16 * 16; p < row->seen.end; p += 16) {
    v16 distance = splat(row->distance + (float)p) + lanes;
    store(row->scores + p, fma16(slope, distance, load(row->scores + p)));
  }
}

/// soft_cap * tanh(score / soft_cap), the scale included.
INLINE void cap_scores(const furl_attention *a, const row *row) {
  v16 inner = splat(a->scale / a->soft_cap), cap = splat(a->soft_cap);
  for (size_t p = row->seen.begin / 16 * 16; p < row->seen.end; p += 16) {
    store(row->scores + p, cap * hyperbolic_tangent(load(row->scores + p) * inner));
  }
}

INLINE void attend_rows(const cells kind, const int n, const furl_attention *a, size_t tile, const row *rows) {
  score_rows(kind, n, a, tile, rows);
  float scale = a->soft_cap > 0 ? 1 : a->scale;
  for (int q = 0; q < n; q++) {
    if (a->slopes != NULL) slope_scores(a, rows + q);
    if (a->soft_cap > 0) cap_scores(a, rows + q);
    // To base 2, where powers need one factor less.
    rows[q].target[1] = softmax(rows[q].scores, rows[q].seen, scale * LOG2_E, rows[q].target);
    if (kind == CODES) scale_weights(a, tile, rows + q);
  }
  weigh_rows(kind, n, a, tile, rows);
}

// Functions of their own: inlined into one, they would make a frame too large for a thread's stack where nothing is
// optimized.
#define ROWS(name, kind, n)                                                                                 \
  static __attribute__((noinline)) void name##_##n(const furl_attention *a, size_t tile, const row *rows) { \
    attend_rows(kind, n, a, tile, rows);                                                                    \
  }

#if GROUP_QUERIES == 4
#define ATTEND(name, kind)                                                                                  \
  ROWS(name##_rows, kind, 1)                                                                                \
  ROWS(name##_rows, kind, 2)                                                                                \
  ROWS(name##_rows, kind, 3)                                                                                \
  ROWS(name##_rows, kind, 4)                                                                                \
  static void name(const furl_attention *attention) {                                                       \
    attend(attention, (attend_functions){{name##_rows_1, name##_rows_2, name##_rows_3, name##_rows_4}});    \
  }
#else
#define ATTEND(name, kind)                                                                                  \
  ROWS(name##_rows, kind, 1)                                                                                \
  ROWS(name##_rows, kind, 2)                                                                                \
  static void name(const furl_attention *attention) {                                                       \
    attend(attention, (attend_functions){{name##_rows_1, name##_rows_2}});                                  \
  }
#endif

// MARK: Whole attentions

/// Adds the positions of one part to those of another one before it.
INLINE void join(float *into, const float *part, size_t head_size) {
  float largest = part[0] > into[0] ? part[0] : into[0];
  v16 factors = power_of_two((v16){into[0] - largest, part[0] - largest});
  into[0] = largest;
  into[1] = into[1] * factors[0] + part[1] * factors[1];
  for (size_t d = FURL_PART_SUMS; d < furl_part_row(head_size); d += 16) {
    store(into + d, fma16(load(part + d), splat(factors[1]), load(into + d) * splat(factors[0])));
  }
}

INLINE void finish_row(const furl_attention *a, size_t query, size_t head, const float *part) {
  size_t n = a->cache.head_size;
  float *out = a->out + query * a->out_stride + head * n, total = part[1], kept = 1;
  if (a->sinks != NULL) {
    float sink = a->sinks[head] * LOG2_E, largest = sink > part[0] ? sink : part[0];
    v16 factors = power_of_two((v16){part[0] - largest, sink - largest});
    kept = factors[0];
    total = total * kept + factors[1];
  }
  for (size_t d = 0; d < n; d += 16) {
    store_first(out + d, load(part + FURL_PART_SUMS + d) * splat(kept) / splat(total), n - d < 16 ? n - d : 16);
  }
}

/// All rows over one tile. `parts` holds the tile's; a row whose first tile this is may have it in `first` instead.
INLINE void attend_tile(
  const furl_attention *a, attend_functions functions, size_t tile, float *parts, float *first, float *scores)
{
  furl_span in = furl_queries_in(a, tile);
  size_t stride = furl_part_row(a->cache.head_size), query = in.begin, head = 0;
  for (size_t left = (in.end - in.begin) * a->heads, n; left != 0; left -= n) {
    row rows[GROUP_QUERIES];
    n = smaller_size(left, GROUP_QUERIES);
    for (size_t q = 0; q < n; q++) {
      float *into = first != NULL && furl_first_tile(a, query) == tile ? first : parts;
      rows[q].query = a->query + query * a->query_stride + head * a->cache.head_size;
      rows[q].scores = scores + q * TILE;
      rows[q].target = into + (query * a->heads + head) * stride;
      rows[q].seen = furl_in_tile(a, query, tile);
      rows[q].slope = a->slopes == NULL ? 0 : a->slopes[head];
      rows[q].distance = (float)((int64_t)(tile * TILE) - (int64_t)(a->position + query));
      if (++head == a->heads) head = 0, query++;
    }
    functions.rows[n - 1](a, tile, rows);
  }
}

static void attend(const furl_attention *a, attend_functions functions) {
  size_t heads = a->heads, size = a->cache.head_size, stride = furl_part_row(size), part = a->queries * heads * stride;
  furl_span tiles = furl_tiles(a);
  float *sums = a->scratch, *fresh = sums + part, *scores = fresh + part;
  if (a->parts != NULL) {
    for (size_t tile = a->tile_begin; tile < a->tile_end; tile++) {
      attend_tile(a, functions, tile, a->parts + (tile - tiles.begin) * part, NULL, scores);
    }
    return;
  }
  for (size_t tile = tiles.begin; tile < tiles.end; tile++) {
    attend_tile(a, functions, tile, fresh, sums, scores);
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
#undef ROWS
#undef LOG2_E
#undef TILE
