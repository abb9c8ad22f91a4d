// Weights to codes, a row tile at a time. Lanes are 16 columns of one row while values are read, and the 16 rows
// of the tile while scales are computed. Everything is exact or rounded as in the scalar twin, so all tiers give
// the same bits.

#pragma once

#include "numbers.h"
#include "output.h"
#include "rounding.h"

// MARK: Reading

INLINE v16i lanes_below(size_t n) {
  return lane_index() < splat_int((int32_t)(n < 16 ? n : 16));
}

/// Integers in the order of the numbers, -0 before +0; applied twice, the bits again.
INLINE v16i order_keys(v16i bits) {
  return bits ^ ((bits >> 31) & splat_int(0x7fffffff));
}

/// The extremes of a row's columns: for int8 the bits of the largest magnitude, else keys of the ends.
INLINE void row_extremes(
  const scheme s, const furl_number type, const furl_rows *rows, size_t row, size_t begin, size_t end,
  int32_t *high, int32_t *low)
{
  v16i most = splat_int(s == INT8 ? 0 : INT32_MIN), least = splat_int(INT32_MAX);
  size_t at = row * rows->stride + begin, n = end - begin;
  for (; n >= 16; n -= 16, at += 16) {
    v16 x = load_numbers(type, rows->numbers, at);
    v16i keys = s == INT8 ? magnitude_bits(x) : order_keys((v16i)x);
    most = __builtin_elementwise_max(most, keys);
    if (s != INT8) least = __builtin_elementwise_min(least, keys);
  }
  if (n != 0) {
    v16 x = load_first_numbers(type, rows->numbers, at, n);
    v16i keys = s == INT8 ? magnitude_bits(x) : order_keys((v16i)x), is_there = lanes_below(n);
    most = __builtin_elementwise_max(most, (is_there & keys) | (~is_there & most));
    if (s != INT8) least = __builtin_elementwise_min(least, (is_there & keys) | (~is_there & least));
  }
  *high = __builtin_reduce_max(most);
  *low = s == INT8 ? 0 : __builtin_reduce_min(least);
}

// MARK: Scales

/// The first value of a row's columns whose magnitude has these bits.
INLINE float first_of_magnitude(
  const furl_number type, const furl_rows *rows, size_t row, size_t begin, size_t end, int32_t magnitude)
{
  for (size_t c = begin; c < end; c++) {
    float value = load_first_numbers(type, rows->numbers, row * rows->stride + c, 1)[0];
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) == magnitude) return value;
  }
  return 0;
}

INLINE bool any_lane(v16i mask) {
  return __builtin_reduce_or(mask) != 0;
}

/// Whether a scheme's scales have signs.
INLINE bool has_signed_scales(const scheme s, const furl_row_tile *out) {
  return s == TABLE4 ? out->grid->is_signed : s != INT8 && !has_minimum(s);
}

/// Scales and minimums of one block of 16 rows before they are rounded; false if a number is not finite.
INLINE bool block_extents(
  const scheme s, const furl_number type, const furl_rows *rows, const furl_row_tile *out, size_t begin, size_t end,
  v16 *scale, v16 *minimum)
{
  int32_t high[FURL_TILE_ROWS] = {0}, low[FURL_TILE_ROWS] = {0};
  for (size_t row = 0; row < rows->rows; row++) {
    row_extremes(s, type, rows, row, begin, end, &high[row], &low[row]);
  }
  v16i most, least;
  memcpy(&most, high, sizeof most);
  memcpy(&least, low, sizeof least);
  // Keys below zero are those of negative numbers: the complement is the magnitude.
  v16i positive = __builtin_elementwise_max(most, splat_int(0)), negative = ~least & (least >> 31);
  v16i magnitude = __builtin_elementwise_max(positive, negative);
  if (__builtin_reduce_max(magnitude) >= INFINITY_BITS) return false;
  *minimum = splat(0);
  if (s == INT8) {
    *scale = (v16)most / splat(127);
  } else if (has_minimum(s)) {
    v16 largest = (v16)order_keys(most), smallest = (v16)order_keys(least);
    // Zeros of both signs are equal: the first one is taken.
    v16i zero = (least == splat_int(0)) | (least == splat_int(-1));
    if (any_lane(zero)) {
      for (size_t row = 0; row < rows->rows; row++) {
        if (zero[row] != 0) smallest[row] = first_of_magnitude(type, rows, row, begin, end, 0);
      }
    }
    // The difference of two finite floats may overflow; half of it cannot.
    *scale = (largest / splat(2) - smallest / splat(2)) / splat((float)((1 << code_bits(s)) - 1) / 2);
    *minimum = smallest;
  } else if (s == NESTED8) {
    // The side that has one code more is that of the larger magnitude; the other one has to fit, too.
    v16i is_above = positive > negative;
    v16 wide = (v16)magnitude / splat(FURL_NESTED_LOW);
    v16 narrow = (v16)__builtin_elementwise_min(positive, negative) / splat(FURL_NESTED_HIGH);
    *scale = (v16)((v16i)select16(narrow > wide, narrow, wide) | (is_above & splat_int(INT32_MIN)));
  } else if (has_signed_scales(s, out)) {
    v16i sign = (positive < negative) & splat_int(INT32_MIN);
    v16i tie = (positive == negative) & (positive != splat_int(0));
    v16 largest = (v16)(magnitude | sign);
    if (any_lane(tie)) {
      for (size_t row = 0; row < rows->rows; row++) {
        if (tie[row] != 0) largest[row] = first_of_magnitude(type, rows, row, begin, end, magnitude[row]);
      }
    }
    *scale = s == TABLE4 ? largest : largest / splat((float)-zero_code(s));
  } else {
    *scale = (v16)magnitude;
  }
  return true;
}

