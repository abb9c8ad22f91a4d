#include "support.h"

typedef enum format { F32, F16, I8 } format;

static const struct {
  const char *attend, *store;
  size_t width;
} formats[] = {{"attend_f32", "store_f32", 4}, {"attend_f16", "store_f16", 2}, {"attend_i8", "store_i8", 1}};

typedef struct shape {
  size_t head_size, position, queries, heads, window;
  size_t spare; // positions that the ring holds beyond what it has to
  format format;
  float sharpness; // how large the scores get
} shape;

static size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

static size_t window_begin(const shape *s, size_t query) {
  size_t end = s->position + query + 1;
  return s->window != 0 && end > s->window ? end - s->window : 0;
}

// MARK: A cache, and what it should hold

typedef struct cache {
  furl_kv_head head;
  format format;
} cache;

static cache make_cache(format f, size_t capacity, size_t head_size) {
  size_t head = round_up(head_size, 8), blocks = round_up(head, 32) / 32, width = formats[f].width;
  return (cache){
    .format = f,
    .head = {
      .keys = garbage(capacity * head * width), .values = garbage(capacity * head * width),
      .key_scales = garbage(capacity * blocks * 2), .value_scales = garbage(capacity * 2),
      .capacity = capacity, .head_size = head_size}};
}

static void free_cache(cache *c) {
  free(c->head.keys), free(c->head.values), free(c->head.key_scales), free(c->head.value_scales);
}

static void store(const furl_kernels *k, cache *c, const float *key, const float *value, size_t position) {
  (c->format == F32 ? k->store_f32 : c->format == F16 ? k->store_f16 : k->store_i8)(&c->head, key, value, position);
}

static double read_number(format f, const void *numbers, size_t at, const uint16_t *scales, size_t scale_at) {
  if (f == F32) return (double)((const float *)numbers)[at];
  if (f == F16) return (double)furl_float_from_half(((const uint16_t *)numbers)[at]);
  return ((const int8_t *)numbers)[at] * (double)furl_float_from_half(scales[scale_at]);
}

static double read_key(const cache *c, size_t position, size_t d) {
  size_t head = round_up(c->head.head_size, 8), blocks = round_up(head, 32) / 32, i = position % c->head.capacity;
  return read_number(
    c->format, c->head.keys, (i / 16 * head + d) * 16 + i % 16, c->head.key_scales,
    (i / 16 * blocks + d / 32) * 16 + i % 16);
}

static double read_value(const cache *c, size_t position, size_t d) {
  size_t head = round_up(c->head.head_size, 8), i = position % c->head.capacity;
  return read_number(c->format, c->head.values, i * head + d, c->head.value_scales, i);
}

/// How far a stored number may be off: `x` is what shares its scale.
static double tolerance(format f, const float *x, size_t n, float value) {
  if (f == F32) return 0;
  if (f == F16) return fabs((double)value) * 0x1p-11 + 0x1p-25;
  double largest = 0;
  for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)x[i]));
  double scale = largest / 127 * (1 + 0x1p-10) + 0x1p-24;
  return largest == 0 ? 0 : scale / 2 * (1 + 1e-6);
}

static void check_stored(outcome *o, const cache *c, const float *key, const float *value, size_t position) {
  size_t n = c->head.head_size, head = round_up(n, 8);
  for (size_t d = 0; d < head; d++) {
    size_t block = d / 32 * 32, size = n - block < 32 ? n - block : 32;
    double k = d < n ? (double)key[d] : 0, v = d < n ? (double)value[d] : 0;
    double k_off = d < n ? tolerance(c->format, key + block, size, key[d]) : 0;
    double v_off = d < n ? tolerance(c->format, value, n, value[d]) : 0;
    require(o, fabs(read_key(c, position, d) - k) <= k_off, "a stored key");
    require(o, fabs(read_value(c, position, d) - v) <= v_off, "a stored value");
  }
}

// MARK: Attention

