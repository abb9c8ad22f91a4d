// Products of weights and activations that are both rounded to BF16: what tiles of AMX multiply, and the same bits without
// them.
//
// A tile of 16 rows and 32 columns is summed as TDPBF16PS sums it, and then added to what the tiles before gave: columns with
// even and with odd numbers have sums of their own, in their order, each addition fused with its product. Nothing on the
// way is below the normal numbers, which those instructions take for zero: of weights and activations that are not zero the
// least are large enough.

#pragma once

#include "codes.h"
#include "numbers.h"

/// Scales, minimums and activations below it in magnitude are zero: 2^-40. Weights of what is left are multiples of 2^-70 in
/// BF16, activations of 2^-47, and sums of products of 2^-117.
#define LEAST_BITS 0x2b800000
/// The same of what a table and a scale give: 2^-64.
#define LEAST_WEIGHT_BITS 0x1f800000

INLINE v16 without_small(v16 x, const int32_t least) {
  return (v16)((v16i)x & (magnitude_bits(x) >= splat_int(least)));
}

// MARK: Weights

/// How the codes of some columns become weights: code * scale + base, or a table's value * scale.
typedef struct column_scales {
  v16 scale, base;
} column_scales;

/// Of the columns of a tile; of one half of it where blocks are halves.
INLINE column_scales scales_of(const scheme s, const furl_matrix *matrix, size_t tile, size_t t, const int half) {
  size_t block = matrix->is_halved ? 2 * t + (size_t)half : t / matrix->block_tiles;
  size_t at = (tile * matrix->blocks + block) * FURL_TILE_ROWS;
  v16 scale = without_small(block_scales(matrix, tile, at), LEAST_BITS);
  if (s == NESTED8) scale *= splat(matrix->unit);
  column_scales both = {scale, splat(0)};
  if (has_minimum(s)) both.base = without_small(block_minimums(matrix, tile, at), LEAST_BITS);
  // The product is exact: what is added to codes from zero on is that of codes without their zero.
  else if (s != TABLE4 && s != NESTED8) both.base = -(scale * splat((float)zero_code(s)));
  return both;
}

/// The weights of column 4 * group + i, of codes that have a byte each.
INLINE v16 column_weights(
  const scheme s, const furl_matrix *matrix, const column_scales *scales, v16i four, const int i)
{
  v16i code = (four >> (8 * i)) & splat_int(255);
  if (s == INT8_MINIMUM) code -= splat_int(128);
  if (s == NESTED8) code -= splat_int(FURL_NESTED_ZERO);
  if (s == TABLE4) return without_small(table_values(matrix->values, code) * scales->scale, LEAST_WEIGHT_BITS);
  return fma16(__builtin_convertvector(code, v16), scales->scale, scales->base);
}

/// Codes of four columns of a tile.
INLINE v16i tile_codes(const scheme s, const furl_matrix *matrix, const uint8_t *tile, size_t place, const int group) {
  if (s != NESTED8) return group_codes(s, tile, group);
  const uint8_t *remainders = matrix->remainders + place * tile_bytes(s);
  return group_codes(INT4, tile, group) * FURL_NESTED_STEPS + group_codes(INT4, remainders, group);
}

#define FOR_EACH_BFLOAT_SCHEME(each)                                                                        \
  each(int8, INT8) each(int8_minimum, INT8_MINIMUM) each(int8_halved, INT8_HALVED) each(int6, INT6)         \
  each(int6_minimum, INT6_MINIMUM) each(int5, INT5) each(int5_minimum, INT5_MINIMUM) each(int4, INT4)       \
  each(int4_minimum, INT4_MINIMUM) each(int3, INT3) each(int3_minimum, INT3_MINIMUM)                        \
  each(int3_halved, INT3_HALVED) each(int2, INT2) each(int2_minimum, INT2_MINIMUM) each(table4, TABLE4)     \
  each(nested8, NESTED8)
