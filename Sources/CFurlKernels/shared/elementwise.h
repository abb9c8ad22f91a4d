// What touches each value once: activation codes, norms, rotary positions, the largest logit.

#pragma once

#include "exponential.h"

// MARK: Activation codes

/// The larger of each lane's two.
INLINE v16i larger_bits(v16i a, v16i b) {
  v16i mask = a > b;
  return (mask & a) | (~mask & b);
}

INLINE v16i nearest_codes(v16 x, v16 inverse) {
  return (v16i)(x * inverse + splat(0x1.8p23f)) - splat_int(0x4b400000);
}

static void quantize(
  const float *x, size_t columns, size_t rows, int8_t *codes, float *scales, int32_t *sums, int8_t *panel)
{
  typedef int8_t v16c __attribute__((vector_size(16)));
  for (size_t begin = 0, tile = 0; begin < columns; begin += FURL_TILE_COLUMNS, tile++) {
    size_t n = columns - begin < FURL_TILE_COLUMNS ? columns - begin : FURL_TILE_COLUMNS;
    v16 low = load_first(x + begin, n < 16 ? n : 16);
    v16 high = n > 16 ? load_first(x + begin + 16, n - 16) : splat(0);
    // Magnitudes are ordered like their bits, and infinities and not-a-numbers lie above all of them.
    int32_t lanes[16], bits = 0;
    v16i largest_bits = larger_bits(magnitude_bits(low), magnitude_bits(high));
    memcpy(lanes, &largest_bits, sizeof lanes);
    for (int i = 0; i < 16; i++) bits = lanes[i] > bits ? lanes[i] : bits;
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    bool finite = bits < INFINITY_BITS;
    float inverse = 127 / largest;
    bool codable = finite && inverse <= 0x1.fffffep127f;
    v16i a = splat_int(0), b = splat_int(0);
    if (codable) {
      a = nearest_codes(low, splat(inverse));
      b = nearest_codes(high, splat(inverse));
    }
    v16c first = __builtin_convertvector(a, v16c), second = __builtin_convertvector(b, v16c);
    if (rows == 1) {
      memcpy(codes + begin, &first, 16);
      memcpy(codes + begin + 16, &second, 16);
    } else {
      int8_t all[FURL_TILE_COLUMNS];
      memcpy(all, &first, 16);
      memcpy(all + 16, &second, 16);
      UNROLL for (size_t i = 0; i < FURL_TILE_COLUMNS; i += 4) memcpy(codes + (begin + i) * rows, all + i, 4);
    }
    if (panel != NULL) {
      memcpy(panel + tile * FURL_PANEL_ROWS * FURL_TILE_COLUMNS, &first, 16);
      memcpy(panel + tile * FURL_PANEL_ROWS * FURL_TILE_COLUMNS + 16, &second, 16);
    }
    // The codes' sum is below 2^24, so the float sum is exact.
    sums[tile * rows] = (int32_t)sum_of_lanes(__builtin_convertvector(a + b, v16));
    scales[tile * rows] = codable ? largest / 127 : finite ? 0 : __builtin_nanf("");
  }
}

// MARK: Norms

/// out = (x - mean) * inverse * weight + bias
INLINE void put_normal(
  const float *x, size_t n, v16 mean, v16 inverse, const float *weight, const float *bias, float *out)
{
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 b = bias != NULL ? load_first(bias + i, lanes) : splat(0);
    v16 normal = (load_first(x + i, lanes) - mean) * inverse;
    store_first(out + i, fma16(normal, load_first(weight + i, lanes), b), lanes);
  }
}

/// 1 / sqrt(mean of the squares + epsilon)
INLINE v16 inverse_root(v16 squares, size_t n, float epsilon) {
  return splat(1 / __builtin_elementwise_sqrt(sum_of_lanes(squares) / (float)n + epsilon));
}

static void layer_norm(
  const float *x, size_t n, const float *weight, const float *bias, float epsilon, float *out)
{
  size_t whole = n / 16 * 16, rest = n % 16;
  v16 sum = splat(0), squares = splat(0);
  for (size_t i = 0; i < whole; i += 16) sum += load(x + i);
  if (rest != 0) sum += load_first(x + whole, rest);
  v16 mean = splat(sum_of_lanes(sum) / (float)n);
  for (size_t i = 0; i < whole; i += 16) {
    v16 d = load(x + i) - mean;
    squares = fma16(d, d, squares);
  }
  if (rest != 0) {
    v16 d = load_first(x + whole, rest) - mean;
    d = select16(lane_index() < splat_int((int32_t)rest), d, splat(0));
    squares = fma16(d, d, squares);
  }
  put_normal(x, n, mean, inverse_root(squares, n, epsilon), weight, bias, out);
}

static void rms_norm(
  const float *x, size_t n, const float *weight, const float *bias, float epsilon, float *out)
{
  v16 squares = splat(0);
  for (size_t i = 0; i < n; i += 16) {
    v16 v = load_first(x + i, n - i < 16 ? n - i : 16);
    squares = fma16(v, v, squares);
  }
  put_normal(x, n, splat(0), inverse_root(squares, n, epsilon), weight, bias, out);
}

// MARK: Rotary positions

static void rotate(float *x, size_t half, const float *cosines, const float *sines) {
  for (size_t i = 0; i < half; i += 16) {
    size_t lanes = half - i < 16 ? half - i : 16;
    v16 first = load_first(x + i, lanes), second = load_first(x + half + i, lanes);
    v16 cosine = load_first(cosines + i, lanes), sine = load_first(sines + i, lanes);
    store_first(x + i, first * cosine - second * sine, lanes);
    store_first(x + half + i, second * cosine + first * sine, lanes);
  }
}

// MARK: Largest

static int64_t argmax(const float *x, size_t n) {
  if (n == 0) return -1;
  v16 largest = splat(x[0]);
  v16i bad = splat_int(0), places = splat_int(0); // where each lane's largest number is, counted in vectors
  for (size_t i = 0; i < n; i += 16) {
    size_t lanes = n - i < 16 ? n - i : 16;
    v16 v = load_first(x + i, lanes);
    if (lanes < 16) v = select16(lane_index() < splat_int((int32_t)lanes), v, splat(x[0]));
    bad |= magnitude_bits(v) >= splat_int(INFINITY_BITS);
    v16i is_larger = v > largest;
    largest = select16(is_larger, v, largest);
    places = select16_int(is_larger, splat_int((int32_t)(i / 16)), places);
  }
  float values[16];
  int32_t flags[16], vectors[16], any = 0;
  memcpy(flags, &bad, sizeof flags);
  memcpy(values, &largest, sizeof values);
  memcpy(vectors, &places, sizeof vectors);
  for (int i = 0; i < 16; i++) any |= flags[i];
  if (any != 0) return -1;
  // A lane in which nothing was larger than the first number of all stands for that one.
  int64_t best = 0;
  float value = x[0];
  for (int i = 0; i < 16; i++) {
    int64_t place = (int64_t)vectors[i] * 16 + i;
    if (values[i] > value || (values[i] == value && values[i] > x[0] && place < best)) best = place, value = values[i];
  }
  return best;
}
