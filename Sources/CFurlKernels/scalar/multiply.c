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

static int32_t tile_dot_int8(const furl_matrix *matrix, size_t row, size_t tile, const int8_t *codes) {
  int32_t sum = 0;
  for (size_t c = 0; c < FURL_TILE_COLUMNS; c++) {
    sum += furl_code_int8(matrix, row, tile * FURL_TILE_COLUMNS + c) * codes[c];
  }
  return sum;
}

static int32_t tile_dot_int4(
  const furl_matrix *matrix, size_t row, size_t tile, const int8_t *codes, int32_t zero)
{
  int32_t sum = 0;
  for (size_t c = 0; c < FURL_TILE_COLUMNS; c++) {
    sum += (furl_code_int4(matrix, row, tile * FURL_TILE_COLUMNS + c) - zero) * codes[c];
  }
  return sum;
}

static float dot_int8_a8(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)
{
  size_t first = activation * matrix->column_tiles;
  float sum = 0;
  for (size_t t = 0; t < matrix->column_tiles; t++) {
    float scale = half_at(matrix, matrix->scales, row, t / matrix->block_tiles) * x->scales[first + t];
    sum += (float)tile_dot_int8(matrix, row, t, x->codes + (first + t) * FURL_TILE_COLUMNS) * scale;
  }
  return sum;
}

static float dot_int4_a8(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)
{
  size_t first = activation * matrix->column_tiles;
  float sum = 0;
  for (size_t t = 0; t < matrix->column_tiles; t++) {
    float scale = half_at(matrix, matrix->scales, row, t / matrix->block_tiles) * x->scales[first + t];
    sum += (float)tile_dot_int4(matrix, row, t, x->codes + (first + t) * FURL_TILE_COLUMNS, 8) * scale;
  }
  return sum;
}

static float dot_int4_minimum_a8(
  const furl_matrix *matrix, const furl_activations *x, size_t row, size_t activation)
{
  size_t first = activation * matrix->column_tiles;
  float sum = 0;
  for (size_t t = 0; t < matrix->column_tiles; t++) {
    size_t block = t / matrix->block_tiles;
    float scale = half_at(matrix, matrix->scales, row, block) * x->scales[first + t];
    sum += (float)tile_dot_int4(matrix, row, t, x->codes + (first + t) * FURL_TILE_COLUMNS, 0) * scale;
    sum += half_at(matrix, matrix->minimums, row, block) * (x->scales[first + t] * (float)x->sums[first + t]);
  }
  return sum;
}

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