/// Stores scales or minimums of a block and makes them what has been stored; false if a half cannot be that.
INLINE bool store_halves(v16 *numbers, const bool has_one_zero, uint16_t *halves) {
  halves_from_floats(*numbers, halves);
  uint32_t infinite = 0;
  for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
    if (has_one_zero && (halves[row] & 0x7fff) == 0) halves[row] = 0;
    infinite |= (halves[row] & 0x7c00) == 0x7c00;
  }
  *numbers = floats_from_halves(halves);
  return infinite == 0;
}

INLINE void store_codes(v16 *numbers, const float *factors, int32_t zero, int32_t high, uint8_t *codes) {
  v16 factor = load(factors), low = splat(zero == 0 ? 0 : (float)-high);
  v16 code = scale_multiples(*numbers, factor, low, splat((float)high));
  v16b bytes = __builtin_convertvector(__builtin_convertvector(code, v16i) + splat_int(zero), v16b);
  memcpy(codes, &bytes, sizeof bytes);
  *numbers = code * factor;
}

INLINE bool store_scales(const scheme s, const furl_row_tile *out, size_t block, v16 *scale, v16 *minimum) {
  size_t at = block * FURL_TILE_ROWS;
  if (out->scale_codes == NULL) {
    bool fits = store_halves(scale, true, out->scales + at);
    return has_minimum(s) ? store_halves(minimum, false, out->minimums + at) && fits : fits;
  }
  bool is_signed = has_signed_scales(s, out);
  store_codes(
    scale, out->factors, is_signed ? 128 : 0, is_signed ? FURL_SIGNED_SCALE_STEPS : FURL_SCALE_STEPS,
    out->scale_codes + at);
  if (has_minimum(s)) {
    store_codes(minimum, out->minimum_factors, 128, FURL_SIGNED_SCALE_STEPS, out->minimum_codes + at);
  }
  return true;
}

/// Where a block ends.
INLINE size_t end_column(const furl_rows *rows, const furl_row_tile *out, size_t block) {
  size_t end = (block + 1) * out->block_tiles * FURL_TILE_COLUMNS;
  return block + 1 < out->blocks ? end : rows->columns;
}

/// The factors of 16 rows' scales; false if a number is not finite.
INLINE bool find_factors(
  const scheme s, const furl_number type, const furl_rows *rows, const furl_row_tile *out)
{
  v16 scales = splat(0), minimums = splat(0);
  for (size_t block = 0; block < out->blocks; block++) {
    v16 scale, minimum;
    size_t begin = block * out->block_tiles * FURL_TILE_COLUMNS;
    if (!block_extents(s, type, rows, out, begin, end_column(rows, out, block), &scale, &minimum)) return false;
    scale = (v16)magnitude_bits(scale);
    minimum = (v16)magnitude_bits(minimum);
    scales = select16(scale > scales, scale, scales);
    minimums = select16(minimum > minimums, minimum, minimums);
  }
  float steps = has_signed_scales(s, out) ? FURL_SIGNED_SCALE_STEPS : FURL_SCALE_STEPS;
  store(out->factors, scales / splat(steps));
  if (has_minimum(s)) store(out->minimum_factors, minimums / splat(FURL_SIGNED_SCALE_STEPS));
  return true;
}

