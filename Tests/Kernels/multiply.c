#include "support.h"

typedef struct kind {
  const char *name;
  size_t member; // of furl_kernels
  int bits;      // 0: float weights
  bool minimum, a8, table, halved, nested;
} kind;

#define KIND_OF(name, bits, minimum, table, halved)                                                         \
  {#name "_a8", offsetof(furl_kernels, name##_a8), bits, minimum, true, table, halved, false},              \
  {#name "_a32", offsetof(furl_kernels, name##_a32), bits, minimum, false, table, halved, false}
#define KIND(name, bits, minimum, table) KIND_OF(name, bits, minimum, table, false)

static const kind kinds[] = {
  {"float32", offsetof(furl_kernels, float32), 0, false, false, false, false, false},
  KIND(int8, 8, false, false),
  KIND(int6, 6, false, false),
  KIND(int6_minimum, 6, true, false),
  KIND(int5, 5, false, false),
  KIND(int5_minimum, 5, true, false),
  KIND(int4, 4, false, false),
  KIND(int4_minimum, 4, true, false),
  KIND(int3, 3, false, false),
  KIND(int3_minimum, 3, true, false),
  KIND(int2, 2, false, false),
  KIND(int2_minimum, 2, true, false),
  KIND(table4, 4, false, true),
  KIND(int8_minimum, 8, true, false),
  KIND_OF(int8_halved, 8, false, false, true),
  KIND_OF(int3_halved, 3, false, false, true),
  {"nested8_a8", offsetof(furl_kernels, nested8_a8), 4, false, true, false, false, true},
  {"nested8_a32", offsetof(furl_kernels, nested8_a32), 4, false, false, false, false, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/// The 8-bit form of rows that lie one after the other: [count][columns] and [count][tiles].
typedef struct plain_rows {
  int8_t *codes;
  float *scales;
  int32_t *sums;
} plain_rows;

/// How scales are stored: as halves, or as codes that are multiples of a row's factors or of a super-block's halves, or
/// exponents.
typedef enum scale_form { HALVES_ALONE, ROW_FACTORS, SUPER_BLOCKS, EXPONENTS } scale_form;

typedef enum filling { PLAIN, EXTREME, HOSTILE, FILLINGS } filling;

/// A product: its operands packed, and what each output has to be.
typedef struct problem {
  furl_matrix matrix;
  furl_activations x; // grouped
  plain_rows rows;
  size_t count;
  size_t columns;
  uint16_t *scales, *minimums; // also where the matrix has none
  uint8_t *scale_codes, *minimum_codes; // the same
  float *factors, *minimum_factors;
  uint16_t *super_scales, *super_minimums;
  float values[16];
  int8_t levels[16];
  double *expected, *magnitude; // [count][rows]
} problem;

static uint16_t draw_scale(filling f) {
  if (f == HOSTILE) return (uint16_t)draw_below(65536);
  if (f == PLAIN) return furl_half_from_float(draw_unit());
  static const uint16_t extremes[] = {0, 0x8000, 1, 0x8001, 0x3ff, 0x400, 0x7bff, 0xfbff, 0x3c00};
  return extremes[draw_below(9)];
}

static int draw_code(filling f, int bits) {
  static const int bytes[] = {0, 1, 127, 128, 129, 254, 255};
  int top = (1 << bits) - 1, few[] = {0, top / 2, top / 2 + 1, top};
  if (f == PLAIN) return (int)draw_below((size_t)1 << bits);
  return bits == 8 ? bytes[draw_below(7)] : few[draw_below(4)];
}

static float draw_value(filling f) {
  static const float extremes[] = {0, -0.0f, 1e-42f, -1e-42f, 1e15f, -1e15f, 1, -1};
  return f == PLAIN ? draw_unit() : extremes[draw_below(8)];
}

/// Puts a code in its place in a plane, by the header's words, where there were zeros.
static void put_in(const void *plane, const problem *p, int bits, size_t row, size_t column, int code) {
  size_t tile = row / 16 * p->matrix.column_tiles + column / 32, c = column % 32, r = row % 16;
  uint8_t *at = (uint8_t *)plane + tile * 64 * (size_t)bits;
  size_t group = c / 4, i = c % 4;
  if (bits == 8) {
    at[(group * 16 + r) * 4 + i] = (uint8_t)code;
  } else if (bits >= 4) {
    at[(c % 16 / 4 * 16 + r) * 4 + i] |= (uint8_t)(c < 16 ? code & 15 : code << 4);
    if (bits == 5) at[256 + r * 4 + i] |= (uint8_t)((code >> 4) << group);
    if (bits == 6) at[256 + (group % 2 * 16 + r) * 4 + i] |= (uint8_t)((code >> 4) << (2 * (group / 2)));
  } else {
    // column = 4 * (2 * p + group) + i
    size_t pair = group / 2;
    at[(group % 2 * 16 + r) * 4 + i] |= (uint8_t)((code & 3) << (2 * pair));
    if (bits == 3) at[128 + r * 4 + i] |= (uint8_t)((code >> 2) << group);
  }
}

static void put(const problem *p, int bits, size_t row, size_t column, int code) {
  put_in(p->matrix.codes, p, bits, row, column, code);
}
/// Rows [first, first + count), the 8-bit form interleaved by the header's words.
static furl_activations grouped(const problem *p, const float *values, size_t first, size_t count) {
  size_t tiles = p->matrix.column_tiles;
  int8_t *codes = garbage(count * tiles * 32), *panels = garbage(count * tiles * 32);
  float *scales = garbage(count * tiles * sizeof(float));
  int32_t *sums = garbage(count * tiles * sizeof(int32_t));
  for (size_t a = 0; a < count; a++) {
    size_t group = a / 8, n = count - group * 8 < 8 ? count - group * 8 : 8, r = a % 8;
    for (size_t c = 0; c < tiles * 32; c++) {
      int8_t code = p->rows.codes[(first + a) * tiles * 32 + c];
      codes[group * 8 * tiles * 32 + (c / 4 * n + r) * 4 + c % 4] = code;
      if (a < count / 16 * 16) panels[a / 16 * 16 * tiles * 32 + (c / 32 * 16 + a % 16) * 32 + c % 32] = code;
    }
    for (size_t t = 0; t < tiles; t++) {
      scales[group * 8 * tiles + t * n + r] = p->rows.scales[(first + a) * tiles + t];
      sums[group * 8 * tiles + t * n + r] = p->rows.sums[(first + a) * tiles + t];
    }
  }
  return (furl_activations){count, codes, scales, sums, values + first * tiles * 32, panels};
}

static void release_grouped(furl_activations *x) {
  free((void *)x->codes), free((void *)x->scales), free((void *)x->sums), free((void *)x->panels);
}

static void fill_activations(problem *p, filling f) {
  size_t tiles = p->matrix.column_tiles, width = tiles * 32;
  int8_t *codes = garbage(p->count * width);
  float *scales = garbage(p->count * tiles * sizeof(float)), *values = garbage(p->count * width * sizeof(float));
  int32_t *sums = garbage(p->count * tiles * sizeof(int32_t));
  for (size_t i = 0; i < p->count * width; i++) {
    bool padding = i % width >= p->columns;
    codes[i] = padding ? 0 : f == PLAIN ? (int8_t)((int)draw_below(255) - 127) : draw_below(2) ? 127 : -127;
    values[i] = padding ? 0 : draw_value(f);
  }
  for (size_t i = 0; i < p->count * tiles; i++) {
    static const float extremes[] = {0, 1e-42f, 1e-20f, 1, 1e15f};
    scales[i] = f == PLAIN ? fabsf(draw_unit()) : extremes[draw_below(5)];
    sums[i] = 0;
    for (size_t c = 0; c < 32; c++) sums[i] += codes[i * 32 + c];
  }
  p->rows = (plain_rows){codes, scales, sums};
  p->x = grouped(p, values, 0, p->count);
}

/// Draws weights, packs them and multiplies them, unpacked, in double precision.
static problem make(
  const kind *k, size_t rows, size_t columns, size_t block_tiles, size_t count, filling f,
  scale_form form)
{
  const bool coded = form != HALVES_ALONE;
  if (k->halved) block_tiles = 1;
  problem p = {.columns = columns, .count = count};
  size_t tiles = (columns + 31) / 32, row_tiles = (rows + 15) / 16;
  size_t blocks = k->halved ? 2 * tiles : (tiles + block_tiles - 1) / block_tiles;
  int zero_code = k->bits == 0 ? 0 : k->bits < 8 && k->minimum ? 0 : 1 << (k->bits - 1);
  size_t shift = 0;
  while (shift < 4 && blocks % ((size_t)2 << shift) == 0 && draw_below(4)) shift++;
  size_t bytes = row_tiles * tiles * 64 * (size_t)(k->bits == 0 ? 32 : k->bits), places = row_tiles * blocks * 16;
  uint8_t *codes = garbage(bytes);
  memset(codes, 0, bytes);
  uint16_t *scales = garbage(places * 2), *minimums = garbage(places * 2);
  memset(scales, 0, places * 2);
  memset(minimums, 0, places * 2);
  p.scales = scales, p.minimums = minimums;
  p.scale_codes = calloc(places, 1), p.minimum_codes = calloc(places, 1);
  p.factors = garbage(row_tiles * 64), p.minimum_factors = garbage(row_tiles * 64);
  for (size_t i = 0; i < row_tiles * 16; i++) {
    p.factors[i] = fabsf(draw_unit()) * 0.01f, p.minimum_factors[i] = fabsf(draw_unit()) * 0.01f;
  }
  p.super_scales = garbage(places * 2), p.super_minimums = garbage(places * 2);
  for (size_t i = 0; i < places; i++) {
    p.super_scales[i] = furl_half_from_float(draw_unit() * 0.01f);
    p.super_minimums[i] = furl_half_from_float(draw_unit() * 0.01f);
  }
  for (int i = 0; i < 16; i++) {
    p.values[i] = draw_unit(), p.levels[i] = (int8_t)((int)draw_below(256) - 128);
  }
  int32_t zero = draw_below(2) ? 128 : 0;
  p.matrix = (furl_matrix){
    .codes = codes, .scales = k->bits == 0 || coded ? NULL : scales, .minimums = k->minimum && !coded ? minimums : NULL,
    .rows = rows, .column_tiles = tiles, .block_tiles = block_tiles, .blocks = blocks,
    .is_halved = k->halved};
  if (k->table) p.matrix.unit = 1.0f / 120;
  if (k->nested) {
    uint8_t *remainders = garbage(bytes);
    memset(remainders, 0, bytes);
    p.matrix.remainders = remainders, p.matrix.unit = 1.0f / FURL_NESTED_STEPS;
  }
  if (coded) {
    p.matrix.scale_codes = p.scale_codes, p.matrix.scale_zero = zero;
    if (form == ROW_FACTORS) p.matrix.factors = p.factors;
    if (form == SUPER_BLOCKS) p.matrix.super_scales = p.super_scales, p.matrix.super_shift = shift;
    if (k->minimum) {
      p.matrix.minimum_codes = p.minimum_codes;
      if (form == ROW_FACTORS) p.matrix.minimum_factors = p.minimum_factors;
      if (form == SUPER_BLOCKS) p.matrix.super_minimums = p.super_minimums;
    }
  }
  p.expected = calloc(count * rows, sizeof(double));
  p.magnitude = calloc(count * rows, sizeof(double));
  fill_activations(&p, f);

  for (size_t r = 0; r < row_tiles * 16; r++) {
    for (size_t c = 0; c < tiles * 32; c++) {
      // Padding holds zero weights, where a scheme has a code for them.
      if (k->bits != 0 && (r >= rows || c >= columns)) {
        put(&p, k->bits, r, c, zero_code);
        if (k->nested) put_in(p.matrix.remainders, &p, k->bits, r, c, zero_code);
      }
    }
  }
  for (size_t r = 0; r < rows; r++) {
    for (size_t c = 0; c < columns; c++) {
      size_t width = k->halved ? 16 : 32 * block_tiles;
      size_t block = (r / 16 * blocks + c / width) * 16 + r % 16, super = (block / 16 >> shift) * 16 + r % 16;
      if (c % width == 0) {
        scales[block] = draw_scale(f), minimums[block] = draw_scale(f);
        p.scale_codes[block] = (uint8_t)(form == EXPONENTS ? 120 + draw_below(30) : draw_below(256));
        p.minimum_codes[block] = (uint8_t)draw_below(256);
      }
      double code, weight, parts; // parts: how large the terms are of which the weight is made
      if (k->bits == 0) {
        float w = draw_value(f);
        size_t at = ((r / 16 * tiles + c / 32) * 32 + c % 32) * 16 + r % 16;
        memcpy(codes + at * sizeof w, &w, sizeof w);
        weight = (double)w, parts = fabs(weight);
      } else {
        int drawn = draw_code(f, k->bits);
        put(&p, k->bits, r, c, drawn);
        code = drawn - zero_code;
        if (k->nested) {
          int rest = draw_code(f, 4);
          put_in(p.matrix.remainders, &p, k->bits, r, c, rest);
          code += (rest - 8) / (double)FURL_NESTED_STEPS;
        }
        if (k->table) code = k->a8 ? p.levels[drawn] * (double)p.matrix.unit : (double)p.values[drawn];
        double one = form == SUPER_BLOCKS ? (double)furl_float_from_half(p.super_scales[super]) : (double)p.factors[r];
        double scale = form == EXPONENTS ? ldexp(1, (int)p.scale_codes[block] - 128)
          : coded ? ((int)p.scale_codes[block] - zero) * one : (double)furl_float_from_half(scales[block]);
        weight = code * scale;
        parts = fabs(weight);
        if (k->minimum) {
          one = form == SUPER_BLOCKS ? (double)furl_float_from_half(p.super_minimums[super]) : (double)p.minimum_factors[r];
          double m = coded ? ((int)p.minimum_codes[block] - 128) * one : (double)furl_float_from_half(minimums[block]);
          weight += m, parts += fabs(m);
        }
      }
      for (size_t a = 0; a < count; a++) {
        size_t i = a * tiles * 32 + c;
        double x = k->a8 ? p.rows.codes[i] * (double)p.rows.scales[a * tiles + c / 32] : (double)p.x.values[i];
        p.expected[a * rows + r] += weight * x;
        p.magnitude[a * rows + r] += parts * fabs(x);
      }
    }
  }
  return p;
}

/// A problem is copied on its way: the pointers to its own tables are set where it stays.
static void settle(const kind *k, problem *p) {
  if (k->table) p->matrix.values = p->values, p->matrix.levels = p->levels;
}

static void release(problem *p) {
  free((void *)p->matrix.codes), free((void *)p->matrix.remainders), free(p->scales), free(p->minimums);
  free(p->rows.codes), free(p->rows.scales), free(p->rows.sums), free((void *)p->x.values);
  release_grouped(&p->x);
  free(p->scale_codes), free(p->minimum_codes), free(p->factors), free(p->minimum_factors);
  free(p->super_scales), free(p->super_minimums);
  free(p->expected), free(p->magnitude);
}

static furl_multiply kernel(const furl_kernels *tier, const kind *k) {
  furl_multiply f;
  memcpy(&f, (const char *)tier + k->member, sizeof f);
  return f;
}

/// Any count and any cut into tile ranges, of which the first one has no panels, gives the bits of the whole.
static void check_independence(
  outcome *o, furl_multiply f, const problem *p, const float *whole, size_t stride)
{
  size_t rows = p->matrix.rows, tiles = (rows + 15) / 16;
  float *out = garbage(p->count * stride * sizeof(float));
  for (size_t count = 1; count < p->count; count += p->count > 20 ? 7 : 1) {
    size_t first = draw_below(p->count - count + 1), cut = draw_below(tiles + 1);
    furl_activations x = grouped(p, p->x.values, first, count), plain = x;
    furl_output output = {out, stride, NULL, false};
    plain.panels = NULL;
    f(&p->matrix, &plain, 0, cut, &output);
    f(&p->matrix, &x, cut, tiles, &output);
    bool same = true;
    for (size_t a = 0; a < count; a++) {
      same &= same_bits(out + a * stride, whole + (first + a) * stride, rows);
    }
    require(o, same, "the result depends on the count or the range of tiles");
    release_grouped(&x);
  }
  free(out);
}

static void check_tier(outcome *o, const furl_kernels *tier, const kind *k, const problem *p, filling f) {
  size_t rows = p->matrix.rows, tiles = (rows + 15) / 16, stride = rows + 3;
  furl_multiply multiply = kernel(tier, k);
  float *out = garbage(p->count * stride * sizeof(float)), *untouched = garbage(3 * sizeof(float));
  furl_output output = {out, stride, NULL, false};
  multiply(&p->matrix, &p->x, 0, tiles, &output);
  for (size_t a = 0; a < p->count; a++) {
    for (size_t r = 0; r < rows; r++) {
      size_t i = a * rows + r;
      compare(o, (double)out[a * stride + r], p->expected[i], p->magnitude[i], 1e-5);
    }
    require(o, same_bits(out + a * stride + rows, untouched, 3), "wrote past the last row");
  }
  bool twin = tier == furl_kernels_for(FURL_ISA_SCALAR);
  if (f != HOSTILE && !twin) check_independence(o, multiply, p, out, stride);

  float *bias = garbage(rows * sizeof(float)), *sum = garbage(p->count * stride * sizeof(float));
  for (size_t r = 0; r < rows; r++) bias[r] = draw_unit();
  memcpy(sum, out, p->count * stride * sizeof(float));
  furl_output more = {sum, stride, bias, true};
  multiply(&p->matrix, &p->x, 0, tiles, &more);
  for (size_t i = 0; i < p->count * stride; i++) {
    if (i % stride >= rows || !isfinite(out[i])) continue;
    float expected = out[i] + (out[i] + bias[i % stride]);
    require(o, sum[i] == expected || !isfinite(expected), "bias or accumulation");
  }
  free(bias), free(sum), free(out), free(untouched);
}

static void check_rows(outcome *o, const kind *k, const problem *p) {
  if (k->table && k->a8) return;
  static void (*const row_of[2][7])(const furl_matrix *, size_t, size_t, float *) = {
    {furl_row_float32, furl_row_int8, furl_row_int6, furl_row_int5, furl_row_int4, furl_row_int3, furl_row_int2},
    {NULL, furl_row_int8_minimum, furl_row_int6_minimum, furl_row_int5_minimum, furl_row_int4_minimum,
      furl_row_int3_minimum, furl_row_int2_minimum}};
  int which = k->bits == 0 ? 0 : k->bits == 8 ? 1 : 8 - k->bits;
  void (*row)(const furl_matrix *, size_t, size_t, float *) =
    k->nested ? furl_row_nested8 : k->table ? furl_row_table4 : row_of[k->minimum][which];
  float *weights = garbage(p->columns * sizeof(float));
  for (size_t r = 0; r < p->matrix.rows; r++) {
    row(&p->matrix, r, p->columns, weights);
    double sum = 0;
    for (size_t c = 0; c < p->columns; c++) {
      double x = k->a8 ? p->rows.codes[c] * (double)p->rows.scales[c / 32] : (double)p->x.values[c];
      sum += (double)weights[c] * x;
    }
    compare(o, sum, p->expected[r], p->magnitude[r], 1e-6);
  }
  free(weights);
}

/// Wider, and with more rows than a batch has.
static const struct { size_t columns, block_tiles, count; } wide[] = {{1000, 1, 20}, {1024, 4, 20}, {1056, 1, 30}, {1100, 3, 20}, {2080, SIZE_MAX, 20}, {2100, 40, 17}, {96, 2, 150},
  {1056, SIZE_MAX, 130}, {64, 1, 50}, {128, 2, 50}, {1024, SIZE_MAX, 40}};

void test_multiply(void) {
  static const size_t rows[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 40};
  static const size_t columns[] = {1, 4, 15, 16, 17, 32, 33, 63, 64, 65, 100, 160};
  const furl_kernels *found[MOST_TIERS] = {furl_kernels_for(FURL_ISA_SCALAR)};
  size_t n = 1 + tiers(found + 1);
  for (size_t i = 0; i < KINDS; i++) {
    const kind *k = &kinds[i];
    outcome unpacked = {.kernel = k->name, .tier = "row"}, o[MOST_TIERS] = {0};
    for (size_t t = 0; t < n; t++) o[t] = (outcome){.kernel = k->name, .tier = found[t]->name};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
      for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        size_t whole = (columns[c] + 31) / 32, blocks[] = {1, 2, 4, whole};
        for (size_t b = k->bits == 0 ? 3 : 0; b < 4; b++) {
          for (filling f = PLAIN; f < FILLINGS; f++) {
            static const scale_form forms[] = {HALVES_ALONE, HALVES_ALONE, ROW_FACTORS, SUPER_BLOCKS, EXPONENTS};
            scale_form form = k->bits == 0 ? HALVES_ALONE : forms[draw_below(k->minimum ? 4 : 5)];
            problem p = make(k, rows[r], columns[c], blocks[b], 20, f, form);
            settle(k, &p);
            for (size_t t = 0; t < n; t++) check_tier(&o[t], found[t], k, &p, f);
            check_rows(&unpacked, k, &p);
            release(&p);
          }
        }
      }
    }
    for (size_t w = 0; w < sizeof wide / sizeof *wide; w++) {
      size_t whole = (wide[w].columns + 31) / 32, block = wide[w].block_tiles < whole ? wide[w].block_tiles : whole;
      if (k->bits == 0 && block != whole) continue;
      problem p = make(k, 33, wide[w].columns, block, wide[w].count, PLAIN, k->bits == 0 ? HALVES_ALONE : (scale_form)(w % 3));
      settle(k, &p);
      for (size_t t = 0; t < n; t++) check_tier(&o[t], found[t], k, &p, PLAIN);
      release(&p);
    }
    report(&unpacked);
    for (size_t t = 0; t < n; t++) report(&o[t]);
  }
}
