#include "../ring.h"
#include "scalar.h"

// Dimensions of padding are stored as zeros.

void furl_scalar_store_f32(const furl_kv_head *cache, const float *key, const float *value, size_t position) {
  size_t index = furl_index(cache, position);
  for (size_t d = 0; d < furl_padded(cache->head_size); d++) {
    bool is_inside = d < cache->head_size;
    ((float *)cache->keys)[furl_key_at(cache, index, d)] = is_inside ? key[d] : 0;
    ((float *)cache->values)[furl_value_at(cache, index, d)] = is_inside ? value[d] : 0;
  }
}

void furl_scalar_store_f16(const furl_kv_head *cache, const float *key, const float *value, size_t position) {
  size_t index = furl_index(cache, position);
  for (size_t d = 0; d < furl_padded(cache->head_size); d++) {
    bool is_inside = d < cache->head_size;
    ((uint16_t *)cache->keys)[furl_key_at(cache, index, d)] = furl_half_from_float(is_inside ? key[d] : 0);
    ((uint16_t *)cache->values)[furl_value_at(cache, index, d)] = furl_half_from_float(is_inside ? value[d] : 0);
  }
}

/// The scale of n numbers.
static uint16_t scale_for(const float *x, size_t n) {
  float largest = 0;
  for (size_t i = 0; i < n; i++) {
    float magnitude = __builtin_fabsf(x[i]);
    if (!(magnitude <= 0x1.fffffep127f)) return FURL_HALF_NAN;
    if (magnitude > largest) largest = magnitude;
  }
  return furl_scale_above(furl_half_from_float(largest / 127), largest);
}

static int8_t code_of(float x, uint16_t half) {
  float scale = furl_float_from_half(half);
  if (!(scale > 0 && scale < __builtin_inff())) return 0;
  return (int8_t)(x / scale + 0x1.8p23f - 0x1.8p23f); // The sum has no bits left for a fraction.
}

void furl_scalar_store_i8(const furl_kv_head *cache, const float *key, const float *value, size_t position) {
  size_t index = furl_index(cache, position), n = cache->head_size, head = furl_padded(n);
  for (size_t begin = 0; begin < head; begin += FURL_KEY_BLOCK) {
    size_t size = head - begin < FURL_KEY_BLOCK ? head - begin : FURL_KEY_BLOCK;
    uint16_t scale = scale_for(key + begin, n - begin < size ? n - begin : size);
    cache->key_scales[furl_key_scale_at(cache, index, begin)] = scale;
    for (size_t d = begin; d < begin + size; d++) {
      ((int8_t *)cache->keys)[furl_key_at(cache, index, d)] = d < n ? code_of(key[d], scale) : 0;
    }
  }
  uint16_t scale = scale_for(value, n);
  cache->value_scales[index] = scale;
  for (size_t d = 0; d < head; d++) {
    ((int8_t *)cache->values)[furl_value_at(cache, index, d)] = d < n ? code_of(value[d], scale) : 0;
  }
}
