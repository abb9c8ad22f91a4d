// Activations as BF16 numbers.

#include "support.h"

/// The nearest of two neighbours by their distances, the even one of equals; below 2^-40 zero.
static uint16_t expected(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (isnan(x)) return (uint16_t)(bits >> 16);
  if (fabsf(x) < 0x1p-40f) return 0;
  uint32_t below = bits & 0xffff0000, above = below + 0x10000;
  float low, high;
  memcpy(&low, &below, sizeof low), memcpy(&high, &above, sizeof high);
  // What lies above the largest one is infinity, as far away as the next power of two.
  double top = isinf(high) ? copysign(0x1p128, (double)high) : (double)high;
  double down = fabs((double)x - (double)low), up = fabs(top - (double)x);
  bool is_high = !isinf(x) && (up < down || (up == down && (below >> 16 & 1)));
  return (uint16_t)((is_high ? above : below) >> 16);
}

static float draw_number(size_t round) {
  static const float special[] = {0, -0.0f, 0x1p-40f, -0x1p-40f, 0x1.fffffep-41f, -0x1.fffffep-41f, 1e-42f, 0x1.fffffep127f,
    -0x1.fffffep127f, 0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, -0x1.01p0f};
  if (round % 3 == 0) return special[draw_below(sizeof special / sizeof *special)];
  if (round % 97 == 2) {
    uint32_t bits = 0x7f800001u | (uint32_t)draw_below(2) << 31;
    float none;
    memcpy(&none, &bits, sizeof none);
    return none;
  }
  if (round % 97 == 1) return draw_below(3) == 0 ? NAN : draw_below(2) ? INFINITY : -INFINITY;
  return ldexpf(draw_unit(), (int)draw_below(60) - 45);
}

void test_bfloat_rows(void) {
  const furl_kernels *found[MOST_TIERS] = {furl_kernels_for(FURL_ISA_SCALAR)};
  size_t n = 1 + tiers(found + 1);
  for (size_t t = 0; t < n; t++) {
    if (!is_first(found, t, offsetof(furl_kernels, round_bfloats))) continue;
    outcome o = {.kernel = "round_bfloats", .tier = found[t]->name};
    for (size_t columns = 1; columns < 100; columns++) {
      size_t tiles = (columns + 31) / 32, rows = 1 + draw_below(16), size = tiles * rows * 32;
      float *x = garbage(columns * sizeof *x);
      uint16_t *out = garbage(size * sizeof *out);
      for (size_t c = 0; c < columns; c++) x[c] = draw_number(c + columns);
      found[t]->round_bfloats(x, columns, rows, out);
      for (size_t i = 0; i < size; i++) {
        size_t c = i / (rows * 32) * 32 + i % 32;
        bool mine = i % (rows * 32) < 32;
        uint16_t wanted = !mine ? 0xffff : c < columns ? expected(x[c]) : 0;
        bool both = mine && c < columns && isnan(x[c]) && (out[i] & 0x7fff) > 0x7f80;
        require(&o, out[i] == wanted || both, mine ? "a number" : "another row");
      }
      free(x), free(out);
    }
    report(&o);
  }
}
