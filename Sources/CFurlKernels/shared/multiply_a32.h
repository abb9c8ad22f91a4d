// Weights times 32-bit activations. Sums are kept apart by column mod 4, so that at one row of activations no
// addition waits for the one before; they are joined in one fixed order.

#pragma once

#include "codes.h"
#include "numbers.h"

INLINE v16 joined(const v16 part[4]) {
  return (part[0] + part[1]) + (part[2] + part[3]);
}

// MARK: Numbers

/// Weights that are floats or BF16 numbers, laid out as [columns][16 rows]. The sums of the latter are those of the floats that
/// they stand for.
INLINE void row_tile_numbers(
  const furl_number type, const int n, const furl_matrix *matrix, const furl_activations *x, size_t tile,
  size_t first, const furl_output *output)
{
  const size_t size = type == FURL_FLOAT32 ? sizeof(float) : sizeof(uint16_t);
  size_t columns = matrix->column_tiles * FURL_TILE_COLUMNS;
  const char *rows = (const char *)matrix->codes + tile * columns * FURL_TILE_ROWS * size;
  const float *values = x->values + first * columns;
  v16 part[8][4];
  UNROLL for (int g = 0; g < n; g++) {
    UNROLL for (int i = 0; i < 4; i++) part[g][i] = splat(0);
  }
  for (size_t c = 0; c < columns; c += 4) {
    fetch_ahead(n, type != FURL_FLOAT32, rows + c * FURL_TILE_ROWS * size, 4 * FURL_TILE_ROWS * size);
    UNROLL for (int i = 0; i < 4; i++) {
      v16 w = load_numbers(type, rows, (c + (size_t)i) * FURL_TILE_ROWS);
      UNROLL for (int g = 0; g < n; g++) {
        part[g][i] = fma16(w, splat(values[(size_t)g * columns + c + (size_t)i]), part[g][i]);
      }
    }
  }
  UNROLL for (int g = 0; g < n; g++) put(joined(part[g]), matrix, output, first + (size_t)g, tile);
}

#define FLOAT32(n, first) row_tile_numbers(FURL_FLOAT32, n, matrix, x, tile, first, output)

#define BFLOAT16(n, first) row_tile_numbers(FURL_BFLOAT16, n, matrix, x, tile, first, output)

MULTIPLY(float32, FLOAT32, GROUP_A32)
MULTIPLY(bfloat16, BFLOAT16, GROUP_A32)

// MARK: Quantized

/// Byte i of each lane, less the code for zero, as a float. Flipping the top bit turns code + 128 (or, in a
/// nibble, code + 8) into two's complement, which one pair of shifts extends.
INLINE v16 codes_in_byte(v16i four, const int i) {
  return __builtin_convertvector((four << (24 - 8 * i)) >> 24, v16);
}

INLINE v16 codes_in_nibble(const scheme s, v16i eight, const int i) {
  if (s == INT4) return __builtin_convertvector((eight << (28 - 4 * i)) >> 28, v16);
  return __builtin_convertvector((eight >> (4 * i)) & splat_int(15), v16);
}

/// Of groups of four columns, as the next but one.
INLINE void add_tile_int8(
  const int n, const int from, const int to, const uint8_t *weights, const float *x, size_t stride, v16 part[][4])
{
  UNROLL_TILE for (int j = from; j < to; j++) {
    v16i four = load_codes(weights + 64 * j) ^ splat_int((int32_t)0x80808080);
    UNROLL for (int i = 0; i < 4; i++) {
      v16 w = codes_in_byte(four, i);
      UNROLL for (int g = 0; g < n; g++) {
        part[g][i] = fma16(w, splat(x[(size_t)g * stride + (size_t)(4 * j + i)]), part[g][i]);
      }
    }
  }
}

INLINE void add_tile_int4(
  const scheme s, const int n, const uint8_t *weights, const float *x, size_t stride, v16 part[][4])
{
  UNROLL_TILE for (int j = 0; j < 4; j++) {
    v16i eight = load_codes(weights + 64 * j);
    if (s == INT4) eight ^= splat_int((int32_t)0x88888888);
    UNROLL for (int i = 0; i < 8; i++) {
      v16 w = codes_in_nibble(s, eight, i);
      size_t column = (size_t)(i % 2 * 16 + 4 * j + i / 2);
      UNROLL for (int g = 0; g < n; g++) {
        part[g][i / 2] = fma16(w, splat(x[(size_t)g * stride + column]), part[g][i / 2]);
      }
    }
  }
}

/// Of codes that are no whole bytes or nibbles, and of tables.
INLINE void add_tile_groups(
  const scheme s, const int n, const int from, const int to, const uint8_t *tile, const float *values, const float *x,
  size_t stride, v16 part[][4])
{
  UNROLL_TILE for (int j = from; j < to; j++) {
    v16i four = group_codes(s, tile, j);
    UNROLL for (int i = 0; i < 4; i++) {
      v16i code = (four >> (8 * i)) & splat_int(63);
      v16 w = s == TABLE4 ? table_values(values, code)
                          : __builtin_convertvector(code - splat_int(zero_code(s)), v16);
      UNROLL for (int g = 0; g < n; g++) {
        part[g][i] = fma16(w, splat(x[(size_t)g * stride + (size_t)(4 * j + i)]), part[g][i]);
      }
    }
  }
}

