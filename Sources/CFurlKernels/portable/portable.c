// The arithmetic of the other tiers on any CPU: what they give is given here bit for bit, so that calibration and
// training come out the same where there is nothing better, too.

#include "../layout.h"
#include "../ring.h"
#include "../spans.h"
#include "../tiers.h"

#if !defined(__aarch64__)
#define FMA_FROM_DOUBLES
#endif

#include "../shared/lanes.h"

#define TIER_TABLE furl_kernels_portable
#define TIER_NAME "portable"
#define GROUP_A8 1
#define GROUP_A32 1
#define GROUP_QUERIES 2
#define KEY_VECTORS 1
#define VALUE_VECTORS 1
#define PRODUCT_ROWS 4
#define PRODUCT_VECTORS 1

INLINE v16 floats_from_halves(const uint16_t *halves) {
  float all[16];
  for (int i = 0; i < 16; i++) all[i] = furl_float_from_half(halves[i]);
  return load(all);
}

INLINE void halves_from_floats(v16 v, uint16_t *halves) {
  float all[16];
  store(all, v);
  for (int i = 0; i < 16; i++) halves[i] = furl_half_from_float(all[i]);
}

INLINE v16 table_values(const float *values, v16i codes) {
  float all[16];
  for (int i = 0; i < 16; i++) all[i] = values[codes[i] & 15];
  return load(all);
}

#define INT8_ZERO 0

/// sums += weight * code of four columns; byte i of each lane is the weight of column i, less `zero`.
INLINE void add_products(v16i *sum, v16i weights, const int32_t zero, const int8_t *codes) {
  UNROLL for (int i = 0; i < 4; i++) {
    *sum += (((weights >> (8 * i)) & splat_int(255)) - splat_int(zero)) * splat_int(codes[i]);
  }
}

INLINE v16i bytes_of(const uint8_t *tile) {
  v16i v;
  memcpy(&v, tile, sizeof v);
  return v;
}

INLINE void dot_int8(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  for (int g = 0; g < n; g++) {
    for (int j = from; j < to; j++) {
      add_products(&sums[g], bytes_of(tile + 64 * j), 128, codes + 4 * ((size_t)j * rows + (size_t)g));
    }
  }
}

INLINE void dot_int4(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  const v16i nibbles = splat_int(0x0f0f0f0f);
  for (int g = 0; g < n; g++) {
    for (int j = 0; j < 4; j++) {
      const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
      v16i both = bytes_of(tile + 64 * j);
      add_products(&sums[g], both & nibbles, 0, here);
      add_products(&sums[g], (both >> 4) & nibbles, 0, here + 16 * rows);
    }
  }
}

/// Nibbles as dot_int4 has them, with one or two bits above.
INLINE void dot_wide(
  const int bits, const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  const v16i nibbles = splat_int(0x0f0f0f0f), above = splat_int(bits == 5 ? 0x10101010 : 0x30303030);
  for (int g = 0; g < n; g++) {
    for (int j = 0; j < 4; j++) {
      const int shift = bits == 5 ? j : j / 2 * 2;
      const int8_t *here = codes + 4 * ((size_t)j * rows + (size_t)g);
      v16i both = bytes_of(tile + 64 * j), top = bytes_of(tile + 256 + (bits == 5 ? 0 : 64 * (j % 2)));
      add_products(&sums[g], (both & nibbles) | ((top << (4 - shift)) & above), 0, here);
      add_products(&sums[g], ((both >> 4) & nibbles) | ((top >> shift) & above), 0, here + 16 * rows);
    }
  }
}

INLINE void dot_table4(
  const int n, const uint8_t *tile, const int8_t *levels, const int8_t *codes, size_t rows, v16i *sums)
{
  for (int g = 0; g < n; g++) {
    for (size_t j = 0; j < 8; j++) {
      const int8_t *here = codes + 4 * (j * rows + (size_t)g);
      for (int r = 0; r < 16; r++) {
        for (int i = 0; i < 4; i++) {
          uint8_t both = tile[64 * (j % 4) + (size_t)(4 * r + i)];
          sums[g][r] += levels[j < 4 ? both & 15 : both >> 4] * here[i];
        }
      }
    }
  }
}

INLINE void dot_low_bits(
  const bool has_thirds, const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes,
  size_t rows, v16i *sums)
{
  for (int g = 0; g < n; g++) {
    for (int j = from; j < to; j++) {
      v16i w = (bytes_of(tile + 64 * (j % 2)) >> (j / 2 * 2)) & splat_int(0x03030303);
      if (has_thirds) w |= ((bytes_of(tile + 128) >> j) & splat_int(0x01010101)) << 2;
      add_products(&sums[g], w, 0, codes + 4 * ((size_t)j * rows + (size_t)g));
    }
  }
}

INLINE void dot_int3(
  const int n, const int from, const int to, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums)
{
  dot_low_bits(true, n, from, to, tile, codes, rows, sums);
}

INLINE void dot_int2(const int n, const uint8_t *tile, const int8_t *codes, size_t rows, v16i *sums) {
  dot_low_bits(false, n, 0, 8, tile, codes, rows, sums);
}

#include "../shared/table.h"
