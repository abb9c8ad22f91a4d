// Activations in BF16, and their products with weights where there are no tiles.

#pragma once

#include "bfloats.h"

// MARK: Activations

/// A row of activations as products read it: rounded, a tile of columns behind the other with those of the `rows` of its panel.
static void round_bfloats(const float *x, size_t columns, size_t rows, uint16_t *out) {
  for (size_t column = 0; column < columns; column += 16) {
    v16 values = load_first(x + column, columns - column < 16 ? columns - column : 16);
    values = rounded_to_bfloats(without_small(values, LEAST_BITS));
    v16h halves = __builtin_convertvector((v16u)values >> 16, v16h);
    memcpy(out + column / FURL_TILE_COLUMNS * rows * FURL_TILE_COLUMNS + column % FURL_TILE_COLUMNS, &halves, sizeof halves);
  }
  if ((columns + 15) / 16 % 2 == 0) return;
  size_t last = columns / FURL_TILE_COLUMNS;
  memset(out + last * rows * FURL_TILE_COLUMNS + 16, 0, 16 * sizeof *out);
}

// MARK: Products

typedef void (*unpack_weights)(const furl_matrix *matrix, size_t tile, size_t t, float *weights);

/// The weights of a tile as floats: [32 columns][16 rows].
INLINE void unpack_floats(const scheme s, const furl_matrix *matrix, size_t tile, size_t t, float *weights) {
  size_t place = tile * matrix->column_tiles + t;
  const uint8_t *codes = (const uint8_t *)matrix->codes + place * tile_bytes(s);
  column_scales scales = scales_of(s, matrix, tile, t, 0);
  // Loops as they stand: unrolled for every scheme they would be half a megabyte of the program, for a form that is read where
  // there are tiles.
  ROLLED for (int group = 0; group < 8; group++) {
    if (group == 4 && (s == INT8_HALVED || s == INT3_HALVED)) scales = scales_of(s, matrix, tile, t, 1);
    v16i four = tile_codes(s, matrix, codes, place, group);
    ROLLED for (int i = 0; i < 4; i++) {
      store(weights + (4 * group + i) * 16, rounded_to_bfloats(column_weights(s, matrix, &scales, four, i)));
    }
  }
}

/// A row's 32 columns of a tile as floats.
INLINE void spread_bfloats(const uint16_t *bfloats, float *x) {
  UNROLL for (int half = 0; half < 2; half++) store(x + 16 * half, load_numbers(FURL_BFLOAT16, bfloats, 16 * (size_t)half));
}

#define BFLOAT_ROWS 4

/// Adds the products of a tile to the totals of some rows.
static __attribute__((noinline)) void add_bfloats(
  size_t rows, const float *weights, const float (*x)[FURL_TILE_COLUMNS], v16 *total)
{
  for (size_t g = 0; g < rows; g++) {
    v16 even = splat(0), odd = splat(0);
    UNROLL for (int c = 0; c < FURL_TILE_COLUMNS; c += 2) {
      even = fma16(load(weights + 16 * c), splat(x[g][c]), even);
      odd = fma16(load(weights + 16 * c + 16), splat(x[g][c + 1]), odd);
    }
    total[g] += even + odd;
  }
}

static void multiply_bfloats(
  unpack_weights unpack, const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,
  const furl_output *output)
{
  const size_t tiles = matrix->column_tiles;
  float weights[FURL_TILE_ROWS * FURL_TILE_COLUMNS], values[BFLOAT_ROWS][FURL_TILE_COLUMNS];
  for (size_t tile = tile_begin; tile < last_tile(matrix, tile_end); tile++) {
    for (size_t first = 0; first < x->count; first += BFLOAT_ROWS) {
      size_t rows = x->count - first < BFLOAT_ROWS ? x->count - first : BFLOAT_ROWS;
      v16 total[BFLOAT_ROWS] = {0};
      for (size_t t = 0; t < tiles; t++) {
        unpack(matrix, tile, t, weights);
        for (size_t g = 0; g < rows; g++) {
          size_t row = first + g, stride = furl_panel_rows(x->count, row) * FURL_TILE_COLUMNS;
          spread_bfloats(x->bfloats + furl_panel_codes(tiles, row) + t * stride, values[g]);
        }
        add_bfloats(rows, weights, (const float (*)[FURL_TILE_COLUMNS])values, total);
      }
      for (size_t g = 0; g < rows; g++) put(total[g], matrix, output, first + g, tile);
    }
  }
}

#define MULTIPLY_BFLOATS(name, s)                                                                           \
  static void unpack_##name(const furl_matrix *matrix, size_t tile, size_t t, float *weights) {             \
    unpack_floats(s, matrix, tile, t, weights);                                                             \
  }                                                                                                         \
  static void name##_b16(                                                                                   \
    const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,               \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    multiply_bfloats(unpack_##name, matrix, x, tile_begin, tile_end, output);                               \
  }