// MARK: Codes

INLINE v16i weight_codes(const scheme s, const furl_grid *grid, v16 x, v16 scale, v16 minimum) {
  if (s == TABLE4) {
    v16 value = x / scale;
    v16i code = splat_int(grid->codes[0]);
    UNROLL for (int i = 0; i < 15; i++) {
      code = select16_int(value > splat(grid->bounds[i]), splat_int(grid->codes[i + 1]), code);
    }
    return code;
  }
  if (has_minimum(s)) {
    v16 steps = (x - minimum) / scale, top = splat((float)((1 << code_bits(s)) - 1));
    steps = select16(steps < splat(0), splat(0), steps);
    steps = select16(steps > top, top, steps);
    return (v16i)(steps + splat(0x1.8p23f)) - splat_int(0x4b400000);
  }
  // A stored scale is at least two thirds of what it was before rounding, so steps are small integers.
  v16i codes = (v16i)(x / scale + splat(0x1.8p23f)) - splat_int(0x4b400000);
  codes = __builtin_elementwise_max(codes, splat_int(s == INT8 ? -127 : -zero_code(s)));
  codes = __builtin_elementwise_min(codes, splat_int(zero_code(s) - 1));
  return codes + splat_int(zero_code(s));
}

/// The codes of a plane of nested8, and then the remainders.
INLINE void nested_codes(v16 x, v16 scale, v16i *first, v16i *rest) {
  v16i whole = (v16i)(x / (scale * splat(FURL_NESTED_UNIT)) + splat(0x1.8p23f)) - splat_int(0x4b400000 - FURL_NESTED_ZERO);
  whole = __builtin_elementwise_max(whole, splat_int(0));
  whole = __builtin_elementwise_min(whole, splat_int(15 * FURL_NESTED_STEPS + 15));
  v16i near = (whole + splat_int(FURL_NESTED_STEPS / 2 - 8)) / FURL_NESTED_STEPS;
  near = __builtin_elementwise_min(__builtin_elementwise_max(near, splat_int(0)), splat_int(15));
  *first = near;
  *rest = whole - near * FURL_NESTED_STEPS;
}

/// The same of nibbles with one or two bits more, which lie behind them.
INLINE void put_wide_codes(const scheme s, v16b first, v16b second, uint8_t *tile) {
  uint8_t bytes[32], low[16];
  v16b nibbles = (first & 15) | (second << 4);
  memcpy(low, &nibbles, sizeof low);
  memcpy(bytes, &first, 16);
  memcpy(bytes + 16, &second, 16);
  UNROLL for (int group = 0; group < 4; group++) memcpy(tile + 4 * FURL_TILE_ROWS * group, low + 4 * group, 4);
  uint32_t four[8], high[2] = {0, 0};
  memcpy(four, bytes, sizeof four);
  UNROLL for (int group = 0; group < 8; group++) {
    if (code_bits(s) == 5) high[0] |= (four[group] >> 4 & 0x01010101) << group;
    else high[group % 2] |= (four[group] >> 4 & 0x03030303) << group / 2 * 2;
  }
  uint8_t *above = tile + tile_bytes(INT4);
  memcpy(above, &high[0], 4);
  if (code_bits(s) == 6) memcpy(above + 4 * FURL_TILE_ROWS, &high[1], 4);
}

/// Writes a row's 32 codes in the order of the kernels; `tile` is the row's first byte in it.
INLINE void put_codes(const scheme s, v16b first, v16b second, uint8_t *tile) {
  if (is_wide(s)) return put_wide_codes(s, first, second, tile);
  uint8_t bytes[32];
  if (code_bits(s) == 4) first |= second << 4;
  memcpy(bytes, &first, 16);
  memcpy(bytes + 16, &second, 16);
  if (code_bits(s) >= 4) {
    UNROLL for (int group = 0; group < code_bits(s); group++) {
      memcpy(tile + 4 * FURL_TILE_ROWS * group, bytes + 4 * group, 4);
    }
    return;
  }
  // Four columns of the row at once, a byte for each.
  uint32_t four[8], low[2] = {0, 0}, thirds = 0;
  memcpy(four, bytes, sizeof four);
  UNROLL for (int group = 0; group < 8; group++) {
    low[group % 2] |= (four[group] & 0x03030303) << group / 2 * 2;
    thirds |= (four[group] >> 2 & 0x01010101) << group;
  }
  memcpy(tile, &low[0], 4);
  memcpy(tile + 4 * FURL_TILE_ROWS, &low[1], 4);
  if (code_bits(s) == 3) memcpy(tile + 8 * FURL_TILE_ROWS, &thirds, 4);
}

