// Calibrated codes: which scale a block gets, and how the errors of earlier columns move the later ones. Lanes are
// the 16 rows of a tile; rows never meet. Nothing is fused, so all tiers give the same bits as the scalar twin.

#pragma once

#include "lanes.h"

// MARK: Codes of a grid

/// The step of a value, counted from zero, clamped to the grid. Where the scale is zero the result means nothing.
INLINE v16 grid_step(v16 value, v16 scale, v16 minimum, v16 low, v16 high) {
  v16 steps = (value - minimum) / scale;
  steps = select16(steps < low, low, steps);
  steps = select16(steps > high, high, steps);
  return (steps + splat(0x1.8p23f)) - splat(0x1.8p23f);
}

/// Whether halves can be scales and minimums: all ones where they are finite.
INLINE v16i are_finite(v16 x) {
  return magnitude_bits(x) < splat_int(INFINITY_BITS);
}

INLINE v16 as_stored(v16 x) {
  uint16_t halves[FURL_TILE_ROWS];
  halves_from_floats(x, halves);
  return floats_from_halves(halves);
}

// MARK: Search

typedef struct grid_choice {
  v16 scale, minimum, loss;
} grid_choice;

typedef struct grid_block {
  const float *values;
  size_t stride;
  const float *weights;
  size_t columns;
  v16 low, high;
  bool has_minimum;
} grid_block;

/// The weighted squared error under a scale and a minimum that are halves; what the least squares of the same codes
/// want is added up on the way.
typedef struct grid_sums {
  v16 loss, w, c, cc, x, cx;
} grid_sums;

INLINE grid_sums grid_loss(const grid_block *block, v16 scale, v16 minimum) {
  grid_sums sums = {splat(0), splat(0), splat(0), splat(0), splat(0), splat(0)};
  v16i is_zero = scale == splat(0);
  v16 divisor = select16(is_zero, splat(1), scale);
  for (size_t i = 0; i < block->columns; i++) {
    v16 x = load(block->values + i * block->stride), weight = splat(block->weights[i]);
    v16 code = grid_step(x, divisor, minimum, block->low, block->high);
    code = select16(is_zero, splat(0), code);
    v16 error = x - (code * scale + minimum);
    sums.loss = sums.loss + weight * error * error;
    sums.w = sums.w + weight;
    sums.c = sums.c + weight * code;
    sums.cc = sums.cc + weight * code * code;
    sums.x = sums.x + weight * x;
    sums.cx = sums.cx + weight * code * x;
  }
  return sums;
}

INLINE grid_sums grid_try(const grid_block *block, v16 scale, v16 minimum, grid_choice *best) {
  scale = as_stored(scale);
  // Zero has one sign.
  scale = select16(scale == splat(0), splat(0), scale);
  if (block->has_minimum) minimum = as_stored(minimum);
  grid_sums sums = grid_loss(block, scale, minimum);
  v16i better = (sums.loss < best->loss) & are_finite(scale) & are_finite(minimum);
  best->scale = select16(better, scale, best->scale);
  best->minimum = select16(better, minimum, best->minimum);
  best->loss = select16(better, sums.loss, best->loss);
  return sums;
}

/// Least squares with the codes of the best choice so far, twice.
INLINE void grid_refine(const grid_block *block, grid_choice *best) {
  for (int round = 0; round < 2; round++) {
    grid_sums sums = grid_loss(block, best->scale, best->minimum);
    v16 scale, minimum = splat(0);
    v16i possible;
    if (block->has_minimum) {
      v16 determinant = sums.w * sums.cc - sums.c * sums.c;
      possible = determinant > splat(0);
      v16 divisor = select16(possible, determinant, splat(1));
      scale = (sums.w * sums.cx - sums.c * sums.x) / divisor;
      minimum = (sums.cc * sums.x - sums.c * sums.cx) / divisor;
    } else {
      possible = sums.cc > splat(0);
      scale = sums.cx / select16(possible, sums.cc, splat(1));
    }
    scale = select16(possible, scale, best->scale);
    minimum = select16(possible, minimum, best->minimum);
    grid_try(block, scale, minimum, best);
  }
}

static bool search_grid(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns, uint16_t *scales,
  uint16_t *minimums)
{
  grid_block block = {
    values, stride, weights, columns, splat((float)grid->low), splat((float)grid->high), grid->has_minimum};
  v16 most = load(values), least = most;
  v16i finite = splat_int(-1);
  for (size_t i = 0; i < columns; i++) {
    v16 x = load(values + i * stride);
    finite &= are_finite(x);
    most = select16(x > most, x, most);
    least = select16(x < least, x, least);
  }
  if (__builtin_reduce_and(finite) == 0) return false;
  v16 reach = splat((float)(grid->has_minimum ? grid->high : -grid->low));
  grid_choice best = {splat(0), splat(0), splat(__builtin_inff())};
  if (grid->has_minimum) {
    v16 range = most / splat(2) - least / splat(2);
    for (int up = 0; up < FURL_GRID_SHRINKS; up++) {
      for (int down = 0; down < FURL_GRID_SHRINKS; down++) {
        v16 low = least + range * splat((float)down * FURL_GRID_SHRINK);
        v16 width = range * splat(2 - (float)(up + down) * FURL_GRID_SHRINK);
        grid_try(&block, width / reach, low, &best);
      }
    }
  } else {
    v16 largest = select16(most > -least, most, -least);
    for (int i = 0; i < FURL_GRID_FACTORS; i++) {
      v16 scale = largest / (reach * splat(FURL_GRID_FIRST + (float)i * FURL_GRID_STEP));
      grid_try(&block, scale, splat(0), &best);
      // The side with one code more is either one.
      if (grid->low != -grid->high) grid_try(&block, -scale, splat(0), &best);
    }
  }
  if (__builtin_reduce_and(best.loss < splat(__builtin_inff())) == 0) return false;
  grid_refine(&block, &best);
  halves_from_floats(best.scale, scales);
  if (grid->has_minimum) halves_from_floats(best.minimum, minimums);
  return true;
}

// MARK: Feedback

static void feed_back(
  const furl_grid *grid, const uint16_t *scales, const uint16_t *minimums, const float *factor, const float *feedback,
  size_t columns, float *weights, size_t stride, uint8_t *codes)
{
  v16 scale = floats_from_halves(scales), low = splat((float)grid->low), high = splat((float)grid->high);
  v16 minimum = grid->has_minimum ? floats_from_halves(minimums) : splat(0);
  v16i is_zero = scale == splat(0);
  v16 divisor = select16(is_zero, splat(1), scale);
  for (size_t i = columns; i-- > 0;) {
    v16 weight = load(weights + i * stride), wanted = weight;
    if (feedback != NULL) wanted = wanted + load(feedback + i * stride);
    if (factor != NULL) {
      v16 moved = splat(0);
      for (size_t j = i + 1; j < columns; j++) {
        moved = moved + load(weights + j * stride) * splat(factor[j * columns + i]);
      }
      wanted = wanted + moved;
    }
    v16 code = select16(is_zero, splat(0), grid_step(wanted, divisor, minimum, low, high));
    store(weights + i * stride, weight - (code * scale + minimum));
    v16i stored = __builtin_convertvector(code, v16i) + splat_int(grid->offset);
    typedef uint8_t v16b_ __attribute__((vector_size(16)));
    v16b_ bytes = __builtin_convertvector(stored, v16b_);
    memcpy(codes + i * stride, &bytes, sizeof bytes);
  }
}
