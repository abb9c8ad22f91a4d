// Products of FP32 matrices for calibration and training, and what solves with a triangle. Every output is a sum over
// the depth in panels of FURL_PRODUCT_PANEL, each from its first term to its last by fused multiply-adds, panels added
// in order: which outputs are computed side by side changes no bit, so every tier gives the same ones.
//
// Blocked as by Goto and van de Geijn 2008 ("Anatomy of high-performance matrix multiplication"): a panel of b lies
// packed in the second-level cache, slices of a in the first, and PRODUCT_ROWS x PRODUCT_VECTORS * 16 sums in registers.

#pragma once

#include "lanes.h"

// Rows of a, and columns of b, that are packed at once.
#define PRODUCT_ROW_BLOCK 96
#define PRODUCT_COLUMN_BLOCK 256
#define PRODUCT_COLUMNS (16 * PRODUCT_VECTORS)

// MARK: Packing

/// r[i] lane j becomes r[j] lane i: each step exchanges one bit of the two numbers.
INLINE void transpose16(v16 r[16]) {
#define EXCHANGE(d, FIRST, SECOND)                                                                          \
  UNROLL for (int i = 0; i < 16; i++) {                                                                     \
    if ((i & (d)) == 0) {                                                                                   \
      v16 low = r[i], high = r[i | (d)];                                                                    \
      r[i] = __builtin_shufflevector(low, high, FIRST);                                                     \
      r[i | (d)] = __builtin_shufflevector(low, high, SECOND);                                              \
    }                                                                                                       \
  }
#define LIST(...) __VA_ARGS__
  EXCHANGE(8, LIST(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
    LIST(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
  EXCHANGE(4, LIST(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
    LIST(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
  EXCHANGE(2, LIST(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
    LIST(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
  EXCHANGE(1, LIST(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
    LIST(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#undef EXCHANGE
#undef LIST
}

/// One of the two factors: 16 of its rows or columns at a time lie in the lanes.
typedef struct factor {
  const float *numbers;
  size_t lane_stride, depth_stride; // one of them is 1
} factor;

/// `lanes` numbers for each of `depth` places, in panels of `width`: [16 / width][depth][width] or, of wider ones, 16 of
/// [depth][width]. What is missing is zero.
INLINE void pack_lanes(factor f, size_t lanes, size_t depth, const size_t width, float *out) {
  for (size_t k = 0; k < depth; k += 16) {
    size_t places = depth - k < 16 ? depth - k : 16;
    v16 r[16];
    if (f.lane_stride == 1) {
      for (size_t i = 0; i < places; i++) r[i] = load_first(f.numbers + (k + i) * f.depth_stride, lanes);
    } else {
      for (size_t i = 0; i < 16; i++) {
        r[i] = i < lanes ? load_first(f.numbers + i * f.lane_stride + k, places) : splat(0);
      }
      transpose16(r);
    }
    for (size_t i = 0; i < places; i++) {
      if (width >= 16) {
        store(out + (k + i) * width, r[i]);
        continue;
      }
      float all[16];
      store(all, r[i]);
      UNROLL for (size_t p = 0; p < 16 / width; p++) {
        memcpy(out + (p * depth + k + i) * width, all + p * width, width * sizeof(float));
      }
    }
  }
}

INLINE factor moved(factor f, size_t lanes, size_t depth) {
  f.numbers += lanes * f.lane_stride + depth * f.depth_stride;
  return f;
}

// MARK: Sums in registers

/// The first `rows` x `columns` of PRODUCT_ROWS x PRODUCT_COLUMNS sums over one panel go to c.
INLINE void product_tile(
  const float *a, const float *b, size_t depth, float *c, size_t stride, size_t rows, size_t columns,
  const furl_product_mode mode)
{
  v16 sums[PRODUCT_ROWS][PRODUCT_VECTORS];
  UNROLL for (int r = 0; r < PRODUCT_ROWS; r++) {
    UNROLL for (int v = 0; v < PRODUCT_VECTORS; v++) sums[r][v] = splat(0);
  }
  for (size_t k = 0; k < depth; k++) {
    v16 column[PRODUCT_VECTORS];
    UNROLL for (int v = 0; v < PRODUCT_VECTORS; v++) column[v] = load(b + k * PRODUCT_COLUMNS + (size_t)v * 16);
    UNROLL for (int r = 0; r < PRODUCT_ROWS; r++) {
      v16 row = splat(a[k * PRODUCT_ROWS + (size_t)r]);
      UNROLL for (int v = 0; v < PRODUCT_VECTORS; v++) sums[r][v] = fma16_here(row, column[v], sums[r][v]);
    }
  }
  UNROLL for (int r = 0; r < PRODUCT_ROWS; r++) {
    if ((size_t)r >= rows) continue;
    UNROLL for (int v = 0; v < PRODUCT_VECTORS; v++) {
      if ((size_t)v * 16 >= columns) continue;
      size_t lanes = columns - (size_t)v * 16 < 16 ? columns - (size_t)v * 16 : 16;
      float *here = c + (size_t)r * stride + (size_t)v * 16;
      v16 sum = sums[r][v];
      if (mode == FURL_PRODUCT_ADD) sum = load_first(here, lanes) + sum;
      if (mode == FURL_PRODUCT_SUBTRACT) sum = load_first(here, lanes) - sum;
      store_first(here, sum, lanes);
    }
  }
}

#define PRODUCT_TILES(name, mode)                                                                           \
  static __attribute__((noinline)) void name(                                                               \
    const float *a, const float *b, size_t depth, float *c, size_t stride, size_t rows, size_t columns)     \
  {                                                                                                         \
    product_tile(a, b, depth, c, stride, rows, columns, mode);                                              \
  }

PRODUCT_TILES(product_set, FURL_PRODUCT_SET)
PRODUCT_TILES(product_add, FURL_PRODUCT_ADD)
PRODUCT_TILES(product_subtract, FURL_PRODUCT_SUBTRACT)

static void product_panel(
  const furl_product *p, const float *a, const float *b, size_t row, size_t rows, size_t column, size_t columns,
  size_t depth, furl_product_mode mode)
{
  for (size_t r = 0; r < rows; r += PRODUCT_ROWS) {
    size_t high = rows - r < PRODUCT_ROWS ? rows - r : PRODUCT_ROWS;
    for (size_t c = 0; c < columns; c += PRODUCT_COLUMNS) {
      size_t wide = columns - c < PRODUCT_COLUMNS ? columns - c : PRODUCT_COLUMNS;
      float *target = p->c + (row + r) * p->c_stride + column + c;
      const float *left = a + r * depth, *right = b + c * depth;
      switch (mode) {
      case FURL_PRODUCT_SET: product_set(left, right, depth, target, p->c_stride, high, wide); break;
      case FURL_PRODUCT_ADD: product_add(left, right, depth, target, p->c_stride, high, wide); break;
      case FURL_PRODUCT_SUBTRACT: product_subtract(left, right, depth, target, p->c_stride, high, wide); break;
      }
    }
  }
}

static void multiply_matrices(const furl_product *p) {
  float *packed_b = p->scratch, *packed_a = packed_b + FURL_PRODUCT_PANEL * PRODUCT_COLUMN_BLOCK;
  factor a = {p->a, p->a_row, p->a_depth}, b = {p->b, p->b_column, p->b_depth};
  if (p->depth == 0 && p->mode == FURL_PRODUCT_SET) {
    for (size_t r = 0; r < p->rows; r++) memset(p->c + r * p->c_stride, 0, p->columns * sizeof(float));
  }
  for (size_t column = 0; column < p->columns; column += PRODUCT_COLUMN_BLOCK) {
    size_t columns = p->columns - column < PRODUCT_COLUMN_BLOCK ? p->columns - column : PRODUCT_COLUMN_BLOCK;
    for (size_t k = 0; k < p->depth; k += FURL_PRODUCT_PANEL) {
      size_t depth = p->depth - k < FURL_PRODUCT_PANEL ? p->depth - k : FURL_PRODUCT_PANEL;
      for (size_t c = 0; c < columns; c += 16) {
        float *out = packed_b + c / PRODUCT_COLUMNS * PRODUCT_COLUMNS * depth + c % PRODUCT_COLUMNS;
        pack_lanes(moved(b, column + c, k), columns - c < 16 ? columns - c : 16, depth, PRODUCT_COLUMNS, out);
      }
      furl_product_mode mode = k > 0 && p->mode == FURL_PRODUCT_SET ? FURL_PRODUCT_ADD : p->mode;
      for (size_t row = 0; row < p->rows; row += PRODUCT_ROW_BLOCK) {
        size_t rows = p->rows - row < PRODUCT_ROW_BLOCK ? p->rows - row : PRODUCT_ROW_BLOCK;
        for (size_t r = 0; r < rows; r += 16) {
          pack_lanes(
            moved(a, row + r, k), rows - r < 16 ? rows - r : 16, depth, PRODUCT_ROWS, packed_a + r * depth);
        }
        product_panel(p, packed_a, packed_b, row, rows, column, columns, depth, mode);
      }
    }
  }
}

// MARK: Triangles

// Rows that are solved side by side: as many vectors as hide the latency of one sum.
#define SOLVE_VECTORS 4
#define SOLVE_ROWS (16 * SOLVE_VECTORS)

/// x[j] = (x[j] - sum over k of x[k] l[j, k]) / l[j, j], one column after the other; x: [columns][SOLVE_ROWS].
INLINE void solve_rows(const furl_triangle *t, const bool is_transposed, float *x) {
  size_t n = t->columns;
  for (size_t i = 0; i < n; i++) {
    size_t j = is_transposed ? i : n - 1 - i;
    v16 sums[SOLVE_VECTORS];
    UNROLL for (int v = 0; v < SOLVE_VECTORS; v++) sums[v] = load(x + j * SOLVE_ROWS + (size_t)v * 16);
    for (size_t done = 0; done < i; done++) {
      size_t k = is_transposed ? done : n - 1 - done;
      v16 factor = splat(-(is_transposed ? t->l[j * t->l_stride + k] : t->l[k * t->l_stride + j]));
      UNROLL for (int v = 0; v < SOLVE_VECTORS; v++) {
        sums[v] = fma16_here(load(x + k * SOLVE_ROWS + (size_t)v * 16), factor, sums[v]);
      }
    }
    v16 diagonal = splat(t->l[j * t->l_stride + j]);
    UNROLL for (int v = 0; v < SOLVE_VECTORS; v++) store(x + j * SOLVE_ROWS + (size_t)v * 16, sums[v] / diagonal);
  }
}

static void solve_triangle(const furl_triangle *t) {
  for (size_t row = 0; row < t->rows; row += SOLVE_ROWS) {
    size_t rows = t->rows - row < SOLVE_ROWS ? t->rows - row : SOLVE_ROWS;
    factor a = {t->a + row * t->a_stride, t->a_stride, 1};
    for (size_t r = 0; r < SOLVE_ROWS; r += 16) {
      size_t lanes = r < rows ? (rows - r < 16 ? rows - r : 16) : 0;
      pack_lanes(moved(a, lanes == 0 ? 0 : r, 0), lanes, t->columns, SOLVE_ROWS, t->scratch + r);
    }
    if (t->is_transposed) solve_rows(t, true, t->scratch);
    else solve_rows(t, false, t->scratch);
    for (size_t r = 0; r < rows; r++) {
      for (size_t c = 0; c < t->columns; c++) t->a[(row + r) * t->a_stride + c] = t->scratch[c * SOLVE_ROWS + r];
    }
  }
}
