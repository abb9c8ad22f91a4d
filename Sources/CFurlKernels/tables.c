// The 16 values that published 4-bit formats have, and how a value finds the nearest one.

#include "include/CFurlKernels.h"

#include <string.h>

// Quantiles of the normal distribution, scaled to 1, with a zero: Dettmers et al. 2023, "QLoRA", appendix E.
const float furl_nf4[16] = {
  -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
  -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
  0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// A sign and three bits, in twelfths: 0, 1/16, 8, 12, 4, 6, 2, 3 (the table of bitsandbytes).
const float furl_fp4[16] = {
  0.0f, 0.0625f / 12, 8.0f / 12, 1.0f, 4.0f / 12, 0.5f, 2.0f / 12, 0.25f,
  -0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f};

// Not evenly spaced: `kvalues_iq4nl` of ggml-common.h, https://github.com/ggml-org/ggml.
const float furl_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// A sign, two bits of exponent and one of mantissa, doubled to be whole: Open Compute Project 2023, "OCP Microscaling
// Formats (MX)".
const float furl_mxfp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, -0.0f, -1, -2, -3, -4, -6, -8, -12};

/// In the order of the values; of two zeros the negative one comes first, of equals the lower code.
static bool comes_before(const float *values, uint8_t a, uint8_t b) {
  if (values[a] != values[b]) return values[a] < values[b];
  bool is_negative = __builtin_signbit(values[a]), other = __builtin_signbit(values[b]);
  return is_negative != other ? is_negative : a < b;
}

void furl_table_grid(const float *values, bool is_signed, furl_grid *grid) {
  memset(grid, 0, sizeof *grid);
  *grid = (furl_grid){.low = -1, .high = 1, .is_table = true, .is_signed = is_signed};
  for (uint8_t code = 0; code < 16; code++) {
    int at = code;
    for (; at > 0 && comes_before(values, code, grid->codes[at - 1]); at--) grid->codes[at] = grid->codes[at - 1];
    grid->codes[at] = code;
  }
  float nearest = __builtin_inff();
  for (int i = 0; i < 16; i++) {
    grid->levels[i] = values[grid->codes[i]];
    float magnitude = __builtin_fabsf(grid->levels[i]);
    // Of two zeros the positive one.
    if (magnitude < nearest || (magnitude == 0 && nearest == 0)) nearest = magnitude, grid->offset = grid->codes[i];
    if (i == 0) continue;
    float below = grid->levels[i - 1], above = grid->levels[i];
    // Nothing lies between two zeros: what is negative belongs to the first one, zero to the second.
    grid->bounds[i - 1] = below == 0 && above == 0 ? -0x1p-149f : (float)(((double)below + (double)above) / 2);
  }
  float reach = __builtin_fmaxf(-grid->levels[0], grid->levels[15]);
  grid->high = (int32_t)__builtin_ceilf(reach) > 1 ? (int32_t)__builtin_ceilf(reach) : 1;
  grid->low = -grid->high;
}
