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

/// The same in groups of any size up to the limit, where that is 8: a few rows, which drafts make, are one group, and no
/// weight is unpacked twice.
#define FOR_EACH_COUNT(limit, count, group)                                                                 \
  if ((limit) < 8) {                                                                                        \
    FOR_EACH_GROUP(limit, count, group)                                                                     \
  } else {                                                                                                  \
    for (size_t first_ = 0, left_; (left_ = (count)-first_) != 0; first_ += left_ < 8 ? left_ : 8) {        \
      switch (left_) {                                                                                      \
      case 1: group(1, first_); break;                                                                      \
      case 2: group(2, first_); break;                                                                      \
      case 3: group(3, first_); break;                                                                      \
      case 4: group(4, first_); break;                                                                      \
      case 5: group(5, first_); break;                                                                      \
      case 6: group(6, first_); break;                                                                      \
      case 7: group(7, first_); break;                                                                      \
      default: group(8, first_);                                                                            \
      }                                                                                                     \
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

typedef enum scheme {
  INT8, INT6, INT6_MINIMUM, INT5, INT5_MINIMUM, INT4, INT4_MINIMUM, INT3, INT3_MINIMUM, INT2, INT2_MINIMUM, TABLE4,
  INT8_MINIMUM, INT8_HALVED, INT3_HALVED, NESTED8
} scheme;

/// Whether codes are whole bytes.
INLINE bool has_bytes(const scheme s) {
  return s == INT8 || s == INT8_MINIMUM || s == INT8_HALVED;
}

INLINE int code_bits(const scheme s) {
  if (has_bytes(s)) return 8;
  if (s == INT6 || s == INT6_MINIMUM) return 6;
  if (s == INT5 || s == INT5_MINIMUM) return 5;
  return s == INT3 || s == INT3_MINIMUM || s == INT3_HALVED ? 3 : s == INT2 || s == INT2_MINIMUM ? 2 : 4;
}

/// Whether codes are nibbles with one or two bits more beside them.
INLINE bool is_wide(const scheme s) {
  return code_bits(s) == 5 || code_bits(s) == 6;
}

INLINE bool has_minimum(const scheme s) {
  return s == INT6_MINIMUM || s == INT5_MINIMUM || s == INT4_MINIMUM || s == INT3_MINIMUM || s == INT2_MINIMUM || s == INT8_MINIMUM;
}

/// The code that stands for zero, as stored; a table has its own. Of nested8, of each plane.
INLINE int32_t zero_code(const scheme s) {
  return has_minimum(s) || s == TABLE4 ? 0 : 1 << (code_bits(s) - 1);
}

INLINE size_t tile_bytes(const scheme s) {
  return FURL_TILE_ROWS * FURL_TILE_COLUMNS / 8 * (size_t)code_bits(s);
}

/// Whether one row of activations needs help to read its weights fast. The CPU follows a single stream by itself as long
/// as the next lines are among the few hundred instructions that it looks ahead; where a line's weights take many, as
/// those that are unpacked and scaled often do, it has too few lines in flight: int4 in blocks of 32 reads at 0.86 of
/// memory's speed without help and at 0.97 with it, with minimums at 0.70 and 0.94. What is fast by itself loses 3 to
/// 12 %.
INLINE bool is_slow_alone(const scheme s, const furl_matrix *matrix) {
  return code_bits(s) < 4 || is_wide(s) || (code_bits(s) == 4 && matrix->block_tiles <= (has_minimum(s) ? 2 : 1));
}

/// Asks for the weights of some tiles later: for one row where that `helps`, and for several rows, which are more streams
/// than the CPU follows. Reading weights from memory for eight rows takes 1.6 times as long without. For those into the
/// second-level cache, because the first has too few misses in flight; one row, which waits for nothing else, is a
/// fifth to two fifths faster with the first.
INLINE void fetch_ahead(const int n, const bool helps, const void *weights, size_t bytes) {
  if (n == 1) {
    if (!helps) return;
    UNROLL for (size_t line = 0; line < bytes; line += 64) {
      __builtin_prefetch((const char *)weights + 4096 + line, 0, 3);
    }
    return;
  }
  UNROLL for (size_t line = 0; line < bytes; line += 64) {
    __builtin_prefetch((const char *)weights + 8192 + line, 0, 2);
  }
}

INLINE v16i scale_bytes(const uint8_t *codes) {
  v16b bytes;
  memcpy(&bytes, codes, sizeof bytes);
  return __builtin_convertvector(bytes, v16i);
}

INLINE v16 coded_scales(const uint8_t *codes, int32_t zero, v16 factors) {
  return __builtin_convertvector(scale_bytes(codes) - splat_int(zero), v16) * factors;
}

/// 2^(code - 128); the smallest two are below the normal numbers.
INLINE v16 exponent_scales(const uint8_t *codes) {
  v16i code = scale_bytes(codes);
  v16i small = (splat_int(0x00200000) & (code == splat_int(0))) | (splat_int(0x00400000) & (code == splat_int(1)));
  v16i bits = ((code - splat_int(1)) << 23 & (code > splat_int(1))) | small;
  v16 scales;
  memcpy(&scales, &bits, sizeof scales);
  return scales;
}

/// The halves of the super-block of a block that lies at `at`.
INLINE v16 super_factors(const furl_matrix *matrix, const uint16_t *halves, size_t at) {
  return floats_from_halves(halves + (at / FURL_TILE_ROWS >> matrix->super_shift) * FURL_TILE_ROWS);
}

/// The scales of a block of a row tile, which lie at `at`.
INLINE v16 block_scales(const furl_matrix *matrix, size_t tile, size_t at) {
  if (matrix->scale_codes == NULL) return floats_from_halves(matrix->scales + at);
  const uint8_t *codes = matrix->scale_codes + at;
  if (matrix->super_scales != NULL) {
    return coded_scales(codes, matrix->scale_zero, super_factors(matrix, matrix->super_scales, at));
  }
  if (matrix->factors == NULL) return exponent_scales(codes);
  return coded_scales(codes, matrix->scale_zero, load(matrix->factors + tile * FURL_TILE_ROWS));
}

INLINE v16 block_minimums(const furl_matrix *matrix, size_t tile, size_t at) {
  if (matrix->minimum_codes == NULL) return floats_from_halves(matrix->minimums + at);
  const uint8_t *codes = matrix->minimum_codes + at;
  if (matrix->super_minimums != NULL) {
    return coded_scales(codes, 128, super_factors(matrix, matrix->super_minimums, at));
  }
  return coded_scales(codes, 128, load(matrix->minimum_factors + tile * FURL_TILE_ROWS));
}

#define MULTIPLY(name, row_tile, limit) MULTIPLY_IN(FOR_EACH_GROUP, name, row_tile, limit)
#define MULTIPLY_IN(groups, name, row_tile, limit)                                                          \
  static void name(                                                                                         \
    const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,               \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    for (size_t tile = tile_begin; tile < last_tile(matrix, tile_end); tile++) {                            \
      groups(limit, x->count, row_tile)                                                                     \
    }                                                                                                       \
  }
