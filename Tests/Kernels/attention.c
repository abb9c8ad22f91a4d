#include "support.h"

typedef struct shape {
  size_t head_size, visible, queries, window, first;
  bool half;
  float sharpness; // how large the scores get
} shape;

static double rounded(const shape *s, float value) {
  return (double)(s->half ? furl_float_from_half(furl_half_from_float(value)) : value);
}

static size_t window_begin(const shape *s, size_t query) {
  size_t end = s->visible + query;
  size_t begin = s->window != 0 && end > s->window ? end - s->window : 0;
  return begin > s->first ? begin : s->first;
}

/// One query's output and, for each dimension, the sum of the magnitudes of its terms.
static void expect(
  const shape *s, const float *query, size_t i, const float *keys, const float *values, double *out,
  double *size)
{
  size_t end = s->visible + i, h = s->head_size;
  double *weights = calloc(end, sizeof(double)), largest = -INFINITY, total = 0;
  for (size_t p = window_begin(s, i); p < end; p++) {
    for (size_t d = 0; d < h; d++) weights[p] += (double)query[d] * rounded(s, keys[p * h + d]);
    weights[p] *= 0.125;
    if (weights[p] > largest) largest = weights[p];
  }
  for (size_t p = window_begin(s, i); p < end; p++) total += weights[p] = exp(weights[p] - largest);
  for (size_t d = 0; d < h; d++) {
    out[d] = size[d] = 0;
    for (size_t p = window_begin(s, i); p < end; p++) {
      double term = weights[p] / total * rounded(s, values[p * h + d]);
      out[d] += term, size[d] += fabs(term);
    }
  }
  free(weights);
}

static void attend(const furl_kernels *k, const shape *s, furl_attention a) {
  a.scratch = garbage(furl_attention_scratch(a.visible + a.queries) * sizeof(float));
  (s->half ? k->attend_f16 : k->attend_f32)(&a);
  free(a.scratch);
}

static void check(outcome *o, const furl_kernels *k, const shape *s) {
  size_t h = s->head_size, positions = s->visible + s->queries - 1, groups = (positions + 15) / 16;
  size_t width = s->half ? 2 : 4, stride = h + 5;
  float *keys = garbage(positions * h * 4), *values = garbage(positions * h * 4);
  float *query = garbage(s->queries * stride * 4), *out = garbage(s->queries * stride * 4);
  for (size_t i = 0; i < positions * h; i++) keys[i] = draw_unit() * s->sharpness, values[i] = draw_unit();
  for (size_t i = 0; i < s->queries * stride; i++) query[i] = draw_unit();

  // What lies beyond the last position, and before the window, is never stored and stays not a number.
  void *packed_keys = garbage(groups * 16 * h * width), *packed_values = garbage(positions * h * width);
  for (size_t p = window_begin(s, 0); p < positions; p++) {
    (s->half ? k->store_f16 : k->store_f32)(keys + p * h, values + p * h, h, p, packed_keys, packed_values);
  }
  furl_attention a = {
    .query = query, .query_stride = stride, .queries = s->queries, .keys = packed_keys,
    .values = packed_values, .first = s->first, .visible = s->visible, .window = s->window, .head_size = h,
    .scale = 0.125f, .out = out, .out_stride = stride};
  attend(k, s, a);

  double *expected = calloc(h, sizeof(double)), *size = calloc(h, sizeof(double));
  float *alone = garbage(h * 4), *untouched = garbage(5 * 4);
  for (size_t i = 0; i < s->queries; i++) {
    expect(s, query + i * stride, i, keys, values, expected, size);
    for (size_t d = 0; d < h; d++) compare(o, (double)out[i * stride + d], expected[d], size[d], 1e-5);
    require(o, same_bits(out + i * stride + h, untouched, 5), "wrote past the head");
    furl_attention one = a;
    one.query = query + i * stride, one.queries = 1, one.visible = s->visible + i, one.out = alone;
    attend(k, s, one);
    require(o, same_bits(alone, out + i * stride, h), "a query's result depends on those beside it");
  }
  free(keys), free(values), free(query), free(out), free(packed_keys), free(packed_values);
  free(expected), free(size), free(alone), free(untouched);
}

static void check_stored_halves(outcome *o, const furl_kernels *k) {
  enum { HEAD = 24 };
  for (int round = 0; round < 20000; round++) {
    float key[HEAD], value[HEAD];
    uint16_t keys[HEAD * 16], values[HEAD];
    for (int i = 0; i < HEAD; i++) {
      uint32_t bits = (uint32_t)draw(); // any float at all, mostly in the half's range
      if (draw_below(4) != 0) bits = (bits & 0x8fffffffu) | 0x30000000u;
      memcpy(&key[i], &bits, 4);
      value[i] = -key[i];
    }
    k->store_f16(key, value, HEAD, 0, keys, values);
    for (int i = 0; i < HEAD; i++) {
      uint16_t expected = furl_half_from_float(key[i]), opposite = furl_half_from_float(value[i]);
      require(o, keys[i * 16] == expected && values[i] == opposite, "a stored half");
    }
  }
}

void test_attention(void) {
  static const size_t heads[] = {8, 16, 24, 40, 64, 72, 80, 128}, visible[] = {1, 2, 15, 16, 17, 33, 100};
  static const size_t queries[] = {1, 2, 3, 4, 5, 9}, windows[] = {0, 1, 2, 3, 16, 20};
  const furl_kernels *found[5] = {furl_kernels_for(FURL_ISA_SCALAR)};
  size_t n = 1 + tiers(found + 1);
  for (size_t t = 0; t < n; t++) {
    for (int half = 0; half < 2; half++) {
      outcome o = {.kernel = half ? "attend_f16" : "attend_f32", .tier = found[t]->name};
      for (size_t h = 0; h < 8; h++) for (size_t v = 0; v < 7; v++) for (size_t q = 0; q < 6; q++) {
        for (size_t w = 0; w < 6; w++) {
          size_t first = draw_below(3) == 0 ? draw_below(visible[v]) : 0;
          shape s = {heads[h], visible[v], queries[q], windows[w], first, half, draw_below(4) == 0 ? 16 : 1};
          
          check(&o, found[t], &s);
        }
      }
      if (half) check_stored_halves(&o, found[t]);
      report(&o);
    }
  }
}
