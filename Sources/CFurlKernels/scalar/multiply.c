#include "../layout.h"
#include "scalar.h"

#include <math.h>

static void put(const furl_output *output, size_t activation, size_t row, float dot) {
  float result = dot + (output->bias != NULL ? output->bias[row] : 0);
  float *out = &output->values[activation * output->stride + row];
  *out = output->accumulate ? *out + result : result;
}

/// The sum of one output: everything below differs in this only.
typedef float (*dot_function)(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation);

static void multiply(
  const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,
  const furl_output *output, dot_function dot)
{
  size_t end = tile_end * FURL_TILE_ROWS < matrix->rows ? tile_end * FURL_TILE_ROWS : matrix->rows;
  for (size_t row = tile_begin * FURL_TILE_ROWS; row < end; row++) {
    for (size_t a = 0; a < x->count; a++) put(output, a, row, dot(matrix, x, row, a));
  }
}

static bool has_minimums(const furl_matrix *matrix) {
  return matrix->minimums != NULL || matrix->minimum_codes != NULL;
}

/// The first column of a block; the last block of a row may be shorter.
static size_t block_begin(const furl_matrix *matrix, size_t block) {
  if (matrix->is_halved) return block * FURL_TILE_COLUMNS / 2;
  size_t tile = block * matrix->block_tiles;
  return (tile < matrix->column_tiles ? tile : matrix->column_tiles) * FURL_TILE_COLUMNS;
}

#define DOT(name)                                                                                           \
  static float dot_##name(                                                                                  \
    const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)                    \
  {                                                                                                         \
    size_t columns = matrix->column_tiles * FURL_TILE_COLUMNS;                                              \
    const float *values = x->values + activation * columns;                                                 \
    /* One sum for each column mod 4, as the vector tiers keep them to hide the latency of an addition. */  \
    float sum[4] = {0};                                                                                     \
    for (size_t c = 0; c < columns; c++) sum[c % 4] += furl_weight_##name(matrix, row, c) * values[c];      \
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);                                                           \
  }

DOT(float32)
DOT(bfloat16)

// MARK: 8-bit activations

/// What a row of activations has of one column tile.
typedef struct tile_activations {
  const int8_t *codes; // four columns, then those of the other rows of its group
  size_t rows;         // of the group
  float scale;
  int32_t sum;
} tile_activations;

static tile_activations activations_at(
  const furl_matrix *matrix, const furl_activations *x, size_t activation, size_t tile)
{
  size_t rows = furl_group_rows(x->count, activation);
  size_t at = furl_group_scales(matrix->column_tiles, activation) + tile * rows;
  const int8_t *codes = x->codes + furl_group_codes(matrix->column_tiles, activation) + tile * FURL_TILE_COLUMNS * rows;
  return (tile_activations){codes, rows, x->scales[at], x->sums[at]};
}

/// The code of one weight, without its zero point.
typedef int32_t (*code_function)(const furl_matrix *matrix, size_t row, size_t column);

static int32_t code_int8(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int8(matrix, row, column);
}

static int32_t code_int6(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int6(matrix, row, column) - 32;
}

static int32_t code_int6_minimum(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int6(matrix, row, column);
}

static int32_t code_int5(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int5(matrix, row, column) - 16;
}

static int32_t code_int5_minimum(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int5(matrix, row, column);
}

static int32_t code_int4(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int4(matrix, row, column) - 8;
}

static int32_t code_int4_minimum(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int4(matrix, row, column);
}

static int32_t code_int3(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int3(matrix, row, column) - 4;
}

static int32_t code_int3_minimum(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int3(matrix, row, column);
}

static int32_t code_int2(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int2(matrix, row, column) - 2;
}

static int32_t code_int2_minimum(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int2(matrix, row, column);
}

/// Stored from 128 on.
static int32_t code_int8_minimum(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int8(matrix, row, column);
}

