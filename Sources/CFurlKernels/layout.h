// Where a code lies in a tile. Only what is not hot reads codes one by one.

#ifndef FURL_LAYOUT_H
#define FURL_LAYOUT_H

#include "include/CFurlKernels.h"

#include <string.h>

#define FURL_INT8_TILE (FURL_TILE_ROWS * FURL_TILE_COLUMNS)
#define FURL_INT4_TILE (FURL_INT8_TILE / 2)
#define FURL_INT5_TILE (FURL_INT4_TILE + FURL_INT8_TILE / 8)
#define FURL_INT6_TILE (FURL_INT4_TILE + FURL_INT8_TILE / 4)
#define FURL_INT2_TILE (FURL_INT8_TILE / 4)
#define FURL_INT3_TILE (FURL_INT2_TILE + FURL_INT8_TILE / 8)

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

static inline float furl_weight_bfloat16(const furl_matrix *matrix, size_t row, size_t column) {
  size_t within = column % FURL_TILE_COLUMNS * FURL_TILE_ROWS + row % FURL_TILE_ROWS;
  const uint16_t *codes = matrix->codes;
  uint32_t bits = (uint32_t)codes[furl_tile(matrix, row, column) * FURL_INT8_TILE + within] << 16;
  float weight;
  memcpy(&weight, &bits, sizeof weight);
  return weight;
}

/// -128...127
static inline int32_t furl_code_int8(const furl_matrix *matrix, size_t row, size_t column) {
  size_t c = column % FURL_TILE_COLUMNS;
  size_t within = c / 4 * (FURL_TILE_ROWS * 4) + row % FURL_TILE_ROWS * 4 + c % 4;
  const uint8_t *codes = matrix->codes;
  return (int32_t)codes[furl_tile(matrix, row, column) * FURL_INT8_TILE + within] - 128;
}

/// 0...15: of a plane of nibbles, in tiles of some size.
static inline int32_t furl_nibble_of(
  const furl_matrix *matrix, const uint8_t *plane, size_t row, size_t column, size_t tile_bytes)
{
  size_t c = column % FURL_TILE_COLUMNS;
  size_t within = c % 16 / 4 * (FURL_TILE_ROWS * 4) + row % FURL_TILE_ROWS * 4 + c % 4;
  uint8_t both = plane[furl_tile(matrix, row, column) * tile_bytes + within];
  return c < 16 ? both & 15 : both >> 4;
}

/// 0...15: of int4, or the low bits of int5 and int6, whose tiles have other sizes.
static inline int32_t furl_nibble(const furl_matrix *matrix, size_t row, size_t column, size_t tile_bytes) {
  return furl_nibble_of(matrix, matrix->codes, row, column, tile_bytes);
}

/// 0...15
static inline int32_t furl_code_int4(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_nibble(matrix, row, column, FURL_INT4_TILE);
}

/// Of both planes together, without the zero point.
static inline int32_t furl_code_nested8(const furl_matrix *matrix, size_t row, size_t column) {
  int32_t first = furl_nibble(matrix, row, column, FURL_INT4_TILE);
  int32_t rest = furl_nibble_of(matrix, matrix->remainders, row, column, FURL_INT4_TILE);
  return FURL_NESTED_STEPS * first + rest - FURL_NESTED_ZERO;
}

/// 0...31
static inline int32_t furl_code_int5(const furl_matrix *matrix, size_t row, size_t column) {
  size_t within = FURL_INT4_TILE + row % FURL_TILE_ROWS * 4 + column % 4;
  const uint8_t *codes = matrix->codes;
  int32_t fifth = codes[furl_tile(matrix, row, column) * FURL_INT5_TILE + within] >> column % FURL_TILE_COLUMNS / 4 & 1;
  return furl_nibble(matrix, row, column, FURL_INT5_TILE) | fifth << 4;
}

/// 0...63
static inline int32_t furl_code_int6(const furl_matrix *matrix, size_t row, size_t column) {
  size_t group = column % FURL_TILE_COLUMNS / 4;
  size_t within = FURL_INT4_TILE + group % 2 * (FURL_TILE_ROWS * 4) + row % FURL_TILE_ROWS * 4 + column % 4;
  const uint8_t *codes = matrix->codes;
  int32_t high = codes[furl_tile(matrix, row, column) * FURL_INT6_TILE + within] >> group / 2 * 2 & 3;
  return furl_nibble(matrix, row, column, FURL_INT6_TILE) | high << 4;
}

