// Products of BF16 numbers by tiles: what limits them is how fast tiles come from the second-level cache, so that weights are
// unpacked into the first one, and those of four row tiles meet each tile of activations.
//
// A tile of weights is 16 pairs of columns of 16 rows, one of activations 32 columns of up to 16 rows: 1 KB each. With 8 column
// tiles at a time the weights of four row tiles are 32 KB. Sums wait in the second-level cache, as do the activations of those
// columns, which the row tiles of a stripe read one after the other.
//
// Before it the tier defines, beside what lanes.h wants,
//   store_pairs(first, second, out)   the numbers of two columns of 16 rows, rounded, [16][2]
//   begin_tiles(rows), end_tiles()    around products of panels of so many rows
//   add_products_of(p, columns)             what a panel and up to four row tiles give: see panel_product

#pragma once

#include "bfloats.h"

/// Numbers in a tile of weights.
#define PAIR_NUMBERS (FURL_TILE_ROWS * FURL_TILE_COLUMNS)
/// Column tiles that are unpacked at a time.
#define CHUNK_TILES 8
/// Row tiles that meet a panel.
#define GROUP_TILES 4
/// Row tiles whose sums wait: 512 KB of them, on the stack of whoever computes.
#define STRIPE_TILES 16
/// Rows of activations that meet what is unpacked.
#define SLAB_ROWS 512

/// A panel and some row tiles.
typedef struct panel_product {
  const uint16_t *panel;    // [tiles][rows][32]
  size_t panel_stride;      // numbers between two of its tiles
  const uint16_t *weights;  // [row tile][CHUNK_TILES][16 pairs][16 rows][2]
  size_t tiles;             // column tiles
  const float *before[GROUP_TILES]; // of each row tile, the sums of the columns before, [rows][16]; NULL: none
  float *sums[GROUP_TILES]; // where the sums go
} panel_product;

INLINE void store_pairs(v16 first, v16 second, uint16_t *out);
INLINE void begin_tiles(size_t rows);
INLINE void end_tiles(void);
INLINE void add_products_of(const panel_product *p, const int columns);

/// The weights of a tile in pairs of columns.
INLINE void unpack_pairs(const scheme s, const furl_matrix *matrix, size_t tile, size_t t, uint16_t *weights) {
  size_t place = tile * matrix->column_tiles + t;
  const uint8_t *codes = (const uint8_t *)matrix->codes + place * tile_bytes(s);
  fetch_ahead(2, true, codes, tile_bytes(s));
  column_scales scales = scales_of(s, matrix, tile, t, 0);
  UNROLL for (int group = 0; group < 8; group++) {
    if (group == 4 && (s == INT8_HALVED || s == INT3_HALVED)) scales = scales_of(s, matrix, tile, t, 1);
    v16i four = tile_codes(s, matrix, codes, place, group);
    UNROLL for (int i = 0; i < 4; i += 2) {
      v16 first = column_weights(s, matrix, &scales, four, i), second = column_weights(s, matrix, &scales, four, i + 1);
      store_pairs(first, second, weights + (4 * group + i) * FURL_TILE_ROWS);
    }
  }
}

typedef void (*unpack_tile_pairs)(const furl_matrix *matrix, size_t tile, size_t t, uint16_t *weights);

/// Row tiles on their way through the columns, and where their products go.
typedef struct stripe {
  const furl_matrix *matrix;
  const furl_activations *x;
  const furl_output *output;
  uint16_t *weights;   // [GROUP_TILES][CHUNK_TILES][PAIR_NUMBERS]
  float *sums;         // [STRIPE_TILES][SLAB_ROWS][16]
  size_t tile, tiles;  // row tiles
  size_t begin, end;   // column tiles
  size_t slab, rows;   // rows of activations: the first one, and how many
} stripe;

/// Sums of a panel's rows into the output; most tiles are whole.
INLINE void put_rows(const stripe *s, const float *sums, size_t first, size_t rows, size_t tile) {
  const furl_output *output = s->output;
  float *out = output->values + first * output->stride + tile * FURL_TILE_ROWS;
  const bool is_whole = (tile + 1) * FURL_TILE_ROWS <= s->matrix->rows;
  if (is_whole && output->bias == NULL && !output->accumulate) {
    // As `put` has it: what is added to no bias is never a negative zero.
    for (size_t g = 0; g < rows; g++) store(out + g * output->stride, load(sums + g * FURL_TILE_ROWS) + splat(0));
  } else {
    for (size_t g = 0; g < rows; g++) put(load(sums + g * FURL_TILE_ROWS), s->matrix, output, first + g, tile);
  }
}