/// The code that rows and columns beside the matrix have.
INLINE int32_t padding_code(const scheme s, const furl_row_tile *out) {
  return s == TABLE4 ? out->grid->offset : zero_code(s);
}

/// A row's 32 codes of both planes; `tile` and `remainders` are its first bytes in them.
INLINE void encode_nested_row(
  const furl_number type, const furl_rows *rows, size_t row, size_t column, float scale, uint8_t *tile,
  uint8_t *remainders)
{
  size_t at = row * rows->stride + column, n = rows->columns - column;
  v16i a = splat_int(zero_code(NESTED8)), b = a, c = a, d = a;
  if (scale != 0) {
    nested_codes(load_first_numbers(type, rows->numbers, at, n), splat(scale), &a, &c);
    if (n > 16) nested_codes(load_first_numbers(type, rows->numbers, at + 16, n - 16), splat(scale), &b, &d);
  }
  put_codes(INT4, __builtin_convertvector(a, v16b), __builtin_convertvector(b, v16b), tile);
  put_codes(INT4, __builtin_convertvector(c, v16b), __builtin_convertvector(d, v16b), remainders);
}

INLINE void encode_row(
  const scheme s, const furl_number type, const furl_rows *rows, const furl_row_tile *out, size_t row, size_t column,
  float scale, float minimum, uint8_t *tile)
{
  size_t at = row * rows->stride + column, n = rows->columns - column;
  v16i a = splat_int(padding_code(s, out)), b = a;
  if (scale != 0) {
    v16 x = load_first_numbers(type, rows->numbers, at, n);
    v16 y = n > 16 ? load_first_numbers(type, rows->numbers, at + 16, n - 16) : splat(0);
    a = weight_codes(s, out->grid, x, splat(scale), splat(minimum));
    b = weight_codes(s, out->grid, y, splat(scale), splat(minimum));
    // In the other schemes a value of zero has the code of zero.
    if (has_minimum(s) && n < 32) {
      a &= lanes_below(n);
      b &= lanes_below(n > 16 ? n - 16 : 0);
    }
  }
  put_codes(s, __builtin_convertvector(a, v16b), __builtin_convertvector(b, v16b), tile + 4 * row);
}

/// One block of column tiles. `tiles` is a constant where blocks have one tile.
INLINE bool encode_block(
  const scheme s, const furl_number type, const furl_rows *rows, const furl_row_tile *out, size_t block,
  const size_t tiles)
{
  size_t begin = block * tiles * FURL_TILE_COLUMNS, end = begin + tiles * FURL_TILE_COLUMNS;
  size_t last_tile = block * tiles + tiles < out->column_tiles ? block * tiles + tiles : out->column_tiles;
  if (end > rows->columns) end = rows->columns;
  v16 scale, minimum;
  if (!block_extents(s, type, rows, out, begin, end, &scale, &minimum)) return false;
  if (!store_scales(s, out, block, &scale, &minimum)) return false;
  float scale_of[FURL_TILE_ROWS], minimum_of[FURL_TILE_ROWS];
  store(scale_of, scale);
  store(minimum_of, minimum);
  for (size_t row = 0; row < rows->rows; row++) {
    for (size_t t = block * tiles; t < last_tile; t++) {
      uint8_t *tile = (uint8_t *)out->codes + t * tile_bytes(s);
      if (s == NESTED8) {
        uint8_t *rest = out->remainders + t * tile_bytes(s) + 4 * row;
        encode_nested_row(type, rows, row, t * FURL_TILE_COLUMNS, scale_of[row], tile + 4 * row, rest);
        continue;
      }
      encode_row(s, type, rows, out, row, t * FURL_TILE_COLUMNS, scale_of[row], minimum_of[row], tile);
    }
  }
  return true;
}

