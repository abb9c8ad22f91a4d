// AVX-VNNI: the dot products of AVX-512 VNNI in registers of 256 bits, which CPUs have that have no AVX-512. Everything
// else is the AVX2 tier's.

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <string.h>

#include "../tiers.h"

bool furl_has_avx_vnni(void) {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4) != 0;
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)

#include "../shared/lanes.h"

#include "../avx2/halves.h"

#define GROUP_A8 4 // With 8 int8 is an eighth faster, and the code twice as much.

// The weights go in as they are stored, unsigned, and the sums begin where that is made up for.
#define INT8_ZERO 128

/// One half of 16 sums of n activations, in registers.
typedef struct half_sums {
  __m256i of[GROUP_A8];
} half_sums;

INLINE half_sums take_half(const int n, const v16i *sums, const int half) {
  half_sums taken;
  UNROLL for (int g = 0; g < n; g++) taken.of[g] = ((halves16){.integers = sums[g]}).integer_half[half];
  return taken;
}

INLINE void put_half(const int n, const half_sums *taken, v16i *sums, const int half) {
  UNROLL for (int g = 0; g < n; g++) {
    halves16 all = {.integers = sums[g]};
    all.integer_half[half] = taken->of[g];
    sums[g] = all.integers;
  }
}

/// The products of four columns, of which `codes` are the first activation's.
INLINE void add_columns(const int n, half_sums *sums, __m256i weights, const int8_t *codes) {
  UNROLL for (int g = 0; g < n; g++) {
    sums->of[g] = _mm256_dpbusd_avx_epi32(sums->of[g], weights, four_codes(codes + 4 * (size_t)g));
    // Keeps the compiler from doing one activation after the other, for which it spills a tile's weights.
    if (n > 1) __asm__ volatile("" : "+x"(sums->of[g]));
  }
}

INLINE void dot_int8(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  UNROLL for (int half = 0; half < 2; half++) {
    half_sums here = take_half(n, sums, half);
    UNROLL for (int j = from; j < to; j++) {
      add_columns(n, &here, load_half(tile + 64 * j + 32 * half), codes + 4 * (size_t)j * rows);
    }
    put_half(n, &here, sums, half);
  }
}

typedef enum nibble_form { PLAIN_NIBBLES, LEVELS, FIVE_BITS, SIX_BITS } nibble_form;

/// Nibbles as they are, as places in a table, or with one or two bits above.
INLINE void dot_nibbles(
  const nibble_form form, const int n, const uint8_t *tile, __m256i table, const int8_t *codes, size_t rows, v16i *sums)
{
  const __m256i nibble = _mm256_set1_epi8(15), above = _mm256_set1_epi8(form == FIVE_BITS ? 0x10 : 0x30);
  UNROLL for (int half = 0; half < 2; half++) {
    half_sums here = take_half(n, sums, half);
    UNROLL for (int j = 0; j < 4; j++) {
      __m256i both = load_half(tile + 64 * j + 32 * half);
      __m256i low = _mm256_and_si256(both, nibble);
      __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
      if (form == LEVELS) low = _mm256_shuffle_epi8(table, low), high = _mm256_shuffle_epi8(table, high);
      if (form == FIVE_BITS || form == SIX_BITS) {
        const int shift = form == FIVE_BITS ? j : j / 2 * 2;
        __m256i top = load_half(tile + 256 + (form == FIVE_BITS ? 0 : 64 * (j % 2)) + 32 * half);
        low = _mm256_or_si256(low, _mm256_and_si256(_mm256_slli_epi16(top, 4 - shift), above));
        high = _mm256_or_si256(high, _mm256_and_si256(_mm256_srli_epi16(top, shift), above));
      }
      add_columns(n, &here, low, codes + 4 * (size_t)j * rows);
      add_columns(n, &here, high, codes + 4 * (size_t)(j + 4) * rows);
    }
    put_half(n, &here, sums, half);
  }
}

INLINE void dot_int4(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  dot_nibbles(PLAIN_NIBBLES, n, tile, _mm256_setzero_si256(), codes, rows, sums);
}

INLINE void dot_wide(
  const int bits, const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  dot_nibbles(bits == 5 ? FIVE_BITS : SIX_BITS, n, tile, _mm256_setzero_si256(), codes, rows, sums);
}

INLINE __m256i spread_table(const void *table) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
}

INLINE void dot_table4(
  const int n, const uint8_t *tile, const int8_t *levels, const int8_t *codes, size_t rows, v16i *sums)
{
  __m256i table = _mm256_xor_si256(spread_table(levels), _mm256_set1_epi8((char)0x80));
  dot_nibbles(LEVELS, n, tile, table, codes, rows, sums);
}

INLINE void dot_low_bits(
  const bool has_thirds, const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes,
  size_t rows, v16i *sums)
{
  UNROLL for (int half = 0; half < 2; half++) {
    half_sums here = take_half(n, sums, half);
    __m256i thirds = has_thirds ? load_half(tile + 128 + 32 * half) : _mm256_setzero_si256();
    UNROLL for (int j = from; j < to; j++) {
      __m256i w = low_bits(has_thirds, tile, thirds, half, j);
      add_columns(n, &here, w, codes + 4 * (size_t)j * rows);
    }
    put_half(n, &here, sums, half);
  }
}

#define TIER_NESTED

/// Whole codes are bytes: one product for both planes.
INLINE void dot_nested8(
  const int n, const uint8_t *tile, const uint8_t *remainders, const int8_t *codes, size_t rows, v16i *sums)
{
  const __m256i nibble = _mm256_set1_epi8(15);
  uint8_t multiples[16];
  UNROLL for (int i = 0; i < 16; i++) multiples[i] = (uint8_t)(FURL_NESTED_STEPS * i);
  const __m256i table = spread_table(multiples);
  UNROLL for (int half = 0; half < 2; half++) {
    half_sums here = take_half(n, sums, half);
    UNROLL for (int j = 0; j < 4; j++) {
      __m256i first = load_half(tile + 64 * j + 32 * half), rest = load_half(remainders + 64 * j + 32 * half);
      __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(first, nibble));
      __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(first, 4), nibble));
      low = _mm256_add_epi8(low, _mm256_and_si256(rest, nibble));
      high = _mm256_add_epi8(high, _mm256_and_si256(_mm256_srli_epi16(rest, 4), nibble));
      add_columns(n, &here, low, codes + 4 * (size_t)j * rows);
      add_columns(n, &here, high, codes + 4 * (size_t)(j + 4) * rows);
    }
    put_half(n, &here, sums, half);
  }
}

#include "../shared/multiply_a8.h"

#pragma clang attribute pop

static furl_kernels kernels;

static void fill_table(void) {
  kernels = furl_kernels_avx2;
  kernels.name = "avx-vnni";
#define OFFER(name) kernels.name##_a8 = name##_a8;
  OFFER(int8) OFFER(int8_minimum) OFFER(int8_halved) OFFER(int6) OFFER(int6_minimum) OFFER(int5) OFFER(int5_minimum)
  OFFER(int4) OFFER(int4_minimum) OFFER(int3) OFFER(int3_minimum) OFFER(int3_halved) OFFER(int2) OFFER(int2_minimum)
  OFFER(table4) OFFER(nested8)
#undef OFFER
}

const furl_kernels *furl_kernels_avx_vnni(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, fill_table);
  return &kernels;
}

#endif
