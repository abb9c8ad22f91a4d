#include "scalar.h"

void furl_scalar_multiply_matrices(const furl_product *p) {
  for (size_t r = 0; r < p->rows; r++) {
    for (size_t c = 0; c < p->columns; c++) {
      double sum = 0;
      for (size_t k = 0; k < p->depth; k++) {
        sum += (double)p->a[r * p->a_row + k * p->a_depth] * (double)p->b[k * p->b_depth + c * p->b_column];
      }
      float *out = p->c + r * p->c_stride + c;
      if (p->mode == FURL_PRODUCT_SET) *out = (float)sum;
      else *out = (float)(p->mode == FURL_PRODUCT_ADD ? (double)*out + sum : (double)*out - sum);
    }
  }
}

void furl_scalar_solve_triangle(const furl_triangle *t) {
  for (size_t r = 0; r < t->rows; r++) {
    float *x = t->a + r * t->a_stride;
    for (size_t i = 0; i < t->columns; i++) {
      size_t j = t->is_transposed ? i : t->columns - 1 - i;
      double sum = (double)x[j];
      for (size_t done = 0; done < i; done++) {
        size_t k = t->is_transposed ? done : t->columns - 1 - done;
        sum -= (double)x[k] * (double)(t->is_transposed ? t->l[j * t->l_stride + k] : t->l[k * t->l_stride + j]);
      }
      x[j] = (float)(sum / (double)t->l[j * t->l_stride + j]);
    }
  }
}