/// Products of a panel, the slab's rows from `first` on, with some row tiles of the stripe.
INLINE void multiply_panel(const stripe *s, size_t first, size_t rows, size_t tile, const int columns) {
  float last[GROUP_TILES][FURL_PANEL_ROWS * FURL_TILE_ROWS] __attribute__((aligned(64)));
  const bool ends = s->end == s->matrix->column_tiles;
  panel_product p = {.panel_stride = rows * FURL_TILE_COLUMNS, .weights = s->weights, .tiles = s->end - s->begin};
  p.panel = s->x->bfloats + furl_panel_codes(s->matrix->column_tiles, s->slab + first) + s->begin * p.panel_stride;
  UNROLL for (int c = 0; c < columns; c++) {
    float *waiting = s->sums + ((tile + (size_t)c) * SLAB_ROWS + first) * FURL_TILE_ROWS;
    p.before[c] = s->begin == 0 ? NULL : waiting;
    p.sums[c] = ends ? last[c] : waiting;
  }
  add_products_of(&p, columns);
  if (!ends) return;
  UNROLL for (int c = 0; c < columns; c++) put_rows(s, last[c], s->slab + first, rows, s->tile + tile + (size_t)c);
}

/// Products of all rows of the slab with some row tiles of the stripe.
INLINE void multiply_group(const stripe *s, size_t tile, const int columns) {
  size_t whole = s->rows / FURL_PANEL_ROWS * FURL_PANEL_ROWS;
  if (whole > 0) begin_tiles(FURL_PANEL_ROWS);
  for (size_t row = 0; row < whole; row += FURL_PANEL_ROWS) multiply_panel(s, row, FURL_PANEL_ROWS, tile, columns);
  if (whole == s->rows) return;
  begin_tiles(s->rows - whole);
  multiply_panel(s, whole, s->rows - whole, tile, columns);
}

static __attribute__((noinline)) void multiply_columns(unpack_tile_pairs unpack, const stripe *s) {
  for (size_t tile = 0; tile < s->tiles; tile += GROUP_TILES) {
    size_t columns = s->tiles - tile < GROUP_TILES ? s->tiles - tile : GROUP_TILES;
    for (size_t c = 0; c < columns; c++) {
      for (size_t t = s->begin; t < s->end; t++) {
        unpack(s->matrix, s->tile + tile + c, t, s->weights + (c * CHUNK_TILES + t - s->begin) * PAIR_NUMBERS);
      }
    }
    switch (columns) {
    case 1: multiply_group(s, tile, 1); break;
    case 2: multiply_group(s, tile, 2); break;
    case 3: multiply_group(s, tile, 3); break;
    default: multiply_group(s, tile, 4);
    }
  }
}

static __attribute__((noinline)) void multiply_bfloat_panels(
  unpack_tile_pairs unpack, const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,
  const furl_output *output)
{
  uint16_t weights[GROUP_TILES * CHUNK_TILES * PAIR_NUMBERS] __attribute__((aligned(64)));
  float sums[STRIPE_TILES * SLAB_ROWS * FURL_TILE_ROWS] __attribute__((aligned(64)));
  stripe s = {.matrix = matrix, .x = x, .output = output, .weights = weights, .sums = sums};
  const size_t columns = matrix->column_tiles, end = last_tile(matrix, tile_end);
  for (s.slab = 0; s.slab < x->count; s.slab += SLAB_ROWS) {
    s.rows = x->count - s.slab < SLAB_ROWS ? x->count - s.slab : SLAB_ROWS;
    for (s.tile = tile_begin; s.tile < end; s.tile += s.tiles) {
      s.tiles = end - s.tile < STRIPE_TILES ? end - s.tile : STRIPE_TILES;
      for (s.begin = 0; s.begin < columns; s.begin = s.end) {
        s.end = columns - s.begin < CHUNK_TILES ? columns : s.begin + CHUNK_TILES;
        multiply_columns(unpack, &s);
      }
    }
  }
  end_tiles();
}

#define BFLOAT_PANELS(name, s)                                                                              \
  static __attribute__((noinline)) void unpack_##name##_pairs(                                              \
    const furl_matrix *matrix, size_t tile, size_t t, uint16_t *weights)                                    \
  {                                                                                                         \
    unpack_pairs(s, matrix, tile, t, weights);                                                              \
  }                                                                                                         \
  static void name##_pairs(                                                                                 \
    const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,               \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    multiply_bfloat_panels(unpack_##name##_pairs, matrix, x, tile_begin, tile_end, output);                 \
  }
