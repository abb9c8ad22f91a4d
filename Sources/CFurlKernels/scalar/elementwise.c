#include "scalar.h"

#include <string.h>

double furl_scalar_exp_double(double x) {
  // x = n ln 2 + r; doubles make the reduction and the series exact enough that a float result is only rounded.
  double n = x * 1.4426950408889634 + 0x1.8p52 - 0x1.8p52;
  double r = x - n * 0.6931471805599453;
  double series = 1;
  for (int k = 9; k >= 1; k--) series = 1 + series * r / k;
  uint64_t bits = (uint64_t)((int64_t)n + 1023) << 52;
  double power;
  memcpy(&power, &bits, sizeof power);
  return series * power;
}

float furl_scalar_exp(float x) {
  if (x != x) return x;
  if (x < -87.336544f) return 0;
  if (x > 88.722839f) return __builtin_inff();
  return (float)furl_scalar_exp_double((double)x);
}

/// x rounded to an integer, ties to even, for |x| < 2^22: the sum has no bits left for a fraction.
static float nearest(float x) {
  return x + 0x1.8p23f - 0x1.8p23f;
}

void furl_scalar_quantize(
  const float *x, size_t columns, size_t rows, int8_t *codes, float *scales, int32_t *sums, int8_t *panel)
{
  for (size_t begin = 0; begin < columns; begin += FURL_TILE_COLUMNS) {
    size_t n = columns - begin < FURL_TILE_COLUMNS ? columns - begin : FURL_TILE_COLUMNS;
    size_t at = begin / FURL_TILE_COLUMNS * rows;
    float largest = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
      float magnitude = __builtin_fabsf(x[begin + i]);
      if (!(magnitude <= 0x1.fffffep127f)) finite = false;
      if (magnitude > largest) largest = magnitude;
    }
    // Below about 4e-37 the inverse is infinite; such values are nothing beside any other.
    float inverse = 127 / largest;
    bool codable = finite && inverse <= 0x1.fffffep127f;
    sums[at] = 0;
    for (size_t i = 0; i < FURL_TILE_COLUMNS; i++) {
      float code = codable && i < n ? nearest(x[begin + i] * inverse) : 0;
      codes[(begin + i) / 4 * 4 * rows + i % 4] = (int8_t)code;
      sums[at] += (int8_t)code;
      if (panel != NULL) panel[begin * FURL_PANEL_ROWS + i] = (int8_t)code;
    }
    scales[at] = codable ? largest / 127 : finite ? 0 : __builtin_nanf("");
  }
}

void furl_scalar_layer_norm(
  const float *x, size_t n, const float *weight, const float *bias, float epsilon, float *out)
{
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += (double)x[i];
  double mean = sum / (double)n;
  for (size_t i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
  double inverse = 1 / __builtin_elementwise_sqrt(squares / (double)n + (double)epsilon);
  for (size_t i = 0; i < n; i++) {
    float normal = (float)(((double)x[i] - mean) * inverse);
    out[i] = normal * weight[i] + (bias != NULL ? bias[i] : 0);
  }
}

void furl_scalar_rms_norm(
  const float *x, size_t n, const float *weight, const float *bias, float epsilon, float *out)
{
  double squares = 0;
  for (size_t i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
  double inverse = 1 / __builtin_elementwise_sqrt(squares / (double)n + (double)epsilon);
  for (size_t i = 0; i < n; i++) {
    float normal = (float)((double)x[i] * inverse);
    out[i] = normal * weight[i] + (bias != NULL ? bias[i] : 0);
  }
}

void furl_scalar_rotate(float *x, size_t half, const float *cosines, const float *sines) {
  for (size_t i = 0; i < half; i++) {
    float first = x[i], second = x[half + i];
    x[i] = first * cosines[i] - second * sines[i];
    x[half + i] = second * cosines[i] + first * sines[i];
  }
}

int64_t furl_scalar_argmax(const float *x, size_t n) {
  int64_t best = -1;
  for (size_t i = 0; i < n; i++) {
    if (!(__builtin_fabsf(x[i]) <= 0x1.fffffep127f)) return -1;
    if (best < 0 || x[i] > x[best]) best = (int64_t)i;
  }
  return best;
}
