// Attention of a few queries at once over one head's cache, so that a prompt's queries share the reading and
// conversion of keys and values. Every query's sums run in the order of its own positions: the result does
// not depend on the queries beside it.

#pragma once

#include "exponential.h"
#include "multiply_a32.h"

typedef struct range {
  size_t begin, end;
} range;

INLINE range visible_range(const furl_attention *a, size_t query) {
  size_t end = a->visible + query, begin = a->first;
  if (a->window != 0 && end > a->window && end - a->window > begin) begin = end - a->window;
  return (range){begin, end};
}

/// Scores -> e^(score - largest), in place, zero outside the range; returns their sum. What lies outside may
/// be anything, not-a-numbers included.
INLINE float softmax(float *scores, range r, float scale) {
  size_t first = r.begin / 16 * 16;
  v16 largest = splat(-__builtin_inff());
  for (size_t p = first; p < r.end; p += 16) {
    v16 s = load(scores + p) * splat(scale);
    if (p < r.begin || p + 16 > r.end) {
      v16i at = lane_index();
      v16i inside = (at >= splat_int(p < r.begin ? (int32_t)(r.begin - p) : 0))
        & (at < splat_int(p + 16 > r.end ? (int32_t)(r.end - p) : 16));
      s = select16(inside, s, splat(-__builtin_inff()));
    }
    largest = select16(s > largest, s, largest);
    store(scores + p, s);
  }
  v16 top = splat(largest_of_lanes(largest)), sum = splat(0);
  for (size_t p = first; p < r.end; p += 16) {
    v16 e = exponential(load(scores + p) - top);
    sum += e;
    store(scores + p, e);
  }
  return sum_of_lanes(sum);
}

/// `lanes` (16 or 8) values, floats or halves.
INLINE v16 load_values(const bool half, const int lanes, const void *values, size_t at) {
  const float *floats = (const float *)values + at;
  const uint16_t *halves = (const uint16_t *)values + at;
  if (!half) return load_first(floats, (size_t)lanes);
  if (lanes == 16) return floats_from_halves(halves);
  uint16_t padded[16] = {0};
  memcpy(padded, halves, 8 * sizeof(uint16_t));
  return floats_from_halves(padded);
}

/// sums[q] += weight * value over positions, for n queries.
INLINE void add_values(
  const bool half, const int n, const int vectors, const int lanes, const furl_attention *a,
  const float *weights, size_t stride, range positions, size_t d, v16 sums[][VALUE_VECTORS])
{
  for (size_t p = positions.begin; p < positions.end; p++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      v16 value = load_values(half, lanes, a->values, p * a->head_size + d + 16 * (size_t)v);
      UNROLL for (int q = 0; q < n; q++) {
        sums[q][v] = fma16(splat(weights[(size_t)q * stride + p]), value, sums[q][v]);
      }
    }
  }
}

/// `vectors` * `lanes` dimensions of n queries. Positions that all of them see are read once for all; those
/// before and after are each query's own, so that a value which a query does not see cannot touch it.
INLINE void weigh_values(
  const bool half, const int n, const int vectors, const int lanes, const furl_attention *a, size_t query,
  size_t stride, const range *ranges, const float *totals, size_t d)
{
  range shared = {ranges[n - 1].begin, ranges[0].end};
  if (shared.end < shared.begin) shared.end = shared.begin;
  v16 sums[FURL_QUERY_BLOCK][VALUE_VECTORS];
  UNROLL for (int q = 0; q < n; q++) {
    UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = splat(0);
    size_t end = ranges[q].end < shared.begin ? ranges[q].end : shared.begin;
    range before = {ranges[q].begin, end};
    add_values(half, 1, vectors, lanes, a, a->scratch + (size_t)q * stride, stride, before, d, sums + q);
  }
  add_values(half, n, vectors, lanes, a, a->scratch, stride, shared, d, sums);
  UNROLL for (int q = 0; q < n; q++) {
    range after = {shared.end, ranges[q].end};
    add_values(half, 1, vectors, lanes, a, a->scratch + (size_t)q * stride, stride, after, d, sums + q);
    float *out = a->out + (query + (size_t)q) * a->out_stride + d;
    UNROLL for (int v = 0; v < vectors; v++) {
      store_first(out + 16 * v, sums[q][v] / splat(totals[q]), (size_t)lanes);
    }
  }
}

INLINE void attend_block(const bool half, const int n, const furl_attention *a, size_t query) {
  size_t stride = furl_attention_scratch(a->visible + a->queries) / FURL_QUERY_BLOCK;
  size_t width = half ? sizeof(uint16_t) : sizeof(float);
  range ranges[FURL_QUERY_BLOCK];
  float totals[FURL_QUERY_BLOCK];
  UNROLL for (int q = 0; q < n; q++) ranges[q] = visible_range(a, query + (size_t)q);

  for (size_t p = ranges[0].begin / 16 * 16; p < ranges[n - 1].end; p += 16) {
    v16 scores[8];
    const char *keys = (const char *)a->keys + p * a->head_size * width;
    dot_columns(n, half, keys, a->head_size, a->query + query * a->query_stride, a->query_stride, scores);
    UNROLL for (int q = 0; q < n; q++) store(a->scratch + (size_t)q * stride + p, scores[q]);
  }
  UNROLL for (int q = 0; q < n; q++) {
    totals[q] = softmax(a->scratch + (size_t)q * stride, ranges[q], a->scale);
  }
  size_t d = 0;
  for (; d + 16 * VALUE_VECTORS <= a->head_size; d += 16 * VALUE_VECTORS) {
    weigh_values(half, n, VALUE_VECTORS, 16, a, query, stride, ranges, totals, d);
  }
  for (; d + 16 <= a->head_size; d += 16) weigh_values(half, n, 1, 16, a, query, stride, ranges, totals, d);
  if (d < a->head_size) weigh_values(half, n, 1, 8, a, query, stride, ranges, totals, d);
}

INLINE void attend(const bool half, const furl_attention *a) {
  size_t query = 0;
  for (; query + GROUP_QUERIES <= a->queries; query += GROUP_QUERIES) {
    attend_block(half, GROUP_QUERIES, a, query);
  }
  if (GROUP_QUERIES == 1) return;
  for (; query < a->queries; query++) attend_block(half, 1, a, query);
}

static void attend_f32(const furl_attention *attention) {
  attend(false, attention);
}

static void attend_f16(const furl_attention *attention) {
  attend(true, attention);
}

// MARK: Storing

static void store_f32(
  const float *key, const float *value, size_t head_size, size_t position, void *keys, void *values)
{
  float *column = (float *)keys + position / 16 * head_size * 16 + position % 16;
  for (size_t d = 0; d < head_size; d++) column[d * 16] = key[d];
  memcpy((float *)values + position * head_size, value, head_size * sizeof(float));
}

static void store_f16(
  const float *key, const float *value, size_t head_size, size_t position, void *keys, void *values)
{
  uint16_t *column = (uint16_t *)keys + position / 16 * head_size * 16 + position % 16;
  uint16_t *row = (uint16_t *)values + position * head_size;
  for (size_t d = 0; d < head_size; d += 16) {
    size_t lanes = head_size - d < 16 ? head_size - d : 16;
    uint16_t halves[16];
    halves_from_floats(load_first(key + d, lanes), halves);
    for (size_t i = 0; i < lanes; i++) column[(d + i) * 16] = halves[i];
    halves_from_floats(load_first(value + d, lanes), halves);
    memcpy(row + d, halves, lanes * sizeof(uint16_t));
  }
}
