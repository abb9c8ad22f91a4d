// Calibrated codes: which scale a block gets, and how the errors of earlier columns move the later ones. Lanes are
// the 16 rows of a tile; rows never meet. Nothing is fused, so all tiers give the same bits as the scalar twin.

#pragma once

#include "rounding.h"

// MARK: Codes of a grid

/// What a value becomes, before its scale: a step counted from zero, clamped to the grid, or a level of a table. Where
/// the scale is zero the result means nothing.
INLINE v16 grid_step(const bool is_table, const furl_grid *grid, v16 value, v16 scale, v16 minimum) {
  v16 steps = (value - minimum) / scale;
  if (is_table) {
    v16 level = splat(grid->levels[0]);
    UNROLL for (int i = 0; i < 15; i++) {
      level = select16(steps > splat(grid->bounds[i]), splat(grid->levels[i + 1]), level);
    }
    return level;
  }
  v16 low = splat((float)grid->low), high = splat((float)grid->high);
  steps = select16(steps < low, low, steps);
  steps = select16(steps > high, high, steps);
  return nearest_whole(steps);
}

/// The code of what grid_step gives, as stored.
INLINE v16i grid_code(const bool is_table, const furl_grid *grid, v16 step, v16 steps) {
  if (!is_table) return __builtin_convertvector(step, v16i) + splat_int(grid->offset);
  v16i code = splat_int(grid->codes[0]);
  UNROLL for (int i = 0; i < 15; i++) {
    code = select16_int(steps > splat(grid->bounds[i]), splat_int(grid->codes[i + 1]), code);
  }
  return code;
}

/// Whether halves can be scales and minimums: all ones where they are finite.
INLINE v16i are_finite(v16 x) {
  return magnitude_bits(x) < splat_int(INFINITY_BITS);
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
  const furl_grid *grid;
  const furl_rounding *rounding;
} grid_block;

/// The weighted squared error under a scale and a minimum that are halves; what the least squares of the same codes
/// want is added up on the way.
typedef struct grid_sums {
  v16 loss, w, c, cc, x, cx;
} grid_sums;

