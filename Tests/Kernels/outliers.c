#include "support.h"

/// Columns that are kept apart: their products are added to what is there, the same whatever else is computed.
static void check_tier(const furl_kernels *tier) {
  outcome o = {.kernel = "add_outliers", .tier = tier->name};
  for (size_t round = 0; round < 60; round++) {
    size_t rows = 1 + draw_below(40), columns = 1 + draw_below(200), count = 1 + draw_below(12);
    size_t tiles = (columns + 31) / 32, row_tiles = (rows + 15) / 16, kept = 1 + draw_below(columns < 9 ? columns : 9);
    uint16_t *weights = garbage(row_tiles * kept * 32);
    int32_t *list = garbage(kept * sizeof(int32_t));
    float *values = garbage(count * tiles * 128), *out = garbage(count * (rows + 3) * sizeof(float));
    for (size_t i = 0; i < row_tiles * kept * 16; i++) weights[i] = furl_half_from_float(draw_unit());
    for (size_t i = 0; i < kept; i++) list[i] = (int32_t)(i * columns / kept);
    for (size_t i = 0; i < count * tiles * 32; i++) values[i] = draw_unit();
    for (size_t i = 0; i < count * (rows + 3); i++) out[i] = (float)(i % 7);
    furl_matrix matrix = {
      .codes = weights, .rows = rows, .column_tiles = tiles, .outlier_columns = list, .outliers = weights,
      .outlier_count = kept};
    furl_activations x = {.count = count, .codes = NULL, .scales = NULL, .sums = NULL, .values = values};
    furl_output output = {out, rows + 3, NULL, false};
    size_t cut = draw_below(row_tiles + 1);
    tier->add_outliers(&matrix, &x, 0, cut, &output);
    tier->add_outliers(&matrix, &x, cut, row_tiles, &output);
    for (size_t a = 0; a < count; a++) {
      float *alone = garbage(rows * sizeof(float));
      for (size_t r = 0; r < rows; r++) alone[r] = (float)((a * (rows + 3) + r) % 7);
      furl_activations one = {.count = 1, .values = values + a * tiles * 32};
      furl_output single = {alone, rows, NULL, false};
      tier->add_outliers(&matrix, &one, 0, row_tiles, &single);
      require(&o, same_bits(alone, out + a * (rows + 3), rows), "the result depends on the count or the range of tiles");
      free(alone);
      for (size_t r = 0; r < rows; r++) {
        double sum = (double)((a * (rows + 3) + r) % 7), size = sum;
        for (size_t i = 0; i < kept; i++) {
          double w = (double)furl_float_from_half(weights[(r / 16 * kept + i) * 16 + r % 16]);
          double term = w * (double)values[a * tiles * 32 + (size_t)list[i]];
          sum += term, size += fabs(term);
        }
        compare(&o, (double)out[a * (rows + 3) + r], sum, size, 1e-5);
      }
      for (size_t r = rows; r < rows + 3; r++) {
        require(&o, out[a * (rows + 3) + r] == (float)((a * (rows + 3) + r) % 7), "wrote past the last row");
      }
    }
    free(weights), free(list), free(values), free(out);
  }
  report(&o);
}

void test_outliers(void) {
  const furl_kernels *found[MOST_TIERS] = {furl_kernels_for(FURL_ISA_SCALAR)};
  size_t n = 1 + tiers(found + 1);
  for (size_t t = 0; t < n; t++) {
    if (is_first(found, t, offsetof(furl_kernels, add_outliers))) check_tier(found[t]);
  }
}
