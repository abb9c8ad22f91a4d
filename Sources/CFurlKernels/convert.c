// Half and bfloat conversions and the unpacking of a row, in plain integer and float operations: the same
// bits on every CPU.

#include "layout.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

static float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t bits_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

uint16_t furl_half_from_float(float value) {
  uint32_t bits = bits_from_float(value);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { // Not a number stays one: the quiet bit is set, the payload's top bits kept.
    return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u; // 65520 and above rounds to infinity.
  if (magnitude < 0x38800000u) {
    // Below the smallest normal half: adding 0.5 leaves the subnormal's 10 bits, rounded by the hardware, as
    // the last bits of the sum.
    return (uint16_t)(sign | (bits_from_float(float_from_bits(magnitude) + 0.5f) - 0x3f000000u));
  }
  uint32_t odd = magnitude >> 13 & 1;
  return (uint16_t)(sign | (magnitude - 0x38000000u + 0xfffu + odd) >> 13);
}

// Chosen without branches, so that the loop below vectorizes.
static inline float float_from_half(uint16_t half) {
  uint32_t magnitude = half & 0x7fffu, sign = (uint32_t)(half & 0x8000u) << 16;
  uint32_t normal = (magnitude << 13) + (112u << 23);
  uint32_t tiny = bits_from_float((float)(int32_t)magnitude * 0x1p-24f); // exact, subnormal halves included
  uint32_t special = magnitude << 13 | 0x7f800000u | (magnitude > 0x7c00u ? 0x400000u : 0);
  return float_from_bits(sign | (magnitude < 0x400u ? tiny : magnitude >= 0x7c00u ? special : normal));
}

float furl_float_from_half(uint16_t half) {
  return float_from_half(half);
}

void furl_floats_from_halves(const uint16_t *halves, size_t n, float *out) {
  for (size_t i = 0; i < n; i++) out[i] = float_from_half(halves[i]);
}

void furl_floats_from_bfloats(const uint16_t *bfloats, size_t n, float *out) {
  for (size_t i = 0; i < n; i++) out[i] = float_from_bits((uint32_t)bfloats[i] << 16);
}

float furl_exponent(uint8_t code) {
  return furl_exponent_scale(code);
}

// MARK: Turning round

// Squares of a cache line's width, so that what is written is written in whole lines.
#define TRANSPOSE(name, number)                                                                             \
  static void name(const number *in, size_t rows, size_t columns, number *out) {                            \
    const size_t side = 64 / sizeof(number);                                                                \
    for (size_t c = 0; c < columns; c += side) {                                                            \
      size_t c_end = columns - c < side ? columns : c + side;                                               \
      for (size_t r = 0; r < rows; r += side) {                                                             \
        size_t r_end = rows - r < side ? rows : r + side;                                                   \
        for (size_t j = c; j < c_end; j++) {                                                                \
          for (size_t i = r; i < r_end; i++) out[j * rows + i] = in[i * columns + j];                       \
        }                                                                                                   \
      }                                                                                                     \
    }                                                                                                       \
  }

TRANSPOSE(transpose_16, uint16_t)
TRANSPOSE(transpose_32, uint32_t)

void furl_transpose(const void *in, size_t rows, size_t columns, size_t size, void *out) {
  if (size == 2) transpose_16(in, rows, columns, out);
  else transpose_32(in, rows, columns, out);
}

// MARK: Rows

void furl_row_float32(const furl_matrix *matrix, size_t row, size_t columns, float *out) {
  for (size_t c = 0; c < columns; c++) out[c] = furl_weight_float32(matrix, row, c);
}

void furl_row_bfloat16(const furl_matrix *matrix, size_t row, size_t columns, float *out) {
  for (size_t c = 0; c < columns; c++) out[c] = furl_weight_bfloat16(matrix, row, c);
}

#define ROW(name, code, zero)                                                                               \
  void furl_row_##name(const furl_matrix *matrix, size_t row, size_t columns, float *out) {                 \
    for (size_t c = 0; c < columns; c++) {                                                                  \
      out[c] = (float)(code(matrix, row, c) - (zero)) * furl_scale_at(matrix, row, furl_block_of(matrix, c));    \
    }                                                                                                       \
  }

#define ROW_MINIMUM(name, code)                                                                             \
  void furl_row_##name(const furl_matrix *matrix, size_t row, size_t columns, float *out) {                 \
    for (size_t c = 0; c < columns; c++) {                                                                  \
      float scaled = (float)code(matrix, row, c) * furl_scale_at(matrix, row, furl_block_of(matrix, c));         \
      out[c] = scaled + furl_minimum_at(matrix, row, furl_block_of(matrix, c));                                  \
    }                                                                                                       \
  }

ROW(int8, furl_code_int8, 0)
ROW(int6, furl_code_int6, 32)
ROW(int5, furl_code_int5, 16)
ROW(int4, furl_code_int4, 8)
ROW(int3, furl_code_int3, 4)
ROW(int2, furl_code_int2, 2)

void furl_row_nested8(const furl_matrix *matrix, size_t row, size_t columns, float *out) {
  for (size_t c = 0; c < columns; c++) {
    float step = furl_scale_at(matrix, row, furl_block_of(matrix, c)) * matrix->unit;
    out[c] = (float)furl_code_nested8(matrix, row, c) * step;
  }
}

// Codes begin at 128.
ROW_MINIMUM(int8_minimum, furl_code_int8)
ROW_MINIMUM(int6_minimum, furl_code_int6)
ROW_MINIMUM(int5_minimum, furl_code_int5)
ROW_MINIMUM(int4_minimum, furl_code_int4)
ROW_MINIMUM(int3_minimum, furl_code_int3)
ROW_MINIMUM(int2_minimum, furl_code_int2)

void furl_row_table4(const furl_matrix *matrix, size_t row, size_t columns, float *out) {
  for (size_t c = 0; c < columns; c++) {
    out[c] = matrix->values[furl_code_int4(matrix, row, c)] * furl_scale_at(matrix, row, furl_block_of(matrix, c));
  }
}
