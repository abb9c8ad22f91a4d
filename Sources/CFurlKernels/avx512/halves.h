// Conversions of sixteen lanes in one register: what the tiers with 512 bits share. Included inside their target pragmas, after
// shared/lanes.h.

#pragma once

INLINE v16 floats_from_halves(const uint16_t *halves) {
  return (v16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)halves));
}

INLINE void halves_from_floats(v16 v, uint16_t *halves) {
  __m256i h = _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_storeu_si256((__m256i *)halves, h);
}

INLINE v16 table_values(const float *values, v16i codes) {
  return (v16)_mm512_permutexvar_ps((__m512i)codes, _mm512_loadu_ps(values));
}
