#include "support.h"

static const furl_grid grids[] = {
  {-127, 127, 128, false}, {-8, 7, 8, false}, {0, 15, 0, true}, {-4, 3, 4, false}, {-2, 1, 2, false}, {0, 3, 0, true},
};
enum { GRIDS = sizeof grids / sizeof *grids };

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
static double loss(const furl_grid *grid, const block *b, size_t row, uint16_t scale, uint16_t minimum) {
  double s = furl_float_from_half(scale), m = grid->has_minimum ? furl_float_from_half(minimum) : 0, sum = 0;
  for (size_t c = 0; c < b->columns; c++) {
    double x = b->values[c * b->stride + row], code = s == 0 ? 0 : nearbyint((x - m) / s);
    code = fmin(fmax(code, grid->low), grid->high);
    sum += b->weights[c] * (x - code * s - m) * (x - code * s - m);
  }
  return sum;
}

/// A scale without a search, as the encoders take it.
static void plain(const furl_grid *grid, const block *b, size_t row, uint16_t *scale, uint16_t *minimum) {
  float least = INFINITY, most = -INFINITY, largest = 0;
  for (size_t c = 0; c < b->columns; c++) {
    float x = b->values[c * b->stride + row];
    least = fminf(least, x);
    most = fmaxf(most, x);
    if (fabsf(x) > fabsf(largest)) largest = x;
  }
  *scale = furl_half_from_float(grid->has_minimum ? (most - least) / (float)grid->high : largest / (float)grid->low);
  *minimum = furl_half_from_float(least);
}

static void test_search(const furl_kernels *k) {
  outcome o = {.kernel = "search_grid", .tier = k->name};
  for (size_t round = 0; round < 240; round++) {
    const furl_grid *grid = &grids[round % GRIDS];
    block b = make(1 + draw_below(130), 16 + 16 * draw_below(3));
    uint16_t scales[16], minimums[16], expected[16], expected_minimums[16];
    bool found = k->search_grid(grid, b.values, b.stride, b.weights, b.columns, scales, minimums);
    bool wanted = furl_kernels_for(FURL_ISA_SCALAR)
                    ->search_grid(grid, b.values, b.stride, b.weights, b.columns, expected, expected_minimums);
    require(&o, found && wanted, "no scale is found");
    require(&o, memcmp(scales, expected, sizeof scales) == 0, "other scales than the scalar twin");
    if (grid->has_minimum) require(&o, memcmp(minimums, expected_minimums, sizeof scales) == 0, "other minimums");
    for (size_t row = 0; row < 16; row++) {
      uint16_t scale, minimum;
      plain(grid, &b, row, &scale, &minimum);
      double searched = loss(grid, &b, row, scales[row], minimums[row]), simple = loss(grid, &b, row, scale, minimum);
      require(&o, searched <= simple * 1.0001 + 1e-30, "worse than without a search");
    }
    b.values[draw_below(b.columns) * b.stride + draw_below(16)] = draw_below(2) ? NAN : -INFINITY;
    require(
      &o, !k->search_grid(grid, b.values, b.stride, b.weights, b.columns, scales, minimums), "takes what is not finite");
    discard(b);
  }
  report(&o);
}

static void test_feedback(const furl_kernels *k) {
  outcome o = {.kernel = "feed_back", .tier = k->name};
  for (size_t round = 0; round < 240; round++) {
    const furl_grid *grid = &grids[round % GRIDS];
    block b = make(1 + draw_below(130), 16 + 16 * draw_below(3));
    size_t bytes = b.columns * b.stride * sizeof(float);
    uint16_t scales[16], minimums[16] = {0};
    k->search_grid(grid, b.values, b.stride, b.weights, b.columns, scales, minimums);
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
      double s = furl_float_from_half(scales[row]), m = grid->has_minimum ? furl_float_from_half(minimums[row]) : 0;
      for (size_t i = b.columns; i-- > 0;) {
        double wanted = b.values[i * b.stride + row];
        if (feedback != NULL) wanted += feedback[i * b.stride + row];
        for (size_t j = i + 1; factor != NULL && j < b.columns; j++) {
          wanted += (double)factor[j * b.columns + i] * errors[j * b.stride + row];
        }
        double code = (double)codes[i * b.stride + row] - grid->offset;
        double nearest = s == 0 ? 0 : fmin(fmax(nearbyint((wanted - m) / s), grid->low), grid->high);
        double off = fabs((wanted - m) - code * s) - fabs((wanted - m) - nearest * s);
        require(&o, s == 0 ? code == 0 : off <= 1e-3 * fabs(s) || code == nearest, "not the nearest code");
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

static void test_packing(void) {
  outcome o = {.kernel = "pack_tile", .tier = "all"};
  for (size_t columns = 0; columns <= 32; columns++) for (int nibbles = 0; nibbles < 2; nibbles++) {
    uint8_t *codes = garbage(columns * 20), *tile = garbage(nibbles ? 256 : 512);
    for (size_t i = 0; i < columns * 20; i++) codes[i] = (uint8_t)draw_below(nibbles ? 16 : 256);
    uint8_t zero = nibbles ? 8 : 128;
    furl_pack_tile(nibbles, codes, 20, columns, zero, tile);
    // One row at a time as the kernels decode it.
    uint16_t one[16];
    for (size_t i = 0; i < 16; i++) one[i] = furl_half_from_float(1);
    furl_matrix matrix = {.codes = tile, .scales = one, .rows = 16, .column_tiles = 1, .block_tiles = 1, .blocks = 1};
    for (size_t row = 0; row < 16; row++) {
      float values[32];
      (nibbles ? furl_row_int4 : furl_row_int8)(&matrix, row, 32, values);
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
  const furl_kernels *found[4];
  size_t n = tiers(found);
  test_search(furl_kernels_for(FURL_ISA_SCALAR));
  test_feedback(furl_kernels_for(FURL_ISA_SCALAR));
  for (size_t i = 0; i < n; i++) {
    test_search(found[i]);
    test_feedback(found[i]);
  }
  test_packing();
}
