// Quantized weights times 8-bit activations. A tile's dot products are exact 32-bit integers; what is rounded is one
// fused multiply-add a tile, which gives it its activations' scale, and one a block, which gives it the weights':
// sum over blocks of scale * (sum over the block's tiles of dot * activations' scale), in the order of the columns.
//
// The tier defines, for n activations of a group of `rows`, what is added to n x 16 sums:
//   dot_int8(n, from, to, tile, codes, rows, sums)  and says what it expects in the sums: INT8_ZERO,
//   dot_table4(n, tile, levels, codes, rows, sums)  the zero point that it leaves in its weights,
//   dot_int3(n, from, to, tile, codes, rows, sums)
//   dot_int4, dot_int2(n, tile, codes, rows, sums)
//   dot_wide(bits, n, tile, codes, rows, sums)      of int5 and int6
// and, with TIER_NESTED, dot_nested8(n, tile, remainders, codes, rows, sums).
// Those with `from` and `to` take in these groups of four columns, of the 8 of a tile.

#pragma once

#include "output.h"

/// -zero times the sums of n activations, which is what their dot products begin with. Numbers that are to be spread
/// over lanes are better read from memory, each by an instruction of its own, than shuffled out of a register: loads
/// have room beside the products.
INLINE void start_dots(const int n, const int32_t zero, const int32_t *sums, v16i *dot) {
  int32_t start[8];
  UNROLL for (int g = 0; g < n; g++) start[g] = -zero * sums[g];
  if (n > 1 && zero != 0) __asm__ volatile("" : "+m"(start));
  UNROLL for (int g = 0; g < n; g++) dot[g] = splat_int(start[g]);
}

/// Takes in a block whose tiles are summed up: `part` without the weights' scale, `plain` the activations alone.
INLINE void end_block(
  const scheme s, const int n, const furl_matrix *matrix, size_t tile, size_t at, const v16 *part, const float *plain,
  v16 *total)
{
  v16 scale = block_scales(matrix, tile, at);
  UNROLL for (int g = 0; g < n; g++) total[g] = fma16(part[g], scale, total[g]);
  if (!has_minimum(s)) return;
  v16 minimum = block_minimums(matrix, tile, at);
  UNROLL for (int g = 0; g < n; g++) total[g] = fma16(minimum, splat(plain[g]), total[g]);
}

INLINE void dot_tile(
  const scheme s, const int n, const uint8_t *tile, const furl_matrix *matrix, const int8_t *codes, size_t rows,
  v16i *sums)
{
  switch (s) {
  case INT8:
  case INT8_MINIMUM: return dot_int8(n, 0, 8, tile, codes, rows, sums);
  case INT6:
  case INT6_MINIMUM: return dot_wide(6, n, tile, codes, rows, sums);
  case INT5:
  case INT5_MINIMUM: return dot_wide(5, n, tile, codes, rows, sums);
  case INT4:
  case INT4_MINIMUM: return dot_int4(n, tile, codes, rows, sums);
  case INT3:
  case INT3_MINIMUM: return dot_int3(n, 0, 8, tile, codes, rows, sums);
  case INT2:
  case INT2_MINIMUM: return dot_int2(n, tile, codes, rows, sums);
  case TABLE4: return dot_table4(n, tile, matrix->levels, codes, rows, sums);
  case INT8_HALVED:
  case INT3_HALVED: return; // by halves
  case NESTED8: return;     // from two planes
  }
}

#if !defined(TIER_NESTED)
/// Plane by plane; what belongs to the zero point is in the sums.
INLINE void dot_nested8(
  const int n, const uint8_t *tile, const uint8_t *remainders, const int8_t *codes, size_t rows, v16i *sums)
{
  v16i first[8];
  UNROLL for (int g = 0; g < n; g++) first[g] = splat_int(0);
  dot_int4(n, tile, codes, rows, first);
  dot_int4(n, remainders, codes, rows, sums);
  UNROLL for (int g = 0; g < n; g++) sums[g] += first[g] * FURL_NESTED_STEPS;
}
#endif