INLINE grid_sums grid_loss(const bool is_table, const grid_block *block, v16 scale, v16 minimum) {
  grid_sums sums = {splat(0), splat(0), splat(0), splat(0), splat(0), splat(0)};
  v16i is_zero = scale == splat(0);
  v16 divisor = select16(is_zero, splat(1), scale);
  for (size_t i = 0; i < block->columns; i++) {
    v16 x = load(block->values + i * block->stride), weight = splat(block->weights[i]);
    v16 code = grid_step(is_table, block->grid, x, divisor, minimum);
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

INLINE grid_sums grid_try(
  const bool is_table, const grid_block *block, v16 scale, v16 minimum, grid_choice *best)
{
  const furl_rounding *r = block->rounding;
  scale = as_stored(scale, r != NULL ? r->factors : NULL, splat(r != NULL ? (float)r->low : 0),
    splat(r != NULL ? (float)r->high : 0));
  // Zero has one sign.
  scale = select16(scale == splat(0), splat(0), scale);
  if (block->grid->has_minimum) {
    const float steps = FURL_SIGNED_SCALE_STEPS;
    minimum = as_stored(minimum, r != NULL ? r->minimum_factors : NULL, splat(-steps), splat(steps));
  }
  grid_sums sums = grid_loss(is_table, block, scale, minimum);
  v16i better = (sums.loss < best->loss) & are_finite(scale) & are_finite(minimum);
  best->scale = select16(better, scale, best->scale);
  best->minimum = select16(better, minimum, best->minimum);
  best->loss = select16(better, sums.loss, best->loss);
  return sums;
}

/// Least squares with the codes of the best choice so far, twice.
INLINE void grid_refine(const bool is_table, const grid_block *block, grid_choice *best) {
  for (int round = 0; round < 2; round++) {
    grid_sums sums = grid_loss(is_table, block, best->scale, best->minimum);
    v16 scale, minimum = splat(0);
    v16i possible;
    if (block->grid->has_minimum) {
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
    grid_try(is_table, block, scale, minimum, best);
  }
}

/// Whether scales of both signs are tried.
INLINE bool has_two_signs(const furl_grid *grid) {
  return grid->is_table ? grid->is_signed : grid->low != -grid->high;
}

INLINE void try_all(const bool is_table, const grid_block *block, v16 least, v16 most, grid_choice *best) {
  const furl_grid *grid = block->grid;
  v16 reach = splat((float)(grid->has_minimum ? grid->high : -grid->low));
  if (grid->has_minimum) {
    v16 range = most / splat(2) - least / splat(2);
    for (int up = 0; up < FURL_GRID_SHRINKS; up++) {
      for (int down = 0; down < FURL_GRID_SHRINKS; down++) {
        v16 low = least + range * splat((float)down * FURL_GRID_SHRINK);
        v16 width = range * splat(2 - (float)(up + down) * FURL_GRID_SHRINK);
        grid_try(is_table, block, width / reach, low, best);
      }
    }
  } else {
    v16 largest = select16(most > -least, most, -least);
    for (int i = 0; i < FURL_GRID_FACTORS; i++) {
      v16 scale = largest / (reach * splat(FURL_GRID_FIRST + (float)i * FURL_GRID_STEP));
      grid_try(is_table, block, scale, splat(0), best);
      // The larger side is either one.
      if (has_two_signs(grid)) grid_try(is_table, block, -scale, splat(0), best);
    }
  }
}

INLINE void try_few(const bool is_table, const grid_block *block, v16 least, v16 most, grid_choice *best) {
  const furl_grid *grid = block->grid;
  if (grid->has_minimum) {
    static const float moves[][2] = FURL_FEW_MOVES;
    v16 range = most / splat(2) - least / splat(2);
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
      float down = moves[i][0] * FURL_GRID_SHRINK, up = moves[i][1] * FURL_GRID_SHRINK;
      v16 width = range * splat(2 - (down + up));
      grid_try(is_table, block, width / splat((float)grid->high), least + range * splat(down), best);
    }
  } else {
    static const float shares[] = FURL_FEW_SHARES;
    const bool is_signed = has_two_signs(grid);
    v16 largest = select16(most < -least, is_signed ? least : -least, most);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
      v16 part = largest * splat(shares[i]);
      if (is_signed) grid_try(is_table, block, part / splat((float)grid->low), splat(0), best);
      grid_try(is_table, block, part / splat((float)grid->high), splat(0), best);
    }
  }
}

/// The best of many scales and minimums, or of few, and least squares behind it; false for what is not finite.
INLINE bool search_block(
  const bool is_table, const bool is_short, const grid_block *block, float *scales, float *minimums)
{
  v16 most = load(block->values), least = most;
  v16i finite = splat_int(-1);
  for (size_t i = 0; i < block->columns; i++) {
    v16 x = load(block->values + i * block->stride);
    finite &= are_finite(x);
    most = select16(x > most, x, most);
    least = select16(x < least, x, least);
  }
  if (__builtin_reduce_and(finite) == 0) return false;
  grid_choice best = {splat(0), splat(0), splat(__builtin_inff())};
  if (is_short) {
    try_few(is_table, block, least, most, &best);
  } else {
    try_all(is_table, block, least, most, &best);
  }
  if (__builtin_reduce_and(best.loss < splat(__builtin_inff())) == 0) return false;
  grid_refine(is_table, block, &best);
  store(scales, best.scale);
  if (block->grid->has_minimum) store(minimums, best.minimum);
  return true;
}

static bool search_few(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns, float *scales,
  float *minimums)
{
  grid_block block = {values, stride, weights, columns, grid, NULL};
  return grid->is_table ? search_block(true, true, &block, scales, minimums)
                        : search_block(false, true, &block, scales, minimums);
}

static void search_unit(
  const float *wanted, const float *weights, size_t parts, int32_t low, int32_t high, size_t steps, float *unit)
{
  v16 largest = splat(0), first = splat((float)low), last = splat((float)high);
  for (size_t p = 0; p < parts; p++) {
    v16 x = load(wanted + p * FURL_TILE_ROWS);
    largest = select16((v16)magnitude_bits(x) > (v16)magnitude_bits(largest), x, largest);
  }
  v16 best = largest / last, least = splat(__builtin_inff());
  for (size_t step = 0; step < 2 * steps; step++) {
    if (step % 2 != 0 && low >= 0) continue;
    float multiple = step % 2 == 0 ? (float)high - (float)(step / 2) : (float)low + (float)(step / 2);
    v16 tried = largest / splat(multiple), loss = splat(0);
    v16i is_zero = tried == splat(0);
    v16 divisor = select16(is_zero, splat(1), tried);
    for (size_t p = 0; p < parts; p++) {
      v16 x = load(wanted + p * FURL_TILE_ROWS), steps_of = x / divisor;
      steps_of = select16(steps_of < first, first, steps_of);
      steps_of = select16(steps_of > last, last, steps_of);
      v16 error = x - tried * select16(is_zero, splat(0), nearest_whole(steps_of));
      loss = loss + load(weights + p * FURL_TILE_ROWS) * error * error;
    }
    v16i better = loss < least;
    least = select16(better, loss, least);
    best = select16(better, tried, best);
  }
  store(unit, best);
}

static bool search_grid(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns,
  const furl_rounding *rounding, float *scales, float *minimums)
{
  grid_block block = {values, stride, weights, columns, grid, rounding};
  return grid->is_table ? search_block(true, false, &block, scales, minimums)
                        : search_block(false, false, &block, scales, minimums);
}

static void weigh_grid(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns,
  const float *scales, const float *minimums, float *out)
{
  grid_block block = {values, stride, weights, columns, grid, NULL};
  v16 scale = load(scales), minimum = grid->has_minimum ? load(minimums) : splat(0);
  grid_sums sums = grid->is_table ? grid_loss(true, &block, scale, minimum) : grid_loss(false, &block, scale, minimum);
  const v16 all[] = {sums.loss, sums.w, sums.c, sums.cc, sums.x, sums.cx};
  for (size_t i = 0; i < 6; i++) store(out + i * FURL_TILE_ROWS, all[i]);
}

// MARK: Feedback

INLINE void feed_back_block(
  const bool is_table, const furl_grid *grid, const float *scales, const float *minimums, const float *factor,
  const float *feedback, size_t columns, float *weights, size_t stride, uint8_t *codes)
{
  v16 scale = load(scales), minimum = grid->has_minimum ? load(minimums) : splat(0);
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
    v16 step = select16(is_zero, splat(0), grid_step(is_table, grid, wanted, divisor, minimum));
    store(weights + i * stride, weight - (step * scale + minimum));
    v16i stored = grid_code(is_table, grid, step, (wanted - minimum) / divisor);
    if (is_table) stored = select16_int(is_zero, splat_int(grid->offset), stored);
    v16b bytes = __builtin_convertvector(stored, v16b);
    memcpy(codes + i * stride, &bytes, sizeof bytes);
  }
}

