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

/// A row in a group is the row alone, four columns at a time beside those of the others, which stay as they are.
static void check_group(
  outcome *o, const furl_kernels *k, const float *x, size_t columns, size_t rows, const int8_t *codes,
  const float *scales, const int32_t *sums)
{
  size_t tiles = (columns + 31) / 32, n = tiles * rows, row = draw_below(rows);
  int8_t *all = garbage(n * 32), *all_expected = garbage(n * 32);
  int8_t *panel = garbage(tiles * 16 * 32), *panel_expected = garbage(tiles * 16 * 32);
  size_t place = draw_below(16);
  float *all_scales = garbage(n * 4), *scales_expected = garbage(n * 4);
  int32_t *all_sums = garbage(n * 4), *sums_expected = garbage(n * 4);
  for (size_t i = 0; i < tiles * 32; i++) all_expected[(i / 4 * rows + row) * 4 + i % 4] = codes[i];
  for (size_t i = 0; i < tiles * 32; i++) panel_expected[(i / 32 * 16 + place) * 32 + i % 32] = codes[i];
  for (size_t t = 0; t < tiles; t++) {
    scales_expected[t * rows + row] = scales[t], sums_expected[t * rows + row] = sums[t];
  }
  k->quantize(x, columns, rows, all + 4 * row, all_scales + row, all_sums + row, panel + 32 * place);
  require(o, memcmp(panel, panel_expected, tiles * 16 * 32) == 0, "codes in a panel");
  require(o, memcmp(all, all_expected, n * 32) == 0, "codes in a group");
  require(o, memcmp(all_scales, scales_expected, n * 4) == 0, "scales in a group");
  require(o, memcmp(all_sums, sums_expected, n * 4) == 0, "sums in a group");
  free(all), free(all_expected), free(all_scales), free(scales_expected), free(all_sums), free(sums_expected);
  free(panel), free(panel_expected);
}

static void test_quantize(const furl_kernels *k) {
  outcome o = {.kernel = "quantize", .tier = k->name};
  const furl_kernels *twin = furl_kernels_for(FURL_ISA_SCALAR);
  for (size_t columns = 1; columns <= 100; columns++) for (int mode = 0; mode < 8; mode++) {
    if (!is_taken()) continue;
    size_t tiles = (columns + 31) / 32;
    float *x = garbage(columns * 4), *scales = garbage(tiles * 4), *twin_scales = garbage(tiles * 4);
    int8_t *codes = garbage(tiles * 32), *twin_codes = garbage(tiles * 32);
    int32_t *sums = garbage(tiles * 4), *twin_sums = garbage(tiles * 4);
    fill(x, columns, mode);
    k->quantize(x, columns, 1, codes, scales, sums, NULL);
    twin->quantize(x, columns, 1, twin_codes, twin_scales, twin_sums, NULL);
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
    for (size_t rows = 2; rows <= FURL_ACTIVATION_GROUP; rows++) check_group(&o, k, x, columns, rows, codes, scales, sums);
    free(x), free(scales), free(twin_scales), free(codes), free(twin_codes), free(sums), free(twin_sums);
  }
  float ties[32] = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.5f, 125.5f};
  static const int8_t even[8] = {127, 0, 2, 2, 0, -2, 126, 126};
  int8_t codes[32];
  float scale;
  int32_t sum;
  k->quantize(ties, 32, 1, codes, &scale, &sum, NULL);
  require(&o, memcmp(codes, even, 8) == 0 && scale == 1, "ties go to even");
  report(&o);
}

static void test_norm(const furl_kernels *k, bool centred) {
  outcome o = {.kernel = centred ? "layer_norm" : "rms_norm", .tier = k->name};
  for (size_t n = 1; n <= 1100; n += n < 70 ? 1 : 103) for (int with_bias = 0; with_bias < 2; with_bias++) {
    if (!is_taken()) continue;
    float *x = garbage(n * 4), *weight = garbage(n * 4), *bias = garbage(n * 4), *out = garbage(n * 4);
    fill(x, n, 0), fill(weight, n, 0), fill(bias, n, 0);
    for (size_t i = 0; i < n; i++) x[i] += 0.5f;
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n && centred; i++) mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++) variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    (centred ? k->layer_norm : k->rms_norm)(x, n, weight, with_bias ? bias : NULL, 1e-5f, out);
    for (size_t i = 0; i < n; i++) {
      double scale = (double)weight[i] / sqrt(variance + 1e-5), b = with_bias ? (double)bias[i] : 0;
      double size = (fabs((double)x[i]) + fabs(mean)) * fabs(scale) + fabs(b);
      compare(&o, (double)out[i], ((double)x[i] - mean) * scale + b, size, 1e-5);
    }
    (centred ? k->layer_norm : k->rms_norm)(x, n, weight, with_bias ? bias : NULL, 1e-5f, x);
    require(&o, same_bits(x, out, n), "in place differs");
    free(x), free(weight), free(bias), free(out);
  }
  report(&o);
}