INLINE void row_tile_a8(
  const scheme s, const int n, const size_t rows, const furl_matrix *matrix, const furl_activations *x, size_t tile,
  size_t first, const furl_output *output)
{
  size_t tiles = matrix->column_tiles;
  const uint8_t *weights = (const uint8_t *)matrix->codes + tile * tiles * tile_bytes(s);
  const int8_t *codes = x->codes + furl_group_codes(tiles, first);
  const float *scales = x->scales + furl_group_scales(tiles, first);
  const int32_t *sums = x->sums + furl_group_scales(tiles, first);
  const uint8_t *rest = s == NESTED8 ? matrix->remainders + tile * tiles * tile_bytes(s) : weights;
  const bool helps = x->count == 1 && is_slow_alone(s, matrix);
  const int32_t zero = s == NESTED8 ? FURL_NESTED_ZERO : has_bytes(s) || s == TABLE4 ? INT8_ZERO : zero_code(s);

  v16 total[8];
  UNROLL for (int g = 0; g < n; g++) total[g] = splat(0);
  size_t at_block = tile * matrix->blocks * FURL_TILE_ROWS;
  for (size_t t = 0; t < tiles; at_block += FURL_TILE_ROWS) {
    v16 part[8];
    float plain[8];
    UNROLL for (int g = 0; g < n; g++) part[g] = splat(0), plain[g] = 0;
    for (size_t end = block_end(matrix, t); t < end; t++) {
      const uint8_t *here = weights + t * tile_bytes(s);
      fetch_ahead(n, helps, here, tile_bytes(s));
      v16i dot[8];
      start_dots(n, zero, sums + t * rows, dot);
      const int8_t *inputs = codes + t * FURL_TILE_COLUMNS * rows;
      if (s == NESTED8) {
        fetch_ahead(n, helps, rest + t * tile_bytes(s), tile_bytes(s));
        dot_nested8(n, here, rest + t * tile_bytes(s), inputs, rows, dot);
      } else {
        dot_tile(s, n, here, matrix, inputs, rows, dot);
      }
      UNROLL for (int g = 0; g < n; g++) {
        size_t at = t * rows + (size_t)g;
        part[g] = fma16(__builtin_convertvector(dot[g], v16), splat(scales[at]), part[g]);
        if (has_minimum(s)) plain[g] += scales[at] * (float)sums[at];
      }
    }
    end_block(s, n, matrix, tile, at_block, part, plain, total);
  }
  if (s == TABLE4 || s == NESTED8) {
    UNROLL for (int g = 0; g < n; g++) total[g] *= splat(matrix->unit);
  }
  UNROLL for (int g = 0; g < n; g++) put(total[g], matrix, output, first + (size_t)g, tile);
}

/// The sum of a row's codes of 16 columns: two codes at a time as halves of a word, moved above zero.
INLINE int32_t half_sum(const int8_t *codes, size_t rows) {
  uint32_t pairs = 0;
  UNROLL for (int j = 0; j < 4; j++) {
    uint32_t four;
    memcpy(&four, codes + 4 * (size_t)j * rows, sizeof four);
    four ^= 0x80808080;
    pairs += (four & 0x00ff00ff) + (four >> 8 & 0x00ff00ff);
  }
  return (int32_t)(pairs & 0xffff) + (int32_t)(pairs >> 16) - 16 * 128;
}

/// The same with a scale for each half of a tile: one fused multiply-add for each.
INLINE void row_tile_halved_a8(
  const scheme s, const int n, const size_t rows, const furl_matrix *matrix, const furl_activations *x, size_t tile,
  size_t first, const furl_output *output)
{
  size_t tiles = matrix->column_tiles;
  const uint8_t *weights = (const uint8_t *)matrix->codes + tile * tiles * tile_bytes(s);
  const int8_t *codes = x->codes + furl_group_codes(tiles, first);
  const float *scales = x->scales + furl_group_scales(tiles, first);
  const int32_t zero = s == INT8_HALVED ? INT8_ZERO : zero_code(s);

  v16 total[8];
  UNROLL for (int g = 0; g < n; g++) total[g] = splat(0);
  size_t at_block = tile * matrix->blocks * FURL_TILE_ROWS;
  for (size_t t = 0; t < tiles; t++) {
    const uint8_t *here = weights + t * tile_bytes(s);
    fetch_ahead(n, x->count == 1, here, tile_bytes(s));
    UNROLL for (int half = 0; half < 2; half++, at_block += FURL_TILE_ROWS) {
      const int8_t *inputs = codes + t * FURL_TILE_COLUMNS * rows;
      v16i dot[8];
      int32_t sums[8] = {0};
      if (zero != 0) {
        UNROLL for (int g = 0; g < n; g++) sums[g] = half_sum(inputs + 4 * (4 * (size_t)half * rows + (size_t)g), rows);
      }
      start_dots(n, zero, sums, dot);
      if (s == INT8_HALVED) dot_int8(n, 4 * half, 4 * half + 4, here, inputs, rows, dot);
      else dot_int3(n, 4 * half, 4 * half + 4, here, inputs, rows, dot);
      v16 scale = block_scales(matrix, tile, at_block);
      UNROLL for (int g = 0; g < n; g++) {
        v16 part = __builtin_convertvector(dot[g], v16) * splat(scales[t * rows + (size_t)g]);
        total[g] = fma16(part, scale, total[g]);
      }
    }
  }
  UNROLL for (int g = 0; g < n; g++) put(total[g], matrix, output, first + (size_t)g, tile);
}

