#include "support.h"

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/// Written from the format's definition, with no bit tricks.
static double half_value(uint16_t half) {
  double sign = half & 0x8000 ? -1 : 1;
  int exponent = half >> 10 & 31, mantissa = half & 1023;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * ldexp(mantissa, -24);
  return sign * ldexp(1024 + mantissa, exponent - 25);
}

static bool same_number(double a, double b) {
  return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

#if defined(__FLT16_MANT_DIG__)
static uint16_t compilers_half(float value) {
  _Float16 half = (_Float16)value;
  uint16_t bits;
  memcpy(&bits, &half, sizeof bits);
  return bits;
}
#endif

/// What the nearest half is, by looking at it and its neighbours.
static bool is_nearest(float value, uint16_t half) {
  if (isnan(value)) return isnan(half_value(half));
  double magnitude = fabs((double)value);
  uint16_t h = half & 0x7fff;
  if ((half >> 15 != 0) != (signbit(value) != 0)) return false;
  if (h > 0x7c00) return false;
  // 65520, halfway to what would be the next half, belongs to infinity.
  double here = h == 0x7c00 ? 65536 : half_value(h);
  double below = h == 0 ? -1 : half_value((uint16_t)(h - 1));
  double above = h >= 0x7bff ? 65536 : half_value((uint16_t)(h + 1));
  double low = (below + here) / 2, high = h == 0x7c00 ? INFINITY : (here + above) / 2;
  if (h == 0) low = -1;
  bool even = (h & 1) == 0;
  return (magnitude > low || (even && magnitude == low)) && (magnitude < high || (even && magnitude == high));
}

static void test_halves(void) {
  outcome o = {.kernel = "halves", .tier = "common"};
  for (uint32_t i = 0; i < 65536; i++) {
    uint16_t half = (uint16_t)i;
    float value = furl_float_from_half(half);
    require(&o, same_number((double)value, half_value(half)), "half to float");
    float many;
    furl_floats_from_halves(&half, 1, &many);
    require(&o, same_number((double)many, (double)value), "halves to floats");
    if (!isnan(value)) require(&o, furl_half_from_float(value) == half, "half to float and back");
    else require(&o, isnan(furl_float_from_half(furl_half_from_float(value))), "not a number and back");
  }
  for (uint64_t bits = 0; bits < 1ull << 32; bits += 4093) {
    for (int near = -1; near <= 1; near++) { // the places where rounding turns, and their neighbours
      uint32_t b = (uint32_t)((bits & ~0xfffull) + 0x1000 * (bits >> 12 & 1)) + (uint32_t)near;
      float value = float_of(near == 0 ? (uint32_t)bits : b);
      uint16_t half = furl_half_from_float(value);
      require(&o, is_nearest(value, half), "float to half");
#if defined(__FLT16_MANT_DIG__)
      require(&o, isnan(value) || half == compilers_half(value), "float to half as the compiler's");
#endif
    }
  }
  report(&o);
}

static void test_bfloats(void) {
  outcome o = {.kernel = "bfloats", .tier = "common"};
  for (uint32_t i = 0; i < 65536; i++) {
    uint16_t bfloat = (uint16_t)i;
    float value, expected = float_of(i << 16);
    furl_floats_from_bfloats(&bfloat, 1, &value);
    require(&o, same_number((double)value, (double)expected), "bfloat to float");
  }
  report(&o);
}

/// A matrix of 65536 rows, each with one weight 1 and its own scale, times 1: how the tier reads every half.
static void test_scales(const furl_kernels *k) {
  outcome o = {.kernel = "every scale", .tier = k->name};
  size_t rows = 65536;
  uint8_t *codes = garbage(rows * 32);
  memset(codes, 129, rows * 32);
  uint16_t *scales = garbage(rows * sizeof(uint16_t));
  for (size_t i = 0; i < rows; i++) scales[i] = (uint16_t)i;
  furl_matrix m = {
    .codes = codes, .scales = scales, .rows = rows, .column_tiles = 1, .block_tiles = 1, .blocks = 1};
  int8_t x[32] = {1};
  float scale = 1, *out = garbage(rows * sizeof(float)), *row = garbage(sizeof(float));
  int32_t sum = 1;
  furl_activations a = {.count = 1, .codes = x, .scales = &scale, .sums = &sum};
  furl_output output = {out, rows, NULL, false};
  k->int8_a8(&m, &a, 0, rows / 16, &output);
  for (size_t i = 0; i < rows; i++) {
    double expected = half_value((uint16_t)i);
    require(&o, same_number((double)out[i], expected) || (out[i] == 0 && expected == 0), "a scale");
    furl_row_int8(&m, i, 1, row);
    require(&o, same_number((double)*row, expected), "a row");
  }
  free(codes), free(scales), free(out), free(row);
  report(&o);
}

static void test_transpose(void) {
  outcome o = {.kernel = "transpose", .tier = "common"};
  static const size_t sizes[] = {1, 2, 15, 16, 17, 31, 32, 33, 64, 70};
  for (size_t i = 0; i < 10; i++) for (size_t j = 0; j < 10; j++) for (size_t size = 2; size <= 4; size += 2) {
    size_t rows = sizes[i], columns = sizes[j];
    uint8_t *in = garbage(rows * columns * size), *out = garbage(rows * columns * size);
    for (size_t n = 0; n < rows * columns * size; n++) in[n] = (uint8_t)draw_below(256);
    furl_transpose(in, rows, columns, size, out);
    bool same = true;
    for (size_t r = 0; r < rows; r++) for (size_t c = 0; c < columns; c++) {
      same &= memcmp(out + (c * rows + r) * size, in + (r * columns + c) * size, size) == 0;
    }
    require(&o, same, "a number is in another place");
    free(in), free(out);
  }
  report(&o);
}

void test_conversions(void) {
  const furl_kernels *found[MOST_TIERS];
  test_halves();
  test_bfloats();
  test_transpose();
  test_scales(furl_kernels_for(FURL_ISA_SCALAR));
  for (size_t i = 0, n = tiers(found); i < n; i++) test_scales(found[i]);
}
