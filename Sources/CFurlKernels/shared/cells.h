// Numbers as they lie in memory, 16 at a time.

#pragma once

#include "lanes.h"

typedef enum cells { FLOATS, HALVES, CODES } cells; // 32, 16 and 8 bits

typedef int8_t v16c __attribute__((vector_size(16)));

INLINE size_t cell_bytes(const cells kind) {
  return kind == FLOATS ? sizeof(float) : kind == HALVES ? sizeof(uint16_t) : sizeof(int8_t);
}

/// `lanes` (16 or 8) cells; the others are zero.
INLINE v16 load_cells(const cells kind, const int lanes, const void *from, size_t at) {
  const char *here = (const char *)from + at * cell_bytes(kind);
  if (kind == FLOATS) return load_first((const float *)(const void *)here, (size_t)lanes);
  if (lanes == 16 && kind == HALVES) return floats_from_halves((const uint16_t *)(const void *)here);
  char padded[32] = {0};
  memcpy(padded, here, (size_t)lanes * cell_bytes(kind));
  if (kind == HALVES) return floats_from_halves((const uint16_t *)(const void *)padded);
  v16c codes;
  memcpy(&codes, padded, sizeof codes);
  return __builtin_convertvector(codes, v16);
}
