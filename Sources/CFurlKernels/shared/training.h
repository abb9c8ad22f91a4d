// What training adds to the forward pass: softmax in place, the gradients of activations and norms, losses of a row of
// logits, and the optimizer's step.

#pragma once

#include "activate.h"
#include "elementwise.h"

// MARK: Softmax

/// The first n lanes of v, `other` in those that are left.
INLINE v16 only_first(v16 v, size_t n, v16 other) {
  return n == 16 ? v : select16(lane_index() < splat_int((int32_t)n), v, other);
}

INLINE float largest_of(const float *x, size_t n) {
  v16 largest = splat(x[0]);
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 v = only_first(load_first(x + i, lanes), lanes, splat(x[0]));
    largest = select16(v > largest, v, largest);
  }
  return largest_of_lanes(largest);
}

static float softmax_row(float *x, size_t n, float scale, float *largest) {
  if (n == 0) {
    *largest = 0;
    return 0;
  }
  *largest = largest_of(x, n) * scale;
  v16 sum = splat(0), offset = splat(-*largest);
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 e = exponential(fma16(load_first(x + i, lanes), splat(scale), offset));
    sum += only_first(e, lanes, splat(0));
    store_first(x + i, e, lanes);
  }
  float total = sum_of_lanes(sum);
  v16 inverse = splat(1 / total);
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    store_first(x + i, load_first(x + i, lanes) * inverse, lanes);
  }
  return total;
}

static void probabilities(float *x, size_t n, float scale, float offset) {
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    store_first(x + i, exponential(fma16(load_first(x + i, lanes), splat(scale), splat(-offset))), lanes);
  }
}

static void softmax_back(const float *p, size_t n, float scale, float inner, float *gradient) {
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 d = load_first(gradient + i, lanes) - splat(inner);
    store_first(gradient + i, load_first(p + i, lanes) * d * splat(scale), lanes);
  }
}

static float dot(const float *a, const float *b, size_t n) {
  v16 sum = splat(0);
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    sum = fma16(load_first(a + i, lanes), load_first(b + i, lanes), sum);
  }
  return sum_of_lanes(sum);
}

// MARK: Distillation

static furl_divergence distill(
  float *student, float *teacher, size_t n, float scale, float student_weight, float teacher_weight)
{
  furl_divergence result = {0, 0, 0, 0, 0};
  if (n == 0) return result;
  result.student_largest = largest_of(student, n) * scale;
  result.teacher_largest = largest_of(teacher, n) * scale;
  v16 student_sum = splat(0), teacher_sum = splat(0), difference = splat(0);
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 s = fma16(load_first(student + i, lanes), splat(scale), splat(-result.student_largest));
    v16 t = fma16(load_first(teacher + i, lanes), splat(scale), splat(-result.teacher_largest));
    v16 student_power = only_first(exponential(s), lanes, splat(0));
    v16 teacher_power = only_first(exponential(t), lanes, splat(0));
    student_sum += student_power;
    teacher_sum += teacher_power;
    difference = fma16(teacher_power, t - s, difference);
    store_first(student + i, student_power, lanes);
    store_first(teacher + i, teacher_power, lanes);
  }
  result.student_sum = sum_of_lanes(student_sum);
  result.teacher_sum = sum_of_lanes(teacher_sum);
  result.difference = sum_of_lanes(difference) / result.teacher_sum;
  v16 a = splat(student_weight / result.student_sum), b = splat(teacher_weight / result.teacher_sum);
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    store_first(student + i, load_first(student + i, lanes) * a - load_first(teacher + i, lanes) * b, lanes);
  }
  return result;
}

// MARK: Activations

/// A function's value and its derivative.
typedef struct value_and_slope {
  v16 value, slope;
} value_and_slope;

/// x s with s = 1 / (1 + e^-u), and s + x s (1 - s) u', of u and x u'.
INLINE value_and_slope sigmoid_slope(v16 x, v16 u, v16 x_times_slope_of_u) {
  v16 s = splat(1) / (splat(1) + exponential(-u));
  return (value_and_slope){x * s, fma16(x_times_slope_of_u, s * (splat(1) - s), s)};
}

/// Phi(x) + x phi(x).
INLINE v16 gelu_slope(v16 x) {
  static const float fit[8] = {0.119629299f, 0.120753956f, 0.099913495f, 0.128561616f,
    -0.0536836226f, 0.206353481f, -0.157203067f, 0.0356747703f};
  v16 a = (v16)magnitude_bits(x);
  a = select16(a > splat(16), splat(16), a);
  v16 t = splat(1) / fma16(splat(0.3f), a, splat(1));
  v16 power = exponential(splat(-0.5f) * a * a);
  v16 tail = power * t * polynomial(8, fit, t);
  v16 share = select16(x < splat(0), tail, splat(1) - tail);
  v16 bounded = select16(x < splat(0), -a, a);
  return fma16(bounded * splat(0.3989422804f), power, share);
}

