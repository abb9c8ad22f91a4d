// The scalar twins: plain loops that say what every other tier has to compute.

#ifndef FURL_SCALAR_H
#define FURL_SCALAR_H

#include "../include/CFurlKernels.h"

// No silent fusing of multiply and add: this tier gives the same bits on every CPU.
#pragma STDC FP_CONTRACT OFF

/// e^x within one unit in the last place; 0 below the smallest normal float. Ours rather than the library's,
/// whose last bit depends on its version and on the CPU.
float furl_scalar_exp(float x);
/// e^x with a relative error below 1e-11, for |x| < 700.
double furl_scalar_exp_double(double x);
/// Phi(x): the share of the standard normal distribution below x.
double furl_scalar_normal_share(double x);

/// The nearest multiple of a factor among low...high of them, never zero of what is not zero: a scale in 8 bits.
int32_t furl_scalar_scale_code(float scale, float factor, int32_t low, int32_t high);

bool furl_scalar_encode_float32(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_bfloat16(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int8(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int6(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int6_minimum(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int5(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int5_minimum(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int4(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int4_minimum(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int3(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int3_minimum(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int2(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_int2_minimum(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_table4(const furl_rows *rows, const furl_row_tile *tile);
bool furl_scalar_encode_nested8(const furl_rows *rows, const furl_row_tile *tile);

bool furl_scalar_search_grid(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns,
  const furl_rounding *rounding, float *scales, float *minimums);
bool furl_scalar_search_few(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns, float *scales,
  float *minimums);
void furl_scalar_search_unit(
  const float *wanted, const float *weights, size_t parts, int32_t low, int32_t high, size_t steps, float *unit);
void furl_scalar_weigh_grid(
  const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns, const float *scales,
  const float *minimums, float *sums);
void furl_scalar_feed_back(
  const furl_grid *grid, const float *scales, const float *minimums, const float *factor, const float *feedback,
  size_t columns, float *weights, size_t stride, uint8_t *codes);
void furl_scalar_feed_back_rows(const furl_grid *grid, const furl_row_feedback *feedback);

void furl_scalar_float32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_bfloat16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int8_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int8_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int6_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int6_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int6_minimum_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int6_minimum_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int5_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int5_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int5_minimum_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int5_minimum_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int4_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int4_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int4_minimum_a8(
  const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int4_minimum_a32(
  const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_minimum_a8(
  const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_minimum_a32(
  const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int2_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int2_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int2_minimum_a8(
  const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int2_minimum_a32(
  const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_table4_a8(
  const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_table4_a32(
  const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_nested8_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_nested8_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int8_minimum_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int8_minimum_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int8_halved_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int8_halved_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_halved_a8(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_halved_a32(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_round_bfloats(const float *x, size_t columns, size_t rows, uint16_t *out);
void furl_scalar_int8_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int6_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int6_minimum_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int5_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int5_minimum_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int4_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int4_minimum_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_minimum_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int2_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int2_minimum_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_table4_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_nested8_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int8_minimum_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int8_halved_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_int3_halved_b16(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);
void furl_scalar_add_outliers(const furl_matrix *, const furl_activations *, size_t, size_t, const furl_output *);

void furl_scalar_attend_f32(const furl_attention *attention);
void furl_scalar_attend_f16(const furl_attention *attention);
void furl_scalar_attend_i8(const furl_attention *attention);
void furl_scalar_join_parts(const furl_attention *attention);
void furl_scalar_store_f32(const furl_kv_head *, const float *key, const float *value, size_t position);
void furl_scalar_store_f16(const furl_kv_head *, const float *key, const float *value, size_t position);
void furl_scalar_store_i8(const furl_kv_head *, const float *key, const float *value, size_t position);

void furl_scalar_quantize(
  const float *x, size_t columns, size_t rows, int8_t *codes, float *scales, int32_t *sums, int8_t *panel);
void furl_scalar_layer_norm(
  const float *x, size_t n, const float *weight, const float *bias, float epsilon, float *out);
void furl_scalar_rms_norm(
  const float *x, size_t n, const float *weight, const float *bias, float epsilon, float *out);
void furl_scalar_rotate(float *x, size_t half, const float *cosines, const float *sines);
void furl_scalar_activate(furl_activation activation, float *x, const float *factor, size_t n);
int64_t furl_scalar_argmax(const float *x, size_t n);

float furl_scalar_softmax(float *x, size_t n, float scale, float *largest);
void furl_scalar_probabilities(float *x, size_t n, float scale, float offset);
void furl_scalar_softmax_back(const float *p, size_t n, float scale, float inner, float *gradient);
float furl_scalar_dot(const float *a, const float *b, size_t n);
furl_divergence furl_scalar_distill(
  float *student, float *teacher, size_t n, float scale, float student_weight, float teacher_weight);
void furl_scalar_activate_back(
  furl_activation activation, const float *x, const float *factor, size_t n, float *gradient, float *factor_gradient);
void furl_scalar_norm_back(
  bool centred, const float *x, size_t n, const float *weight, float epsilon, const float *gradient, float *out,
  float *weight_gradient, float *bias_gradient);
void furl_scalar_adam(
  const furl_adam *a, size_t n, const float *gradient, float *weights, float *first, float *second);

void furl_scalar_multiply_matrices(const furl_product *product);
void furl_scalar_solve_triangle(const furl_triangle *triangle);

#endif