INLINE void clear_tiles(const scheme s, const furl_row_tile *out) {
  int32_t zero = padding_code(s, out);
  size_t low = code_bits(s) == 3 ? tile_bytes(INT2) : is_wide(s) ? tile_bytes(INT4) : tile_bytes(s);
  int byte = code_bits(s) == 8 ? zero : code_bits(s) >= 4 ? (zero & 15) * 0x11 : (zero & 3) * 0x55;
  int above = code_bits(s) == 6 ? (zero >> 4) * 0x55 : zero >> (code_bits(s) == 5 ? 4 : 2) ? 0xff : 0;
  for (size_t t = 0; t < out->column_tiles; t++) {
    uint8_t *tile = (uint8_t *)out->codes + t * tile_bytes(s);
    memset(tile, byte, low);
    memset(tile + low, above, tile_bytes(s) - low);
    if (s == NESTED8) memset(out->remainders + t * tile_bytes(s), byte, tile_bytes(s));
  }
}

INLINE bool encode_numbers(
  const scheme s, const furl_number type, const furl_rows *rows, const furl_row_tile *out)
{
  if (rows->rows < FURL_TILE_ROWS) clear_tiles(s, out);
  if (out->scale_codes != NULL && !find_factors(s, type, rows, out)) return false;
  for (size_t block = 0; block < out->blocks; block++) {
    bool fits = out->block_tiles == 1 ? encode_block(s, type, rows, out, block, 1)
                                      : encode_block(s, type, rows, out, block, out->block_tiles);
    if (!fits) return false;
  }
  return true;
}

// MARK: Every scheme and type

#define ENCODE(name, body)                                                                                  \
  static bool name(const furl_rows *rows, const furl_row_tile *tile) {                                      \
    switch (rows->type) {                                                                                   \
    case FURL_FLOAT32: return body(FURL_FLOAT32);                                                           \
    case FURL_FLOAT16: return body(FURL_FLOAT16);                                                           \
    case FURL_BFLOAT16: return body(FURL_BFLOAT16);                                                         \
    }                                                                                                       \
    return false;                                                                                           \
  }

#define ENCODE_FLOAT32(type) copy_numbers(type, FURL_FLOAT32, rows, tile)
#define ENCODE_BFLOAT16(type) copy_numbers(type, FURL_BFLOAT16, rows, tile)
#define ENCODE_INT8(type) encode_numbers(INT8, type, rows, tile)
#define ENCODE_INT6(type) encode_numbers(INT6, type, rows, tile)
#define ENCODE_INT6_MINIMUM(type) encode_numbers(INT6_MINIMUM, type, rows, tile)
#define ENCODE_INT5(type) encode_numbers(INT5, type, rows, tile)
#define ENCODE_INT5_MINIMUM(type) encode_numbers(INT5_MINIMUM, type, rows, tile)
#define ENCODE_INT4(type) encode_numbers(INT4, type, rows, tile)
#define ENCODE_INT4_MINIMUM(type) encode_numbers(INT4_MINIMUM, type, rows, tile)
#define ENCODE_INT3(type) encode_numbers(INT3, type, rows, tile)
#define ENCODE_INT3_MINIMUM(type) encode_numbers(INT3_MINIMUM, type, rows, tile)
#define ENCODE_INT2(type) encode_numbers(INT2, type, rows, tile)
#define ENCODE_INT2_MINIMUM(type) encode_numbers(INT2_MINIMUM, type, rows, tile)
#define ENCODE_TABLE4(type) encode_numbers(TABLE4, type, rows, tile)
#define ENCODE_NESTED8(type) encode_numbers(NESTED8, type, rows, tile)

ENCODE(encode_float32, ENCODE_FLOAT32)
ENCODE(encode_bfloat16, ENCODE_BFLOAT16)
ENCODE(encode_int8, ENCODE_INT8)
ENCODE(encode_int6, ENCODE_INT6)
ENCODE(encode_int6_minimum, ENCODE_INT6_MINIMUM)
ENCODE(encode_int5, ENCODE_INT5)
ENCODE(encode_int5_minimum, ENCODE_INT5_MINIMUM)
ENCODE(encode_int4, ENCODE_INT4)
ENCODE(encode_int4_minimum, ENCODE_INT4_MINIMUM)
ENCODE(encode_int3, ENCODE_INT3)
ENCODE(encode_int3_minimum, ENCODE_INT3_MINIMUM)
ENCODE(encode_int2, ENCODE_INT2)
ENCODE(encode_int2_minimum, ENCODE_INT2_MINIMUM)
ENCODE(encode_table4, ENCODE_TABLE4)
ENCODE(encode_nested8, ENCODE_NESTED8)
