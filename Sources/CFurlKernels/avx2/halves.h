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
