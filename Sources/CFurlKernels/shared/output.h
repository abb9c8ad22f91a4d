// Where a tile's 16 sums go, and how rows of activations are grouped.

#pragma once

#include "lanes.h"

/// Lanes beyond the matrix's last row are padding and have no place in the output.
INLINE void put(
  v16 dot, const furl_matrix *matrix, const furl_output *output, size_t activation, size_t tile)
{
  size_t row = tile * FURL_TILE_ROWS;
  size_t n = matrix->rows - row < FURL_TILE_ROWS ? matrix->rows - row : FURL_TILE_ROWS;
  float *out = output->values + activation * output->stride + row;
  v16 result = dot + (output->bias != NULL ? load_first(output->bias + row, n) : splat(0));
  store_first(out, output->accumulate ? load_first(out, n) + result : result, n);
}

/// Runs group(size, first) over every row of activations in groups of 8, 4, 2 and 1, none above `limit`. A
/// group shares one reading and unpacking of the weights; `size` is a constant in each call, so that its sums
/// are registers. Sums never mix, so a row's result does not depend on the group it falls in.
#define FOR_EACH_GROUP(limit, count, group)                                                                 \
  for (size_t first_ = 0, left_; (left_ = (count)-first_) != 0;) {                                          \
    if ((limit) >= 8 && left_ >= 8) {                                                                       \
      group(8, first_);                                                                                     \
      first_ += 8;                                                                                          \
    } else if ((limit) >= 4 && left_ >= 4) {                                                                \
      group(4, first_);                                                                                     \
      first_ += 4;                                                                                          \
    } else if ((limit) >= 2 && left_ >= 2) {                                                                \
      group(2, first_);                                                                                     \
      first_ += 2;                                                                                          \
    } else {                                                                                                \
      group(1, first_);                                                                                     \
      first_ += 1;                                                                                          \
    }                                                                                                       \
  }

INLINE size_t last_tile(const furl_matrix *matrix, size_t tile_end) {
  size_t tiles = (matrix->rows + FURL_TILE_ROWS - 1) / FURL_TILE_ROWS;
  return tile_end < tiles ? tile_end : tiles;
}

/// Where the block that begins at a column tile ends; the last of a row may be shorter.
INLINE size_t block_end(const furl_matrix *matrix, size_t begin) {
  size_t left = matrix->column_tiles - begin;
  return begin + (left < matrix->block_tiles ? left : matrix->block_tiles);
}

/// Asks for the weights of some tiles later. One row of activations needs no such help: its only stream is
/// the weights, and the CPU follows it. Several rows are more streams than it follows, and reading weights
/// from memory for eight rows takes 1.6 times as long without. Into the second-level cache, because the first
/// has too few misses in flight.
INLINE void fetch_ahead(const int n, const void *weights, size_t bytes) {
  if (n == 1) return;
  UNROLL for (size_t line = 0; line < bytes; line += 64) {
    __builtin_prefetch((const char *)weights + 8192 + line, 0, 2);
  }
}

typedef enum scheme { INT8, INT4, INT4_MINIMUM } scheme;

/// The code that stands for zero, as stored.
INLINE int32_t zero_code(const scheme s) {
  return s == INT8 ? 128 : s == INT4 ? 8 : 0;
}

INLINE size_t tile_bytes(const scheme s) {
  return s == INT8 ? FURL_TILE_ROWS * FURL_TILE_COLUMNS : FURL_TILE_ROWS * FURL_TILE_COLUMNS / 2;
}

#define MULTIPLY(name, row_tile, limit)                                                                     \
  static void name(                                                                                         \
    const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,               \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    for (size_t tile = tile_begin; tile < last_tile(matrix, tile_end); tile++) {                            \
      FOR_EACH_GROUP(limit, x->count, row_tile)                                                             \
    }                                                                                                       \
  }
