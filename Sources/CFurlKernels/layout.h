// Where a code lies in a tile. Only what is not hot reads codes one by one.

#ifndef FURL_LAYOUT_H
#define FURL_LAYOUT_H

#include "include/CFurlKernels.h"

#define FURL_INT8_TILE (FURL_TILE_ROWS * FURL_TILE_COLUMNS)
#define FURL_INT4_TILE (FURL_INT8_TILE / 2)

static inline size_t furl_row_tiles(const furl_matrix *matrix) {
  return (matrix->rows + FURL_TILE_ROWS - 1) / FURL_TILE_ROWS;
}

/// The place of a row's column in row-tile-major order, counted in tiles.
static inline size_t furl_tile(const furl_matrix *matrix, size_t row, size_t column) {
  return row / FURL_TILE_ROWS * matrix->column_tiles + column / FURL_TILE_COLUMNS;
}

static inline float furl_weight_float32(const furl_matrix *matrix, size_t row, size_t column) {
  size_t within = column % FURL_TILE_COLUMNS * FURL_TILE_ROWS + row % FURL_TILE_ROWS;
  return ((const float *)matrix->codes)[furl_tile(matrix, row, column) * FURL_INT8_TILE + within];
}

/// -128...127
static inline int32_t furl_code_int8(const furl_matrix *matrix, size_t row, size_t column) {
  size_t c = column % FURL_TILE_COLUMNS;
  size_t within = c / 4 * (FURL_TILE_ROWS * 4) + row % FURL_TILE_ROWS * 4 + c % 4;
  const uint8_t *codes = matrix->codes;
  return (int32_t)codes[furl_tile(matrix, row, column) * FURL_INT8_TILE + within] - 128;
}

/// 0...15
static inline int32_t furl_code_int4(const furl_matrix *matrix, size_t row, size_t column) {
  size_t c = column % FURL_TILE_COLUMNS;
  size_t within = c % 16 / 4 * (FURL_TILE_ROWS * 4) + row % FURL_TILE_ROWS * 4 + c % 4;
  const uint8_t *codes = matrix->codes;
  uint8_t both = codes[furl_tile(matrix, row, column) * FURL_INT4_TILE + within];
  return c < 16 ? both & 15 : both >> 4;
}

/// The place of a row's block in `scales` and `minimums`.
static inline size_t furl_scale_index(const furl_matrix *matrix, size_t row, size_t block) {
  return (row / FURL_TILE_ROWS * matrix->blocks + block) * FURL_TILE_ROWS + row % FURL_TILE_ROWS;
}

#endif
