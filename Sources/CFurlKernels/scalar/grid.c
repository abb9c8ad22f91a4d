// Calibrated codes, row by row, in the words of the header.

#include "scalar.h"

typedef struct choice {
  float scale, minimum, loss;
} choice;

typedef struct sums {
  float loss, w, c, cc, x, cx;
} sums;

/// One row of a block.
typedef struct block {
  const furl_grid *grid;
  const float *values;
  size_t stride;
  const float *weights;
  size_t columns;
  const furl_rounding *rounding;
  size_t row;
} block;

static bool is_finite(float value) {
  return __builtin_fabsf(value) <= 0x1.fffffep127f;
}

/// `factors` NULL: halves.
static float as_stored(float value, const float *factors, size_t row, int32_t low, int32_t high) {
  if (factors == NULL) return furl_float_from_half(furl_half_from_float(value));
  return (float)furl_scalar_scale_code(value, factors[row], low, high) * factors[row];
}

/// Which level of a table a value gets.
static int level_of(const furl_grid *grid, float steps) {
  int level = 0;
  for (int i = 0; i < 15; i++) if (steps > grid->bounds[i]) level = i + 1;
  return level;
}

static float code_of(const furl_grid *grid, float value, float scale, float minimum) {
  if (scale == 0) return 0;
  float steps = (value - minimum) / scale, low = (float)grid->low, high = (float)grid->high;
  if (grid->is_table) return grid->levels[level_of(grid, steps)];
  if (steps < low) steps = low;
  if (steps > high) steps = high;
  return steps + 0x1.8p23f - 0x1.8p23f;
}

static sums loss_of(const block *b, float scale, float minimum) {
  sums sums = {0, 0, 0, 0, 0, 0};
  for (size_t i = 0; i < b->columns; i++) {
    float x = b->values[i * b->stride], weight = b->weights[i];
    float code = code_of(b->grid, x, scale, minimum), error = x - (code * scale + minimum);
    sums.loss = sums.loss + weight * error * error;
    sums.w = sums.w + weight;
    sums.c = sums.c + weight * code;
    sums.cc = sums.cc + weight * code * code;
    sums.x = sums.x + weight * x;
    sums.cx = sums.cx + weight * code * x;
  }
  return sums;
}

static void try_choice(const block *b, float scale, float minimum, choice *best) {
  const furl_rounding *r = b->rounding;
  scale = r == NULL ? as_stored(scale, NULL, 0, 0, 0) : as_stored(scale, r->factors, b->row, r->low, r->high);
  if (scale == 0) scale = 0;
  if (b->grid->has_minimum) {
    const float *factors = r == NULL ? NULL : r->minimum_factors;
    minimum = as_stored(minimum, factors, b->row, -FURL_SIGNED_SCALE_STEPS, FURL_SIGNED_SCALE_STEPS);
  }
  float loss = loss_of(b, scale, minimum).loss;
  if (loss < best->loss && is_finite(scale) && is_finite(minimum)) *best = (choice){scale, minimum, loss};
}

static void refine(const block *b, choice *best) {
  for (int round = 0; round < 2; round++) {
    sums s = loss_of(b, best->scale, best->minimum);
    float scale = best->scale, minimum = best->minimum;
    if (b->grid->has_minimum) {
      float determinant = s.w * s.cc - s.c * s.c;
      if (determinant > 0) {
        scale = (s.w * s.cx - s.c * s.x) / determinant;
        minimum = (s.cc * s.x - s.c * s.cx) / determinant;
      }
    } else if (s.cc > 0) {
      scale = s.cx / s.cc;
    }
    try_choice(b, scale, minimum, best);
  }
}

/// Tries scales and minimums for a row whose numbers lie between two ends.
typedef void (*candidates)(const block *b, float least, float most, choice *best);

static void try_all(const block *b, float least, float most, choice *best) {
  const furl_grid *grid = b->grid;
  float reach = (float)(grid->has_minimum ? grid->high : -grid->low);
  if (grid->has_minimum) {
    float range = most / 2 - least / 2;
    for (int up = 0; up < FURL_GRID_SHRINKS; up++) {
      for (int down = 0; down < FURL_GRID_SHRINKS; down++) {
        float low = least + range * ((float)down * FURL_GRID_SHRINK);
        float width = range * (2 - (float)(up + down) * FURL_GRID_SHRINK);
        try_choice(b, width / reach, low, best);
      }
    }
  } else {
    float largest = most > -least ? most : -least;
    for (int i = 0; i < FURL_GRID_FACTORS; i++) {
      float scale = largest / (reach * (FURL_GRID_FIRST + (float)i * FURL_GRID_STEP));
      try_choice(b, scale, 0, best);
      if (grid->is_table ? grid->is_signed : grid->low != -grid->high) try_choice(b, -scale, 0, best);
    }
  }
}

static void try_few(const block *b, float least, float most, choice *best) {
  const furl_grid *grid = b->grid;
  if (grid->has_minimum) {
    static const float moves[][2] = FURL_FEW_MOVES;
    float range = most / 2 - least / 2;
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
      float down = moves[i][0] * FURL_GRID_SHRINK, up = moves[i][1] * FURL_GRID_SHRINK;
      try_choice(b, range * (2 - (down + up)) / (float)grid->high, least + range * down, best);
    }
  } else {
    static const float shares[] = FURL_FEW_SHARES;
    const bool is_signed = grid->is_table ? grid->is_signed : grid->low != -grid->high;
    float largest = most < -least ? is_signed ? least : -least : most;
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
      if (is_signed) try_choice(b, largest * shares[i] / (float)grid->low, 0, best);
      try_choice(b, largest * shares[i] / (float)grid->high, 0, best);
    }
  }
}

