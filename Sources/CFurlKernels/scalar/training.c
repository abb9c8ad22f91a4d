#include "scalar.h"

float furl_scalar_softmax(float *x, size_t n, float scale, float *largest) {
  *largest = 0;
  if (n == 0) return 0;
  float most = x[0];
  for (size_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
  *largest = most * scale;
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    x[i] = furl_scalar_exp(x[i] * scale - *largest);
    sum += (double)x[i];
  }
  for (size_t i = 0; i < n; i++) x[i] = (float)((double)x[i] / sum);
  return (float)sum;
}

void furl_scalar_probabilities(float *x, size_t n, float scale, float offset) {
  for (size_t i = 0; i < n; i++) x[i] = furl_scalar_exp(x[i] * scale - offset);
}

void furl_scalar_softmax_back(const float *p, size_t n, float scale, float inner, float *gradient) {
  for (size_t i = 0; i < n; i++) gradient[i] = p[i] * (gradient[i] - inner) * scale;
}

float furl_scalar_dot(const float *a, const float *b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return (float)sum;
}

furl_divergence furl_scalar_distill(
  float *student, float *teacher, size_t n, float scale, float student_weight, float teacher_weight)
{
  furl_divergence result = {0, 0, 0, 0, 0};
  if (n == 0) return result;
  float student_most = student[0], teacher_most = teacher[0];
  for (size_t i = 1; i < n; i++) {
    student_most = student[i] > student_most ? student[i] : student_most;
    teacher_most = teacher[i] > teacher_most ? teacher[i] : teacher_most;
  }
  result.student_largest = student_most * scale;
  result.teacher_largest = teacher_most * scale;
  double student_sum = 0, teacher_sum = 0, difference = 0;
  for (size_t i = 0; i < n; i++) {
    float s = student[i] * scale - result.student_largest, t = teacher[i] * scale - result.teacher_largest;
    student[i] = furl_scalar_exp(s);
    teacher[i] = furl_scalar_exp(t);
    student_sum += (double)student[i];
    teacher_sum += (double)teacher[i];
    difference += (double)teacher[i] * ((double)t - (double)s);
  }
  result.student_sum = (float)student_sum;
  result.teacher_sum = (float)teacher_sum;
  result.difference = (float)(difference / teacher_sum);
  for (size_t i = 0; i < n; i++) {
    double a = (double)student[i] * (double)student_weight / student_sum;
    student[i] = (float)(a - (double)teacher[i] * (double)teacher_weight / teacher_sum);
  }
  return result;
}

static double sigmoid(double x) {
  return 1 / (1 + furl_scalar_exp_double(x < -80 ? 80 : x > 80 ? -80 : -x));
}

/// The derivative of an activation.
static double slope(furl_activation activation, double x) {
  if (x != x) return x;
  switch (activation) {
  case FURL_GELU: {
    if (x < -30) return 0;
    if (x > 30) return 1;
    double density = 0.3989422804014327 * furl_scalar_exp_double(-x * x / 2);
    return furl_scalar_normal_share(x) + x * density;
  }
  case FURL_GELU_TANH: {
    double v = x < -16 ? -16 : x > 16 ? 16 : x;
    double s = sigmoid(v * (1.5957691216057308 + 0.07135481627159988 * v * v));
    return s + v * s * (1 - s) * (1.5957691216057308 + 0.21406444881479964 * v * v);
  }
  case FURL_QUICK_GELU: {
    double v = x < -50 ? -50 : x > 50 ? 50 : x, s = sigmoid(1.702 * v);
    return s + 1.702 * v * s * (1 - s);
  }
  case FURL_SILU: {
    double v = x < -80 ? -80 : x > 80 ? 80 : x, s = sigmoid(v);
    return s + v * s * (1 - s);
  }
  case FURL_RELU:
    return x > 0 ? 1 : 0;
  case FURL_TANH: {
    double a = x < 0 ? -x : x, e = furl_scalar_exp_double(-2 * (a > 20 ? 20 : a));
    return 4 * e / ((1 + e) * (1 + e));
  }
  }
  return 1;
}

void furl_scalar_activate_back(
  furl_activation activation, const float *x, const float *factor, size_t n, float *gradient, float *factor_gradient)
{
  for (size_t i = 0; i < n; i++) {
    double d = (double)gradient[i];
    if (factor != NULL) {
      float value = x[i];
      furl_scalar_activate(activation, &value, NULL, 1);
      factor_gradient[i] = gradient[i] * value;
      d *= (double)factor[i];
    }
    gradient[i] = (float)(d * slope(activation, (double)x[i]));
  }
}

void furl_scalar_norm_back(
  bool centred, const float *x, size_t n, const float *weight, float epsilon, const float *gradient, float *out,
  float *weight_gradient, float *bias_gradient)
{
  double mean = 0, variance = 0;
  for (size_t i = 0; i < n && centred; i++) mean += (double)x[i] / (double)n;
  for (size_t i = 0; i < n; i++) variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
  double inverse = 1 / __builtin_elementwise_sqrt(variance + (double)epsilon), one = 0, share = 0;
  for (size_t i = 0; i < n; i++) {
    double weighted = (double)gradient[i] * (double)weight[i], normal = ((double)x[i] - mean) * inverse;
    if (centred) one += weighted / (double)n;
    share += weighted * normal / (double)n;
  }
  for (size_t i = 0; i < n; i++) {
    double weighted = (double)gradient[i] * (double)weight[i], normal = ((double)x[i] - mean) * inverse;
    weight_gradient[i] += (float)((double)gradient[i] * normal);
    if (bias_gradient != NULL) bias_gradient[i] += gradient[i];
    out[i] += (float)((weighted - one - normal * share) * inverse);
  }
}

void furl_scalar_adam(
  const furl_adam *a, size_t n, const float *gradient, float *weights, float *first, float *second)
{
  for (size_t i = 0; i < n; i++) {
    float g = gradient[i] * a->gradient_scale;
    first[i] += (1 - a->first_decay) * (g - first[i]);
    second[i] += (1 - a->second_decay) * (g * g - second[i]);
    float root = __builtin_elementwise_sqrt(second[i] * a->second_correction) + a->epsilon;
    weights[i] -= a->weight_decay * weights[i] + a->rate * first[i] / root;
  }
}
