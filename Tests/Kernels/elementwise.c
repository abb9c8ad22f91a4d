#include "support.h"

static void fill(float *x, size_t n, int mode) {
  for (size_t i = 0; i < n; i++) {
    x[i] = draw_unit();
    if (mode == 1) x[i] *= 1e30f;
    if (mode == 2) x[i] *= 1e-40f;
    if (mode == 3) x[i] = 0;
    if (mode == 4) x[i] = (float)((int)draw_below(255) - 127) / 2; // ties
    if (mode == 5) x[i] *= 3e-37f;
  }
  if (mode == 4 && n > 0) x[draw_below(n)] = 63.5f;
  if (mode == 6 && n > 0) x[draw_below(n)] = NAN;
  if (mode == 7 && n > 0) x[draw_below(n)] = -INFINITY;
}

static void test_quantize(const furl_kernels *k) {
  outcome o = {.kernel = "quantize", .tier = k->name};
  const furl_kernels *twin = furl_kernels_for(FURL_ISA_SCALAR);
  for (size_t columns = 1; columns <= 100; columns++) for (int mode = 0; mode < 8; mode++) {
    size_t tiles = (columns + 31) / 32;
    float *x = garbage(columns * 4), *scales = garbage(tiles * 4), *twin_scales = garbage(tiles * 4);
    int8_t *codes = garbage(tiles * 32), *twin_codes = garbage(tiles * 32);
    int32_t *sums = garbage(tiles * 4), *twin_sums = garbage(tiles * 4);
    fill(x, columns, mode);
    k->quantize(x, columns, codes, scales, sums);
    twin->quantize(x, columns, twin_codes, twin_scales, twin_sums);
    require(&o, memcmp(codes, twin_codes, tiles * 32) == 0, "codes differ from the twin's");
    require(&o, memcmp(sums, twin_sums, tiles * 4) == 0, "sums differ from the twin's");
    require(&o, same_bits(scales, twin_scales, tiles), "scales differ from the twin's");
    for (size_t t = 0; t < tiles; t++) {
      int32_t sum = 0;
      float largest = 0;
      bool finite = true;
      for (size_t i = t * 32; i < t * 32 + 32 && i < columns; i++) {
        finite &= isfinite(x[i]) != 0, largest = fmaxf(largest, fabsf(x[i]));
      }
      for (size_t i = t * 32; i < t * 32 + 32; i++) {
        sum += codes[i];
        require(&o, codes[i] >= -127, "a code of -128");
        require(&o, codes[i] == 0 || (i < columns && finite), "a code where there is no number");
        if (i < columns && finite && largest > 1e-36f) {
          double step = (double)scales[t];
          require(&o, fabs(codes[i] * step - (double)x[i]) <= 0.50003 * step, "a code is not the nearest");
        }
      }
      require(&o, sum == sums[t], "a sum");
      require(&o, finite ? scales[t] <= largest / 127 : isnan(scales[t]), "a scale");
    }
    free(x), free(scales), free(twin_scales), free(codes), free(twin_codes), free(sums), free(twin_sums);
  }
  float ties[32] = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.5f, 125.5f};
  static const int8_t even[8] = {127, 0, 2, 2, 0, -2, 126, 126};
  int8_t codes[32];
  float scale;
  int32_t sum;
  k->quantize(ties, 32, codes, &scale, &sum);
  require(&o, memcmp(codes, even, 8) == 0 && scale == 1, "ties go to even");
  report(&o);
}

static void test_layer_norm(const furl_kernels *k) {
  outcome o = {.kernel = "layer_norm", .tier = k->name};
  for (size_t n = 1; n <= 1100; n += n < 70 ? 1 : 103) for (int with_bias = 0; with_bias < 2; with_bias++) {
    float *x = garbage(n * 4), *weight = garbage(n * 4), *bias = garbage(n * 4), *out = garbage(n * 4);
    fill(x, n, 0), fill(weight, n, 0), fill(bias, n, 0);
    for (size_t i = 0; i < n; i++) x[i] += 0.5f;
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++) variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    k->layer_norm(x, n, weight, with_bias ? bias : NULL, 1e-5f, out);
    for (size_t i = 0; i < n; i++) {
      double scale = (double)weight[i] / sqrt(variance + 1e-5), b = with_bias ? (double)bias[i] : 0;
      double size = (fabs((double)x[i]) + fabs(mean)) * fabs(scale) + fabs(b);
      compare(&o, (double)out[i], ((double)x[i] - mean) * scale + b, size, 1e-5);
    }
    k->layer_norm(x, n, weight, with_bias ? bias : NULL, 1e-5f, x);
    require(&o, same_bits(x, out, n), "in place differs");
    free(x), free(weight), free(bias), free(out);
  }
  report(&o);
}

static void test_gelu(const furl_kernels *k) {
  outcome o = {.kernel = "gelu_tanh", .tier = k->name};
  for (size_t n = 1; n <= 40; n++) for (int round = 0; round < 500; round++) {
    float *x = garbage(n * 4), *before = garbage(n * 4);
    for (size_t i = 0; i < n; i++) x[i] = draw_unit() * (round % 3 == 0 ? 1 : round % 3 == 1 ? 12 : 1e30f);
    memcpy(before, x, n * 4);
    k->gelu_tanh(x, n);
    for (size_t i = 0; i < n; i++) {
      double v = (double)before[i], u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
      compare(&o, (double)x[i], 0.5 * v * (1 + tanh(u)), fabs(v), 1e-6);
    }
    free(x), free(before);
  }
  float x[6] = {1e30f, -1e30f, INFINITY, -INFINITY, NAN, 0};
  k->gelu_tanh(x, 6);
  require(&o, x[0] == 1e30f && x[2] == INFINITY && x[5] == 0, "large values");
  require(&o, fabsf(x[1]) < 1e-30f && fabsf(x[3]) < 1e-30f && isnan(x[4]), "large negative values");
  report(&o);
}

static void test_argmax(const furl_kernels *k) {
  outcome o = {.kernel = "argmax", .tier = k->name};
  require(&o, k->argmax(NULL, 0) == -1, "of nothing");
  for (size_t n = 1; n <= 100; n++) for (int round = 0; round < 50; round++) {
    float *x = garbage(n * 4);
    for (size_t i = 0; i < n; i++) x[i] = (float)draw_below(round % 2 ? 4 : 1000000) - 2000000;
    int64_t best = 0;
    for (size_t i = 1; i < n; i++) if (x[i] > x[best]) best = (int64_t)i;
    require(&o, k->argmax(x, n) == best, "the first of the largest");
    x[draw_below(n)] = round % 3 == 0 ? NAN : round % 3 == 1 ? INFINITY : -INFINITY;
    require(&o, k->argmax(x, n) == -1, "a value that is not finite");
    free(x);
  }
  float zeros[3] = {-0.0f, 0.0f, -0.0f};
  require(&o, k->argmax(zeros, 3) == 0, "zeros of both signs are equal");
  report(&o);
}

void test_elementwise(void) {
  const furl_kernels *found[5] = {furl_kernels_for(FURL_ISA_SCALAR)};
  for (size_t t = 0, n = 1 + tiers(found + 1); t < n; t++) {
    test_quantize(found[t]);
    test_layer_norm(found[t]);
    test_gelu(found[t]);
    test_argmax(found[t]);
  }
}
