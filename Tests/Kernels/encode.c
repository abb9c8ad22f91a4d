#include "support.h"

typedef enum table { NONE, NF4, FP4, OWN, NESTED } table; // the last one: no table, but remainders beside the codes

typedef struct kind {
  const char *name;
  size_t member; // of furl_kernels
  int bits, zero; // of codes; of floats nothing
  bool minimum;
  table table;
} kind;

static const kind kinds[] = {
  {"encode_int8", offsetof(furl_kernels, encode_int8), 8, 128, false, NONE},
  {"encode_int4", offsetof(furl_kernels, encode_int4), 4, 8, false, NONE},
  {"encode_int4_minimum", offsetof(furl_kernels, encode_int4_minimum), 4, 0, true, NONE},
  {"encode_int6", offsetof(furl_kernels, encode_int6), 6, 32, false, NONE},
  {"encode_int6_minimum", offsetof(furl_kernels, encode_int6_minimum), 6, 0, true, NONE},
  {"encode_int5", offsetof(furl_kernels, encode_int5), 5, 16, false, NONE},
  {"encode_int5_minimum", offsetof(furl_kernels, encode_int5_minimum), 5, 0, true, NONE},
  {"encode_float32", offsetof(furl_kernels, encode_float32), 32, 0, false, NONE},
  {"encode_int3", offsetof(furl_kernels, encode_int3), 3, 4, false, NONE},
  {"encode_int3_minimum", offsetof(furl_kernels, encode_int3_minimum), 3, 0, true, NONE},
  {"encode_int2", offsetof(furl_kernels, encode_int2), 2, 2, false, NONE},
  {"encode_int2_minimum", offsetof(furl_kernels, encode_int2_minimum), 2, 0, true, NONE},
  {"encode_table4 nf4", offsetof(furl_kernels, encode_table4), 4, 7, false, NF4},
  {"encode_table4 fp4", offsetof(furl_kernels, encode_table4), 4, 0, false, FP4},
  {"encode_table4 own", offsetof(furl_kernels, encode_table4), 4, 2, false, OWN},
  {"encode_nested8", offsetof(furl_kernels, encode_nested8), 4, 8, false, NESTED},
};
enum { KINDS = sizeof kinds / sizeof *kinds, FLOATS = 7, MODES = 12 };

/// Levels of a table that is not in order, with the one next to zero at 2.
static const float own[16] = {
  -1, 0.9f, 0.05f, -0.5f, 0.25f, -0.125f, 0.375f, 1, 0.5f, -0.25f, -0.375f, 0.625f, -0.7f, 0.75f, -0.85f, 0.125f};

static const float *values_of(const kind *k) {
  return k->table == NF4 ? furl_nf4 : k->table == FP4 ? furl_fp4 : k->table == OWN ? own : NULL;
}

static bool has_signed_scales(const kind *k) {
  return k->table == OWN || k->table == NESTED || (k->table == NONE && !k->minimum && k->bits != 8);
}

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
  furl_grid *grid;
  size_t code_bytes, places;
  bool fits;
} encoded;

static encoded encode(furl_encode function, const kind *k, const source *s, size_t block_tiles, bool coded) {
  size_t tiles = (s->rows.columns + 31) / 32, blocks = (tiles + block_tiles - 1) / block_tiles;
  encoded e = {.code_bytes = tiles * 64 * (size_t)k->bits, .places = blocks * 16};
  e.tile = (furl_row_tile){
    .codes = garbage(e.code_bytes), .column_tiles = tiles, .block_tiles = block_tiles, .blocks = blocks};
  if (k->bits != 32 && !coded) {
    e.tile.scales = garbage(e.places * 2);
    if (k->minimum) e.tile.minimums = garbage(e.places * 2);
  } else if (k->bits != 32) {
    e.tile.scale_codes = garbage(e.places), e.tile.factors = garbage(64);
    if (k->minimum) e.tile.minimum_codes = garbage(e.places), e.tile.minimum_factors = garbage(64);
  }
  if (k->table == NESTED) {
    e.tile.remainders = garbage(e.code_bytes);
  } else if (k->table != NONE) {
    e.grid = garbage(sizeof *e.grid);
    furl_table_grid(values_of(k), k->table == OWN, e.grid);
    e.tile.grid = e.grid;
  }
  e.fits = function(&s->rows, &e.tile);
  return e;
}

static void release(encoded *e) {
  free(e->tile.codes), free(e->tile.scales), free(e->tile.minimums), free(e->grid), free(e->tile.remainders);
  free(e->tile.scale_codes), free(e->tile.minimum_codes), free(e->tile.factors), free(e->tile.minimum_factors);
}