/// The usual groups have a number of rows that the compiler knows.
#define ANY_ROW_TILE_A8(row_tile, s, n, first)                                                              \
  do {                                                                                                      \
    size_t rows_ = furl_group_rows(x->count, first);                                                        \
    if (rows_ == (n)) row_tile(s, n, n, matrix, x, tile, first, output);                                    \
    else row_tile(s, n, rows_, matrix, x, tile, first, output);                                             \
  } while (0)
#define ROW_TILE_A8(s, n, first) ANY_ROW_TILE_A8(row_tile_a8, s, n, first)
#define INT8_A8(n, first) ROW_TILE_A8(INT8, n, first)
#define INT6_A8(n, first) ROW_TILE_A8(INT6, n, first)
#define INT6_MINIMUM_A8(n, first) ROW_TILE_A8(INT6_MINIMUM, n, first)
#define INT5_A8(n, first) ROW_TILE_A8(INT5, n, first)
#define INT5_MINIMUM_A8(n, first) ROW_TILE_A8(INT5_MINIMUM, n, first)
#define INT4_A8(n, first) ROW_TILE_A8(INT4, n, first)
#define INT4_MINIMUM_A8(n, first) ROW_TILE_A8(INT4_MINIMUM, n, first)
#define INT3_A8(n, first) ROW_TILE_A8(INT3, n, first)
#define INT3_MINIMUM_A8(n, first) ROW_TILE_A8(INT3_MINIMUM, n, first)
#define INT2_A8(n, first) ROW_TILE_A8(INT2, n, first)
#define INT2_MINIMUM_A8(n, first) ROW_TILE_A8(INT2_MINIMUM, n, first)
#define TABLE4_A8(n, first) ROW_TILE_A8(TABLE4, n, first)
#define NESTED8_A8(n, first) ROW_TILE_A8(NESTED8, n, first)
#define INT8_MINIMUM_A8(n, first) ROW_TILE_A8(INT8_MINIMUM, n, first)
#define INT8_HALVED_A8(n, first) ANY_ROW_TILE_A8(row_tile_halved_a8, INT8_HALVED, n, first)
#define INT3_HALVED_A8(n, first) ANY_ROW_TILE_A8(row_tile_halved_a8, INT3_HALVED, n, first)

MULTIPLY_IN(FOR_EACH_COUNT, int8_a8, INT8_A8, GROUP_A8)
MULTIPLY(int6_a8, INT6_A8, GROUP_A8)
MULTIPLY(int6_minimum_a8, INT6_MINIMUM_A8, GROUP_A8)
MULTIPLY(int5_a8, INT5_A8, GROUP_A8)
MULTIPLY(int5_minimum_a8, INT5_MINIMUM_A8, GROUP_A8)
MULTIPLY(int4_a8, INT4_A8, GROUP_A8)
MULTIPLY(int4_minimum_a8, INT4_MINIMUM_A8, GROUP_A8)
MULTIPLY(int3_a8, INT3_A8, GROUP_A8)
MULTIPLY(int3_minimum_a8, INT3_MINIMUM_A8, GROUP_A8)
MULTIPLY(int2_a8, INT2_A8, GROUP_A8)
MULTIPLY(int2_minimum_a8, INT2_MINIMUM_A8, GROUP_A8)
MULTIPLY(table4_a8, TABLE4_A8, GROUP_A8)
MULTIPLY_IN(FOR_EACH_COUNT, nested8_a8, NESTED8_A8, GROUP_A8)
MULTIPLY(int8_minimum_a8, INT8_MINIMUM_A8, GROUP_A8)
MULTIPLY(int8_halved_a8, INT8_HALVED_A8, GROUP_A8)
MULTIPLY(int3_halved_a8, INT3_HALVED_A8, GROUP_A8)