static void feed_back(
  const furl_grid *grid, const float *scales, const float *minimums, const float *factor, const float *feedback,
  size_t columns, float *weights, size_t stride, uint8_t *codes)
{
  if (grid->is_table) {
    feed_back_block(true, grid, scales, minimums, factor, feedback, columns, weights, stride, codes);
  } else {
    feed_back_block(false, grid, scales, minimums, factor, feedback, columns, weights, stride, codes);
  }
}

INLINE void feed_back_rows_block(const bool is_table, const furl_grid *grid, const furl_row_feedback *f) {
  const size_t columns = f->columns, stride = f->stride;
  v16 scale = load(f->scales), minimum = grid->has_minimum ? load(f->minimums) : splat(0);
  v16i is_zero = scale == splat(0);
  v16 divisor = select16(is_zero, splat(1), scale);
  for (size_t i = columns; i-- > 0;) {
    v16 weight = load(f->weights + i * stride), asked = load(f->feedback + i * stride), moved = splat(0);
    for (size_t j = i + 1; j < columns; j++) {
      moved = moved + load(f->weights + j * stride) * splat(f->factor[j * columns + i]);
    }
    v16 own = weight + asked + moved, outputs = load(f->outputs + i * stride);
    asked = asked + moved;
    // A row's own number is right once those above it are done; the lanes below are computed in vain.
    for (int row = 0; row < FURL_TILE_ROWS - 1; row++) {
      v16 step = select16(is_zero, splat(0), grid_step(is_table, grid, own + outputs, divisor, minimum));
      float followed[FURL_TILE_ROWS];
      store(followed, weight - (step * scale + minimum) + asked);
      outputs = outputs + load(f->row_factor + (size_t)row * f->row_stride) * splat(followed[row]);
    }
    v16 wanted = own + outputs;
    v16 step = select16(is_zero, splat(0), grid_step(is_table, grid, wanted, divisor, minimum));
    v16 error = weight - (step * scale + minimum);
    store(f->weights + i * stride, error);
    store(f->followed + i * f->followed_stride, error + asked);
    v16i stored = grid_code(is_table, grid, step, (wanted - minimum) / divisor);
    if (is_table) stored = select16_int(is_zero, splat_int(grid->offset), stored);
    v16b bytes = __builtin_convertvector(stored, v16b);
    memcpy(f->codes + i * stride, &bytes, sizeof bytes);
  }
}

static void feed_back_rows(const furl_grid *grid, const furl_row_feedback *feedback) {
  if (grid->is_table) {
    feed_back_rows_block(true, grid, feedback);
  } else {
    feed_back_rows_block(false, grid, feedback);
  }
}
