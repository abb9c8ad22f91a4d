#include "support.h"

static furl_grid grids[] = {
  {-127, 127, 128, .has_minimum = false}, {-8, 7, 8, .has_minimum = false}, {0, 15, 0, .has_minimum = true},
  {-4, 3, 4, .has_minimum = false}, {-2, 1, 2, .has_minimum = false}, {0, 3, 0, .has_minimum = true},
  {.is_table = true}, {.is_table = true}, {.is_table = true},
};
enum { GRIDS = sizeof grids / sizeof *grids };

static void make_tables(void) {
  furl_table_grid(furl_nf4, false, &grids[GRIDS - 3]);
  furl_table_grid(furl_fp4, false, &grids[GRIDS - 2]);
  furl_table_grid(furl_nf4, true, &grids[GRIDS - 1]);
}

/// The step or the level nearest to a value, in double precision.
static double nearest(const furl_grid *grid, double x) {
  if (!grid->is_table) return fmin(fmax(nearbyint(x), grid->low), grid->high);
  double best = INFINITY;
  for (int i = 0; i < 16; i++) {
    if (fabs(x - (double)grid->levels[i]) < fabs(x - best)) best = (double)grid->levels[i];
  }
  return best;
}

/// What a stored code stands for.
static double step_of(const furl_grid *grid, uint8_t code) {
  if (!grid->is_table) return (double)code - grid->offset;
  for (int i = 0; i < 16; i++) if (grid->codes[i] == code) return (double)grid->levels[i];
  return NAN;
}

/// Factors that hold about every scale of a block.
typedef struct factors {
  float scales[16], minimums[16];
  furl_rounding rounding;
} factors;

static void make_factors(factors *f, bool is_signed) {
  for (int i = 0; i < 16; i++) f->scales[i] = fabsf(draw_unit()) * 0.002f, f->minimums[i] = fabsf(draw_unit()) * 0.002f;
  f->scales[1] = 0;
  f->rounding = (furl_rounding){f->scales, f->minimums, is_signed ? -127 : 0, is_signed ? 127 : 255};
}

/// A block of 16 rows with rows of several kinds of difficulty, and rows that are not asked for beside them.
typedef struct block {
  size_t columns, stride;
  float *values, *weights, *factor, *feedback;
} block;

static block make(size_t columns, size_t stride) {
  block b = {
    columns, stride, garbage(columns * stride * sizeof(float)), garbage(columns * sizeof(float)),
    garbage(columns * columns * sizeof(float)), garbage(columns * stride * sizeof(float))};
  for (size_t c = 0; c < columns; c++) {
    b.weights[c] = draw_below(8) == 0 ? 0 : fabsf(draw_unit());
    for (size_t j = 0; j < columns; j++) b.factor[c * columns + j] = draw_unit() * 0.3f;
    for (size_t row = 0; row < 16; row++) {
      float scale = row == 3 ? 1e-7f : row == 4 ? 1e4f : row == 5 ? 0 : 0.1f;
      float value = draw_unit() * scale;
      if (row == 6) value = (float)((int)draw_below(16) - 8) / 2;
      if (row == 7 && c == 0) value = 3;
      if (row == 8) value = fabsf(value) + 1;
      b.values[c * stride + row] = value;
      b.feedback[c * stride + row] = draw_unit() * 0.01f;
    }
  }
  return b;
}

static void discard(block b) {
  free(b.values);
  free(b.weights);
  free(b.factor);
  free(b.feedback);
}

/// The weighted squared error of a row under a scale and a minimum, in double precision.
static double loss(const furl_grid *grid, const block *b, size_t row, float scale, float minimum) {
  double s = (double)scale, m = grid->has_minimum ? (double)minimum : 0, sum = 0;
  for (size_t c = 0; c < b->columns; c++) {
    double x = b->values[c * b->stride + row], code = s == 0 ? 0 : nearest(grid, (x - m) / s);
    sum += b->weights[c] * (x - code * s - m) * (x - code * s - m);
  }
  return sum;
}

