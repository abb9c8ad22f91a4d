// Weights to codes, in the words of the header.

#include "../layout.h"
#include "scalar.h"

#include <string.h>

static float number_at(const furl_rows *rows, size_t row, size_t column) {
  size_t at = row * rows->stride + column;
  if (rows->type == FURL_FLOAT32) return ((const float *)rows->numbers)[at];
  float value;
  uint16_t bits = ((const uint16_t *)rows->numbers)[at];
  if (rows->type == FURL_FLOAT16) furl_floats_from_halves(&bits, 1, &value);
  else furl_floats_from_bfloats(&bits, 1, &value);
  return value;
}

static bool is_finite(float value) {
  return __builtin_fabsf(value) <= 0x1.fffffep127f;
}

static bool fits(uint16_t half) {
  return (half & 0x7c00) != 0x7c00;
}

/// x rounded to an integer, ties to even, and clamped.
static int code_in(float x, float lowest, float highest) {
  float clamped = x < lowest ? lowest : x > highest ? highest : x;
  return (int)(clamped + 0x1.8p23f - 0x1.8p23f);
}

// MARK: One block of one row

/// A scheme: the halves of a block, and the code of a value under them.
typedef struct coding {
  bool (*halves)(const furl_rows *rows, size_t row, size_t begin, size_t end, uint16_t *scale, uint16_t *minimum);
  int (*code)(float value, float scale, float minimum);
  int zero;
  bool nibbles;
} coding;

static bool int8_halves(
  const furl_rows *rows, size_t row, size_t begin, size_t end, uint16_t *scale, uint16_t *minimum)
{
  (void)minimum;
  float largest = 0;
  for (size_t c = begin; c < end; c++) {
    float magnitude = __builtin_fabsf(number_at(rows, row, c));
    if (magnitude > largest) largest = magnitude;
  }
  *scale = furl_half_from_float(largest / 127);
  return fits(*scale);
}

static int int8_code(float value, float scale, float minimum) {
  (void)minimum;
  return code_in(value / scale, -127, 127) + 128;
}

static bool int4_halves(
  const furl_rows *rows, size_t row, size_t begin, size_t end, uint16_t *scale, uint16_t *minimum)
{
  (void)minimum;
  float largest = 0;
  for (size_t c = begin; c < end; c++) {
    float value = number_at(rows, row, c);
    if (__builtin_fabsf(value) > __builtin_fabsf(largest)) largest = value;
  }
  *scale = furl_half_from_float(largest / -8);
  if ((*scale & 0x7fff) == 0) *scale = 0;
  return fits(*scale);
}

static int int4_code(float value, float scale, float minimum) {
  (void)minimum;
  return code_in(value / scale, -8, 7) + 8;
}

static bool int4_minimum_halves(
  const furl_rows *rows, size_t row, size_t begin, size_t end, uint16_t *scale, uint16_t *minimum)
{
  float least = number_at(rows, row, begin), largest = least;
  for (size_t c = begin; c < end; c++) {
    float value = number_at(rows, row, c);
    if (value < least) least = value;
    if (value > largest) largest = value;
  }
  // The difference of two finite floats may overflow; half of it cannot.
  *scale = furl_half_from_float((largest / 2 - least / 2) / 7.5f);
  *minimum = furl_half_from_float(least);
  return fits(*scale) && fits(*minimum);
}

static int int4_minimum_code(float value, float scale, float minimum) {
  return code_in((value - minimum) / scale, 0, 15);
}

// MARK: A row tile

static void put_code(const furl_row_tile *tile, bool nibbles, size_t row, size_t column, int code) {
  size_t c = column % FURL_TILE_COLUMNS, t = column / FURL_TILE_COLUMNS;
  uint8_t *codes = tile->codes;
  if (!nibbles) {
    codes[t * FURL_INT8_TILE + c / 4 * (FURL_TILE_ROWS * 4) + row * 4 + c % 4] = (uint8_t)code;
    return;
  }
  uint8_t *both = &codes[t * FURL_INT4_TILE + c % 16 / 4 * (FURL_TILE_ROWS * 4) + row * 4 + c % 4];
  *both = (uint8_t)(c < 16 ? (*both & 0xf0) | code : (*both & 0x0f) | code << 4);
}

static bool encode(const furl_rows *rows, const furl_row_tile *tile, const coding *coding) {
  size_t width = tile->column_tiles * FURL_TILE_COLUMNS, size = tile->block_tiles * FURL_TILE_COLUMNS;
  for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
    for (size_t b = 0; b < tile->blocks; b++) {
      size_t begin = b * size, end = begin + size < rows->columns ? begin + size : rows->columns;
      size_t last = begin + size < width ? begin + size : width;
      uint16_t scale = 0, minimum = 0;
      if (row < rows->rows) {
        for (size_t c = begin; c < end; c++) {
          if (!is_finite(number_at(rows, row, c))) return false;
        }
        if (!coding->halves(rows, row, begin, end, &scale, &minimum)) return false;
      }
      tile->scales[b * FURL_TILE_ROWS + row] = scale;
      if (tile->minimums != NULL) tile->minimums[b * FURL_TILE_ROWS + row] = minimum;
      float s = furl_float_from_half(scale), m = furl_float_from_half(minimum);
      for (size_t c = begin; c < last; c++) {
        bool has_code = row < rows->rows && c < end && s != 0;
        int code = has_code ? coding->code(number_at(rows, row, c), s, m) : coding->zero;
        put_code(tile, coding->nibbles, row, c, code);
      }
    }
  }
  return true;
}

bool furl_scalar_encode_int8(const furl_rows *rows, const furl_row_tile *tile) {
  return encode(rows, tile, &(coding){int8_halves, int8_code, 128, false});
}

bool furl_scalar_encode_int4(const furl_rows *rows, const furl_row_tile *tile) {
  return encode(rows, tile, &(coding){int4_halves, int4_code, 8, true});
}

bool furl_scalar_encode_int4_minimum(const furl_rows *rows, const furl_row_tile *tile) {
  return encode(rows, tile, &(coding){int4_minimum_halves, int4_minimum_code, 0, true});
}

bool furl_scalar_encode_float32(const furl_rows *rows, const furl_row_tile *tile) {
  float *codes = tile->codes;
  for (size_t c = 0; c < tile->column_tiles * FURL_TILE_COLUMNS; c++) {
    for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
      float value = row < rows->rows && c < rows->columns ? number_at(rows, row, c) : 0;
      if (!is_finite(value)) return false;
      codes[c * FURL_TILE_ROWS + row] = value;
    }
  }
  return true;
}
