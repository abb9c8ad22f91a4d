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

static float clamped(float x, float lowest, float highest) {
  return x < lowest ? lowest : x > highest ? highest : x;
}

/// x rounded to an integer, ties to even, and clamped.
static int code_in(float x, float lowest, float highest) {
  return (int)(clamped(x, lowest, highest) + 0x1.8p23f - 0x1.8p23f);
}

int32_t furl_scalar_scale_code(float scale, float factor, int32_t low, int32_t high) {
  if (scale == 0 || factor == 0) return 0;
  int code = code_in(scale / factor, (float)low, (float)high);
  return code != 0 ? code : scale > 0 ? 1 : low < -1 ? -1 : low;
}

// MARK: One block of one row

/// A scheme.
typedef struct coding {
  int bits;
  int zero; // the code of zero
  bool has_minimum;
  const furl_grid *grid; // of a table, else NULL
  bool is_nested;
} coding;

static bool is_signed(const coding *k) {
  return k->grid != NULL ? k->grid->is_signed : k->bits != 8 && !k->has_minimum;
}

/// The scale and the minimum of a block before they are rounded.
static void extents(
  const coding *k, const furl_rows *rows, size_t row, size_t begin, size_t end, float *scale, float *minimum)
{
  float least = number_at(rows, row, begin), most = least, largest = 0;
  for (size_t c = begin; c < end; c++) {
    float value = number_at(rows, row, c);
    if (value < least) least = value;
    if (value > most) most = value;
    if (__builtin_fabsf(value) > __builtin_fabsf(largest)) largest = value;
  }
  *minimum = k->has_minimum ? least : 0;
  if (k->is_nested) {
    // The side that has one code more is that of the larger magnitude; the other one has to fit, too.
    float above = most > 0 ? most : 0, below = least < 0 ? -least : 0;
    float wide = above > below ? above : below, narrow = above > below ? below : above;
    float most_scale = wide / FURL_NESTED_LOW, other = narrow / FURL_NESTED_HIGH;
    if (other > most_scale) most_scale = other;
    *scale = above > below ? -most_scale : most_scale;
    return;
  }
  // The difference of two finite floats may overflow; half of it cannot.
  if (k->has_minimum) *scale = (most / 2 - least / 2) / ((float)((1 << k->bits) - 1) / 2);
  else if (k->bits == 8) *scale = __builtin_fabsf(largest) / 127;
  else if (k->grid == NULL) *scale = largest / (float)-k->zero;
  else *scale = is_signed(k) ? largest : __builtin_fabsf(largest);
}

/// Where zero is FURL_NESTED_ZERO.
static int whole_code(float value, float scale) {
  const int zero = FURL_NESTED_ZERO;
  if (scale == 0) return zero;
  float step = scale * FURL_NESTED_UNIT;
  return code_in(value / step, -(float)zero, 7 * FURL_NESTED_STEPS + 7) + zero;
}

/// The multiple of the steps next to a whole code.
static int first_code(int whole) {
  int first = (whole + FURL_NESTED_STEPS / 2 - 8) / FURL_NESTED_STEPS;
  return first < 0 ? 0 : first > 15 ? 15 : first;
}

static int code_of(const coding *k, float value, float scale, float minimum) {
  if (scale == 0) return k->zero;
  if (k->has_minimum) return code_in((value - minimum) / scale, 0, (float)((1 << k->bits) - 1));
  if (k->grid == NULL) {
    float highest = (float)(k->zero - 1);
    return code_in(value / scale, k->bits == 8 ? -highest : (float)-k->zero, highest) + k->zero;
  }
  int level = 0;
  for (int i = 0; i < 15; i++) if (value / scale > k->grid->bounds[i]) level = i + 1;
  return k->grid->codes[level];
}

// MARK: A row tile

/// The factors of a row whose scales get 8 bits.
static void find_factors(const coding *k, const furl_rows *rows, size_t row, const furl_row_tile *tile) {
  size_t size = tile->block_tiles * FURL_TILE_COLUMNS;
  float largest = 0, largest_minimum = 0;
  for (size_t b = 0; row < rows->rows && b < tile->blocks; b++) {
    float scale, minimum;
    extents(k, rows, row, b * size, b + 1 < tile->blocks ? (b + 1) * size : rows->columns, &scale, &minimum);
    if (__builtin_fabsf(scale) > largest) largest = __builtin_fabsf(scale);
    if (__builtin_fabsf(minimum) > largest_minimum) largest_minimum = __builtin_fabsf(minimum);
  }
  tile->factors[row] = largest / (is_signed(k) ? FURL_SIGNED_SCALE_STEPS : FURL_SCALE_STEPS);
  if (k->has_minimum) tile->minimum_factors[row] = largest_minimum / FURL_SIGNED_SCALE_STEPS;
}

