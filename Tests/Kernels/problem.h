// A product of weights and activations: operands packed by the header's words, and what comes of them in double precision.

#pragma once

#include "support.h"

/// What a product reads of the activations.
typedef enum form_read { FLOATS, BYTES, BFLOATS } form_read;

typedef struct kind {
  const char *name;
  size_t member; // of furl_kernels
  int bits;      // 0: float weights
  bool minimum;
  form_read reads;
  bool table, halved, nested;
} kind;

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

/// The BF16 number nearest to a float, ties to even.
static float nearest_bfloat(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint32_t low = bits & 0xffff, even = bits >> 16 & 1;
  bits &= 0xffff0000;
  if (x == x && (low > 0x8000 || (low == 0x8000 && even))) bits += 0x10000;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static float without_small(float x, float least) {
  return fabsf(x) < least ? 0 : x;
}

/// Rows [first, first + count), the 8-bit form interleaved by the header's words.
static furl_activations grouped(const problem *p, const float *values, size_t first, size_t count) {
  size_t tiles = p->matrix.column_tiles;
  int8_t *codes = garbage(count * tiles * 32), *panels = garbage(count * tiles * 32);
  uint16_t *bfloats = garbage(count * tiles * 32 * sizeof *bfloats);
  float *scales = garbage(count * tiles * sizeof(float));
  int32_t *sums = garbage(count * tiles * sizeof(int32_t));
  for (size_t a = 0; a < count; a++) {
    size_t group = a / 8, n = count - group * 8 < 8 ? count - group * 8 : 8, r = a % 8;
    for (size_t c = 0; c < tiles * 32; c++) {
      int8_t code = p->rows.codes[(first + a) * tiles * 32 + c];
      codes[group * 8 * tiles * 32 + (c / 4 * n + r) * 4 + c % 4] = code;
      size_t left = count - a / 16 * 16, rows = left < 16 ? left : 16;
      float value = nearest_bfloat(without_small(values[(first + a) * tiles * 32 + c], 0x1p-40f));
      memcpy(bfloats + a / 16 * 16 * tiles * 32 + (c / 32 * rows + a % 16) * 32 + c % 32, (char *)&value + 2, 2);
      if (a < count / 16 * 16) panels[a / 16 * 16 * tiles * 32 + (c / 32 * 16 + a % 16) * 32 + c % 32] = code;
    }
    for (size_t t = 0; t < tiles; t++) {
      scales[group * 8 * tiles + t * n + r] = p->rows.scales[(first + a) * tiles + t];
      sums[group * 8 * tiles + t * n + r] = p->rows.sums[(first + a) * tiles + t];
    }
  }
  return (furl_activations){count, codes, scales, sums, values + first * tiles * 32, panels, bfloats};
}

static void release_grouped(furl_activations *x) {
  free((void *)x->codes), free((void *)x->scales), free((void *)x->sums), free((void *)x->panels);
  free((void *)x->bfloats);
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

/// A weight as BF16 has it: from the numbers that are stored, rounded to a float once and then to BF16.
static double bfloat_weight(const kind *k, const problem *p, double code, double scale, double weight) {
  if (k->nested) {
    float whole = (float)nearbyint(code * FURL_NESTED_STEPS), step = (float)scale * p->matrix.unit;
    return (double)nearest_bfloat((float)((double)whole * (double)step));
  }
  return (double)nearest_bfloat((float)weight);
}

/// What a product reads of an activation.
static double activation(const kind *k, const problem *p, size_t row, size_t column) {
  size_t i = row * p->matrix.column_tiles * 32 + column;
  if (k->reads == BYTES) return p->rows.codes[i] * (double)p->rows.scales[i / 32];
  float value = p->x.values[i];
  return (double)(k->reads == BFLOATS ? nearest_bfloat(without_small(value, 0x1p-40f)) : value);
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
        if (k->table) code = k->reads == BYTES ? p.levels[drawn] * (double)p.matrix.unit : (double)p.values[drawn];
        double one = form == SUPER_BLOCKS ? (double)furl_float_from_half(p.super_scales[super]) : (double)p.factors[r];
        double scale = form == EXPONENTS ? ldexp(1, (int)p.scale_codes[block] - 128)
          : coded ? ((int)p.scale_codes[block] - zero) * one : (double)furl_float_from_half(scales[block]);
        float least = k->reads == BFLOATS ? 0x1p-40f : 0;
        scale = (double)without_small((float)scale, least);
        weight = code * scale;
        parts = fabs(weight);
        if (k->minimum) {
          one = form == SUPER_BLOCKS ? (double)furl_float_from_half(p.super_minimums[super]) : (double)p.minimum_factors[r];
          double m = coded ? ((int)p.minimum_codes[block] - 128) * one : (double)furl_float_from_half(minimums[block]);
          m = (double)without_small((float)m, least);
          weight += m, parts += fabs(m);
        }
        if (k->reads == BFLOATS) weight = bfloat_weight(k, &p, code, scale, weight), parts = fabs(weight);
      }
      for (size_t a = 0; a < count; a++) {
        double x = activation(k, &p, a, c);
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