static bool search_row(const block *b, candidates try_candidates, float *scale, float *minimum) {
  float most = b->values[0], least = most;
  for (size_t i = 0; i < b->columns; i++) {
    float x = b->values[i * b->stride];
    if (!is_finite(x)) return false;
    if (x > most) most = x;
    if (x < least) least = x;
  }
  choice best = {0, 0, __builtin_inff()};
  try_candidates(b, least, most, &best);
  if (!(best.loss < __builtin_inff())) return false;
  refine(b, &best);
  *scale = best.scale;
  *minimum = best.minimum;
  return true;
}

/// Of a block of all rows, which begins at the first one's numbers.
static bool search_rows(block b, candidates try_candidates, float *scales, float *minimums) {
  for (; b.row < FURL_TILE_ROWS; b.row++, b.values++) {
    float minimum = 0;
    if (!search_row(&b, try_candidates, &scales[b.row], &minimum)) return false;
    if (b.grid->has_minimum) minimums[b.row] = minimum;
  }
  return true;
}

bool furl_scalar_search_few(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns, float *scales,
  float *minimums)
{
  return search_rows((block){grid, values, stride, weights, columns, NULL, 0}, try_few, scales, minimums);
}

void furl_scalar_search_unit(
  const float *wanted, const float *weights, size_t parts, int32_t low, int32_t high, size_t steps, float *unit)
{
  for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
    float largest = 0, least = __builtin_inff();
    for (size_t p = 0; p < parts; p++) {
      float x = wanted[p * FURL_TILE_ROWS + row];
      if (__builtin_fabsf(x) > __builtin_fabsf(largest)) largest = x;
    }
    unit[row] = largest / (float)high;
    for (size_t step = 0; step < 2 * steps; step++) {
      if (step % 2 != 0 && low >= 0) continue;
      float multiple = step % 2 == 0 ? (float)high - (float)(step / 2) : (float)low + (float)(step / 2);
      float tried = largest / multiple, loss = 0;
      for (size_t p = 0; p < parts; p++) {
        float x = wanted[p * FURL_TILE_ROWS + row], n = tried == 0 ? 0 : x / tried;
        n = n < (float)low ? (float)low : n > (float)high ? (float)high : n;
        float error = x - tried * (n + 0x1.8p23f - 0x1.8p23f);
        loss = loss + weights[p * FURL_TILE_ROWS + row] * error * error;
      }
      if (loss < least) least = loss, unit[row] = tried;
    }
  }
}

bool furl_scalar_search_grid(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns,
  const furl_rounding *rounding, float *scales, float *minimums)
{
  return search_rows((block){grid, values, stride, weights, columns, rounding, 0}, try_all, scales, minimums);
}

void furl_scalar_weigh_grid(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns, const float *scales,
  const float *minimums, float *out)
{
  for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
    block b = {grid, values + row, stride, weights, columns, NULL, row};
    sums s = loss_of(&b, scales[row], grid->has_minimum ? minimums[row] : 0);
    const float all[] = {s.loss, s.w, s.c, s.cc, s.x, s.cx};
    for (size_t i = 0; i < 6; i++) out[i * FURL_TILE_ROWS + row] = all[i];
  }
}

void furl_scalar_feed_back(
  const furl_grid *grid, const float *scales, const float *minimums, const float *factor, const float *feedback,
  size_t columns, float *weights, size_t stride, uint8_t *codes)
{
  for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
    float scale = scales[row], minimum = grid->has_minimum ? minimums[row] : 0;
    for (size_t i = columns; i-- > 0;) {
      float weight = weights[i * stride + row], wanted = weight;
      if (feedback != NULL) wanted = wanted + feedback[i * stride + row];
      if (factor != NULL) {
        float moved = 0;
        for (size_t j = i + 1; j < columns; j++) {
          moved = moved + weights[j * stride + row] * factor[j * columns + i];
        }
        wanted = wanted + moved;
      }
      float code = code_of(grid, wanted, scale, minimum);
      weights[i * stride + row] = weight - (code * scale + minimum);
      bool has_level = grid->is_table && scale != 0;
      codes[i * stride + row] = has_level ? grid->codes[level_of(grid, (wanted - minimum) / scale)]
        : (uint8_t)((grid->is_table ? 0 : (int32_t)code) + grid->offset);
    }
  }
}

void furl_scalar_feed_back_rows(const furl_grid *grid, const furl_row_feedback *f) {
  for (size_t i = f->columns; i-- > 0;) {
    float outputs[FURL_TILE_ROWS];
    for (size_t row = 0; row < FURL_TILE_ROWS; row++) outputs[row] = f->outputs[i * f->stride + row];
    for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
      float scale = f->scales[row], minimum = grid->has_minimum ? f->minimums[row] : 0;
      float weight = f->weights[i * f->stride + row], asked = f->feedback[i * f->stride + row], moved = 0;
      for (size_t j = i + 1; j < f->columns; j++) {
        moved = moved + f->weights[j * f->stride + row] * f->factor[j * f->columns + i];
      }
      float wanted = weight + asked + moved + outputs[row];
      float code = code_of(grid, wanted, scale, minimum);
      float error = weight - (code * scale + minimum), followed = error + (asked + moved);
      f->weights[i * f->stride + row] = error;
      f->followed[i * f->followed_stride + row] = followed;
      bool has_level = grid->is_table && scale != 0;
      f->codes[i * f->stride + row] = has_level ? grid->codes[level_of(grid, (wanted - minimum) / scale)]
        : (uint8_t)((grid->is_table ? 0 : (int32_t)code) + grid->offset);
      for (size_t below = row + 1; below < FURL_TILE_ROWS; below++) {
        outputs[below] = outputs[below] + f->row_factor[row * f->row_stride + below] * followed;
      }
    }
  }
}