/// The code of a row's column, by the header's words; of two planes both together.
static int code_at(const kind *k, const encoded *e, size_t row, size_t column) {
  size_t t = column / 32, c = column % 32, group = c / 4, i = c % 4;
  const uint8_t *codes = (const uint8_t *)e->tile.codes + t * 64 * (size_t)k->bits;
  if (k->bits == 8) return codes[(group * 16 + row) * 4 + i];
  if (k->bits >= 4) {
    size_t at = (c % 16 / 4 * 16 + row) * 4 + i;
    int nibble = c < 16 ? codes[at] & 15 : codes[at] >> 4;
    if (k->table == NESTED) {
      uint8_t rest = e->tile.remainders[t * 256 + at];
      return nibble * FURL_NESTED_STEPS + (c < 16 ? rest & 15 : rest >> 4);
    }
    if (k->bits == 5) nibble |= (codes[256 + row * 4 + i] >> group & 1) << 4;
    if (k->bits == 6) nibble |= (codes[256 + (group % 2 * 16 + row) * 4 + i] >> (2 * (group / 2)) & 3) << 4;
    return nibble;
  }
  int low = codes[(group % 2 * 16 + row) * 4 + i] >> (2 * (group / 2)) & 3;
  return k->bits == 2 ? low : low | (codes[128 + row * 4 + i] >> group & 1) << 2;
}

/// What the scale and the minimum of a block have to be before they are rounded.
static void extents(const kind *k, const float *x, size_t n, float *scale, float *minimum) {
  float largest = 0, least = x[0], most = x[0];
  for (size_t i = 0; i < n; i++) {
    if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
    if (x[i] < least) least = x[i];
    if (x[i] > most) most = x[i];
  }
  // The difference of two finite floats may overflow; half of it cannot.
  float range = most / 2 - least / 2;
  *minimum = k->minimum ? least : 0;
  if (k->table == NESTED) {
    // Whole numbers from -8 * steps - 8 to 7 * steps + 7, the larger magnitude on the side of more of them.
    bool turned = most > -least;
    float low = turned ? fmaxf(most, 0) : fmaxf(-least, 0), high = turned ? fmaxf(-least, 0) : fmaxf(most, 0);
    *scale = fmaxf(low / (8 + 8.0f / FURL_NESTED_STEPS), high / (7 + 7.0f / FURL_NESTED_STEPS)) * (turned ? -1 : 1);
    return;
  }
  *scale = k->table == OWN ? largest : k->table != NONE ? fabsf(largest)
    : k->minimum ? range / (float)(((1 << k->bits) - 1) / 2.0) : k->bits == 8 ? fabsf(largest) / 127
    : largest / (float)-k->zero;
}

/// What a scale in 8 bits has to be: the nearest multiple, and not zero unless the scale is.
static int expected_multiple(float scale, float factor, int top) {
  if (scale == 0 || factor == 0) return 0;
  double code = fmin(fmax(nearbyint((double)(scale / factor)), -top), top);
  return code == 0 ? (scale < 0 ? -1 : 1) : (int)code;
}

/// The nearest whole number, the even one of two, by the C library; of a table the nearest value.
static double expected_code(const kind *k, float x, float scale, float minimum) {
  if (k->table == NESTED) {
    double whole = scale == 0 ? 0 : nearbyint((double)(x / (scale * (1.0f / FURL_NESTED_STEPS))));
    return fmin(fmax(whole + FURL_NESTED_ZERO, 0), 15 * FURL_NESTED_STEPS + 15);
  }
  if (scale == 0) return k->zero;
  float steps = (k->minimum ? x - minimum : x) / scale;
  if (k->table != NONE) {
    const float *values = values_of(k);
    int best = k->zero;
    for (int i = 0; i < 16; i++) {
      if (fabs((double)steps - (double)values[i]) < fabs((double)steps - (double)values[best])) best = i;
    }
    return best;
  }
  double code = nearbyint((double)steps) + k->zero;
  return fmin(fmax(code, k->bits == 8 ? 1 : 0), (1 << k->bits) - 1);
}

/// Whether a code is right: of a table one of two that are as near.
static bool is_code(const kind *k, int code, double expected, float x, float scale) {
  if (code == expected) return true;
  if (k->table == NONE || k->table == NESTED || scale == 0) return false;
  const float *values = values_of(k);
  double steps = (double)(x / scale), off = fabs(steps - (double)values[code]);
  return off - fabs(steps - (double)values[(int)expected]) <= 1e-7;
}

