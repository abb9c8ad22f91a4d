// The AMX tier on every CPU: its own code above a model of the tiles in plain C. It is tested as a tier like any other.

#include "support.h"

#include "../../Sources/CFurlKernels/tiers.h"

#if !defined(__aarch64__)
#define FMA_FROM_DOUBLES
#endif
#include "../../Sources/CFurlKernels/shared/panels.h"

INLINE v16 floats_from_halves(const uint16_t *halves) {
  float all[16];
  for (int i = 0; i < 16; i++) all[i] = furl_float_from_half(halves[i]);
  return load(all);
}

INLINE void halves_from_floats(v16 v, uint16_t *halves) {
  for (int i = 0; i < 16; i++) halves[i] = furl_half_from_float(v[i]);
}

INLINE v16 table_values(const float *values, v16i codes) {
  float all[16];
  for (int i = 0; i < 16; i++) all[i] = values[codes[i] & 15];
  return load(all);
}

INLINE v64b looked_up(v64b nibbles, const int8_t *levels) {
  v64b found;
  for (int i = 0; i < 64; i++) found[i] = (uint8_t)levels[nibbles[i] & 15];
  return found;
}

/// TDPBSSD of two tiles of 16 rows of 32 bytes and of 8 rows of 64 bytes, as Intel's manual writes it down.
static void model(const int8_t *codes, const int8_t *weights, int32_t *dots) {
  for (int m = 0; m < 16; m++) {
    for (int n = 0; n < 16; n++) {
      int32_t sum = 0;
      for (int k = 0; k < 8; k++) {
        for (int i = 0; i < 4; i++) sum += codes[m * 32 + 4 * k + i] * weights[k * 64 + 4 * n + i];
      }
      dots[m * 16 + n] = sum;
    }
  }
}

INLINE void multiply_tile(const int slot, const int8_t *codes, const int8_t *weights, int32_t *dots) {
  (void)slot;
  model(codes, weights, dots);
}

INLINE void keep(v16 *sum) { (void)sum; }

#define MODELLED(name, s)                                                                                   \
  static void name##_modelled(                                                                              \
    const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,               \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    size_t rows = panel_rows(matrix, x);                                                                    \
    if (rows != 0) multiply_panels(s, matrix, x, rows, tile_begin, tile_end, output);                       \
    multiply_rest(furl_kernels_portable.name##_a8, matrix, x, rows, tile_begin, tile_end, output);          \
  }
FOR_EACH_PANEL_SCHEME(MODELLED)

// MARK: BF16

#include "../../Sources/CFurlKernels/shared/bfloat_panels.h"

INLINE void store_pairs(v16 first, v16 second, uint16_t *out) {
  v16 rounded[2] = {rounded_to_bfloats(first), rounded_to_bfloats(second)};
  for (int r = 0; r < 16; r++) {
    for (int i = 0; i < 2; i++) out[2 * r + i] = (uint16_t)(((v16u)rounded[i])[r] >> 16);
  }
}

/// Rows of the tiles of sums and of activations.
static size_t tile_rows;
INLINE void begin_tiles(size_t rows) { tile_rows = rows; }
INLINE void end_tiles(void) { tile_rows = 0; }

static float from_bfloat(uint16_t bfloat) {
  uint32_t bits = (uint32_t)bfloat << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// TDPBF16PS of a tile of rows of 32 numbers and one of 16 pairs of columns.
static void model_bfloats(const uint16_t *panel, const uint16_t *weights, float *sums) {
  for (size_t m = 0; m < tile_rows; m++) {
    for (size_t n = 0; n < 16; n++) {
      float part[2] = {0};
      for (size_t k = 0; k < 16; k++) {
        for (size_t i = 0; i < 2; i++) {
          part[i] = fmaf(from_bfloat(panel[m * 32 + 2 * k + i]), from_bfloat(weights[k * 32 + 2 * n + i]), part[i]);
        }
      }
      sums[m * 16 + n] += part[0] + part[1];
    }
  }
}

INLINE void add_products_of(const panel_product *p, const int columns) {
  for (int c = 0; c < columns; c++) {
    float sums[16 * 16] = {0};
    if (p->before[c] != NULL) memcpy(sums, p->before[c], tile_rows * 16 * sizeof(float));
    for (size_t t = 0; t < p->tiles; t++) {
      size_t place = (size_t)c * CHUNK_TILES + t;
      model_bfloats(p->panel + t * p->panel_stride, p->weights + place * PAIR_NUMBERS, sums);
    }
    memcpy(p->sums[c], sums, tile_rows * 16 * sizeof(float));
  }
}

FOR_EACH_BFLOAT_SCHEME(BFLOAT_PANELS)

const furl_kernels *modelled_tiles(void) {
  static furl_kernels kernels;
  kernels = furl_kernels_portable;
  kernels.name = "amx model";
  kernels.reads_panels = true;
#define OFFER(name, s) kernels.name##_a8 = name##_modelled;
  FOR_EACH_PANEL_SCHEME(OFFER)
#undef OFFER
#define OFFER(name, s) kernels.name##_b16 = name##_pairs;
  FOR_EACH_BFLOAT_SCHEME(OFFER)
  return &kernels;
}
