#include "support.h"

typedef struct kind {
  const char *name;
  size_t member; // of furl_kernels
  size_t tile_bytes;
  int lowest, highest, zero; // codes; of floats nothing
  bool minimum;
} kind;

static const kind kinds[] = {
  {"encode_int8", offsetof(furl_kernels, encode_int8), 512, 1, 255, 128, false},
  {"encode_int4", offsetof(furl_kernels, encode_int4), 256, 0, 15, 8, false},
  {"encode_int4_minimum", offsetof(furl_kernels, encode_int4_minimum), 256, 0, 15, 0, true},
  {"encode_float32", offsetof(furl_kernels, encode_float32), 2048, 0, 0, 0, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds, FLOATS = 3, MODES = 12 };

static furl_encode kernel(const furl_kernels *k, const kind *kind) {
  furl_encode function;
  memcpy(&function, (const char *)k + kind->member, sizeof function);
  return function;
}

/// A value of some kind of difficulty.
static float draw_weight(int mode) {
  static const float few[] = {0, -0.0f, 1, -1, 0.5f, -0.5f, 2, -2};
  static const float tiny[] = {0, -0.0f, 1e-45f, -1e-45f, 6e-8f, -6e-8f, 1e-7f, 3e-8f};
  switch (mode) {
  case 0: return draw_unit();
  case 1: return draw_unit() * 0.02f;
  case 2: return few[draw_below(8)];                      // equal extremes of both signs, zeros of both
  case 3: return (float)((int)draw_below(256) - 128) / 2; // ties
  case 4: return tiny[draw_below(8)];                     // scales that vanish or are subnormal
  case 5: return draw_unit() * 1e-6f;
  case 6: return draw_unit() * 60000;                     // near the largest half
  case 7: return 1000 + draw_unit() * 1e-4f;              // a range far from zero
  case 8: return draw_below(2) ? 0 : -0.0f;
  case 9: return -fabsf(draw_unit()) - 0.25f;
  default: return draw_unit();
  }
}

/// Rows to encode, in memory of exactly their size.
typedef struct source {
  furl_rows rows;
  float *values; // [16][columns], as they are after rounding to the type
  void *memory;
} source;

static source make(furl_number type, size_t rows, size_t columns, size_t stride, int mode) {
  size_t size = type == FURL_FLOAT32 ? 4 : 2, count = (rows - 1) * stride + columns;
  source s = {.values = garbage(16 * columns * sizeof(float)), .memory = garbage(count * size)};
  for (size_t row = 0; row < rows; row++) for (size_t c = 0; c < columns; c++) {
    float value = draw_weight(mode);
    bool last = row == rows - 1 && c == columns - 1;
    if (mode == 10 && last) value = draw_below(2) ? NAN : -INFINITY;
    if (mode == 11 && last) value = draw_below(2) ? 3e38f : -3e38f; // finite, but no half holds its scale
    char *at = (char *)s.memory + (row * stride + c) * size;
    if (type == FURL_FLOAT32) {
      memcpy(at, &value, size);
    } else {
      uint32_t bits;
      memcpy(&bits, &value, sizeof bits);
      uint16_t half = type == FURL_FLOAT16 ? furl_half_from_float(value) : (uint16_t)(bits >> 16);
      if (type == FURL_FLOAT16) furl_floats_from_halves(&half, 1, &value);
      else furl_floats_from_bfloats(&half, 1, &value);
      memcpy(at, &half, size);
    }
    s.values[row * columns + c] = value;
  }
  s.rows = (furl_rows){s.memory, type, stride, rows, columns};
  return s;
}

typedef struct encoded {
  furl_row_tile tile;
  size_t code_bytes, half_bytes;
  bool fits;
} encoded;

static encoded encode(furl_encode function, const kind *k, const source *s, size_t block_tiles) {
  size_t tiles = (s->rows.columns + 31) / 32, blocks = (tiles + block_tiles - 1) / block_tiles;
  encoded e = {.code_bytes = tiles * k->tile_bytes, .half_bytes = blocks * 32};
  uint16_t *scales = k->highest != 0 ? garbage(e.half_bytes) : NULL;
  uint16_t *minimums = k->minimum ? garbage(e.half_bytes) : NULL;
  e.tile = (furl_row_tile){garbage(e.code_bytes), scales, minimums, tiles, block_tiles, blocks};
  e.fits = function(&s->rows, &e.tile);
  return e;
}

static void release(encoded *e) {
  free(e->tile.codes), free(e->tile.scales), free(e->tile.minimums);
}

/// The code of a row's column, by the header's words.
static int code_at(const kind *k, const encoded *e, size_t row, size_t column) {
  size_t t = column / 32, c = column % 32;
  const uint8_t *codes = (const uint8_t *)e->tile.codes + t * k->tile_bytes;
  if (k->tile_bytes == 512) return codes[(c / 4 * 16 + row) * 4 + c % 4];
  uint8_t both = codes[(c % 16 / 4 * 16 + row) * 4 + c % 4];
  return c < 16 ? both & 15 : both >> 4;
}

/// What the halves of a block have to be.
static void expected_halves(const kind *k, const float *x, size_t n, uint16_t *scale, uint16_t *minimum) {
  float largest = 0, least = x[0], most = x[0];
  for (size_t i = 0; i < n; i++) {
    if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
    if (x[i] < least) least = x[i];
    if (x[i] > most) most = x[i];
  }
  *minimum = k->minimum ? furl_half_from_float(least) : 0;
  float range = (float)(((double)most - (double)least) / 2);
  *scale = furl_half_from_float(k->minimum ? range / 7.5f : k->highest == 255 ? fabsf(largest) / 127 : largest / -8);
  if ((*scale & 0x7fff) == 0) *scale = 0;
}

/// The nearest whole number, the even one of two, by the C library.
static double expected_code(const kind *k, float x, float scale, float minimum) {
  if (scale == 0) return k->zero;
  float steps = (k->minimum ? x - minimum : x) / scale;
  double code = nearbyint((double)steps) + k->zero;
  return fmin(fmax(code, k->lowest), k->highest);
}

static void check_codes(outcome *o, const kind *k, const source *s, const encoded *e, size_t block_tiles) {
  size_t columns = s->rows.columns;
  for (size_t row = 0; row < 16; row++) for (size_t block = 0; block < e->tile.blocks; block++) {
    size_t begin = block * block_tiles * 32, padded = begin + block_tiles * 32;
    size_t end = padded < columns ? padded : columns;
    uint16_t scale = 0, minimum = 0;
    bool is_there = row < s->rows.rows;
    if (is_there) expected_halves(k, s->values + row * columns + begin, end - begin, &scale, &minimum);
    require(o, e->tile.scales[block * 16 + row] == scale, "a scale");
    if (k->minimum) require(o, e->tile.minimums[block * 16 + row] == minimum, "a minimum");
    float step = furl_float_from_half(scale), least = furl_float_from_half(minimum);
    for (size_t c = begin; c < padded && c < e->tile.column_tiles * 32; c++) {
      double code = is_there && c < end ? expected_code(k, s->values[row * columns + c], step, least) : k->zero;
      require(o, code_at(k, e, row, c) == code, "a code");
    }
  }
}

static void check_floats(outcome *o, const source *s, const encoded *e) {
  const float *codes = e->tile.codes;
  for (size_t row = 0; row < 16; row++) for (size_t c = 0; c < e->tile.column_tiles * 32; c++) {
    bool is_there = row < s->rows.rows && c < s->rows.columns;
    float value = is_there ? s->values[row * s->rows.columns + c] : 0;
    require(o, same_bits(&codes[c * 16 + row], &value, 1), "a float");
  }
}

static bool same_halves(const uint16_t *a, const uint16_t *b, size_t bytes) {
  return a == NULL ? b == NULL : memcmp(a, b, bytes) == 0;
}

static void test_kind(const furl_kernels *k, const kind *kind) {
  outcome o = {.kernel = kind->name, .tier = k->name};
  const furl_kernels *twin = furl_kernels_for(FURL_ISA_SCALAR);
  static const size_t blocks[] = {1, 2, 4, 100};
  bool floats = kind == &kinds[FLOATS];
  for (size_t columns = 1; columns <= 300; columns += columns < 70 ? 1 : 23) {
    for (int b = 0; b < (floats ? 1 : 4); b++) for (int mode = 0; mode < MODES; mode++) {
      furl_number type = (furl_number)draw_below(3);
      size_t rows = draw_below(2) ? 16 : 1 + draw_below(16), tiles = (columns + 31) / 32;
      size_t block_tiles = blocks[b] == 100 ? tiles : blocks[b];
      source s = make(type, rows, columns, columns + draw_below(3) * 5, mode);
      encoded e = encode(kernel(k, kind), kind, &s, block_tiles);
      encoded t = encode(kernel(twin, kind), kind, &s, block_tiles);
      require(&o, e.fits == t.fits, "not of the twin's opinion about what can be encoded");
      if (mode == 10) require(&o, !t.fits, "what is not a number is encoded");
      if (mode == 11 && type != FURL_FLOAT16) require(&o, t.fits == floats, "a scale that no half holds");
      if (mode < 10 && type != FURL_FLOAT16) require(&o, t.fits, "numbers that can be encoded are not");
      if (e.fits && t.fits) {
        require(&o, memcmp(e.tile.codes, t.tile.codes, e.code_bytes) == 0, "codes differ from the twin's");
        require(&o, same_halves(e.tile.scales, t.tile.scales, e.half_bytes), "scales differ from the twin's");
        require(&o, same_halves(e.tile.minimums, t.tile.minimums, e.half_bytes), "minimums differ from the twin's");
        if (floats) check_floats(&o, &s, &e);
        else check_codes(&o, kind, &s, &e, block_tiles);
      }
      release(&e), release(&t), free(s.values), free(s.memory);
    }
  }
  report(&o);
}

void test_encode(void) {
  const furl_kernels *found[4];
  for (size_t i = 0; i < KINDS; i++) test_kind(furl_kernels_for(FURL_ISA_SCALAR), &kinds[i]);
  for (size_t j = 0, n = tiers(found); j < n; j++) for (size_t i = 0; i < KINDS; i++) test_kind(found[j], &kinds[i]);
}