/// A scale without a search, as the encoders take it.
static void plain(const furl_grid *grid, const block *b, size_t row, float *scale, float *minimum) {
  float least = INFINITY, most = -INFINITY, largest = 0;
  for (size_t c = 0; c < b->columns; c++) {
    float x = b->values[c * b->stride + row];
    least = fminf(least, x);
    most = fmaxf(most, x);
    if (fabsf(x) > fabsf(largest)) largest = x;
  }
  float range = grid->has_minimum ? (most - least) / (float)grid->high : largest / (float)grid->low;
  if (grid->is_table && !grid->is_signed) range = fabsf(largest);
  *scale = furl_float_from_half(furl_half_from_float(range));
  *minimum = furl_float_from_half(furl_half_from_float(least));
}

static void test_search(const furl_kernels *k) {
  outcome o = {.kernel = "search_grid", .tier = k->name};
  for (size_t round = 0; round < 360; round++) {
    if (!is_taken()) continue;
    const furl_grid *grid = &grids[round % GRIDS];
    block b = make(1 + draw_below(130), 16 + 16 * draw_below(3));
    float scales[16], minimums[16], expected[16], expected_minimums[16];
    factors f;
    make_factors(&f, grid->is_table ? grid->is_signed : grid->low != -grid->high && !grid->has_minimum);
    const furl_rounding *rounding = round / GRIDS % 2 ? &f.rounding : NULL;
    bool found = k->search_grid(grid, b.values, b.stride, b.weights, b.columns, rounding, scales, minimums);
    bool wanted = furl_kernels_for(FURL_ISA_SCALAR)
                    ->search_grid(grid, b.values, b.stride, b.weights, b.columns, rounding, expected, expected_minimums);
    require(&o, found && wanted, "no scale is found");
    require(&o, memcmp(scales, expected, sizeof scales) == 0, "other scales than the scalar twin");
    if (grid->has_minimum) require(&o, memcmp(minimums, expected_minimums, sizeof scales) == 0, "other minimums");
    for (size_t row = 0; row < 16; row++) {
      if (rounding != NULL) {
        double code = f.scales[row] == 0 ? 0 : (double)scales[row] / (double)f.scales[row];
        require(&o, fabs(code - nearbyint(code)) < 1e-4, "not a multiple of the factor");
        require(&o, code >= rounding->low - 1e-4 && code <= rounding->high + 1e-4, "not a code of 8 bits");
        continue;
      }
      float scale, minimum;
      plain(grid, &b, row, &scale, &minimum);
      double searched = loss(grid, &b, row, scales[row], minimums[row]), simple = loss(grid, &b, row, scale, minimum);
      require(&o, searched <= simple * 1.0001 + 1e-30, "worse than without a search");
    }
    b.values[draw_below(b.columns) * b.stride + draw_below(16)] = draw_below(2) ? NAN : -INFINITY;
    require(
      &o, !k->search_grid(grid, b.values, b.stride, b.weights, b.columns, rounding, scales, minimums),
      "takes what is not finite");
    discard(b);
  }
  report(&o);
}