static int32_t code_int8_halved(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int8(matrix, row, column);
}

static int32_t code_int3_halved(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int3(matrix, row, column) - 4;
}

static int32_t code_nested8(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_nested8(matrix, row, column);
}

/// A table's level.
static int32_t code_table4(const furl_matrix *matrix, size_t row, size_t column) {
  return matrix->levels[furl_code_int4(matrix, row, column)];
}

/// sum over blocks of scale * (sum over the block's tiles of activations' scale * exact dot product), and the minimum
/// times the sum of the activations.
static float dot_a8(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation, code_function code)
{
  float sum = 0;
  for (size_t b = 0; b < matrix->blocks; b++) {
    float part = 0, plain = 0;
    size_t width = matrix->is_halved ? FURL_TILE_COLUMNS / 2 : FURL_TILE_COLUMNS;
    for (size_t c = block_begin(matrix, b); c < block_begin(matrix, b + 1); c += width) {
      size_t tile = c / FURL_TILE_COLUMNS, first = c % FURL_TILE_COLUMNS;
      tile_activations a = activations_at(matrix, x, activation, tile);
      int32_t dot = 0;
      for (size_t i = first; i < first + width; i++) {
        dot += code(matrix, row, tile * FURL_TILE_COLUMNS + i) * a.codes[i / 4 * 4 * a.rows + i % 4];
      }
      part += (float)dot * a.scale;
      plain += a.scale * (float)a.sum;
    }
    sum += part * furl_scale_at(matrix, row, b);
    if (has_minimums(matrix)) sum += plain * furl_minimum_at(matrix, row, b);
  }
  return matrix->levels != NULL || matrix->remainders != NULL ? sum * matrix->unit : sum;
}

// MARK: 32-bit activations

/// What a code stands for, before its scale.
static float value_of(const furl_matrix *matrix, size_t row, size_t column, code_function code) {
  if (matrix->values != NULL) return matrix->values[furl_code_int4(matrix, row, column)];
  return (float)code(matrix, row, column);
}

static float dot_a32(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation, code_function code)
{
  const float *values = x->values + activation * matrix->column_tiles * FURL_TILE_COLUMNS;
  float sum = 0;
  for (size_t b = 0; b < matrix->blocks; b++) {
    float part = 0, plain = 0;
    for (size_t c = block_begin(matrix, b); c < block_begin(matrix, b + 1); c++) {
      part += value_of(matrix, row, c, code) * values[c];
      plain += values[c];
    }
    sum += part * furl_scale_at(matrix, row, b);
    if (has_minimums(matrix)) sum += plain * furl_minimum_at(matrix, row, b);
  }
  return matrix->remainders != NULL ? sum * matrix->unit : sum;
}

// MARK: Activations in BF16