static void check_codes(outcome *o, const kind *k, const source *s, const encoded *e, size_t block_tiles) {
  size_t columns = s->rows.columns;
  bool coded = e->tile.scale_codes != NULL;
  int top = has_signed_scales(k) ? 127 : 255, scale_zero = has_signed_scales(k) ? 128 : 0;
  for (size_t row = 0; row < 16; row++) {
    float largest = 0, largest_minimum = 0;
    bool is_there = row < s->rows.rows;
    for (size_t block = 0; is_there && block < e->tile.blocks; block++) {
      size_t begin = block * block_tiles * 32, end = begin + block_tiles * 32 < columns ? begin + block_tiles * 32 : columns;
      float scale, minimum;
      extents(k, s->values + row * columns + begin, end - begin, &scale, &minimum);
      largest = fmaxf(largest, fabsf(scale)), largest_minimum = fmaxf(largest_minimum, fabsf(minimum));
    }
    float factor = largest / (float)top, minimum_factor = largest_minimum / 127;
    if (coded) require(o, e->tile.factors[row] == factor, "a factor");
    if (coded && k->minimum) require(o, e->tile.minimum_factors[row] == minimum_factor, "a factor of minimums");
    for (size_t block = 0; block < e->tile.blocks; block++) {
      size_t begin = block * block_tiles * 32, padded = begin + block_tiles * 32, at = block * 16 + row;
      size_t end = padded < columns ? padded : columns;
      float scale = 0, minimum = 0, step, least;
      if (is_there) extents(k, s->values + row * columns + begin, end - begin, &scale, &minimum);
      if (coded) {
        int code = expected_multiple(scale, factor, top), other = expected_multiple(minimum, minimum_factor, 127);
        require(o, e->tile.scale_codes[at] == code + scale_zero, "a scale's code");
        if (k->minimum) require(o, e->tile.minimum_codes[at] == other + 128, "a minimum's code");
        step = (float)code * factor, least = (float)other * minimum_factor;
      } else {
        uint16_t half = furl_half_from_float(scale), other = furl_half_from_float(minimum);
        if ((half & 0x7fff) == 0) half = 0;
        require(o, e->tile.scales[at] == half, "a scale");
        if (k->minimum) require(o, e->tile.minimums[at] == other, "a minimum");
        step = furl_float_from_half(half), least = furl_float_from_half(other);
      }
      for (size_t c = begin; c < padded && c < e->tile.column_tiles * 32; c++) {
        float x = is_there && c < end ? s->values[row * columns + c] : 0;
        int zero = k->table == NESTED ? FURL_NESTED_ZERO : k->zero;
        double code = is_there && c < end ? expected_code(k, x, step, least) : zero;
        bool is_padding = !is_there || c >= end;
        int found = code_at(k, e, row, c);
        require(o, is_padding ? found == zero : is_code(k, found, code, x, step), "a code");
      }
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

static bool same_bytes(const void *a, const void *b, size_t bytes) {
  return a == NULL ? b == NULL : memcmp(a, b, bytes) == 0;
}

static void test_kind(const furl_kernels *k, const kind *kind) {
  outcome o = {.kernel = kind->name, .tier = k->name};
  const furl_kernels *twin = furl_kernels_for(FURL_ISA_SCALAR);
  static const size_t blocks[] = {1, 2, 4, 100};
  bool floats = kind == &kinds[FLOATS];
  for (size_t columns = 1; columns <= 300; columns += columns < 70 ? 1 : 23) {
    for (int b = 0; b < (floats ? 1 : 4); b++) for (int mode = 0; mode < MODES; mode++) {
      if (!is_taken()) continue;
      furl_number type = (furl_number)draw_below(3);
      size_t rows = draw_below(2) ? 16 : 1 + draw_below(16), tiles = (columns + 31) / 32;
      size_t block_tiles = blocks[b] == 100 ? tiles : blocks[b];
      source s = make(type, rows, columns, columns + draw_below(3) * 5, mode);
      bool coded = !floats && draw_below(3) == 0;
      encoded e = encode(kernel(k, kind), kind, &s, block_tiles, coded);
      encoded t = encode(kernel(twin, kind), kind, &s, block_tiles, coded);
      require(&o, e.fits == t.fits, "not of the twin's opinion about what can be encoded");
      if (mode == 10) require(&o, !t.fits, "what is not a number is encoded");
      if (mode == 11 && type != FURL_FLOAT16) require(&o, t.fits == (floats || coded), "a scale that no half holds");
      if (mode < 10 && type != FURL_FLOAT16) require(&o, t.fits, "numbers that can be encoded are not");
      if (e.fits && t.fits) {
        require(&o, memcmp(e.tile.codes, t.tile.codes, e.code_bytes) == 0, "codes differ from the twin's");
        const furl_row_tile *x = &e.tile, *y = &t.tile;
        require(&o, same_bytes(x->remainders, y->remainders, e.code_bytes), "remainders differ from the twin's");
        require(&o, same_bytes(x->scales, y->scales, e.places * 2), "scales differ from the twin's");
        require(&o, same_bytes(x->minimums, y->minimums, e.places * 2), "minimums differ from the twin's");
        require(&o, same_bytes(x->scale_codes, y->scale_codes, e.places), "scales' codes differ from the twin's");
        require(&o, same_bytes(x->minimum_codes, y->minimum_codes, e.places), "minimums' codes differ");
        require(&o, same_bytes(x->factors, y->factors, 64), "factors differ from the twin's");
        require(&o, same_bytes(x->minimum_factors, y->minimum_factors, 64), "factors of minimums differ");
        if (floats) check_floats(&o, &s, &e);
        else check_codes(&o, kind, &s, &e, block_tiles);
      }
      release(&e), release(&t), free(s.values), free(s.memory);
    }
  }
  report(&o);
}

void test_encode(void) {
  const furl_kernels *found[MOST_TIERS];
  for (size_t i = 0; i < KINDS; i++) test_kind(furl_kernels_for(FURL_ISA_SCALAR), &kinds[i]);
  for (size_t j = 0, n = tiers(found); j < n; j++) {
    for (size_t i = 0; is_first(found, j, offsetof(furl_kernels, encode_int8)) && i < KINDS; i++) test_kind(found[j], &kinds[i]);
  }
}
