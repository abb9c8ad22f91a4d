// What training adds, against the header's words in double precision.

#include "support.h"

static void fill(float *x, size_t n, float size) {
  for (size_t i = 0; i < n; i++) x[i] = draw_unit() * size;
}

static void test_softmax(const furl_kernels *k) {
  outcome o = {.kernel = "softmax", .tier = k->name};
  for (size_t n = 1; n <= 400; n += n < 70 ? 1 : 37) for (int round = 0; round < 20; round++) {
    if (!is_taken()) continue;
    float *x = garbage(n * 4), *before = garbage(n * 4), *again = garbage(n * 4), *d = garbage(n * 4), largest;
    fill(x, n, round % 2 ? 3 : 60);
    if (round % 5 == 0 && n > 1) x[draw_below(n)] = -INFINITY;
    memcpy(before, x, n * 4), memcpy(again, x, n * 4);
    const float scale = 0.3f;
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, (double)x[i] * (double)scale);
    for (size_t i = 0; i < n; i++) sum += exp((double)before[i] * (double)scale - most);
    float total = k->softmax(x, n, scale, &largest);
    compare(&o, (double)largest, most, fabs(most), 1e-6);
    compare(&o, (double)total, sum, sum, 1e-5);
    k->probabilities(again, n, scale, largest + logf(total));
    double inner = 0;
    fill(d, n, 1);
    for (size_t i = 0; i < n; i++) {
      double p = exp((double)before[i] * (double)scale - most) / sum;
      compare(&o, (double)x[i], p, p + 1e-12, 1e-5);
      compare(&o, (double)again[i], p, p + 1e-12, 1e-5);
      inner += (double)x[i] * (double)d[i];
    }
    double magnitude = 0;
    for (size_t i = 0; i < n; i++) magnitude += fabs((double)x[i] * (double)d[i]);
    compare(&o, (double)k->dot(x, d, n), inner, magnitude, 1e-5);
    for (size_t i = 0; i < n; i++) again[i] = d[i];
    k->softmax_back(x, n, scale, (float)inner, again);
    for (size_t i = 0; i < n; i++) {
      double expected = (double)x[i] * ((double)d[i] - (double)(float)inner) * (double)scale;
      compare(&o, (double)again[i], expected, (double)x[i] * (fabs((double)d[i]) + fabs(inner)), 1e-6);
    }
    free(x), free(before), free(again), free(d);
  }
  report(&o);
}

static void test_distill(const furl_kernels *k) {
  outcome o = {.kernel = "distill", .tier = k->name};
  for (size_t n = 1; n <= 300; n += n < 40 ? 1 : 29) for (int round = 0; round < 20; round++) {
    if (!is_taken()) continue;
    float *s = garbage(n * 4), *t = garbage(n * 4);
    double *a = garbage(n * 8), *b = garbage(n * 8), as = 0, bs = 0, am = -INFINITY, bm = -INFINITY, difference = 0;
    fill(s, n, 9), fill(t, n, 9);
    const float scale = 0.5f;
    for (size_t i = 0; i < n; i++) {
      a[i] = (double)s[i] * (double)scale, b[i] = (double)t[i] * (double)scale;
      am = fmax(am, a[i]), bm = fmax(bm, b[i]);
    }
    for (size_t i = 0; i < n; i++) as += exp(a[i] - am), bs += exp(b[i] - bm);
    for (size_t i = 0; i < n; i++) difference += exp(b[i] - bm) / bs * ((b[i] - bm) - (a[i] - am));
    furl_divergence d = k->distill(s, t, n, scale, 1.25f, 0.75f);
    compare(&o, (double)d.student_sum, as, as, 1e-5);
    compare(&o, (double)d.teacher_sum, bs, bs, 1e-5);
    compare(&o, (double)d.student_largest, am, fabs(am), 1e-6);
    compare(&o, (double)d.teacher_largest, bm, fabs(bm), 1e-6);
    compare(&o, (double)d.difference, difference, 9, 1e-5);
    for (size_t i = 0; i < n; i++) {
      double p = 1.25 * exp(a[i] - am) / as, q = 0.75 * exp(b[i] - bm) / bs;
      compare(&o, (double)s[i], p - q, p + q, 1e-5);
    }
    free(s), free(t), free(a), free(b);
  }
  report(&o);
}

/// The difference quotient of the function above, which knows nothing of derivatives.
static double slope(furl_activation activation, double x) {
  const double h = 1e-5;
  return (activated(activation, x + h) - activated(activation, x - h)) / (2 * h);
}

static void test_activate_back(const furl_kernels *k, furl_activation activation) {
  static const char *const names[] = {"gelu back", "gelu_tanh back", "quick_gelu back", "silu back", "relu back",
    "tanh back"};
  static const float sizes[] = {1, 5, 20, 1e-3f, 200};
  outcome o = {.kernel = names[activation], .tier = k->name};
  for (size_t n = 1; n <= 40; n++) for (int round = 0; round < 200; round++) {
    if (!is_taken()) continue;
    float *x = garbage(n * 4), *factor = garbage(n * 4), *gradient = garbage(n * 4), *before = garbage(n * 4);
    float *factor_gradient = garbage(n * 4);
    fill(x, n, sizes[round % 5]), fill(factor, n, 1), fill(gradient, n, 1);
    for (size_t i = 0; i < n; i++) if (fabsf(x[i]) < 1e-4f) x[i] = 1e-4f; // relu has no slope at zero
    memcpy(before, gradient, n * 4);
    bool multiplied = round % 2 == 0;
    k->activate_back(activation, x, multiplied ? factor : NULL, n, gradient, multiplied ? factor_gradient : NULL);
    for (size_t i = 0; i < n; i++) {
      double v = (double)x[i], f = multiplied ? (double)factor[i] : 1, d = (double)before[i];
      compare(&o, (double)gradient[i], d * f * slope(activation, v), fabs(d * f) * (1 + fabs(v)), 2e-6);
      if (multiplied) compare(&o, (double)factor_gradient[i], d * activated(activation, v), fabs(d * v), 2e-6);
    }
    free(x), free(factor), free(gradient), free(before), free(factor_gradient);
  }
  report(&o);
}

