// Activation functions in 16 lanes. Why the bounds below: the scalar twin.

#pragma once

#include "exponential.h"

/// x / (1 + e^slope)
INLINE v16 sigmoid_product(v16 x, v16 slope) {
  return x / (splat(1) + exponential(slope));
}

INLINE v16 at_least(v16 x, float bound) {
  return select16(x < splat(bound), splat(bound), x);
}

/// c[n - 1] x^(n - 1) + ... + c[0]
INLINE v16 polynomial(const int n, const float *c, v16 x) {
  v16 sum = splat(c[n - 1]);
  UNROLL for (int i = n - 2; i >= 0; i--) sum = fma16(sum, x, splat(c[i]));
  return sum;
}

/// x Phi(x) = max(x, 0) - |x| Q(|x|) with the normal distribution's tail Q(a) = e^(-a^2 / 2) t P(t),
/// t = 1 / (1 + 0.3 a). P is fitted so that the tail's largest relative error on 0...14 is smallest, 1.5e-7.
INLINE v16 gelu(v16 x) {
  static const float fit[8] = {0.119629299f, 0.120753956f, 0.099913495f, 0.128561616f,
    -0.0536836226f, 0.206353481f, -0.157203067f, 0.0356747703f};
  v16 a = (v16)magnitude_bits(x);
  a = select16(a > splat(16), splat(16), a);
  v16 t = splat(1) / fma16(splat(0.3f), a, splat(1));
  v16 tail = exponential(splat(-0.5f) * a * a) * t * polynomial(8, fit, t);
  return select16(x < splat(0), splat(0), x) - a * tail;
}

/// 1 - 2 / (e^2a + 1) for a = |x|, which has lost digits near zero; there x + x^3 P(x^2), fitted on 0...0.625 with
/// a relative error of 5e-9.
INLINE v16 hyperbolic_tangent(v16 x) {
  static const float fit[5] = {-0.333332819f, 0.133314422f, -0.0537397151f, 0.0206390873f, -0.00570498704f};
  v16 a = (v16)magnitude_bits(x), square = x * x;
  v16 far = splat(1) - splat(2) / (exponential(a + a) + splat(1));
  v16 near = fma16(x * square, polynomial(5, fit, square), x);
  v16i sign = (v16i)x & splat_int((int32_t)0x80000000);
  return select16(a < splat(0.625f), near, (v16)((v16i)far | sign));
}

INLINE v16 activated(const furl_activation activation, v16 x) {
  switch (activation) {
  case FURL_GELU:
    return gelu(x);
  case FURL_GELU_TANH: {
    v16 v = at_least(x, -16);
    return sigmoid_product(v, v * fma16(splat(-0.07135481627159988f), v * v, splat(-1.5957691216057308f)));
  }
  case FURL_QUICK_GELU: {
    v16 v = at_least(x, -50);
    return sigmoid_product(v, splat(-1.702f) * v);
  }
  case FURL_SILU: {
    v16 v = at_least(x, -88);
    return sigmoid_product(v, -v);
  }
  case FURL_RELU:
    return at_least(x, 0);
  case FURL_TANH:
    return hyperbolic_tangent(x);
  }
  return x;
}

INLINE void activate_each(const furl_activation activation, float *x, const float *factor, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 value = activated(activation, load_first(x + i, lanes));
    store_first(x + i, factor != NULL ? value * load_first(factor + i, lanes) : value, lanes);
  }
}

/// Each kind is a loop of its own.
static void activate(furl_activation activation, float *x, const float *factor, size_t n) {
  switch (activation) {
  case FURL_GELU:
    return activate_each(FURL_GELU, x, factor, n);
  case FURL_GELU_TANH:
    return activate_each(FURL_GELU_TANH, x, factor, n);
  case FURL_QUICK_GELU:
    return activate_each(FURL_QUICK_GELU, x, factor, n);
  case FURL_SILU:
    return activate_each(FURL_SILU, x, factor, n);
  case FURL_RELU:
    return activate_each(FURL_RELU, x, factor, n);
  case FURL_TANH:
    return activate_each(FURL_TANH, x, factor, n);
  }
}