static void test_rotate(const furl_kernels *k) {
  outcome o = {.kernel = "rotate", .tier = k->name};
  const furl_kernels *twin = furl_kernels_for(FURL_ISA_SCALAR);
  for (size_t half = 1; half <= 70; half++) {
    float *x = garbage(half * 8), *same = garbage(half * 8), *before = garbage(half * 8);
    float *cosines = garbage(half * 4), *sines = garbage(half * 4);
    fill(x, 2 * half, 0);
    memcpy(before, x, half * 8), memcpy(same, x, half * 8);
    for (size_t i = 0; i < half; i++) {
      double angle = 7 * (double)draw_unit();
      cosines[i] = (float)cos(angle), sines[i] = (float)sin(angle);
    }
    k->rotate(x, half, cosines, sines);
    twin->rotate(same, half, cosines, sines);
    require(&o, same_bits(x, same, 2 * half), "bits differ from the twin's");
    for (size_t i = 0; i < half; i++) {
      double a = (double)before[i], b = (double)before[half + i], c = (double)cosines[i], s = (double)sines[i];
      compare(&o, (double)x[i], a * c - b * s, fabs(a) + fabs(b), 1e-6);
      compare(&o, (double)x[half + i], b * c + a * s, fabs(a) + fabs(b), 1e-6);
    }
    free(x), free(same), free(before), free(cosines), free(sines);
  }
  report(&o);
}

static void test_activate(const furl_kernels *k, furl_activation activation) {
  static const char *const names[] = {"gelu", "gelu_tanh", "quick_gelu", "silu", "relu", "tanh"};
  static const float sizes[] = {1, 12, 100, 1e-3f, 1e30f};
  outcome o = {.kernel = names[activation], .tier = k->name};
  for (size_t n = 1; n <= 40; n++) for (int round = 0; round < 500; round++) {
    if (!is_taken()) continue;
    float *x = garbage(n * 4), *before = garbage(n * 4), *factor = garbage(n * 4);
    for (size_t i = 0; i < n; i++) x[i] = draw_unit() * sizes[round % 5];
    memcpy(before, x, n * 4);
    fill(factor, n, 0);
    bool multiplied = round % 2 == 0;
    k->activate(activation, x, multiplied ? factor : NULL, n);
    for (size_t i = 0; i < n; i++) {
      double v = (double)before[i], f = multiplied ? (double)factor[i] : 1;
      compare(&o, (double)x[i], activated(activation, v) * f, fabs(v * f), 1e-6);
    }
    free(x), free(before), free(factor);
  }
  float x[6] = {1e30f, -1e30f, INFINITY, -INFINITY, NAN, 0};
  k->activate(activation, x, NULL, 6);
  if (activation == FURL_TANH) {
    require(&o, x[0] == 1 && x[1] == -1 && x[2] == 1 && x[3] == -1, "large values");
  } else {
    require(&o, x[0] == 1e30f && x[2] == INFINITY, "large values");
    require(&o, fabsf(x[1]) < 1e-30f && fabsf(x[3]) < 1e-30f, "large negative values");
  }
  require(&o, isnan(x[4]) && x[5] == 0, "not a number, and zero");
  report(&o);
}

static void test_argmax(const furl_kernels *k) {
  outcome o = {.kernel = "argmax", .tier = k->name};
  require(&o, k->argmax(&(float){1}, 0) == -1, "of nothing");
  for (size_t n = 1; n <= 100; n++) for (int round = 0; round < 50; round++) {
    if (!is_taken()) continue;
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
  const furl_kernels *found[MOST_TIERS] = {furl_kernels_for(FURL_ISA_SCALAR)};
  for (size_t t = 0, n = 1 + tiers(found + 1); t < n; t++) {
    if (!is_first(found, t, offsetof(furl_kernels, quantize))) continue;
    test_quantize(found[t]);
    test_norm(found[t], true);
    test_norm(found[t], false);
    test_rotate(found[t]);
    for (int activation = FURL_GELU; activation <= FURL_TANH; activation++) {
      test_activate(found[t], (furl_activation)activation);
    }
    test_argmax(found[t]);
  }
}