/// The short search: the scalar twin's bits, no worse than no search, and nearly as good as the long one.
static void test_short_search(const furl_kernels *k) {
  outcome o = {.kernel = "search_few", .tier = k->name};
  double few = 0, all = 0;
  for (size_t round = 0; round < 360; round++) {
    if (!is_taken()) continue;
    const furl_grid *grid = &grids[round % GRIDS];
    block b = make(1 + draw_below(130), 16 + 16 * draw_below(3));
    float scales[16], minimums[16], expected[16], expected_minimums[16], best[16], best_minimums[16];
    bool found = k->search_few(grid, b.values, b.stride, b.weights, b.columns, scales, minimums);
    bool wanted = furl_kernels_for(FURL_ISA_SCALAR)
                    ->search_few(grid, b.values, b.stride, b.weights, b.columns, expected, expected_minimums);
    require(&o, found && wanted, "no scale is found");
    require(&o, memcmp(scales, expected, sizeof scales) == 0, "other scales than the scalar twin");
    if (grid->has_minimum) require(&o, memcmp(minimums, expected_minimums, sizeof scales) == 0, "other minimums");
    k->search_grid(grid, b.values, b.stride, b.weights, b.columns, NULL, best, best_minimums);
    for (size_t row = 0; row < 16; row++) {
      float scale, minimum;
      plain(grid, &b, row, &scale, &minimum);
      double searched = loss(grid, &b, row, scales[row], minimums[row]), simple = loss(grid, &b, row, scale, minimum);
      // Scales are rounded from other numbers than those of an encoder, and small errors are told apart in single precision.
      double energy = 0;
      for (size_t c = 0; c < b.columns; c++) {
        double x = b.values[c * b.stride + row];
        energy += (double)b.weights[c] * x * x;
      }
      // Where both ends are as far away, the sign that an encoder takes is its first; this search takes one of its own.
      require(&o, row == 6 || searched <= simple * 1.05 + energy * 1e-6 + 1e-30, "worse than without a search");
      if (row < 3) few += searched, all += loss(grid, &b, row, best[row], best_minimums[row]);
    }
    b.values[draw_below(b.columns) * b.stride + draw_below(16)] = draw_below(2) ? NAN : -INFINITY;
    require(
      &o, !k->search_few(grid, b.values, b.stride, b.weights, b.columns, scales, minimums),
      "takes what is not finite");
    discard(b);
  }
  require(&o, few <= 1.2 * all, "much worse than the long search");
  report(&o);
}

/// Units: the scalar twin's bits, and of those that are tried the best in double precision.
static void test_units(const furl_kernels *k) {
  outcome o = {.kernel = "search_unit", .tier = k->name};
  static const int32_t ranges[][2] = {{0, 63}, {-32, 31}, {-128, 127}};
  for (size_t round = 0; round < 300; round++) {
    if (!is_taken()) continue;
    size_t parts = 1 + draw_below(16), steps = 1 + draw_below(24);
    int32_t low = ranges[round % 3][0], high = ranges[round % 3][1];
    float *wanted = garbage(parts * 64), *weights = garbage(parts * 64), unit[16], expected[16];
    for (size_t i = 0; i < parts * 16; i++) {
      wanted[i] = low < 0 ? draw_unit() : fabsf(draw_unit()), weights[i] = fabsf(draw_unit());
      if (i % 16 == 3) wanted[i] = 0;
      if (i % 16 == 4) wanted[i] *= 1e-6f;
    }
    k->search_unit(wanted, weights, parts, low, high, steps, unit);
    furl_kernels_for(FURL_ISA_SCALAR)->search_unit(wanted, weights, parts, low, high, steps, expected);
    require(&o, same_bits(unit, expected, 16), "another unit than the scalar twin");
    for (size_t row = 0; row < 16; row++) {
      double largest = 0, least = INFINITY, own = 0, weight = 0;
      for (size_t p = 0; p < parts; p++) {
        double x = (double)wanted[p * 16 + row];
        weight += (double)weights[p * 16 + row];
        if (fabs(x) > fabs(largest)) largest = x;
      }
      for (size_t step = 0; step <= 2 * steps; step++) {
        // The last one is what was found.
        double end = step % 2 == 0 ? (double)high - (double)(step / 2) : (double)low + (double)(step / 2);
        if (step % 2 != 0 && low >= 0) continue;
        double tried = step == 2 * steps ? (double)unit[row] : largest / end, sum = 0;
        for (size_t p = 0; p < parts; p++) {
          double x = (double)wanted[p * 16 + row];
          double n = tried == 0 ? 0 : fmin(fmax(nearbyint(x / tried), low), high);
          sum += (double)weights[p * 16 + row] * (x - n * tried) * (x - n * tried);
        }
        if (step == 2 * steps) own = sum; else least = fmin(least, sum);
      }
      // Multiples of units are rounded to floats, which two losses may differ by.
      double rounding = fabs(largest) * 0x1p-23 * sqrt(weight);
      require(&o, sqrt(own) <= sqrt(least) * 1.0001 + 2 * rounding, "not the best of those that are tried");
    }
    free(wanted), free(weights);
  }
  report(&o);
}

