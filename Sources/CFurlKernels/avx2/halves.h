// Sixteen lanes as two registers of eight: what the tiers with 256 bits share. Included inside their target pragmas, after
// shared/lanes.h.

#pragma once

typedef union halves16 {
  v16 floats;
  v16i integers;
  __m256 float_half[2];
  __m256i integer_half[2];
} halves16;

INLINE v16 floats_from_halves(const uint16_t *halves) {
  halves16 out;
  out.float_half[0] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves));
  out.float_half[1] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(halves + 8)));
  return out.floats;
}

INLINE void halves_from_floats(v16 v, uint16_t *halves) {
  halves16 in = {.floats = v};
  UNROLL for (int i = 0; i < 2; i++) {
    __m128i h = _mm256_cvtps_ph(in.float_half[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128((__m128i *)(halves + 8 * i), h);
  }
}

INLINE v16 table_values(const float *values, v16i codes) {
  halves16 in = {.integers = codes}, out;
  UNROLL for (int i = 0; i < 2; i++) {
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(values), in.integer_half[i]);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(values + 8), in.integer_half[i]);
    // The sign of what is blended by is the code's fourth bit.
    out.float_half[i] = _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(in.integer_half[i], 28)));
  }
  return out.floats;
}

INLINE __m256i four_codes(const int8_t *codes) {
  int32_t four;
  memcpy(&four, codes, sizeof four);
  return _mm256_set1_epi32(four);
}

INLINE __m256i load_half(const uint8_t *codes) {
  return _mm256_loadu_si256((const __m256i *)codes);
}

// MARK: Codes of two and three bits

/// The codes of one half of group j, as int2 has them or, with the third bits of that half, as int3 has them.
INLINE __m256i low_bits(const bool has_thirds, const uint8_t *tile, __m256i thirds, const int half, const int j) {
  __m256i w = _mm256_srli_epi16(load_half(tile + 64 * (j % 2) + 32 * half), j / 2 * 2);
  w = _mm256_and_si256(w, _mm256_set1_epi8(3));
  if (!has_thirds) return w;
  __m256i third = j < 2 ? _mm256_slli_epi16(thirds, 2 - j) : _mm256_srli_epi16(thirds, j - 2);
  return _mm256_or_si256(w, _mm256_and_si256(third, _mm256_set1_epi8(4)));
}

INLINE void dot_low_bits(
  const bool has_thirds, const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes,
  size_t rows, v16i *sums);

INLINE void dot_int3(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  dot_low_bits(true, n, from, to, tile, codes, rows, sums);
}

INLINE void dot_int2(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  dot_low_bits(false, n, 0, 8, tile, codes, rows, sums);
}