/// Stores the scale and the minimum of a block and makes them what has been stored; false if a half cannot be that.
static bool store_scales(const coding *k, const furl_row_tile *tile, size_t row, size_t b, float *scale, float *minimum) {
  size_t at = b * FURL_TILE_ROWS + row;
  if (tile->scale_codes == NULL) {
    uint16_t half = furl_half_from_float(*scale);
    tile->scales[at] = (half & 0x7fff) == 0 ? 0 : half;
    *scale = furl_float_from_half(tile->scales[at]);
    if (!k->has_minimum) return fits(half);
    tile->minimums[at] = furl_half_from_float(*minimum);
    *minimum = furl_float_from_half(tile->minimums[at]);
    return fits(half) && fits(tile->minimums[at]);
  }
  int high = is_signed(k) ? FURL_SIGNED_SCALE_STEPS : FURL_SCALE_STEPS, low = is_signed(k) ? -high : 0;
  int code = furl_scalar_scale_code(*scale, tile->factors[row], low, high);
  tile->scale_codes[at] = (uint8_t)(code + (is_signed(k) ? 128 : 0));
  *scale = (float)code * tile->factors[row];
  if (!k->has_minimum) return true;
  code = furl_scalar_scale_code(
    *minimum, tile->minimum_factors[row], -FURL_SIGNED_SCALE_STEPS, FURL_SIGNED_SCALE_STEPS);
  tile->minimum_codes[at] = (uint8_t)(code + 128);
  *minimum = (float)code * tile->minimum_factors[row];
  return true;
}

static bool encode(const furl_rows *rows, const furl_row_tile *tile, const coding *k) {
  size_t width = tile->column_tiles * FURL_TILE_COLUMNS, size = tile->block_tiles * FURL_TILE_COLUMNS;
  size_t tile_bytes = FURL_INT8_TILE / 8 * (size_t)k->bits;
  memset(tile->codes, 0, tile->column_tiles * tile_bytes);
  if (k->is_nested) memset(tile->remainders, 0, tile->column_tiles * tile_bytes);
  for (size_t row = 0; row < rows->rows; row++) {
    for (size_t c = 0; c < rows->columns; c++) if (!is_finite(number_at(rows, row, c))) return false;
  }
  for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
    if (tile->scale_codes != NULL) find_factors(k, rows, row, tile);
    for (size_t b = 0; b < tile->blocks; b++) {
      size_t begin = b * size, end = b + 1 < tile->blocks ? begin + size : rows->columns;
      size_t last = b + 1 < tile->blocks ? begin + size : width;
      float scale = 0, minimum = 0;
      if (row < rows->rows) extents(k, rows, row, begin, end, &scale, &minimum);
      if (!store_scales(k, tile, row, b, &scale, &minimum)) return false;
      for (size_t c = begin; c < last; c++) {
        bool is_there = row < rows->rows && c < end;
        size_t start = c / FURL_TILE_COLUMNS * tile_bytes, column = c % FURL_TILE_COLUMNS;
        int code = k->zero;
        if (k->is_nested) {
          int whole = is_there ? whole_code(number_at(rows, row, c), scale) : FURL_NESTED_ZERO;
          code = first_code(whole);
          furl_put_code(tile->remainders + start, k->bits, row, column, (uint8_t)(whole - FURL_NESTED_STEPS * code));
        } else if (is_there) {
          code = code_of(k, number_at(rows, row, c), scale, minimum);
        }
        furl_put_code((uint8_t *)tile->codes + start, k->bits, row, column, (uint8_t)code);
      }
    }
  }
  return true;
}

#define ENCODE(name, ...)                                                                                   \
  bool furl_scalar_encode_##name(const furl_rows *rows, const furl_row_tile *tile) {                        \
    return encode(rows, tile, &(coding){__VA_ARGS__});                                                      \
  }

ENCODE(int8, 8, 128, false, NULL, false)
ENCODE(int6, 6, 32, false, NULL, false)
ENCODE(int6_minimum, 6, 0, true, NULL, false)
ENCODE(int5, 5, 16, false, NULL, false)
ENCODE(int5_minimum, 5, 0, true, NULL, false)
ENCODE(int4, 4, 8, false, NULL, false)
ENCODE(int4_minimum, 4, 0, true, NULL, false)
ENCODE(int3, 3, 4, false, NULL, false)
ENCODE(int3_minimum, 3, 0, true, NULL, false)
ENCODE(int2, 2, 2, false, NULL, false)
ENCODE(int2_minimum, 2, 0, true, NULL, false)
ENCODE(table4, 4, tile->grid->offset, false, tile->grid, false)
ENCODE(nested8, 4, 8, false, NULL, true)

bool furl_scalar_encode_bfloat16(const furl_rows *rows, const furl_row_tile *tile) {
  uint16_t *codes = tile->codes;
  for (size_t c = 0; c < tile->column_tiles * FURL_TILE_COLUMNS; c++) {
    for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
      float value = row < rows->rows && c < rows->columns ? number_at(rows, row, c) : 0;
      if (!is_finite(value)) return false;
      uint32_t bits;
      memcpy(&bits, &value, sizeof bits);
      // To the nearest, ties to even.
      bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
      if ((bits & 0x7fff) >= 0x7f80) return false;
      codes[c * FURL_TILE_ROWS + row] = (uint16_t)bits;
    }
  }
  return true;
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
