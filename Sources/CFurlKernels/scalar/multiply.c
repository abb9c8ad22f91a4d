#include "../layout.h"
#include "scalar.h"

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

static float half_at(const furl_matrix *matrix, const uint16_t *halves, size_t row, size_t block) {
  return furl_float_from_half(halves[furl_scale_index(matrix, row, block)]);
}

/// The first column of a block; the last block of a row may be shorter.
static size_t block_begin(const furl_matrix *matrix, size_t block) {
  size_t tile = block * matrix->block_tiles;
  return (tile < matrix->column_tiles ? tile : matrix->column_tiles) * FURL_TILE_COLUMNS;
}

static float dot_float32(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)
{
  size_t columns = matrix->column_tiles * FURL_TILE_COLUMNS;
  const float *values = x->values + activation * columns;
  // One sum for each column mod 4, as the vector tiers keep them to hide the latency of an addition.
  float sum[4] = {0};
  for (size_t c = 0; c < columns; c++) sum[c % 4] += furl_weight_float32(matrix, row, c) * values[c];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

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

static int32_t code_int4(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int4(matrix, row, column) - 8;
}

static int32_t code_int4_minimum(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_code_int4(matrix, row, column);
}

/// sum over blocks of scale * (sum over the block's tiles of activations' scale * exact dot product), and the minimum
/// times the sum of the activations.
static float dot_a8(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation, code_function code)
{
  float sum = 0;
  for (size_t b = 0; b < matrix->blocks; b++) {
    float part = 0, plain = 0;
    for (size_t c = block_begin(matrix, b); c < block_begin(matrix, b + 1); c += FURL_TILE_COLUMNS) {
      tile_activations a = activations_at(matrix, x, activation, c / FURL_TILE_COLUMNS);
      int32_t dot = 0;
      for (size_t i = 0; i < FURL_TILE_COLUMNS; i++) dot += code(matrix, row, c + i) * a.codes[i / 4 * 4 * a.rows + i % 4];
      part += (float)dot * a.scale;
      plain += a.scale * (float)a.sum;
    }
    sum += part * half_at(matrix, matrix->scales, row, b);
    if (matrix->minimums != NULL) sum += plain * half_at(matrix, matrix->minimums, row, b);
  }
  return sum;
}

#define DOT_A8(scheme)                                                                                      \
  static float dot_##scheme##_a8(                                                                           \
    const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)                    \
  {                                                                                                         \
    return dot_a8(matrix, x, row, activation, code_##scheme);                                               \
  }

DOT_A8(int8)
DOT_A8(int4)
DOT_A8(int4_minimum)

// MARK: 32-bit activations

static float dot_int8_a32(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)
{
  const float *values = x->values + activation * matrix->column_tiles * FURL_TILE_COLUMNS;
  float sum = 0;
  for (size_t b = 0; b < matrix->blocks; b++) {
    float part = 0;
    for (size_t c = block_begin(matrix, b); c < block_begin(matrix, b + 1); c++) {
      part += (float)furl_code_int8(matrix, row, c) * values[c];
    }
    sum += part * half_at(matrix, matrix->scales, row, b);
  }
  return sum;
}

static float dot_int4_a32(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)
{
  const float *values = x->values + activation * matrix->column_tiles * FURL_TILE_COLUMNS;
  float sum = 0;
  for (size_t b = 0; b < matrix->blocks; b++) {
    float part = 0;
    for (size_t c = block_begin(matrix, b); c < block_begin(matrix, b + 1); c++) {
      part += (float)(furl_code_int4(matrix, row, c) - 8) * values[c];
    }
    sum += part * half_at(matrix, matrix->scales, row, b);
  }
  return sum;
}

static float dot_int4_minimum_a32(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)
{
  const float *values = x->values + activation * matrix->column_tiles * FURL_TILE_COLUMNS;
  float sum = 0;
  for (size_t b = 0; b < matrix->blocks; b++) {
    float part = 0, plain = 0;
    for (size_t c = block_begin(matrix, b); c < block_begin(matrix, b + 1); c++) {
      part += (float)furl_code_int4(matrix, row, c) * values[c];
      plain += values[c];
    }
    sum += part * half_at(matrix, matrix->scales, row, b);
    sum += plain * half_at(matrix, matrix->minimums, row, b);
  }
  return sum;
}

#define MULTIPLY(name)                                                                                      \
  void furl_scalar_##name(                                                                                  \
    const furl_matrix *matrix, const furl_activations *activations, size_t tile_begin, size_t tile_end,     \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    multiply(matrix, activations, tile_begin, tile_end, output, dot_##name);                                \
  }

MULTIPLY(float32)
MULTIPLY(int8_a8)
MULTIPLY(int8_a32)
MULTIPLY(int4_a8)
MULTIPLY(int4_a32)
MULTIPLY(int4_minimum_a8)
MULTIPLY(int4_minimum_a32)