/// Of both planes of nested8: a byte of a lane is a whole code.
INLINE void add_tile_nested8(
  const int n, const uint8_t *tile, const uint8_t *remainders, const float *x, size_t stride, v16 part[][4])
{
  const v16i nibbles = splat_int(0x0f0f0f0f);
  UNROLL_TILE for (int j = 0; j < 8; j++) {
    v16i first = (load_codes(tile + 64 * (j % 4)) >> (j / 4 * 4)) & nibbles;
    v16i four = first * FURL_NESTED_STEPS + ((load_codes(remainders + 64 * (j % 4)) >> (j / 4 * 4)) & nibbles);
    UNROLL for (int i = 0; i < 4; i++) {
      v16 w = __builtin_convertvector(((four >> (8 * i)) & splat_int(255)) - splat_int(FURL_NESTED_ZERO), v16);
      UNROLL for (int g = 0; g < n; g++) {
        part[g][i] = fma16(w, splat(x[(size_t)g * stride + (size_t)(4 * j + i)]), part[g][i]);
      }
    }
  }
}

INLINE void row_tile_a32(
  const scheme s, const int n, const furl_matrix *matrix, const furl_activations *x, size_t tile,
  size_t first, const furl_output *output)
{
  size_t stride = matrix->column_tiles * FURL_TILE_COLUMNS;
  const uint8_t *weights = (const uint8_t *)matrix->codes + tile * matrix->column_tiles * tile_bytes(s);
  const uint8_t *rest = s == NESTED8 ? matrix->remainders + tile * matrix->column_tiles * tile_bytes(s) : weights;
  const float *values = x->values + first * stride;

  v16 total[8];
  UNROLL for (int g = 0; g < n; g++) total[g] = splat(0);
  size_t at_block = tile * matrix->blocks * FURL_TILE_ROWS;
  for (size_t t = 0; t < matrix->column_tiles; at_block += FURL_TILE_ROWS) {
    v16 part[8][4], plain[8];
    UNROLL for (int g = 0; g < n; g++) {
      UNROLL for (int i = 0; i < 4; i++) part[g][i] = splat(0);
      plain[g] = splat(0);
    }
    for (size_t end = block_end(matrix, t); t < end; t++) {
      const float *here = values + t * FURL_TILE_COLUMNS;
      const uint8_t *codes = weights + t * tile_bytes(s);
      // Unpacking to floats takes longest of all; only bytes are as fast without help.
      fetch_ahead(n, x->count == 1 && code_bits(s) < 8, codes, tile_bytes(s));
      if (has_bytes(s)) add_tile_int8(n, 0, 8, codes, here, stride, part);
      else if (s == NESTED8) add_tile_nested8(n, codes, rest + t * tile_bytes(s), here, stride, part);
      else if (s == INT4 || s == INT4_MINIMUM) add_tile_int4(s, n, codes, here, stride, part);
      else add_tile_groups(s, n, 0, 8, codes, matrix->values, here, stride, part);
      if (!has_minimum(s)) continue;
      UNROLL for (int g = 0; g < n; g++) {
        plain[g] += load(here + (size_t)g * stride) + load(here + (size_t)g * stride + 16);
      }
    }
    v16 scale = block_scales(matrix, tile, at_block);
    UNROLL for (int g = 0; g < n; g++) total[g] = fma16(joined(part[g]), scale, total[g]);
    if (!has_minimum(s)) continue;
    v16 minimum = block_minimums(matrix, tile, at_block);
    UNROLL for (int g = 0; g < n; g++) total[g] = fma16(splat(sum_of_lanes(plain[g])), minimum, total[g]);
  }
  if (s == NESTED8) {
    UNROLL for (int g = 0; g < n; g++) total[g] *= splat(matrix->unit);
  }
  UNROLL for (int g = 0; g < n; g++) put(total[g], matrix, output, first + (size_t)g, tile);
}

/// The same with a scale for each half of a tile.
INLINE void row_tile_halved_a32(
  const scheme s, const int n, const furl_matrix *matrix, const furl_activations *x, size_t tile,
  size_t first, const furl_output *output)
{
  size_t stride = matrix->column_tiles * FURL_TILE_COLUMNS;
  const uint8_t *weights = (const uint8_t *)matrix->codes + tile * matrix->column_tiles * tile_bytes(s);
  const float *values = x->values + first * stride;

  v16 total[8];
  UNROLL for (int g = 0; g < n; g++) total[g] = splat(0);
  size_t at_block = tile * matrix->blocks * FURL_TILE_ROWS;
  for (size_t t = 0; t < matrix->column_tiles; t++) {
    const uint8_t *codes = weights + t * tile_bytes(s);
    const float *here = values + t * FURL_TILE_COLUMNS;
    fetch_ahead(n, x->count == 1 && code_bits(s) < 8, codes, tile_bytes(s));
    UNROLL for (int half = 0; half < 2; half++, at_block += FURL_TILE_ROWS) {
      v16 part[8][4];
      UNROLL for (int g = 0; g < n; g++) {
        UNROLL for (int i = 0; i < 4; i++) part[g][i] = splat(0);
      }
      if (has_bytes(s)) add_tile_int8(n, 4 * half, 4 * half + 4, codes, here, stride, part);
      else add_tile_groups(s, n, 4 * half, 4 * half + 4, codes, matrix->values, here, stride, part);
      v16 scale = block_scales(matrix, tile, at_block);
      UNROLL for (int g = 0; g < n; g++) total[g] = fma16(joined(part[g]), scale, total[g]);
    }
  }
  UNROLL for (int g = 0; g < n; g++) put(total[g], matrix, output, first + (size_t)g, tile);
}