/// One row's output and, for each dimension, the sum of the magnitudes of its terms.
///
/// `slope`, `cap`: 0 for none. `sink`: NULL for none.
static void expect(
  const shape *s, const cache *c, const float *query, size_t i, double slope, double cap, const float *sink, double *out,
  double *size)
{
  size_t begin = window_begin(s, i), end = s->position + i + 1, h = s->head_size;
  double *weights = calloc(end, sizeof(double)), largest = -INFINITY, total = 0;
  for (size_t p = begin; p < end; p++) {
    for (size_t d = 0; d < h; d++) weights[p] += (double)query[d] * read_key(c, p, d);
    weights[p] *= 0.125;
    weights[p] += slope * ((double)p - (double)(s->position + i));
    if (cap > 0) weights[p] = cap * tanh(weights[p] / cap);
    if (weights[p] > largest) largest = weights[p];
  }
  if (sink != NULL && (double)*sink > largest) largest = (double)*sink;
  for (size_t p = begin; p < end; p++) total += weights[p] = exp(weights[p] - largest);
  if (sink != NULL) total += exp((double)*sink - largest);
  for (size_t d = 0; d < h; d++) {
    out[d] = size[d] = 0;
    for (size_t p = begin; p < end; p++) {
      double term = weights[p] / total * read_value(c, p, d);
      out[d] += term, size[d] += fabs(term);
    }
  }
  free(weights);
}

static void attend(const furl_kernels *k, format f, furl_attention a) {
  a.scratch = garbage(furl_attention_scratch(a.queries * a.heads, a.cache.head_size) * sizeof(float));
  a.next_positions = draw_below(3) == 0 ? 0 : draw_below(a.cache.capacity + 1);
  a.next_keys = a.next_positions == 0 ? NULL : a.cache.keys;
  (f == F32 ? k->attend_f32 : f == F16 ? k->attend_f16 : k->attend_i8)(&a);
  free(a.scratch);
}

/// The same by parts, in any order of the tiles.
static void attend_in_parts(const furl_kernels *k, format f, const shape *s, furl_attention a) {
  size_t begin = window_begin(s, 0) / FURL_ATTENTION_TILE;
  size_t end = (s->position + s->queries - 1) / FURL_ATTENTION_TILE + 1, middle = begin + draw_below(end - begin + 1);
  a.parts = garbage((end - begin) * furl_attention_part(a.queries * a.heads, a.cache.head_size) * sizeof(float));
  a.tile_begin = middle, a.tile_end = end;
  attend(k, f, a);
  a.tile_begin = begin, a.tile_end = middle;
  attend(k, f, a);
  k->join_parts(&a);
  free(a.parts);
}

static bool same_rows(const furl_attention *a, const float *x, const float *y) {
  size_t width = a->heads * a->cache.head_size;
  for (size_t i = 0; i < a->queries; i++) {
    if (!same_bits(x + i * a->out_stride, y + i * a->out_stride, width)) return false;
  }
  return true;
}