/// Sums of squares under given scales: the scalar twin's bits, and its loss that of double precision.
static void test_weighing(const furl_kernels *k) {
  outcome o = {.kernel = "weigh_grid", .tier = k->name};
  for (size_t round = 0; round < 240; round++) {
    if (!is_taken()) continue;
    const furl_grid *grid = &grids[round % GRIDS];
    block b = make(1 + draw_below(130), 16 + 16 * draw_below(3));
    float scales[16], minimums[16], sums[96], expected[96];
    for (int i = 0; i < 16; i++) scales[i] = i == 2 ? 0 : draw_unit() * 0.1f, minimums[i] = draw_unit() * 0.1f;
    k->weigh_grid(grid, b.values, b.stride, b.weights, b.columns, scales, minimums, sums);
    furl_kernels_for(FURL_ISA_SCALAR)
      ->weigh_grid(grid, b.values, b.stride, b.weights, b.columns, scales, minimums, expected);
    require(&o, same_bits(sums, expected, 96), "other sums than the scalar twin");
    for (size_t row = 0; row < 16; row++) {
      double whole = loss(grid, &b, row, scales[row], minimums[row]), weight = 0, sum = 0;
      for (size_t c = 0; c < b.columns; c++) {
        weight += (double)b.weights[c], sum += (double)b.weights[c] * (double)b.values[c * b.stride + row];
      }
      // Values that lie between two codes may get either.
      require(&o, fabs((double)sums[row] - whole) <= 1e-3 * whole + 1e-12, "another loss");
      require(&o, fabs((double)sums[16 + row] - weight) <= 1e-5 * weight, "another sum of weights");
      require(&o, fabs((double)sums[64 + row] - sum) <= 1e-3 * weight * 1e4, "another sum of values");
    }
    discard(b);
  }
  report(&o);
}

static void test_feedback(const furl_kernels *k) {
  outcome o = {.kernel = "feed_back", .tier = k->name};
  for (size_t round = 0; round < 240; round++) {
    if (!is_taken()) continue;
    const furl_grid *grid = &grids[round % GRIDS];
    block b = make(1 + draw_below(130), 16 + 16 * draw_below(3));
    size_t bytes = b.columns * b.stride * sizeof(float);
    float scales[16], minimums[16] = {0};
    k->search_grid(grid, b.values, b.stride, b.weights, b.columns, NULL, scales, minimums);
    const float *factor = round % 3 == 0 ? NULL : b.factor, *feedback = round % 2 == 0 ? NULL : b.feedback;
    float *errors = garbage(bytes), *expected = garbage(bytes);
    uint8_t *codes = garbage(b.columns * b.stride), *expected_codes = garbage(b.columns * b.stride);
    memcpy(errors, b.values, bytes);
    memcpy(expected, b.values, bytes);
    k->feed_back(grid, scales, minimums, factor, feedback, b.columns, errors, b.stride, codes);
    furl_kernels_for(FURL_ISA_SCALAR)
      ->feed_back(grid, scales, minimums, factor, feedback, b.columns, expected, b.stride, expected_codes);
    require(&o, memcmp(codes, expected_codes, b.columns * b.stride) == 0, "other codes than the scalar twin");
    require(&o, memcmp(errors, expected, bytes) == 0, "other errors than the scalar twin");
    // Against the words of the header, in double precision: a code may only differ at a tie.
    for (size_t row = 0; row < 16; row++) {
      double s = (double)scales[row], m = grid->has_minimum ? (double)minimums[row] : 0;
      for (size_t i = b.columns; i-- > 0;) {
        double wanted = b.values[i * b.stride + row];
        if (feedback != NULL) wanted += feedback[i * b.stride + row];
        for (size_t j = i + 1; factor != NULL && j < b.columns; j++) {
          wanted += (double)factor[j * b.columns + i] * errors[j * b.stride + row];
        }
        double code = step_of(grid, codes[i * b.stride + row]), best = s == 0 ? 0 : nearest(grid, (wanted - m) / s);
        double off = fabs((wanted - m) - code * s) - fabs((wanted - m) - best * s);
        require(&o, s == 0 ? code == 0 : off <= 1e-3 * fabs(s) || code == best, "not the nearest code");
        compare(&o, errors[i * b.stride + row], b.values[i * b.stride + row] - (code * s + m),
          fabs(b.values[i * b.stride + row]) + fabs(code * s) + fabs(m), 1e-6);
      }
    }
    free(errors);
    free(expected);
    free(codes);
    free(expected_codes);
    discard(b);
  }
  report(&o);
}