#define INT8_A32(n, first) row_tile_a32(INT8, n, matrix, x, tile, first, output)
#define INT6_A32(n, first) row_tile_a32(INT6, n, matrix, x, tile, first, output)
#define INT6_MINIMUM_A32(n, first) row_tile_a32(INT6_MINIMUM, n, matrix, x, tile, first, output)
#define INT5_A32(n, first) row_tile_a32(INT5, n, matrix, x, tile, first, output)
#define INT5_MINIMUM_A32(n, first) row_tile_a32(INT5_MINIMUM, n, matrix, x, tile, first, output)
#define INT4_A32(n, first) row_tile_a32(INT4, n, matrix, x, tile, first, output)
#define INT4_MINIMUM_A32(n, first) row_tile_a32(INT4_MINIMUM, n, matrix, x, tile, first, output)
#define INT3_A32(n, first) row_tile_a32(INT3, n, matrix, x, tile, first, output)
#define INT3_MINIMUM_A32(n, first) row_tile_a32(INT3_MINIMUM, n, matrix, x, tile, first, output)
#define INT2_A32(n, first) row_tile_a32(INT2, n, matrix, x, tile, first, output)
#define INT2_MINIMUM_A32(n, first) row_tile_a32(INT2_MINIMUM, n, matrix, x, tile, first, output)
#define TABLE4_A32(n, first) row_tile_a32(TABLE4, n, matrix, x, tile, first, output)
#define NESTED8_A32(n, first) row_tile_a32(NESTED8, n, matrix, x, tile, first, output)
#define INT8_MINIMUM_A32(n, first) row_tile_a32(INT8_MINIMUM, n, matrix, x, tile, first, output)
#define INT8_HALVED_A32(n, first) row_tile_halved_a32(INT8_HALVED, n, matrix, x, tile, first, output)
#define INT3_HALVED_A32(n, first) row_tile_halved_a32(INT3_HALVED, n, matrix, x, tile, first, output)

MULTIPLY(int8_a32, INT8_A32, GROUP_A32)
MULTIPLY(int6_a32, INT6_A32, GROUP_A32)
MULTIPLY(int6_minimum_a32, INT6_MINIMUM_A32, GROUP_A32)
MULTIPLY(int5_a32, INT5_A32, GROUP_A32)
MULTIPLY(int5_minimum_a32, INT5_MINIMUM_A32, GROUP_A32)
MULTIPLY(int4_a32, INT4_A32, GROUP_A32)
MULTIPLY(int4_minimum_a32, INT4_MINIMUM_A32, GROUP_A32)
MULTIPLY(int3_a32, INT3_A32, GROUP_A32)
MULTIPLY(int3_minimum_a32, INT3_MINIMUM_A32, GROUP_A32)
MULTIPLY(int2_a32, INT2_A32, GROUP_A32)
MULTIPLY(int2_minimum_a32, INT2_MINIMUM_A32, GROUP_A32)
MULTIPLY(table4_a32, TABLE4_A32, GROUP_A32)
MULTIPLY(nested8_a32, NESTED8_A32, GROUP_A32)
MULTIPLY(int8_minimum_a32, INT8_MINIMUM_A32, GROUP_A32)
MULTIPLY(int8_halved_a32, INT8_HALVED_A32, GROUP_A32)
MULTIPLY(int3_halved_a32, INT3_HALVED_A32, GROUP_A32)

// MARK: Columns that are kept apart

static void add_outliers(
  const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end, const furl_output *output)
{
  size_t stride = matrix->column_tiles * FURL_TILE_COLUMNS, count = matrix->outlier_count;
  furl_output more = {output->values, output->stride, NULL, true};
  for (size_t tile = tile_begin; tile < last_tile(matrix, tile_end); tile++) {
    const uint16_t *weights = matrix->outliers + tile * count * FURL_TILE_ROWS;
    for (size_t a = 0; a < x->count; a++) {
      v16 sum = splat(0);
      for (size_t k = 0; k < count; k++) {
        v16 weight = floats_from_halves(weights + k * FURL_TILE_ROWS);
        sum = fma16(weight, splat(x->values[a * stride + (size_t)matrix->outlier_columns[k]]), sum);
      }
      put(sum, matrix, &more, a, tile);
    }
  }
}
