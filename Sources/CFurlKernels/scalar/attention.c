#include "../ring.h"
#include "../spans.h"
#include "scalar.h"

/// One number of a key or a value at an index of the ring.
typedef float (*read_function)(const furl_kv_head *cache, size_t index, size_t d);
typedef struct reader {
  read_function key, value;
} reader;

static float key_f32(const furl_kv_head *cache, size_t index, size_t d) {
  return ((const float *)cache->keys)[furl_key_at(cache, index, d)];
}

static float value_f32(const furl_kv_head *cache, size_t index, size_t d) {
  return ((const float *)cache->values)[furl_value_at(cache, index, d)];
}

static float key_f16(const furl_kv_head *cache, size_t index, size_t d) {
  return furl_float_from_half(((const uint16_t *)cache->keys)[furl_key_at(cache, index, d)]);
}

static float value_f16(const furl_kv_head *cache, size_t index, size_t d) {
  return furl_float_from_half(((const uint16_t *)cache->values)[furl_value_at(cache, index, d)]);
}

static float key_i8(const furl_kv_head *cache, size_t index, size_t d) {
  float scale = furl_float_from_half(cache->key_scales[furl_key_scale_at(cache, index, d)]);
  return (float)((const int8_t *)cache->keys)[furl_key_at(cache, index, d)] * scale;
}

static float value_i8(const furl_kv_head *cache, size_t index, size_t d) {
  float scale = furl_float_from_half(cache->value_scales[index]);
  return (float)((const int8_t *)cache->values)[furl_value_at(cache, index, d)] * scale;
}

static float tangent(float x) {
  double a = __builtin_fabs((double)x), e = furl_scalar_exp_double(-2 * (a > 20 ? 20 : a));
  return (float)__builtin_copysign((1 - e) / (1 + e), (double)x);
}

/// One head of one query over one tile.
static void attend_tile(
  const furl_attention *a, reader read, size_t query, size_t head, size_t tile, float *part)
{
  const furl_kv_head *cache = &a->cache;
  size_t begin = tile * FURL_ATTENTION_TILE;
  const float *x = a->query + query * a->query_stride + head * cache->head_size;
  furl_span seen = furl_in_tile(a, query, tile);
  float weights[FURL_ATTENTION_TILE], largest = -__builtin_inff(), total = 0;
  for (size_t p = seen.begin; p < seen.end; p++) {
    double score = 0; // Its absolute error is the weight's relative error, and this is the oracle.
    for (size_t d = 0; d < cache->head_size; d++) {
      score += (double)x[d] * (double)read.key(cache, furl_index(cache, begin + p), d);
    }
    weights[p] = (float)score * a->scale;
    if (a->slopes != NULL) {
      weights[p] += a->slopes[head] * (float)((int64_t)(begin + p) - (int64_t)(a->position + query));
    }
    if (a->soft_cap > 0) weights[p] = a->soft_cap * tangent(weights[p] / a->soft_cap);
    if (weights[p] > largest) largest = weights[p];
  }
  for (size_t p = seen.begin; p < seen.end; p++) {
    weights[p] = furl_scalar_exp(weights[p] - largest);
    total += weights[p];
  }
  part[0] = largest;
  part[1] = total;
  for (size_t d = 0; d < cache->head_size; d++) {
    float sum = 0;
    for (size_t p = seen.begin; p < seen.end; p++) {
      sum += weights[p] * read.value(cache, furl_index(cache, begin + p), d);
    }
    part[FURL_PART_SUMS + d] = sum;
  }
}

/// Adds the positions of one part to those of another one before it.
static void join(float *into, const float *part, size_t head_size) {
  float largest = part[0] > into[0] ? part[0] : into[0];
  float kept = furl_scalar_exp(into[0] - largest), added = furl_scalar_exp(part[0] - largest);
  into[0] = largest;
  into[1] = into[1] * kept + part[1] * added;
  for (size_t d = FURL_PART_SUMS; d < FURL_PART_SUMS + head_size; d++) into[d] = into[d] * kept + part[d] * added;
}

static void finish(const furl_attention *a, size_t query, size_t head, const float *part) {
  float *out = a->out + query * a->out_stride + head * a->cache.head_size, kept = 1, sink = 0;
  if (a->sinks != NULL) {
    float largest = a->sinks[head] > part[0] ? a->sinks[head] : part[0];
    kept = furl_scalar_exp(part[0] - largest), sink = furl_scalar_exp(a->sinks[head] - largest);
  }
  for (size_t d = 0; d < a->cache.head_size; d++) out[d] = part[FURL_PART_SUMS + d] * kept / (part[1] * kept + sink);
}

/// The part of one tile, in memory for all tiles.
static float *part_of(const furl_attention *a, size_t query, size_t head, size_t tile) {
  size_t parts = (tile - furl_tiles(a).begin) * a->queries * a->heads + query * a->heads + head;
  return a->parts + parts * furl_part_row(a->cache.head_size);
}

static void attend_whole(const furl_attention *a, reader read, size_t query, size_t head) {
  size_t first = furl_first_tile(a, query), head_size = a->cache.head_size;
  float *sum = a->scratch, *part = a->scratch + furl_part_row(head_size);
  attend_tile(a, read, query, head, first, sum);
  for (size_t tile = first + 1; tile * FURL_ATTENTION_TILE < furl_visible(a, query).end; tile++) {
    attend_tile(a, read, query, head, tile, part);
    join(sum, part, head_size);
  }
  finish(a, query, head, sum);
}

static void attend(const furl_attention *a, reader read) {
  for (size_t head = 0; head < a->heads; head++) {
    if (a->parts == NULL) {
      for (size_t query = 0; query < a->queries; query++) attend_whole(a, read, query, head);
      continue;
    }
    for (size_t tile = a->tile_begin; tile < a->tile_end; tile++) {
      furl_span in = furl_queries_in(a, tile);
      for (size_t query = in.begin; query < in.end; query++) {
        attend_tile(a, read, query, head, tile, part_of(a, query, head, tile));
      }
    }
  }
}

void furl_scalar_attend_f32(const furl_attention *attention) {
  attend(attention, (reader){key_f32, value_f32});
}

void furl_scalar_attend_f16(const furl_attention *attention) {
  attend(attention, (reader){key_f16, value_f16});
}

void furl_scalar_attend_i8(const furl_attention *attention) {
  attend(attention, (reader){key_i8, value_i8});
}

void furl_scalar_join_parts(const furl_attention *a) {
  for (size_t query = 0; query < a->queries; query++) {
    size_t first = furl_first_tile(a, query);
    for (size_t head = 0; head < a->heads; head++) {
      float *sum = part_of(a, query, head, first);
      for (size_t tile = first + 1; tile * FURL_ATTENTION_TILE < furl_visible(a, query).end; tile++) {
        join(sum, part_of(a, query, head, tile), a->cache.head_size);
      }
      finish(a, query, head, sum);
    }
  }
}