/// Rows that take up each other's errors: the scalar twin's bits, the header's words in double precision, and without a
/// factor of rows what rows alone give.
static void test_row_feedback(const furl_kernels *k) {
  outcome o = {.kernel = "feed_back_rows", .tier = k->name};
  for (size_t round = 0; round < 240; round++) {
    if (!is_taken()) continue;
    const furl_grid *grid = &grids[round % GRIDS];
    block b = make(1 + draw_below(130), 16 + 16 * draw_below(3));
    size_t count = b.columns * b.stride, bytes = count * sizeof(float);
    float scales[16], minimums[16] = {0}, rows[16 * 24] = {0};
    bool has_rows = round % 3 != 0;
    for (int s = 0; s < 16; s++) for (int r = s + 1; has_rows && r < 16; r++) rows[s * 24 + r] = draw_unit() * 0.1f;
    k->search_grid(grid, b.values, b.stride, b.weights, b.columns, NULL, scales, minimums);
    float *outputs = garbage(bytes), *errors = garbage(bytes), *expected = garbage(bytes);
    float *followed = garbage(bytes), *expected_followed = garbage(bytes);
    uint8_t *codes = garbage(count), *expected_codes = garbage(count);
    // Of rows that are asked for: what lies beside them is no number.
    for (size_t i = 0; i < count; i++) {
      size_t column = (i / b.stride * 7 + 3) % b.columns, row = i % b.stride % 16;
      outputs[i] = has_rows ? b.feedback[column * b.stride + row] * 0.5f : 0;
    }
    memcpy(errors, b.values, bytes);
    memcpy(expected, b.values, bytes);
    memcpy(expected_followed, followed, bytes);
    furl_row_feedback f = {
      .scales = scales, .minimums = minimums, .factor = b.factor, .feedback = b.feedback, .outputs = outputs,
      .row_factor = rows, .row_stride = 24, .columns = b.columns, .stride = b.stride, .weights = errors,
      .followed = followed, .followed_stride = b.stride, .codes = codes};
    k->feed_back_rows(grid, &f);
    furl_row_feedback twin = f;
    twin.weights = expected, twin.followed = expected_followed, twin.codes = expected_codes;
    furl_kernels_for(FURL_ISA_SCALAR)->feed_back_rows(grid, &twin);
    require(&o, memcmp(codes, expected_codes, count) == 0, "other codes than the scalar twin");
    require(&o, memcmp(errors, expected, bytes) == 0, "other errors than the scalar twin");
    require(&o, memcmp(followed, expected_followed, bytes) == 0, "other sums than the scalar twin");
    for (size_t i = b.columns; i-- > 0;) for (size_t row = 0; row < 16; row++) {
      double s = (double)scales[row], m = grid->has_minimum ? (double)minimums[row] : 0;
      size_t place = i * b.stride + row;
      double asked = b.feedback[place], size = fabs(asked), wanted = (double)b.values[place] + outputs[place];
      for (size_t j = i + 1; j < b.columns; j++) {
        double moved = (double)b.factor[j * b.columns + i] * errors[j * b.stride + row];
        asked += moved, size += fabs(moved);
      }
      wanted += asked;
      for (size_t above = 0; above < row; above++) wanted += (double)rows[above * 24 + row] * followed[place - row + above];
      double code = step_of(grid, codes[place]), best = s == 0 ? 0 : nearest(grid, (wanted - m) / s);
      double off = fabs((wanted - m) - code * s) - fabs((wanted - m) - best * s);
      require(&o, s == 0 ? code == 0 : off <= 1e-3 * fabs(s) || code == best, "not the nearest code");
      compare(&o, followed[place], errors[place] + asked, fabs(errors[place]) + size + fabs(wanted), 1e-5);
    }
    if (!has_rows) {
      memcpy(expected, b.values, bytes);
      k->feed_back(grid, scales, minimums, b.factor, b.feedback, b.columns, expected, b.stride, expected_codes);
      require(&o, memcmp(codes, expected_codes, count) == 0, "other codes than rows alone");
    }
    free(outputs), free(errors), free(expected), free(followed), free(expected_followed);
    free(codes), free(expected_codes);
    discard(b);
  }
  report(&o);
}

