// One position's key and value into a cache. Dimensions of padding are stored as zeros.

#pragma once

#include "cells.h"
#include "elementwise.h"

/// `lanes` dimensions of a key, as 16 cells: each lies 16 positions from the next.
INLINE void scatter(void *keys, size_t width, const void *cells, size_t lanes) {
  for (size_t i = 0; i < lanes; i++) memcpy((char *)keys + 16 * i * width, (const char *)cells + i * width, width);
}

INLINE v16 load_rest(const float *x, size_t size, size_t d) {
  return load_first(x + d, size - d < 16 ? size - d : 16);
}

static void store_f32(const furl_kv_head *cache, const float *key, const float *value, size_t position) {
  size_t index = furl_index(cache, position), n = cache->head_size, head = furl_padded(n);
  float *keys = (float *)cache->keys + furl_key_at(cache, index, 0);
  float *values = (float *)cache->values + furl_value_at(cache, index, 0);
  for (size_t d = 0; d < n; d++) keys[d * 16] = key[d];
  for (size_t d = n; d < head; d++) keys[d * 16] = 0;
  memcpy(values, value, n * sizeof(float));
  memset(values + n, 0, (head - n) * sizeof(float));
}

static void store_f16(const furl_kv_head *cache, const float *key, const float *value, size_t position) {
  size_t index = furl_index(cache, position), n = cache->head_size, head = furl_padded(n);
  uint16_t *keys = (uint16_t *)cache->keys + furl_key_at(cache, index, 0);
  uint16_t *values = (uint16_t *)cache->values + furl_value_at(cache, index, 0);
  for (size_t d = 0; d < head; d += 16) {
    size_t lanes = head - d < 16 ? head - d : 16;
    uint16_t halves[16];
    halves_from_floats(load_rest(key, n, d), halves);
    scatter(keys + d * 16, sizeof(uint16_t), halves, lanes);
    halves_from_floats(load_rest(value, n, d), halves);
    memcpy(values + d, halves, lanes * sizeof(uint16_t));
  }
}

/// The scale of n numbers.
INLINE uint16_t scale_for(const float *x, size_t n) {
  v16i bits = splat_int(0);
  for (size_t d = 0; d < n; d += 16) bits = larger_bits(magnitude_bits(load_rest(x, n, d)), bits);
  // Magnitudes are ordered like their bits, and infinities and not-a-numbers lie above all of them.
  int32_t lanes[16], top = 0;
  memcpy(lanes, &bits, sizeof lanes);
  for (int i = 0; i < 16; i++) top = lanes[i] > top ? lanes[i] : top;
  if (top >= INFINITY_BITS) return FURL_HALF_NAN;
  float largest;
  memcpy(&largest, &top, sizeof largest);
  uint16_t halves[16];
  halves_from_floats(splat(largest / 127), halves);
  return furl_scale_above(halves[0], largest);
}

/// Codes of up to 16 numbers.
INLINE v16c codes_for(v16 x, uint16_t half) {
  v16c none = {0};
  float scale = furl_float_from_half(half);
  if (!(scale > 0 && scale < __builtin_inff())) return none;
  v16i codes = (v16i)(x / splat(scale) + splat(0x1.8p23f)) - splat_int(0x4b400000);
  return __builtin_convertvector(codes, v16c);
}

static void store_i8(const furl_kv_head *cache, const float *key, const float *value, size_t position) {
  size_t index = furl_index(cache, position), n = cache->head_size, head = furl_padded(n);
  int8_t *keys = (int8_t *)cache->keys + furl_key_at(cache, index, 0);
  int8_t *values = (int8_t *)cache->values + furl_value_at(cache, index, 0);
  uint16_t scale = 0, value_scale = scale_for(value, n);
  cache->value_scales[index] = value_scale;
  for (size_t d = 0; d < head; d += 16) {
    size_t lanes = head - d < 16 ? head - d : 16;
    if (d % FURL_KEY_BLOCK == 0) {
      scale = scale_for(key + d, n - d < FURL_KEY_BLOCK ? n - d : FURL_KEY_BLOCK);
      cache->key_scales[furl_key_scale_at(cache, index, d)] = scale;
    }
    v16c codes = codes_for(load_rest(key, n, d), scale);
    scatter(keys + d * 16, sizeof(int8_t), &codes, lanes);
    codes = codes_for(load_rest(value, n, d), value_scale);
    memcpy(values + d, &codes, lanes);
  }
}