INLINE value_and_slope with_slope(const furl_activation activation, v16 x) {
  switch (activation) {
  case FURL_GELU:
    return (value_and_slope){gelu(x), gelu_slope(x)};
  case FURL_GELU_TANH: {
    v16 v = at_least(x, -16);
    v = select16(v > splat(16), splat(16), v);
    v16 square = v * v;
    v16 u = v * fma16(splat(0.07135481627159988f), square, splat(1.5957691216057308f));
    v16 slope = v * fma16(splat(0.21406444881479964f), square, splat(1.5957691216057308f));
    value_and_slope r = sigmoid_slope(v, u, slope);
    r.value = activated(FURL_GELU_TANH, x);
    return r;
  }
  case FURL_QUICK_GELU: {
    v16 v = at_least(x, -50);
    return sigmoid_slope(v, splat(1.702f) * v, splat(1.702f) * v);
  }
  case FURL_SILU: {
    v16 v = at_least(x, -88);
    return sigmoid_slope(v, v, v);
  }
  case FURL_RELU:
    return (value_and_slope){at_least(x, 0), select16(x > splat(0), splat(1), splat(0))};
  case FURL_TANH: {
    v16 y = hyperbolic_tangent(x);
    return (value_and_slope){y, splat(1) - y * y};
  }
  }
  return (value_and_slope){x, splat(1)};
}

INLINE void activate_back_each(
  const furl_activation activation, const float *x, const float *factor, size_t n, float *gradient,
  float *factor_gradient)
{
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    value_and_slope r = with_slope(activation, load_first(x + i, lanes));
    v16 d = load_first(gradient + i, lanes);
    if (factor != NULL) {
      store_first(factor_gradient + i, d * r.value, lanes);
      d *= load_first(factor + i, lanes);
    }
    store_first(gradient + i, d * r.slope, lanes);
  }
}

// Functions of their own, as in attention.h: inlined into one, they would take more than a thread's stack where nothing is
// optimized.
#define ACTIVATE_BACK(name, activation)                                                                     \
  static __attribute__((noinline)) void name(                                                               \
    const float *x, const float *factor, size_t n, float *gradient, float *factor_gradient)                 \
  {                                                                                                         \
    activate_back_each(activation, x, factor, n, gradient, factor_gradient);                                \
  }

ACTIVATE_BACK(gelu_back, FURL_GELU)
ACTIVATE_BACK(gelu_tanh_back, FURL_GELU_TANH)
ACTIVATE_BACK(quick_gelu_back, FURL_QUICK_GELU)
ACTIVATE_BACK(silu_back, FURL_SILU)
ACTIVATE_BACK(relu_back, FURL_RELU)
ACTIVATE_BACK(tanh_back, FURL_TANH)

static void activate_back(
  furl_activation activation, const float *x, const float *factor, size_t n, float *gradient, float *factor_gradient)
{
  switch (activation) {
  case FURL_GELU:
    return gelu_back(x, factor, n, gradient, factor_gradient);
  case FURL_GELU_TANH:
    return gelu_tanh_back(x, factor, n, gradient, factor_gradient);
  case FURL_QUICK_GELU:
    return quick_gelu_back(x, factor, n, gradient, factor_gradient);
  case FURL_SILU:
    return silu_back(x, factor, n, gradient, factor_gradient);
  case FURL_RELU:
    return relu_back(x, factor, n, gradient, factor_gradient);
  case FURL_TANH:
    return tanh_back(x, factor, n, gradient, factor_gradient);
  }
}

// MARK: Norms

static void norm_back(
  bool centred, const float *x, size_t n, const float *weight, float epsilon, const float *gradient, float *out,
  float *weight_gradient, float *bias_gradient)
{
  v16 sum = splat(0), squares = splat(0), mean = splat(0);
  if (centred) {
    for (size_t i = 0; i < n; i += 16) sum += load_first(x + i, n - i < 16 ? n - i : 16);
    mean = splat(sum_of_lanes(sum) / (float)n);
  }
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 d = only_first(load_first(x + i, lanes) - mean, lanes, splat(0));
    squares = fma16(d, d, squares);
  }
  v16 inverse = inverse_root(squares, n, epsilon);
  v16 along_one = splat(0), along_normal = splat(0);
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 d = load_first(gradient + i, lanes), weighted = d * load_first(weight + i, lanes);
    v16 normal = only_first((load_first(x + i, lanes) - mean) * inverse, lanes, splat(0));
    along_one += weighted;
    along_normal = fma16(weighted, normal, along_normal);
    store_first(weight_gradient + i, fma16(d, normal, load_first(weight_gradient + i, lanes)), lanes);
    if (bias_gradient != NULL) store_first(bias_gradient + i, d + load_first(bias_gradient + i, lanes), lanes);
  }
  v16 one = splat(centred ? sum_of_lanes(along_one) / (float)n : 0);
  v16 share = splat(sum_of_lanes(along_normal) / (float)n);
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 weighted = load_first(gradient + i, lanes) * load_first(weight + i, lanes);
    v16 normal = (load_first(x + i, lanes) - mean) * inverse;
    v16 change = (weighted - one - normal * share) * inverse;
    store_first(out + i, load_first(out + i, lanes) + change, lanes);
  }
}

// MARK: Optimizer

static void adam(const furl_adam *a, size_t n, const float *gradient, float *weights, float *first, float *second) {
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 g = load_first(gradient + i, lanes) * splat(a->gradient_scale);
    v16 m = load_first(first + i, lanes), v = load_first(second + i, lanes), w = load_first(weights + i, lanes);
    m = fma16(g - m, splat(1 - a->first_decay), m);
    v = fma16(fma16(g, g, -v), splat(1 - a->second_decay), v);
    v16 root = __builtin_elementwise_sqrt(v * splat(a->second_correction)) + splat(a->epsilon);
    w -= splat(a->weight_decay) * w + splat(a->rate) * m / root;
    store_first(first + i, m, lanes);
    store_first(second + i, v, lanes);
    store_first(weights + i, w, lanes);
  }
}