static void test_packing(void) {
  outcome o = {.kernel = "pack_tile", .tier = "all"};
  static const int widths[] = {8, 6, 5, 4, 3, 2};
  static void (*const rows[])(const furl_matrix *, size_t, size_t, float *) = {
    furl_row_int8, furl_row_int6, furl_row_int5, furl_row_int4, furl_row_int3, furl_row_int2};
  for (size_t columns = 0; columns <= 32; columns++) for (int w = 0; w < 6; w++) {
    int bits = widths[w];
    uint8_t *codes = garbage(columns * 20), *tile = garbage(64 * (size_t)bits);
    for (size_t i = 0; i < columns * 20; i++) codes[i] = (uint8_t)draw_below((size_t)1 << bits);
    uint8_t zero = (uint8_t)(1 << (bits - 1));
    furl_pack_tile(bits, codes, 20, columns, zero, tile);
    // One row at a time as the kernels decode it.
    uint16_t one[16];
    for (size_t i = 0; i < 16; i++) one[i] = furl_half_from_float(1);
    furl_matrix matrix = {.codes = tile, .scales = one, .rows = 16, .column_tiles = 1, .block_tiles = 1, .blocks = 1};
    for (size_t row = 0; row < 16; row++) {
      float values[32];
      rows[w](&matrix, row, 32, values);
      for (size_t c = 0; c < 32; c++) {
        float expected = (float)((c < columns ? codes[c * 20 + row] : zero) - zero);
        require(&o, values[c] == expected, "a code in the wrong place");
      }
    }
    free(codes);
    free(tile);
  }
  report(&o);
}

void test_grid(void) {
  make_tables();
  const furl_kernels *found[MOST_TIERS];
  size_t n = tiers(found);
  test_search(furl_kernels_for(FURL_ISA_SCALAR));
  test_weighing(furl_kernels_for(FURL_ISA_SCALAR));
  test_feedback(furl_kernels_for(FURL_ISA_SCALAR));
  test_row_feedback(furl_kernels_for(FURL_ISA_SCALAR));
  for (size_t i = 0; i < n; i++) {
    if (!is_first(found, i, offsetof(furl_kernels, search_grid))) continue;
    test_search(found[i]);
    test_weighing(found[i]);
    test_feedback(found[i]);
    test_row_feedback(found[i]);
  }
  test_packing();
  for (size_t i = 0; i <= n; i++) {
    const furl_kernels *tier = i == n ? furl_kernels_for(FURL_ISA_SCALAR) : found[i];
    test_short_search(tier);
    test_units(tier);
  }
}
