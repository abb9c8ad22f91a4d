// Elementary functions in double precision, of operations that IEEE 754 rounds correctly: the same bits on every CPU and
// with every C library, within 4 units in the last place (power: 2 + |log of the result| of them).

#include "include/CFurlKernels.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

// ln 2 and pi / 2 in parts whose products with whole numbers below 2^20 are exact.
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define HALF_PI_HIGH 0x1.921fb544p+0
#define HALF_PI_MIDDLE 0x1.0b4611a4p-34
#define HALF_PI_LOW 0x1.13198a2e03707p-65

static uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static double from_bits(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// The nearest whole number of one below 2^51, ties to even.
static double nearest(double x) {
  return x + 0x1.8p52 - 0x1.8p52;
}

/// x 2^n in two steps, so that powers stay normal numbers.
static double times_power(double x, int n) {
  int half = n / 2;
  return x * from_bits((uint64_t)(1023 + half) << 52) * from_bits((uint64_t)(1023 + n - half) << 52);
}

// In series unrolled by the compiler nothing is divided at run time.
#define UNROLL _Pragma("clang loop unroll(full)")

/// e^r for |r| <= ln 2 / 2 and a little more, with so many terms.
static inline double small_exponential(double r, const int terms) {
  double sum = 1;
  UNROLL for (int k = terms; k >= 1; k--) sum = 1 + r * (1.0 / k) * sum;
  return sum;
}

double furl_exponential(double x) {
  if (x != x) return x;
  if (x > 709.8) return __builtin_inf();
  if (x < -745.2) return 0;
  double n = nearest(x * 1.4426950408889634);
  return times_power(small_exponential(x - n * LN2_HIGH - n * LN2_LOW, 14), (int)n);
}

float furl_exponential_float(float x) {
  if (x != x) return x;
  if (x > 89) return __builtin_inff();
  if (x < -104) return 0;
  double n = nearest((double)x * 1.4426950408889634);
  return (float)times_power(small_exponential((double)x - n * LN2_HIGH - n * LN2_LOW, 8), (int)n);
}

double furl_power_of_two(double x) {
  if (x != x) return x;
  if (x >= 1024) return __builtin_inf();
  if (x < -1075) return 0;
  double n = nearest(x);
  return times_power(small_exponential((x - n) * 0x1.62e42fefa39efp-1, 14), (int)n);
}

double furl_logarithm(double x) {
  if (x != x || x < 0) return __builtin_nan("");
  if (x == 0) return -__builtin_inf();
  if (x > 0x1.fffffffffffffp1023) return x;
  int exponent = 0;
  if (x < 0x1p-1022) x *= 0x1p54, exponent = -54;
  // The mantissa between the roots of 1/2 and 2.
  uint64_t bits = bits_of(x) - 0x3fe6a09e667f3bcdu;
  exponent += (int)((int64_t)bits >> 52);
  double m = from_bits((bits & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu), f = (m - 1) / (m + 1), square = f * f, sum = 0;
  UNROLL for (int k = 25; k >= 3; k -= 2) sum = square * (1.0 / k + sum);
  return exponent * LN2_HIGH + (2 * f + (2 * f * sum + exponent * LN2_LOW));
}

double furl_power(double x, double y) {
  if (y == 0) return 1;
  return furl_exponential(y * furl_logarithm(x));
}

double furl_cosine_and_sine(double x, double *sine) {
  if (!(__builtin_fabs(x) < 0x1p50)) {
    *sine = __builtin_nan("");
    return __builtin_nan("");
  }
  double n = nearest(x * 0.6366197723675814), r = ((x - n * HALF_PI_HIGH) - n * HALF_PI_MIDDLE) - n * HALF_PI_LOW;
  double square = r * r, s = 1, c = 1;
  UNROLL for (int k = 20; k >= 2; k -= 2) {
    s = 1 - square * (1.0 / (k * (k + 1))) * s;
    c = 1 - square * (1.0 / (k * (k - 1))) * c;
  }
  s *= r;
  switch ((int64_t)n & 3) {
  case 0: *sine = s; return c;
  case 1: *sine = c; return -s;
  case 2: *sine = -s; return -c;
  default: *sine = -c; return s;
  }
}