static void check(outcome *o, const furl_kernels *k, const shape *s) {
  size_t h = s->head_size, width = s->heads * h, stride = width + 5, positions = s->position + s->queries;
  size_t held = positions - window_begin(s, 0);
  float *keys = garbage(positions * h * 4), *values = garbage(positions * h * 4);
  float *query = garbage(s->queries * stride * 4), *out = garbage(s->queries * stride * 4);
  for (size_t i = 0; i < positions * h; i++) keys[i] = draw_unit() * s->sharpness, values[i] = draw_unit();
  for (size_t i = 0; i < s->queries * stride; i++) query[i] = draw_unit();

  // What a ring has not been given, or was given before the window, must not matter: here it is not a number.
  cache ring = make_cache(s->format, round_up(held + s->spare, 16), h);
  cache whole = make_cache(s->format, round_up(positions, 16), h);
  float *nothing = garbage(h * 4);
  for (size_t p = 0; p < positions; p++) {
    bool is_seen = p >= window_begin(s, 0);
    store(k, &ring, is_seen ? keys + p * h : nothing, is_seen ? values + p * h : nothing, p);
    if (is_seen) store(k, &whole, keys + p * h, values + p * h, p);
  }
  for (size_t p = window_begin(s, 0); p < positions; p += 1 + positions / 20) {
    check_stored(o, &ring, keys + p * h, values + p * h, p);
  }
  float *sinks = draw_below(3) == 0 ? garbage(s->heads * 4) : NULL;
  for (size_t g = 0; sinks != NULL && g < s->heads; g++) sinks[g] = draw_unit() * 4 * s->sharpness;
  float *slopes = draw_below(3) == 0 ? garbage(s->heads * 4) : NULL;
  for (size_t g = 0; slopes != NULL && g < s->heads; g++) slopes[g] = fabsf(draw_unit()) / (float)(1 + g);
  furl_attention a = {
    .cache = ring.head, .query = query, .query_stride = stride, .queries = s->queries, .heads = s->heads,
    .position = s->position, .window = s->window, .scale = 0.125f, .out = out, .out_stride = stride, .slopes = slopes,
    .soft_cap = draw_below(3) == 0 ? 1.5f : 0, .sinks = sinks};
  attend(k, s->format, a);

  double *expected = calloc(h, sizeof(double)), *size = calloc(h, sizeof(double));
  float *other = garbage(s->queries * stride * 4), *untouched = garbage(5 * 4);
  for (size_t i = 0; i < s->queries; i++) {
    for (size_t g = 0; g < s->heads; g++) {
      size_t at = i * stride + g * h;
      const float *sink = sinks == NULL ? NULL : sinks + g;
      double slope = slopes == NULL ? 0 : (double)slopes[g];
      expect(s, &ring, query + at, i, slope, (double)a.soft_cap, sink, expected, size);
      for (size_t d = 0; d < h; d++) compare(o, (double)out[at + d], expected[d], size[d], 1e-5);
      furl_attention one = a;
      one.query = query + at, one.queries = one.heads = 1, one.position = s->position + i, one.out = other;
      one.sinks = sink, one.slopes = slopes == NULL ? NULL : slopes + g;
      attend(k, s->format, one);
      require(o, same_bits(other, out + at, h), "a row's result depends on those beside it");
    }
    require(o, same_bits(out + i * stride + width, untouched, 5), "wrote past the heads");
  }
  a.out = other;
  attend_in_parts(k, s->format, s, a);
  require(o, same_rows(&a, out, other), "a result depends on how its tiles are shared out");
  a.cache = whole.head;
  attend(k, s->format, a);
  require(o, same_rows(&a, out, other), "a ring gives another result than a cache that holds everything");
  free_cache(&ring), free_cache(&whole), free(nothing);
  free(keys), free(values), free(query), free(out), free(expected), free(size), free(other), free(untouched);
  free(sinks), free(slopes);
}

// MARK: Storing

/// Any float at all, mostly of a size that the format holds: the bits are the scalar twin's.
static void check_stored_bits(outcome *o, const furl_kernels *k, const furl_kernels *twin) {
  for (int round = 0; round < 4000; round++) {
    if (!is_taken()) continue;
    size_t n = 2 * (1 + draw_below(40)), head = round_up(n, 8), position = draw_below(100);
    float key[80], value[80];
    uint32_t exponent = 0x20000000u + (uint32_t)draw_below(0x28) * 0x800000u;
    for (size_t i = 0; i < n; i++) {
      uint32_t bits = (uint32_t)draw();
      if (round % 4 != 0 || draw_below(40) != 0) bits = (bits & 0x83ffffffu) + exponent;
      memcpy(&key[i], &bits, 4);
      value[i] = draw_below(8) == 0 ? 0 : -key[i];
    }
    if (draw_below(20) == 0) memset(key, 0, sizeof key);
    for (int f = F16; f <= I8; f++) {
      cache mine = make_cache((format)f, 32, n), other = make_cache((format)f, 32, n);
      store(k, &mine, key, value, position);
      store(twin, &other, key, value, position);
      for (size_t d = 0; d < head; d++) {
        double a = read_key(&mine, position, d), b = read_key(&other, position, d);
        require(o, memcmp(&a, &b, 8) == 0 || (isnan(a) && isnan(b)), "a stored key differs from the twin's");
        a = read_value(&mine, position, d), b = read_value(&other, position, d);
        require(o, memcmp(&a, &b, 8) == 0 || (isnan(a) && isnan(b)), "a stored value differs from the twin's");
      }
      free_cache(&mine), free_cache(&other);
    }
  }
}

