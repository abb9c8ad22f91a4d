// Weights that are numbers and not codes: as files have them, and as tiles keep them.

#pragma once

#include "rounding.h"

typedef uint16_t v16h __attribute__((vector_size(32)));

// MARK: Reading

INLINE v16 load_numbers(const furl_number type, const void *numbers, size_t at) {
  if (type == FURL_FLOAT32) return load((const float *)numbers + at);
  const uint16_t *halves = (const uint16_t *)numbers + at;
  if (type == FURL_FLOAT16) return floats_from_halves(halves);
  v16h h;
  memcpy(&h, halves, sizeof h);
  return (v16)(__builtin_convertvector(h, v16u) << 16);
}

/// The first n of 16 lanes; the others are zero, and nothing of them is read.
INLINE v16 load_first_numbers(const furl_number type, const void *numbers, size_t at, size_t n) {
  if (n >= 16) return load_numbers(type, numbers, at);
  size_t size = type == FURL_FLOAT32 ? 4 : 2;
  char padded[64] = {0};
  memcpy(padded, (const char *)numbers + at * size, n * size);
  return load_numbers(type, padded, 0);
}

// MARK: Writing

/// The BF16 numbers nearest to floats, as floats; ties to even. What is no number stays none.
INLINE v16 rounded_to_bfloats(v16 x) {
  v16i bits = (v16i)x;
  v16i is_number = magnitude_bits(x) < splat_int(INFINITY_BITS);
  v16i rounded = (bits + splat_int(0x7fff) + ((bits >> 16) & splat_int(1))) & splat_int(~0xffff);
  // With one more bit, in the upper half: else what is no number could become infinity.
  v16i none = bits | ((magnitude_bits(x) > splat_int(INFINITY_BITS)) & splat_int(0x400000));
  return (v16)((rounded & is_number) | (none & ~is_number));
}

/// Numbers as `stored` has them, [32 columns][16 rows] in each tile: floats as they are, or the upper halves of what they are
/// rounded to, which BF16 already is. What is not finite then is no weight.
INLINE bool copy_numbers(
  const furl_number type, const furl_number stored, const furl_rows *rows, const furl_row_tile *out)
{
  const size_t size = stored == FURL_FLOAT32 ? sizeof(float) : sizeof(uint16_t);
  v16i largest = splat_int(0);
  if (rows->rows < FURL_TILE_ROWS) {
    memset(out->codes, 0, out->column_tiles * FURL_TILE_ROWS * FURL_TILE_COLUMNS * size);
  }
  for (size_t t = 0; t < out->column_tiles; t++) {
    size_t column = t * FURL_TILE_COLUMNS, n = rows->columns - column;
    float *floats = (float *)out->codes + t * FURL_TILE_ROWS * FURL_TILE_COLUMNS;
    uint16_t *bfloats = (uint16_t *)out->codes + t * FURL_TILE_ROWS * FURL_TILE_COLUMNS;
    for (size_t row = 0; row < rows->rows; row++) {
      size_t at = row * rows->stride + column;
      v16 x = load_first_numbers(type, rows->numbers, at, n);
      v16 y = n > 16 ? load_first_numbers(type, rows->numbers, at + 16, n - 16) : splat(0);
      if (stored == FURL_BFLOAT16) x = rounded_to_bfloats(x), y = rounded_to_bfloats(y);
      v16i magnitude = __builtin_elementwise_max(magnitude_bits(x), magnitude_bits(y));
      largest = __builtin_elementwise_max(largest, magnitude);
      float values[FURL_TILE_COLUMNS];
      store(values, x);
      store(values + 16, y);
      UNROLL for (size_t c = 0; c < FURL_TILE_COLUMNS; c++) {
        size_t place = c * FURL_TILE_ROWS + row;
        if (stored == FURL_FLOAT32) floats[place] = values[c];
        else memcpy(bfloats + place, (const char *)(values + c) + 2, sizeof *bfloats); // little-endian
      }
    }
  }
  return __builtin_reduce_max(largest) < INFINITY_BITS;
}