/// 0...3: of int2, or the low bits of int3, whose tiles have another size.
static inline int32_t furl_low_bits(const furl_matrix *matrix, size_t row, size_t column, size_t tile_bytes) {
  size_t group = column % FURL_TILE_COLUMNS / 4;
  size_t within = group % 2 * (FURL_TILE_ROWS * 4) + row % FURL_TILE_ROWS * 4 + column % 4;
  const uint8_t *codes = matrix->codes;
  return codes[furl_tile(matrix, row, column) * tile_bytes + within] >> group / 2 * 2 & 3;
}

/// 0...3
static inline int32_t furl_code_int2(const furl_matrix *matrix, size_t row, size_t column) {
  return furl_low_bits(matrix, row, column, FURL_INT2_TILE);
}

/// 0...7
static inline int32_t furl_code_int3(const furl_matrix *matrix, size_t row, size_t column) {
  size_t within = FURL_INT2_TILE + row % FURL_TILE_ROWS * 4 + column % 4;
  const uint8_t *codes = matrix->codes;
  int32_t third = codes[furl_tile(matrix, row, column) * FURL_INT3_TILE + within] >> column % FURL_TILE_COLUMNS / 4 & 1;
  return furl_low_bits(matrix, row, column, FURL_INT3_TILE) | third << 2;
}

/// Adds a code of 2 to 6 or 8 bits to a tile that has been zero there.
static inline void furl_put_code(uint8_t *tile, int bits, size_t row, size_t column, uint8_t code) {
  size_t group = column / 4;
  uint8_t *first = tile + row * 4 + column % 4;
  switch (bits) {
  case 8: first[group * (FURL_TILE_ROWS * 4)] = code; break;
  case 6:
    first[FURL_INT4_TILE + group % 2 * (FURL_TILE_ROWS * 4)] |= (uint8_t)(code >> 4 << group / 2 * 2);
    first[group % 4 * (FURL_TILE_ROWS * 4)] |= (uint8_t)((code & 15) << group / 4 * 4);
    break;
  case 5:
    first[FURL_INT4_TILE] |= (uint8_t)(code >> 4 << group);
    first[group % 4 * (FURL_TILE_ROWS * 4)] |= (uint8_t)((code & 15) << group / 4 * 4);
    break;
  case 4: first[group % 4 * (FURL_TILE_ROWS * 4)] |= (uint8_t)(code << group / 4 * 4); break;
  default:
    first[group % 2 * (FURL_TILE_ROWS * 4)] |= (uint8_t)((code & 3) << group / 2 * 2);
    if (bits == 3) first[FURL_INT2_TILE] |= (uint8_t)(code >> 2 << group);
  }
}

/// The place of a row's block in `scales` and `minimums`.
static inline size_t furl_scale_index(const furl_matrix *matrix, size_t row, size_t block) {
  return (row / FURL_TILE_ROWS * matrix->blocks + block) * FURL_TILE_ROWS + row % FURL_TILE_ROWS;
}

/// The block of a column.
static inline size_t furl_block_of(const furl_matrix *matrix, size_t column) {
  if (matrix->is_halved) return column / (FURL_TILE_COLUMNS / 2);
  return column / FURL_TILE_COLUMNS / matrix->block_tiles;
}

/// The place of a block's super-block in `super_scales`.
static inline size_t furl_super_index(const furl_matrix *matrix, size_t at) {
  return (at / FURL_TILE_ROWS >> matrix->super_shift) * FURL_TILE_ROWS + at % FURL_TILE_ROWS;
}

/// 2^(code - 128); the smallest two are below the normal numbers.
static inline float furl_exponent_scale(uint8_t code) {
  uint32_t bits = code < 2 ? UINT32_C(0x00200000) << code : (uint32_t)(code - 1) << 23;
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  return scale;
}

static inline float furl_scale_at(const furl_matrix *matrix, size_t row, size_t block) {
  size_t at = furl_scale_index(matrix, row, block);
  if (matrix->scale_codes == NULL) return furl_float_from_half(matrix->scales[at]);
  float code = (float)((int32_t)matrix->scale_codes[at] - matrix->scale_zero);
  if (matrix->super_scales != NULL) return code * furl_float_from_half(matrix->super_scales[furl_super_index(matrix, at)]);
  return matrix->factors != NULL ? code * matrix->factors[row] : furl_exponent_scale(matrix->scale_codes[at]);
}

static inline float furl_minimum_at(const furl_matrix *matrix, size_t row, size_t block) {
  size_t at = furl_scale_index(matrix, row, block);
  if (matrix->minimum_codes == NULL) return furl_float_from_half(matrix->minimums[at]);
  float code = (float)((int32_t)matrix->minimum_codes[at] - 128);
  if (matrix->super_minimums == NULL) return code * matrix->minimum_factors[row];
  return code * furl_float_from_half(matrix->super_minimums[furl_super_index(matrix, at)]);
}

#endif