/// The sum of gradient times norm, in double precision.
static double normed(bool centred, const double *x, size_t n, const float *weight, const float *gradient) {
  double mean = 0, variance = 0, sum = 0;
  for (size_t i = 0; i < n && centred; i++) mean += x[i] / (double)n;
  for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)n;
  for (size_t i = 0; i < n; i++) {
    sum += (double)gradient[i] * (double)weight[i] * (x[i] - mean) / sqrt(variance + (double)1e-5f);
  }
  return sum;
}

static void test_norm_back(const furl_kernels *k, bool centred) {
  outcome o = {.kernel = centred ? "layer_norm back" : "rms_norm back", .tier = k->name};
  for (size_t n = 2; n <= 300; n += n < 40 ? 1 : 61) {
    float *x = garbage(n * 4), *weight = garbage(n * 4), *gradient = garbage(n * 4), *out = garbage(n * 4);
    float *weights = garbage(n * 4), *biases = garbage(n * 4);
    double *y = garbage(n * 8);
    fill(x, n, 1), fill(weight, n, 1), fill(gradient, n, 1);
    for (size_t i = 0; i < n; i++) y[i] = (double)(x[i] += 0.5f), out[i] = 0.25f, weights[i] = 1, biases[i] = -1;
    k->norm_back(centred, x, n, weight, 1e-5f, gradient, out, weights, n % 2 ? biases : NULL);
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n && centred; i++) mean += y[i] / (double)n;
    for (size_t i = 0; i < n; i++) variance += (y[i] - mean) * (y[i] - mean) / (double)n;
    double inverse = 1 / sqrt(variance + (double)1e-5f);
    for (size_t i = 0; i < n; i++) {
      const double h = 1e-5, here = y[i];
      y[i] = here + h;
      double above = normed(centred, y, n, weight, gradient);
      y[i] = here - h;
      double below = normed(centred, y, n, weight, gradient);
      y[i] = here;
      compare(&o, (double)out[i], 0.25 + (above - below) / (2 * h), 0.25 + 2 * inverse, 1e-5);
      compare(&o, (double)weights[i], 1 + (double)gradient[i] * (y[i] - mean) * inverse, 2 + inverse, 1e-5);
      compare(&o, (double)biases[i], n % 2 ? (double)gradient[i] - 1 : -1, 2, 1e-6);
    }
    free(x), free(weight), free(gradient), free(out), free(weights), free(biases), free(y);
  }
  report(&o);
}

static void test_adam(const furl_kernels *k) {
  outcome o = {.kernel = "adam", .tier = k->name};
  const furl_adam step = {0.5f, 0.9f, 0.99f, 1.5f, 1e-8f, 0.01f, 0.002f};
  for (size_t n = 1; n <= 70; n++) {
    float *w = garbage(n * 4), *g = garbage(n * 4), *m = garbage(n * 4), *v = garbage(n * 4);
    fill(w, n, 1), fill(g, n, 1), fill(m, n, 1), fill(v, n, 1);
    double *expected = garbage(n * 24);
    for (size_t i = 0; i < n; i++) {
      v[i] = fabsf(v[i]);
      double gradient = (double)g[i] * 0.5;
      double first = (double)m[i] * (double)0.9f + (1 - (double)0.9f) * gradient;
      double second = (double)v[i] * (double)0.99f + (1 - (double)0.99f) * gradient * gradient;
      expected[i] = (double)w[i] * (1 - (double)0.002f)
        - (double)0.01f * first / (sqrt(second * 1.5) + (double)1e-8f);
      expected[n + i] = first, expected[2 * n + i] = second;
    }
    k->adam(&step, n, g, w, m, v);
    for (size_t i = 0; i < n; i++) {
      compare(&o, (double)w[i], expected[i], 1 + fabs(expected[n + i]) * 0.01 / sqrt(expected[2 * n + i]), 1e-6);
      compare(&o, (double)m[i], expected[n + i], 1, 1e-6);
      compare(&o, (double)v[i], expected[2 * n + i], 1, 1e-6);
    }
    free(w), free(g), free(m), free(v), free(expected);
  }
  report(&o);
}

void test_training(void) {
  const furl_kernels *found[MOST_TIERS] = {furl_kernels_for(FURL_ISA_SCALAR)};
  for (size_t t = 0, n = 1 + tiers(found + 1); t < n; t++) {
    if (!is_first(found, t, offsetof(furl_kernels, softmax))) continue;
    test_softmax(found[t]);
    test_distill(found[t]);
    for (int activation = FURL_GELU; activation <= FURL_TANH; activation++) {
      test_activate_back(found[t], (furl_activation)activation);
    }
    test_norm_back(found[t], true);
    test_norm_back(found[t], false);
    test_adam(found[t]);
  }
}