/// What is not a number, or infinite, comes out as not a number; nothing else is touched by it.
static void check_not_a_number(outcome *o, const furl_kernels *k, format f) {
  enum { HEAD = 40, POSITIONS = 20 };
  float key[HEAD] = {0}, value[HEAD] = {0}, query[HEAD], out[HEAD];
  for (int i = 0; i < HEAD; i++) query[i] = 1;
  for (int where = 0; where < 2; where++) {
    cache c = make_cache(f, 32, HEAD);
    for (size_t p = 0; p < POSITIONS; p++) {
      float bad = draw_below(2) == 0 ? NAN : INFINITY;
      key[7] = where == 0 && p == 11 ? bad : 0.5f;
      value[9] = where == 1 && p == 11 ? bad : 0.5f;
      store(k, &c, key, value, p);
    }
    furl_attention a = {
      .cache = c.head, .query = query, .query_stride = HEAD, .queries = 1, .heads = 1, .position = 10, .scale = 1,
      .out = out, .out_stride = HEAD};
    attend(k, f, a);
    require(o, isfinite(out[9]), "a position that is not seen is felt");
    a.position = 12;
    attend(k, f, a);
    require(o, !isfinite(out[9]), "a number that is none is lost");
    // Rows side by side, of which some see it.
    for (size_t first = 0; first < POSITIONS; first++) {
      float rows[POSITIONS * HEAD], queries[POSITIONS * HEAD];
      for (size_t i = 0; i < POSITIONS * HEAD; i++) queries[i] = 1;
      furl_attention many = a;
      many.query = queries, many.out = rows, many.position = first, many.queries = POSITIONS - first;
      many.window = draw_below(2) * 4;
      attend(k, f, many);
      for (size_t p = first; p < POSITIONS; p++) {
        bool is_seen = p >= 11 && (many.window == 0 || p < 11 + many.window);
        require(o, isfinite(rows[(p - first) * HEAD + 9]) != is_seen, "a row feels what only its neighbours see");
      }
    }
    free_cache(&c);
  }
}

// MARK: All of it

static void check_shapes(outcome *o, const furl_kernels *k, format f) {
  static const size_t sizes[] = {8, 16, 24, 40, 64, 72, 80, 96, 128, 2, 18, 30, 46};
  static const size_t positions[] = {0, 1, 14, 15, 16, 32, 99}, queries[] = {1, 2, 3, 4, 5, 9};
  static const size_t windows[] = {0, 1, 2, 3, 16, 20};
  for (size_t h = 0; h < 13; h++) for (size_t p = 0; p < 7; p++) for (size_t q = 0; q < 6; q++) {
    if (!is_taken()) continue;
    shape s = {
      sizes[h], positions[p], queries[q], 1 + draw_below(draw_below(3) == 0 ? 9 : 2), windows[draw_below(6)],
      draw_below(40), f, draw_below(4) == 0 ? 16 : 1};
    check(o, k, &s);
  }
  for (size_t q = 1; q <= 70; q += q < 20 ? 1 : 25) { // a prompt's, and heads in every number up to 13
    if (!is_taken()) continue;
    shape s = {64, draw_below(200), q, 1, draw_below(2) * 30, draw_below(40), f, 1};
    check(o, k, &s);
    if (q > 13) continue;
    s.heads = q, s.queries = 1 + draw_below(4);
    check(o, k, &s);
  }
  for (int i = 0; i < 24; i++) { // more than one tile, windows that end and begin anywhere in them
    if (!is_taken() && i % 8 != 0) continue;
    size_t position = draw_below(2) == 0 ? draw_below(1600) : FURL_ATTENTION_TILE * (1 + draw_below(3)) - draw_below(3);
    shape s = {
      sizes[draw_below(13)], position, 1 + draw_below(7), 1 + draw_below(4),
      draw_below(2) == 0 ? 0 : 1 + draw_below(1200), draw_below(100), f, draw_below(4) == 0 ? 16 : 1};
    check(o, k, &s);
  }
}

void test_attention(void) {
  const furl_kernels *found[MOST_TIERS] = {furl_kernels_for(FURL_ISA_SCALAR)};
  size_t n = 1 + tiers(found + 1);
  for (size_t t = 0; t < n; t++) {
    if (!is_first(found, t, offsetof(furl_kernels, attend_f32))) continue;
    for (int f = F32; f <= I8; f++) {
      outcome o = {.kernel = formats[f].attend, .tier = found[t]->name};
      check_shapes(&o, found[t], (format)f);
      check_not_a_number(&o, found[t], (format)f);
      report(&o);
    }
    outcome o = {.kernel = "store_f16, store_i8", .tier = found[t]->name};
    check_stored_bits(&o, found[t], found[0]);
    report(&o);
  }
}
