// Quantized weights times 8-bit activations. A tile's dot products are exact 32-bit integers; only their sum
// over the tiles is rounded, one fused multiply-add a tile, in the order of the columns.
//
// The tier defines, for n activations whose codes lie `stride` bytes apart, what is added to n x 16 sums:
//   dot_int8(n, tile, codes, stride, sums)   and says what it expects in the sums: INT8_ZERO,
//   dot_int4(n, tile, codes, stride, sums)   the zero point that it leaves in its weights.

#pragma once

#include "output.h"

INLINE void row_tile_a8(
  const scheme s, const int n, const furl_matrix *matrix, const furl_activations *x, size_t tile,
  size_t first, const furl_output *output)
{
  size_t tiles = matrix->column_tiles, stride = tiles * FURL_TILE_COLUMNS;
  const uint8_t *weights = (const uint8_t *)matrix->codes + tile * tiles * tile_bytes(s);
  const int8_t *codes = x->codes + first * stride;
  const float *scales = x->scales + first * tiles;
  const int32_t *sums = x->sums + first * tiles;
  const int32_t zero = s == INT8 ? INT8_ZERO : zero_code(s);

  v16 total[8];
  UNROLL for (int g = 0; g < n; g++) total[g] = splat(0);
  size_t at_block = tile * matrix->blocks * FURL_TILE_ROWS;
  for (size_t t = 0; t < tiles; at_block += FURL_TILE_ROWS) {
    v16 scale = floats_from_halves(matrix->scales + at_block);
    v16 minimum = s == INT4_MINIMUM ? floats_from_halves(matrix->minimums + at_block) : splat(0);
    for (size_t end = block_end(matrix, t); t < end; t++) {
      const uint8_t *here = weights + t * tile_bytes(s);
      fetch_ahead(n, here, tile_bytes(s));
      v16i dot[8];
      UNROLL for (int g = 0; g < n; g++) dot[g] = splat_int(-zero * sums[(size_t)g * tiles + t]);
      if (s == INT8) dot_int8(n, here, codes + t * FURL_TILE_COLUMNS, stride, dot);
      else dot_int4(n, here, codes + t * FURL_TILE_COLUMNS, stride, dot);
      UNROLL for (int g = 0; g < n; g++) {
        size_t at = (size_t)g * tiles + t;
        total[g] = fma16(__builtin_convertvector(dot[g], v16), scale * splat(scales[at]), total[g]);
        if (s == INT4_MINIMUM) total[g] = fma16(minimum, splat(scales[at] * (float)sums[at]), total[g]);
      }
    }
  }
  UNROLL for (int g = 0; g < n; g++) put(total[g], matrix, output, first + (size_t)g, tile);
}

#define INT8_A8(n, first) row_tile_a8(INT8, n, matrix, x, tile, first, output)
#define INT4_A8(n, first) row_tile_a8(INT4, n, matrix, x, tile, first, output)
#define INT4_MINIMUM_A8(n, first) row_tile_a8(INT4_MINIMUM, n, matrix, x, tile, first, output)

MULTIPLY(int8_a8, INT8_A8, GROUP_A8)
MULTIPLY(int4_a8, INT4_A8, GROUP_A8)
MULTIPLY(int4_minimum_a8, INT4_MINIMUM_A8, GROUP_A8)
