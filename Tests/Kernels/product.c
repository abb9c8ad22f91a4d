// Products of FP32 matrices and triangles against the scalar twins.

#include "support.h"

static void fill(float *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = draw_unit();
}

static void test_products(const furl_kernels *k) {
  outcome o = {.kernel = "multiply_matrices", .tier = k->name};
  const furl_kernels *twin = furl_kernels_for(FURL_ISA_SCALAR);
  float *scratch = garbage(FURL_PRODUCT_SCRATCH * sizeof(float));
  for (int round = 0; round < 120; round++) {
    if (!is_taken()) continue;
    size_t rows = 1 + draw_below(round % 3 ? 40 : 210), columns = 1 + draw_below(round % 4 ? 70 : 530);
    size_t depth = draw_below(round % 5 ? 60 : 600), gap = draw_below(3);
    bool a_turned = draw_below(2) != 0, b_turned = draw_below(2) != 0;
    size_t a_stride = (a_turned ? rows : depth) + gap, b_stride = (b_turned ? depth : columns) + gap;
    size_t a_count = (a_turned ? depth : rows) * a_stride, b_count = (b_turned ? columns : depth) * b_stride;
    size_t stride = columns + gap;
    float *a = garbage(a_count * 4), *b = garbage(b_count * 4);
    float *c = garbage(rows * stride * 4), *expected = garbage(rows * stride * 4);
    fill(a, a_count), fill(b, b_count), fill(c, rows * stride);
    memcpy(expected, c, rows * stride * 4);
    furl_product p = {
      .a = a, .a_row = a_turned ? 1 : a_stride, .a_depth = a_turned ? a_stride : 1, .b = b,
      .b_depth = b_turned ? 1 : b_stride, .b_column = b_turned ? b_stride : 1, .c = c, .c_stride = stride,
      .rows = rows, .columns = columns, .depth = depth, .mode = (furl_product_mode)draw_below(3), .scratch = scratch};
    k->multiply_matrices(&p);
    p.c = expected;
    twin->multiply_matrices(&p);
    for (size_t i = 0; i < rows * stride; i++) {
      if (i % stride >= columns) require(&o, same_bits(c + i, expected + i, 1), "a number beside the product");
      else compare(&o, (double)c[i], (double)expected[i], (double)depth + 1, 1e-6);
    }
    free(a), free(b), free(c), free(expected);
  }
  free(scratch);
  report(&o);
}

static void test_triangles(const furl_kernels *k) {
  outcome o = {.kernel = "solve_triangle", .tier = k->name};
  const furl_kernels *twin = furl_kernels_for(FURL_ISA_SCALAR);
  float *scratch = garbage(FURL_PRODUCT_SCRATCH * sizeof(float));
  for (int round = 0; round < 120; round++) {
    if (!is_taken()) continue;
    size_t rows = 1 + draw_below(200), columns = 1 + draw_below(FURL_TRIANGLE_COLUMNS), gap = draw_below(3);
    size_t l_stride = columns + gap, stride = columns + gap;
    float *l = garbage(columns * l_stride * 4), *x = garbage(rows * stride * 4), *expected = garbage(rows * stride * 4);
    fill(l, columns * l_stride), fill(x, rows * stride);
    for (size_t i = 0; i < columns; i++) l[i * l_stride + i] = (float)columns / 4 + 2;
    memcpy(expected, x, rows * stride * 4);
    furl_triangle t = {
      .l = l, .l_stride = l_stride, .a = x, .a_stride = stride, .rows = rows, .columns = columns,
      .is_transposed = draw_below(2) != 0, .scratch = scratch};
    k->solve_triangle(&t);
    t.a = expected;
    twin->solve_triangle(&t);
    for (size_t i = 0; i < rows * stride; i++) {
      if (i % stride >= columns) require(&o, same_bits(x + i, expected + i, 1), "a number beside the solution");
      else compare(&o, (double)x[i], (double)expected[i], 1, 1e-5);
    }
    free(l), free(x), free(expected);
  }
  free(scratch);
  report(&o);
}

void test_product(void) {
  const furl_kernels *found[MOST_TIERS];
  size_t n = tiers(found);
  for (size_t t = 0; t < n; t++) {
    if (!is_first(found, t, offsetof(furl_kernels, multiply_matrices))) continue;
    test_products(found[t]);
    test_triangles(found[t]);
  }
}
