// AVX-512 with VNNI: a tile's row of 16 x 4 codes is one register, one instruction multiplies and adds it.

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "../ring.h"
#include "../spans.h"

#pragma clang attribute push( \
  __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)

#include "../shared/lanes.h"

#define TIER_TABLE furl_kernels_avx512
#define TIER_NAME "avx512-vnni"
#define GROUP_A8 8
#define GROUP_A32 4
#define GROUP_QUERIES 4
#define KEY_VECTORS 1
#define VALUE_VECTORS 5
#define PRODUCT_ROWS 8
#define PRODUCT_VECTORS 2
#define TIER_POWERS

#include "halves.h"

INLINE v16 rounded(v16 x) {
  return (v16)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

INLINE v16 times_power(v16 x, v16 n) {
  // 0 where the other tiers have it: where the power by itself would be no normal number.
  __mmask16 kept = _mm512_cmp_ps_mask((__m512)n, _mm512_set1_ps(-126), _CMP_NLT_UQ);
  return (v16)_mm512_maskz_scalef_ps(kept, (__m512)x, (__m512)n);
}

INLINE __m512i four_codes(const int8_t *codes) {
  int32_t four;
  memcpy(&four, codes, sizeof four);
  return _mm512_set1_epi32(four);
}

INLINE v16i add_products(v16i sum, __m512i weights, const int8_t *codes) {
  return (v16i)_mm512_dpbusd_epi32((__m512i)sum, weights, four_codes(codes));
}

// The weights go in as they are stored, unsigned: taking 128 times the activations' sum off is free, since
// the sums have to begin somewhere.
#define INT8_ZERO 128

INLINE void dot_int8(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  UNROLL for (int j = from; j < to; j++) {
    __m512i w = _mm512_loadu_si512(tile + 64 * j);
    UNROLL for (int g = 0; g < n; g++) sums[g] = add_products(sums[g], w, codes + 4 * ((size_t)j * rows + (size_t)g));
  }
}

INLINE void dot_int4(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  const __m512i nibble = _mm512_set1_epi8(15);
  UNROLL for (int j = 0; j < 4; j++) {
    __m512i both = _mm512_loadu_si512(tile + 64 * j);
    __m512i low = _mm512_and_si512(both, nibble);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
    UNROLL for (int g = 0; g < n; g++) {
      const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
      sums[g] = add_products(add_products(sums[g], low, here), high, here + 16 * rows);
    }
  }
}

/// Nibbles as dot_int4 has them, with one or two bits above.
INLINE void dot_wide(
  const int bits, const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  const __m512i nibble = _mm512_set1_epi8(15), above = _mm512_set1_epi8(bits == 5 ? 0x10 : 0x30);
  UNROLL for (int j = 0; j < 4; j++) {
    const int shift = bits == 5 ? j : j / 2 * 2;
    __m512i both = _mm512_loadu_si512(tile + 64 * j);
    __m512i top = _mm512_loadu_si512(tile + 256 + (bits == 5 ? 0 : 64 * (j % 2)));
    __m512i low = _mm512_and_si512(both, nibble);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
    low = _mm512_or_si512(low, _mm512_and_si512(_mm512_slli_epi16(top, (unsigned)(4 - shift)), above));
    high = _mm512_or_si512(high, _mm512_and_si512(_mm512_srli_epi16(top, (unsigned)shift), above));
    UNROLL for (int g = 0; g < n; g++) {
      const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
      sums[g] = add_products(add_products(sums[g], low, here), high, here + 16 * rows);
    }
  }
}

#define TIER_NESTED

/// Whole codes are bytes: one product for both planes.
INLINE void dot_nested8(
  const int n, const uint8_t *tile, const uint8_t *remainders, const int8_t *codes, size_t rows, v16i *sums)
{
  const __m512i nibble = _mm512_set1_epi8(15);
  uint8_t multiples[16];
  UNROLL for (int i = 0; i < 16; i++) multiples[i] = (uint8_t)(FURL_NESTED_STEPS * i);
  const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)multiples));
  UNROLL for (int j = 0; j < 4; j++) {
    __m512i first = _mm512_loadu_si512(tile + 64 * j), rest = _mm512_loadu_si512(remainders + 64 * j);
    __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(first, nibble));
    __m512i high = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(first, 4), nibble));
    low = _mm512_add_epi8(low, _mm512_and_si512(rest, nibble));
    high = _mm512_add_epi8(high, _mm512_and_si512(_mm512_srli_epi16(rest, 4), nibble));
    UNROLL for (int g = 0; g < n; g++) {
      const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
      sums[g] = add_products(add_products(sums[g], low, here), high, here + 16 * rows);
    }
  }
}

INLINE void dot_table4(
  const int n, const uint8_t *tile, const int8_t *levels, const int8_t *codes, size_t rows, v16i *sums)
{
  const __m512i nibble = _mm512_set1_epi8(15);
  const __m512i signed_table = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)levels));
  const __m512i table = _mm512_xor_si512(signed_table, _mm512_set1_epi8((char)0x80));
  UNROLL for (int j = 0; j < 4; j++) {
    __m512i both = _mm512_loadu_si512(tile + 64 * j);
    __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(both, nibble));
    __m512i high = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble));
    UNROLL for (int g = 0; g < n; g++) {
      const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
      sums[g] = add_products(add_products(sums[g], low, here), high, here + 16 * rows);
    }
  }
}

/// The weights of one group of four columns.
INLINE __m512i low_bits(__m512i four, const int pair) {
  return _mm512_and_si512(_mm512_srli_epi16(four, (unsigned)(2 * pair)), _mm512_set1_epi8(3));
}

INLINE void dot_int2(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  UNROLL for (int j = 0; j < 8; j++) {
    __m512i w = low_bits(_mm512_loadu_si512(tile + 64 * (j % 2)), j / 2);
    UNROLL for (int g = 0; g < n; g++) sums[g] = add_products(sums[g], w, codes + 4 * ((size_t)j * rows + (size_t)g));
  }
}

INLINE void dot_int3(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  __m512i thirds = _mm512_loadu_si512(tile + 128);
  UNROLL for (int j = from; j < to; j++) {
    __m512i low = low_bits(_mm512_loadu_si512(tile + 64 * (j % 2)), j / 2);
    __m512i third = j < 2 ? _mm512_slli_epi16(thirds, (unsigned)(2 - j)) : _mm512_srli_epi16(thirds, (unsigned)(j - 2));
    __m512i w = _mm512_or_si512(low, _mm512_and_si512(third, _mm512_set1_epi8(4)));
    UNROLL for (int g = 0; g < n; g++) sums[g] = add_products(sums[g], w, codes + 4 * ((size_t)j * rows + (size_t)g));
  }
}

#include "../shared/table.h"

#pragma clang attribute pop

#endif
