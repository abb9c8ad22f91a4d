#include "problem.h"

#define KIND_OF(name, bits, minimum, table, halved)                                                         \
  {#name "_a8", offsetof(furl_kernels, name##_a8), bits, minimum, BYTES, table, halved, false},             \
  {#name "_b16", offsetof(furl_kernels, name##_b16), bits, minimum, BFLOATS, table, halved, false},         \
  {#name "_a32", offsetof(furl_kernels, name##_a32), bits, minimum, FLOATS, table, halved, false}
#define KIND(name, bits, minimum, table) KIND_OF(name, bits, minimum, table, false)

static const kind kinds[] = {
  {"float32", offsetof(furl_kernels, float32), 0, false, FLOATS, false, false, false},
  KIND(int8, 8, false, false),
  KIND(int6, 6, false, false),
  KIND(int6_minimum, 6, true, false),
  KIND(int5, 5, false, false),
  KIND(int5_minimum, 5, true, false),
  KIND(int4, 4, false, false),
  KIND(int4_minimum, 4, true, false),
  KIND(int3, 3, false, false),
  KIND(int3_minimum, 3, true, false),
  KIND(int2, 2, false, false),
  KIND(int2_minimum, 2, true, false),
  KIND(table4, 4, false, true),
  KIND(int8_minimum, 8, true, false),
  KIND_OF(int8_halved, 8, false, false, true),
  KIND_OF(int3_halved, 3, false, false, true),
  {"nested8_a8", offsetof(furl_kernels, nested8_a8), 4, false, BYTES, false, false, true},
  {"nested8_b16", offsetof(furl_kernels, nested8_b16), 4, false, BFLOATS, false, false, true},
  {"nested8_a32", offsetof(furl_kernels, nested8_a32), 4, false, FLOATS, false, false, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static furl_multiply kernel(const furl_kernels *tier, const kind *k) {
  furl_multiply f;
  memcpy(&f, (const char *)tier + k->member, sizeof f);
  return f;
}

/// Any count and any cut into tile ranges, of which the first one has no panels, gives the bits of the whole.
static void check_independence(
  outcome *o, furl_multiply f, const problem *p, const float *whole, size_t stride)
{
  size_t rows = p->matrix.rows, tiles = (rows + 15) / 16;
  float *out = garbage(p->count * stride * sizeof(float));
  for (size_t count = 1; count < p->count; count += p->count > 20 ? 7 : 1) {
    size_t first = draw_below(p->count - count + 1), cut = draw_below(tiles + 1);
    furl_activations x = grouped(p, p->x.values, first, count), plain = x;
    furl_output output = {out, stride, NULL, false};
    plain.panels = NULL;
    f(&p->matrix, &plain, 0, cut, &output);
    f(&p->matrix, &x, cut, tiles, &output);
    bool same = true;
    for (size_t a = 0; a < count; a++) {
      same &= same_bits(out + a * stride, whole + (first + a) * stride, rows);
    }
    require(o, same, "the result depends on the count or the range of tiles");
    release_grouped(&x);
  }
  free(out);
}

static void check_tier(outcome *o, const furl_kernels *tier, const kind *k, const problem *p, filling f) {
  size_t rows = p->matrix.rows, tiles = (rows + 15) / 16, stride = rows + 3;
  furl_multiply multiply = kernel(tier, k);
  float *out = garbage(p->count * stride * sizeof(float)), *untouched = garbage(3 * sizeof(float));
  furl_output output = {out, stride, NULL, false};
  multiply(&p->matrix, &p->x, 0, tiles, &output);
  for (size_t a = 0; a < p->count; a++) {
    for (size_t r = 0; r < rows; r++) {
      size_t i = a * rows + r;
      compare(o, (double)out[a * stride + r], p->expected[i], p->magnitude[i], 1e-5);
    }
    require(o, same_bits(out + a * stride + rows, untouched, 3), "wrote past the last row");
  }
  bool twin = tier == furl_kernels_for(FURL_ISA_SCALAR);
  if (f != HOSTILE && !twin) check_independence(o, multiply, p, out, stride);

  float *bias = garbage(rows * sizeof(float)), *sum = garbage(p->count * stride * sizeof(float));
  for (size_t r = 0; r < rows; r++) bias[r] = draw_unit();
  memcpy(sum, out, p->count * stride * sizeof(float));
  furl_output more = {sum, stride, bias, true};
  multiply(&p->matrix, &p->x, 0, tiles, &more);
  for (size_t i = 0; i < p->count * stride; i++) {
    if (i % stride >= rows || !isfinite(out[i])) continue;
    float expected = out[i] + (out[i] + bias[i % stride]);
    require(o, sum[i] == expected || !isfinite(expected), "bias or accumulation");
  }
  free(bias), free(sum), free(out), free(untouched);
}

static void check_rows(outcome *o, const kind *k, const problem *p) {
  if ((k->table && k->reads == BYTES) || k->reads == BFLOATS) return;
  static void (*const row_of[2][7])(const furl_matrix *, size_t, size_t, float *) = {
    {furl_row_float32, furl_row_int8, furl_row_int6, furl_row_int5, furl_row_int4, furl_row_int3, furl_row_int2},
    {NULL, furl_row_int8_minimum, furl_row_int6_minimum, furl_row_int5_minimum, furl_row_int4_minimum,
      furl_row_int3_minimum, furl_row_int2_minimum}};
  int which = k->bits == 0 ? 0 : k->bits == 8 ? 1 : 8 - k->bits;
  void (*row)(const furl_matrix *, size_t, size_t, float *) =
    k->nested ? furl_row_nested8 : k->table ? furl_row_table4 : row_of[k->minimum][which];
  float *weights = garbage(p->columns * sizeof(float));
  for (size_t r = 0; r < p->matrix.rows; r++) {
    row(&p->matrix, r, p->columns, weights);
    double sum = 0;
    for (size_t c = 0; c < p->columns; c++) {
      sum += (double)weights[c] * activation(k, p, 0, c);
    }
    compare(o, sum, p->expected[r], p->magnitude[r], 1e-6);
  }
  free(weights);
}

/// Wider, and with more rows than a batch has.
static const struct { size_t columns, block_tiles, count; } wide[] = {
  {1000, 1, 20}, {1024, 4, 20}, {1056, 1, 30}, {1100, 3, 20}, {2080, SIZE_MAX, 20}, {2100, 40, 17}, {96, 2, 150},
  {1056, SIZE_MAX, 130}, {64, 1, 50}, {128, 2, 50}, {1024, SIZE_MAX, 40}, {64, 1, 530}};

void test_multiply(void) {
  static const size_t rows[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 40};
  static const size_t columns[] = {1, 4, 15, 16, 17, 32, 33, 63, 64, 65, 100, 160};
  const furl_kernels *found[MOST_TIERS] = {furl_kernels_for(FURL_ISA_SCALAR)};
  size_t n = 1 + tiers(found + 1);
  for (size_t i = 0; i < KINDS; i++) {
    const kind *k = &kinds[i];
    outcome unpacked = {.kernel = k->name, .tier = "row"}, o[MOST_TIERS] = {0};
    for (size_t t = 0; t < n; t++) o[t] = (outcome){.kernel = k->name, .tier = found[t]->name};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
      for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        size_t whole = (columns[c] + 31) / 32, blocks[] = {1, 2, 4, whole};
        for (size_t b = k->bits == 0 ? 3 : 0; b < 4; b++) {
          for (filling f = PLAIN; f < FILLINGS; f++) {
            if (!is_taken()) continue;
            static const scale_form forms[] = {HALVES_ALONE, HALVES_ALONE, ROW_FACTORS, SUPER_BLOCKS, EXPONENTS};
            scale_form form = k->bits == 0 ? HALVES_ALONE : forms[draw_below(k->minimum ? 4 : 5)];
            problem p = make(k, rows[r], columns[c], blocks[b], 20, f, form);
            settle(k, &p);
            for (size_t t = 0; t < n; t++) check_tier(&o[t], found[t], k, &p, f);
            check_rows(&unpacked, k, &p);
            release(&p);
          }
        }
      }
    }
    for (size_t w = 0; w < sizeof wide / sizeof *wide; w++) {
      size_t whole = (wide[w].columns + 31) / 32, block = wide[w].block_tiles < whole ? wide[w].block_tiles : whole;
      if (!is_taken() || (k->bits == 0 && block != whole)) continue;
      problem p = make(k, 33, wide[w].columns, block, wide[w].count, PLAIN, k->bits == 0 ? HALVES_ALONE : (scale_form)(w % 3));
      settle(k, &p);
      for (size_t t = 0; t < n; t++) check_tier(&o[t], found[t], k, &p, PLAIN);
      release(&p);
    }
    report(&unpacked);
    for (size_t t = 0; t < n; t++) report(&o[t]);
  }
}