/// The BF16 number nearest to a float, ties to even, as a float.
static float nearest_bfloat(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits = x == x ? bits + 0x7fff + (bits >> 16 & 1) : bits | 0x400000;
  bits &= 0xffff0000;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// What products take for zero.
static float without_small(float x) {
  return x > -0x1p-40f && x < 0x1p-40f ? 0 : x;
}

void furl_scalar_round_bfloats(const float *x, size_t columns, size_t rows, uint16_t *out) {
  size_t tiles = (columns + FURL_TILE_COLUMNS - 1) / FURL_TILE_COLUMNS;
  for (size_t c = 0; c < tiles * FURL_TILE_COLUMNS; c++) {
    float rounded = c < columns ? nearest_bfloat(without_small(x[c])) : 0;
    uint32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    out[c / FURL_TILE_COLUMNS * rows * FURL_TILE_COLUMNS + c % FURL_TILE_COLUMNS] = (uint16_t)(bits >> 16);
  }
}

/// Both rounded to BF16.
static float dot_b16(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation, code_function code)
{
  size_t stride = furl_panel_rows(x->count, activation) * FURL_TILE_COLUMNS;
  const uint16_t *numbers = x->bfloats + furl_panel_codes(matrix->column_tiles, activation);
  float sum = 0;
  for (size_t b = 0; b < matrix->blocks; b++) {
    float scale = without_small(furl_scale_at(matrix, row, b));
    if (matrix->remainders != NULL) scale *= matrix->unit;
    float minimum = has_minimums(matrix) ? without_small(furl_minimum_at(matrix, row, b)) : 0;
    for (size_t c = block_begin(matrix, b); c < block_begin(matrix, b + 1); c++) {
      float weight = nearest_bfloat(fmaf(value_of(matrix, row, c, code), scale, minimum)), value;
      uint32_t bits = (uint32_t)numbers[c / FURL_TILE_COLUMNS * stride + c % FURL_TILE_COLUMNS] << 16;
      memcpy(&value, &bits, sizeof value);
      sum += weight * value;
    }
  }
  return sum;
}

// MARK: Every scheme

#define MULTIPLY(name)                                                                                      \
  void furl_scalar_##name(                                                                                  \
    const furl_matrix *matrix, const furl_activations *activations, size_t tile_begin, size_t tile_end,     \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    multiply(matrix, activations, tile_begin, tile_end, output, dot_##name);                                \
  }

MULTIPLY(float32)
MULTIPLY(bfloat16)

#define MULTIPLY_CODES(scheme)                                                                              \
  static float dot_##scheme##_a8(                                                                           \
    const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)                    \
  {                                                                                                         \
    return dot_a8(matrix, x, row, activation, code_##scheme);                                               \
  }                                                                                                         \
  static float dot_##scheme##_a32(                                                                          \
    const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)                    \
  {                                                                                                         \
    return dot_a32(matrix, x, row, activation, code_##scheme);                                              \
  }                                                                                                         \
  static float dot_##scheme##_b16(                                                                          \
    const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)                    \
  {                                                                                                         \
    return dot_b16(matrix, x, row, activation, code_##scheme);                                              \
  }                                                                                                         \
  MULTIPLY(scheme##_a8)                                                                                     \
  MULTIPLY(scheme##_a32)                                                                                    \
  MULTIPLY(scheme##_b16)

MULTIPLY_CODES(int8)
MULTIPLY_CODES(int6)
MULTIPLY_CODES(int6_minimum)
MULTIPLY_CODES(int5)
MULTIPLY_CODES(int5_minimum)
MULTIPLY_CODES(int4)
MULTIPLY_CODES(int4_minimum)
MULTIPLY_CODES(int3)
MULTIPLY_CODES(int3_minimum)
MULTIPLY_CODES(int2)
MULTIPLY_CODES(int2_minimum)
MULTIPLY_CODES(table4)
MULTIPLY_CODES(nested8)
MULTIPLY_CODES(int8_minimum)
MULTIPLY_CODES(int8_halved)
MULTIPLY_CODES(int3_halved)

// MARK: Columns that are kept apart

void furl_scalar_add_outliers(
  const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end, const furl_output *output)
{
  size_t end = tile_end * FURL_TILE_ROWS < matrix->rows ? tile_end * FURL_TILE_ROWS : matrix->rows;
  for (size_t row = tile_begin * FURL_TILE_ROWS; row < end; row++) {
    const uint16_t *weights = matrix->outliers + row / FURL_TILE_ROWS * matrix->outlier_count * FURL_TILE_ROWS;
    for (size_t a = 0; a < x->count; a++) {
      const float *values = x->values + a * matrix->column_tiles * FURL_TILE_COLUMNS;
      float sum = 0;
      for (size_t k = 0; k < matrix->outlier_count; k++) {
        float weight = furl_float_from_half(weights[k * FURL_TILE_ROWS + row % FURL_TILE_ROWS]);
        sum += weight * values[matrix->outlier_columns[k]];
      }
      output->values[a * output->stride + row] += sum;
    }
  }
}
