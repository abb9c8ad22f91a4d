// How often each symbol of four bits occurs.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define SYMBOLS 16

static inline uint64_t load_64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  return v;
}

static inline bool count_symbols_scalar(const uint8_t *symbols, size_t n, uint32_t *counts) {
  // Pairs, in four tables: the next count rarely waits for the last one.
  uint32_t pairs[4][SYMBOLS * SYMBOLS] = {0};
  uint64_t any = 0;
  size_t at = 0;
  for (; n - at >= 8; at += 8) {
    uint64_t eight = load_64(symbols + at), both = eight | eight >> 4;
    any |= eight;
    pairs[0][both & 0xff]++;
    pairs[1][both >> 16 & 0xff]++;
    pairs[2][both >> 32 & 0xff]++;
    pairs[3][both >> 48 & 0xff]++;
  }
  memset(counts, 0, SYMBOLS * sizeof *counts);
  for (int pair = 0; pair < SYMBOLS * SYMBOLS; pair++) {
    uint32_t count = pairs[0][pair] + pairs[1][pair] + pairs[2][pair] + pairs[3][pair];
    counts[pair & 15] += count;
    counts[pair >> 4] += count;
  }
  for (; at < n; at++) {
    any |= symbols[at];
    counts[symbols[at] & 15]++;
  }
  return (any & 0xf0f0f0f0f0f0f0f0u) == 0;
}

#if defined(__x86_64__)
/// Compares with every symbol and adds up what is equal, which takes half the time of a table.
__attribute__((target("avx2"))) static inline bool count_symbols_avx2(
  const uint8_t *symbols, size_t n, uint32_t *counts)
{
  __m256i zero = _mm256_setzero_si256(), any = zero;
  size_t at = 0;
  memset(counts, 0, SYMBOLS * sizeof *counts);
  while (n - at >= 32) {
    // As many as a byte can count, and half of the symbols at a time: their counts stay in registers.
    size_t rounds = (n - at) / 32 < 255 ? (n - at) / 32 : 255;
    for (int first = 0; first < SYMBOLS; first += 8) {
      __m256i sums[8];
      for (int s = 0; s < 8; s++) sums[s] = zero;
      for (size_t i = 0; i < rounds; i++) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(symbols + at + 32 * i));
        any = _mm256_or_si256(any, v);
        _Pragma("clang loop unroll(full)") for (int s = 0; s < 8; s++) {
          sums[s] = _mm256_sub_epi8(sums[s], _mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)(first + s))));
        }
      }
      for (int s = 0; s < 8; s++) {
        uint64_t four[4];
        _mm256_storeu_si256((__m256i *)four, _mm256_sad_epu8(sums[s], zero));
        counts[first + s] += (uint32_t)(four[0] + four[1] + four[2] + four[3]);
      }
    }
    at += 32 * rounds;
  }
  uint8_t bytes[32], all = 0;
  _mm256_storeu_si256((__m256i *)bytes, any);
  for (int i = 0; i < 32; i++) all |= bytes[i];
  for (; at < n; at++) {
    all |= symbols[at];
    counts[symbols[at] & 15]++;
  }
  return all < SYMBOLS;
}
#endif

/// False if there is a symbol of more bits; the counts are worth nothing then.
static inline bool count_symbols(const uint8_t *symbols, size_t n, uint32_t *counts) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return count_symbols_avx2(symbols, n, counts);
#endif
  return count_symbols_scalar(symbols, n, counts);
}
