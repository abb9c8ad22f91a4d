// AVX2: no instruction multiplies unsigned by signed bytes without saturating, unless one side stays small.

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "../ring.h"
#include "../spans.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "../shared/lanes.h"

#define TIER_TABLE furl_kernels_avx2
#define TIER_NAME "avx2"
#define GROUP_A8 4
#define GROUP_A32 2
#define GROUP_QUERIES 2
#define KEY_VECTORS 1
#define VALUE_VECTORS 2
#define PRODUCT_ROWS 4
#define PRODUCT_VECTORS 1

#include "halves.h"

INLINE void add_half(v16i *sum, const int half, __m256i terms) {
  halves16 s = {.integers = *sum};
  s.integer_half[half] = _mm256_add_epi32(s.integer_half[half], terms);
  *sum = s.integers;
}

/// Keeps the compiler from doing one row of activations after the other, which needs all weights of a tile in
/// registers at once and has it spill them.
INLINE void finish(__m256i *sum) {
  __asm__ volatile("" : "+x"(*sum));
}

/// Sums of neighbours of 16 16-bit terms.
INLINE __m256i widened(__m256i terms) {
  return _mm256_madd_epi16(terms, _mm256_set1_epi16(1));
}

// The sign goes from the weight to the activation. 128 * 127 twice is 32512, so nothing saturates, not even
// for the weight -128, whose magnitude only an unsigned byte holds.
#define INT8_ZERO 0

INLINE void dot_int8(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  const __m256i top = _mm256_set1_epi8((char)0x80);
  UNROLL for (int half = 0; half < 2; half++) {
    __m256i partial[GROUP_A8];
    UNROLL for (int g = 0; g < n; g++) partial[g] = _mm256_setzero_si256();
    UNROLL for (int j = from; j < to; j++) {
      __m256i w = _mm256_xor_si256(load_half(tile + 64 * j + 32 * half), top);
      __m256i magnitude = _mm256_abs_epi8(w);
      UNROLL for (int g = 0; g < n; g++) {
        __m256i x = _mm256_sign_epi8(four_codes(codes + 4 * ((size_t)j * rows + (size_t)g)), w);
        partial[g] = _mm256_add_epi32(partial[g], widened(_mm256_maddubs_epi16(magnitude, x)));
        if (n > 1) finish(&partial[g]);
      }
    }
    UNROLL for (int g = 0; g < n; g++) add_half(&sums[g], half, partial[g]);
  }
}

// 16 products of at most 15 * 127 meet in a 16-bit sum: 30480, so one widening serves a whole tile.
INLINE void dot_int4(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  const __m256i nibble = _mm256_set1_epi8(15);
  UNROLL for (int half = 0; half < 2; half++) {
    __m256i short_sums[GROUP_A8];
    UNROLL for (int g = 0; g < n; g++) short_sums[g] = _mm256_setzero_si256();
    UNROLL for (int j = 0; j < 4; j++) {
      __m256i both = load_half(tile + 64 * j + 32 * half);
      __m256i low = _mm256_and_si256(both, nibble);
      __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
      UNROLL for (int g = 0; g < n; g++) {
        const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
        __m256i terms = _mm256_add_epi16(
          _mm256_maddubs_epi16(low, four_codes(here)), _mm256_maddubs_epi16(high, four_codes(here + 16 * rows)));
        short_sums[g] = _mm256_add_epi16(short_sums[g], terms);
        if (n > 1) finish(&short_sums[g]);
      }
    }
    UNROLL for (int g = 0; g < n; g++) add_half(&sums[g], half, widened(short_sums[g]));
  }
}

/// Nibbles with one or two bits above. Four products of at most 63 * 127 meet in a 16-bit sum: 32004.
INLINE void dot_wide(
  const int bits, const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  const __m256i nibble = _mm256_set1_epi8(15), above = _mm256_set1_epi8(bits == 5 ? 0x10 : 0x30);
  UNROLL for (int half = 0; half < 2; half++) {
    __m256i partial[GROUP_A8];
    UNROLL for (int g = 0; g < n; g++) partial[g] = _mm256_setzero_si256();
    UNROLL for (int j = 0; j < 4; j++) {
      const int shift = bits == 5 ? j : j / 2 * 2;
      __m256i both = load_half(tile + 64 * j + 32 * half);
      __m256i top = load_half(tile + 256 + (bits == 5 ? 0 : 64 * (j % 2)) + 32 * half);
      __m256i low = _mm256_and_si256(both, nibble);
      __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
      low = _mm256_or_si256(low, _mm256_and_si256(_mm256_slli_epi16(top, 4 - shift), above));
      high = _mm256_or_si256(high, _mm256_and_si256(_mm256_srli_epi16(top, shift), above));
      UNROLL for (int g = 0; g < n; g++) {
        const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
        __m256i terms = _mm256_add_epi16(
          _mm256_maddubs_epi16(low, four_codes(here)), _mm256_maddubs_epi16(high, four_codes(here + 16 * rows)));
        partial[g] = _mm256_add_epi32(partial[g], widened(terms));
        if (n > 1) finish(&partial[g]);
      }
    }
    UNROLL for (int g = 0; g < n; g++) add_half(&sums[g], half, partial[g]);
  }
}

/// Weights of both signs, as in dot_int8.
INLINE void add_signed(__m256i *sum, const int n, __m256i w, const int8_t *codes) {
  __m256i x = _mm256_sign_epi8(four_codes(codes), w);
  *sum = _mm256_add_epi32(*sum, widened(_mm256_maddubs_epi16(_mm256_abs_epi8(w), x)));
  if (n > 1) finish(sum);
}

INLINE void dot_table4(
  const int n, const uint8_t *tile, const int8_t *levels, const int8_t *codes, size_t rows, v16i *sums)
{
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)levels));
  UNROLL for (int half = 0; half < 2; half++) {
    __m256i partial[GROUP_A8];
    UNROLL for (int g = 0; g < n; g++) partial[g] = _mm256_setzero_si256();
    UNROLL for (int j = 0; j < 4; j++) {
      __m256i both = load_half(tile + 64 * j + 32 * half);
      __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(both, nibble));
      __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble));
      UNROLL for (int g = 0; g < n; g++) {
        const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
        add_signed(&partial[g], n, low, here);
        add_signed(&partial[g], n, high, here + 16 * rows);
      }
    }
    UNROLL for (int g = 0; g < n; g++) add_half(&sums[g], half, partial[g]);
  }
}

// 16 products of at most 7 * 127 fit a 16-bit sum, too.
INLINE void dot_low_bits(
  const bool has_thirds, const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes,
  size_t rows, v16i *sums)
{
  UNROLL for (int half = 0; half < 2; half++) {
    __m256i short_sums[GROUP_A8];
    __m256i thirds = has_thirds ? load_half(tile + 128 + 32 * half) : _mm256_setzero_si256();
    UNROLL for (int g = 0; g < n; g++) short_sums[g] = _mm256_setzero_si256();
    UNROLL for (int j = from; j < to; j++) {
      __m256i w = low_bits(has_thirds, tile, thirds, half, j);
      UNROLL for (int g = 0; g < n; g++) {
        __m256i terms = _mm256_maddubs_epi16(w, four_codes(codes + 4 * ((size_t)j * rows + (size_t)g)));
        short_sums[g] = _mm256_add_epi16(short_sums[g], terms);
        if (n > 1) finish(&short_sums[g]);
      }
    }
    UNROLL for (int g = 0; g < n; g++) add_half(&sums[g], half, widened(short_sums[g]));
  }
}

#include "../shared/table.h"

#pragma clang attribute pop

#endif
