// NEON with the dot product instructions: a tile's row of 16 x 4 codes is four registers.

#if defined(__aarch64__)

#include <arm_neon.h>
#include <string.h>

#include "../ring.h"
#include "../spans.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#include "../shared/lanes.h"

#define TIER_TABLE furl_kernels_neon
#define TIER_NAME "neon"
#define GROUP_A8 2
#define GROUP_A32 1
#define GROUP_QUERIES 2
#define KEY_VECTORS 1
#define VALUE_VECTORS 2
#define PRODUCT_ROWS 4
#define PRODUCT_VECTORS 1

typedef union quarters16 {
  v16 floats;
  v16i integers;
  float32x4_t float_quarter[4];
  int32x4_t integer_quarter[4];
} quarters16;

INLINE v16 floats_from_halves(const uint16_t *halves) {
  quarters16 out;
  UNROLL for (int i = 0; i < 4; i++) {
    out.float_quarter[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves + 4 * i)));
  }
  return out.floats;
}

INLINE void halves_from_floats(v16 v, uint16_t *halves) {
  quarters16 in = {.floats = v};
  UNROLL for (int i = 0; i < 4; i++) {
    vst1_u16(halves + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(in.float_quarter[i])));
  }
}

INLINE v16 table_values(const float *values, v16i codes) {
  v16 out;
  UNROLL for (int i = 0; i < 16; i++) out[i] = values[codes[i] & 15];
  return out;
}

INLINE int8x16_t four_codes(const int8_t *codes) {
  int32_t four;
  memcpy(&four, codes, sizeof four);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

INLINE void add_products(v16i *sum, const int quarter, int8x16_t weights, int8x16_t x) {
  quarters16 s = {.integers = *sum};
  s.integer_quarter[quarter] = vdotq_s32(s.integer_quarter[quarter], weights, x);
  *sum = s.integers;
}

// Both sides are signed here: flipping the top bit of code + 128 gives the code.
#define INT8_ZERO 0

INLINE void dot_int8(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  const uint8x16_t top = vdupq_n_u8(0x80);
  UNROLL for (int j = from; j < to; j++) {
    UNROLL for (int q = 0; q < 4; q++) {
      int8x16_t w = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(tile + 64 * j + 16 * q), top));
      UNROLL for (int g = 0; g < n; g++) {
        add_products(&sums[g], q, w, four_codes(codes + 4 * ((size_t)j * rows + (size_t)g)));
      }
    }
  }
}

INLINE void dot_int4(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  UNROLL for (int j = 0; j < 4; j++) {
    UNROLL for (int q = 0; q < 4; q++) {
      uint8x16_t both = vld1q_u8(tile + 64 * j + 16 * q);
      int8x16_t low = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
      int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
      UNROLL for (int g = 0; g < n; g++) {
        const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
        add_products(&sums[g], q, low, four_codes(here));
        add_products(&sums[g], q, high, four_codes(here + 16 * rows));
      }
    }
  }
}

/// Nibbles as dot_int4 has them, with one or two bits above.
INLINE void dot_wide(
  const int bits, const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  const uint8x16_t above = vdupq_n_u8(bits == 5 ? 0x10 : 0x30);
  UNROLL for (int j = 0; j < 4; j++) {
    const int shift = bits == 5 ? j : j / 2 * 2;
    UNROLL for (int q = 0; q < 4; q++) {
      uint8x16_t both = vld1q_u8(tile + 64 * j + 16 * q);
      uint8x16_t top = vld1q_u8(tile + 256 + (bits == 5 ? 0 : 64 * (j % 2)) + 16 * q);
      uint8x16_t low = vandq_u8(vshlq_u8(top, vdupq_n_s8((int8_t)(4 - shift))), above);
      uint8x16_t high = vandq_u8(vshlq_u8(top, vdupq_n_s8((int8_t)-shift)), above);
      low = vorrq_u8(low, vandq_u8(both, vdupq_n_u8(15)));
      high = vorrq_u8(high, vshrq_n_u8(both, 4));
      UNROLL for (int g = 0; g < n; g++) {
        const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
        add_products(&sums[g], q, vreinterpretq_s8_u8(low), four_codes(here));
        add_products(&sums[g], q, vreinterpretq_s8_u8(high), four_codes(here + 16 * rows));
      }
    }
  }
}

INLINE void dot_table4(
  const int n, const uint8_t *tile, const int8_t *levels, const int8_t *codes, size_t rows, v16i *sums)
{
  const int8x16_t table = vld1q_s8(levels);
  UNROLL for (int j = 0; j < 4; j++) {
    UNROLL for (int q = 0; q < 4; q++) {
      uint8x16_t both = vld1q_u8(tile + 64 * j + 16 * q);
      int8x16_t low = vqtbl1q_s8(table, vandq_u8(both, vdupq_n_u8(15)));
      int8x16_t high = vqtbl1q_s8(table, vshrq_n_u8(both, 4));
      UNROLL for (int g = 0; g < n; g++) {
        const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
        add_products(&sums[g], q, low, four_codes(here));
        add_products(&sums[g], q, high, four_codes(here + 16 * rows));
      }
    }
  }
}

INLINE void dot_low_bits(
  const bool has_thirds, const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes,
  size_t rows, v16i *sums)
{
  UNROLL for (int j = from; j < to; j++) {
    UNROLL for (int q = 0; q < 4; q++) {
      uint8x16_t w = vshlq_u8(vld1q_u8(tile + 64 * (j % 2) + 16 * q), vdupq_n_s8((int8_t)(j / 2 * -2)));
      w = vandq_u8(w, vdupq_n_u8(3));
      if (has_thirds) {
        uint8x16_t third = vshlq_u8(vld1q_u8(tile + 128 + 16 * q), vdupq_n_s8((int8_t)(2 - j)));
        w = vorrq_u8(w, vandq_u8(third, vdupq_n_u8(4)));
      }
      UNROLL for (int g = 0; g < n; g++) {
        const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
        add_products(&sums[g], q, vreinterpretq_s8_u8(w), four_codes(here));
      }
    }
  }
}

INLINE void dot_int3(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  dot_low_bits(true, n, from, to, tile, codes, rows, sums);
}

INLINE void dot_int2(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  dot_low_bits(false, n, 0, 8, tile, codes, rows, sums);
}

#include "../shared/table.h"

#pragma clang attribute pop

#endif
