#include "scalar.h"

// The series is Marsaglia's ("Evaluating the
/// normal distribution", 2004); far from the middle it would lose the tail's digits, which the continued fraction
/// of Mills' ratio keeps.
double furl_scalar_normal_share(double x) {
  double a = __builtin_fabs(x);
  if (a > 30) a = 30; // The tail is below 1e-197, and the exponential's argument stays within bounds.
  double density = 0.3989422804014327 * furl_scalar_exp_double(-a * a / 2), tail;
  if (a < 2.5) {
    double term = a, sum = a;
    for (int k = 3; k < 60; k += 2) {
      term *= a * a / k;
      sum += term;
    }
    tail = 0.5 - density * sum;
  } else {
    double fraction = 0;
    for (int k = 80; k >= 1; k--) fraction = k / (a + fraction);
    tail = density / (a + fraction);
  }
  return x < 0 ? tail : 1 - tail;
}

static float hyperbolic_tangent(float x) {
  double a = __builtin_fabs((double)x);
  if (a > 20) a = 20;
  double e = furl_scalar_exp_double(-2 * a);
  // Near zero 1 - e has lost digits; there the series needs two terms.
  double result = a < 1e-3 ? a - a * a * a / 3 : (1 - e) / (1 + e);
  return (float)(x < 0 ? -result : result);
}

/// x / (1 + e^slope). Far below zero the result is next to nothing; the bound keeps minus infinity from dividing
/// infinity by infinity.
static float sigmoid_product(float x, float slope) {
  return x / (1 + furl_scalar_exp(slope));
}

static float activated(furl_activation activation, float x) {
  if (x != x) return x;
  switch (activation) {
  case FURL_GELU:
    return x < -30 ? 0 : (float)((double)x * furl_scalar_normal_share((double)x));
  case FURL_GELU_TANH: {
    // (1 + tanh u) / 2 = 1 / (1 + e^-2u), which keeps its digits where tanh is near -1.
    float v = x < -16 ? -16 : x;
    return sigmoid_product(v, v * (-1.5957691216057308f + -0.07135481627159988f * (v * v)));
  }
  case FURL_QUICK_GELU: {
    float v = x < -50 ? -50 : x;
    return sigmoid_product(v, -1.702f * v);
  }
  case FURL_SILU: {
    float v = x < -88 ? -88 : x;
    return sigmoid_product(v, -v);
  }
  case FURL_RELU:
    return x < 0 ? 0 : x;
  case FURL_TANH:
    return hyperbolic_tangent(x);
  }
  return x;
}

void furl_scalar_activate(furl_activation activation, float *x, const float *factor, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float value = activated(activation, x[i]);
    x[i] = factor != NULL ? value * factor[i] : value;
  }
}
