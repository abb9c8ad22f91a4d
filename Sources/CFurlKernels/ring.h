// Where a cache keeps what: the layout of furl_kv_head.

#ifndef FURL_RING_H
#define FURL_RING_H

#include "tiers.h"

static inline size_t furl_padded(size_t head_size) {
  return (head_size + 7) / 8 * 8;
}

/// Where a position lies in the ring. Rings are rarely gone round, and a division takes long.
static inline size_t furl_index(const furl_kv_head *cache, size_t position) {
  return position < cache->capacity ? position : position % cache->capacity;
}

static inline size_t furl_key_at(const furl_kv_head *cache, size_t index, size_t d) {
  return (index / 16 * furl_padded(cache->head_size) + d) * 16 + index % 16;
}

static inline size_t furl_value_at(const furl_kv_head *cache, size_t index, size_t d) {
  return index * furl_padded(cache->head_size) + d;
}

static inline size_t furl_key_blocks(const furl_kv_head *cache) {
  return (furl_padded(cache->head_size) + FURL_KEY_BLOCK - 1) / FURL_KEY_BLOCK;
}

static inline size_t furl_key_scale_at(const furl_kv_head *cache, size_t index, size_t d) {
  return (index / 16 * furl_key_blocks(cache) + d / FURL_KEY_BLOCK) * 16 + index % 16;
}

#define FURL_HALF_NAN 0x7e00

/// The scale of numbers up to `largest`: the half nearest to largest / 127, or the next one, so that no code
/// exceeds 127.
static inline uint16_t furl_scale_above(uint16_t nearest, float largest) {
  return furl_float_from_half(nearest) * 127 < largest ? (uint16_t)(nearest + 1) : nearest;
}

#endif
