// Products of 16 rows of activations at a time, for CPUs that multiply whole tiles of bytes. The sums are those of
// multiply_a8.h, bit for bit: a tile's dot products are exact, and what is rounded is rounded in the same order.
//
// Before it the tier defines the conversion of halves of lanes.h and
//   looked_up(nibbles, levels)                 the levels of 64 codes below 16
//   multiply_tile(slot, codes, weights, dots)  dots[16][16] = codes[16][32] times weights[8][16][4], both signed; slots 0
//                                              and 1 are independent of each other
//   keep(sum)                                  has the sum done before what follows: with all terms of a tile in
//                                              registers before the first sum, some would be spilled

#pragma once

#include "output.h"

#define TILE_CODES (FURL_TILE_ROWS * FURL_TILE_COLUMNS)

/// Column tiles of one row tile that are unpacked at a time, on the stack of whoever computes: 256 KB. Wider matrices are
/// left to kernels that take 8 rows.
#define PANEL_TILES 512

typedef uint8_t v64b __attribute__((vector_size(64)));

INLINE v64b looked_up(v64b nibbles, const int8_t *levels);
INLINE void multiply_tile(const int slot, const int8_t *codes, const int8_t *weights, int32_t *dots);
INLINE void keep(v16 *sum);

// MARK: Weights as signed bytes

INLINE v64b stored_bytes(const uint8_t *bytes) {
  v64b v;
  memcpy(&v, bytes, sizeof v);
  return v;
}

/// The codes of four columns, less what stands for zero.
INLINE void put_columns(int8_t *weights, const int group, v64b codes, const int32_t zero) {
  codes -= (uint8_t)zero;
  memcpy(weights + 64 * group, &codes, sizeof codes);
}

INLINE void unpack_nibbles(const scheme s, const furl_matrix *matrix, const uint8_t *tile, int8_t *weights) {
  UNROLL for (int j = 0; j < 4; j++) {
    v64b both = stored_bytes(tile + 64 * j), low = both & 15, high = both >> 4;
    if (s == TABLE4) low = looked_up(low, matrix->levels), high = looked_up(high, matrix->levels);
    if (is_wide(s)) {
      const int bits = code_bits(s), shift = bits == 5 ? j : j / 2 * 2, above = bits == 5 ? 0x10 : 0x30;
      v64b top = stored_bytes(tile + 256 + (bits == 5 ? 0 : 64 * (j % 2)));
      low |= top << (4 - shift) & (uint8_t)above;
      high |= top >> shift & (uint8_t)above;
    }
    put_columns(weights, j, low, zero_code(s));
    put_columns(weights, j + 4, high, zero_code(s));
  }
}

INLINE void unpack_low_bits(const scheme s, const uint8_t *tile, int8_t *weights) {
  UNROLL for (int j = 0; j < 8; j++) {
    v64b codes = stored_bytes(tile + 64 * (j % 2)) >> (j / 2 * 2) & 3;
    if (code_bits(s) == 3) {
      v64b thirds = stored_bytes(tile + 128);
      codes |= (j < 2 ? thirds << (2 - j) : thirds >> (j - 2)) & 4;
    }
    put_columns(weights, j, codes, zero_code(s));
  }
}

/// Whole codes of both planes.
INLINE void unpack_nested(const uint8_t *tile, const uint8_t *remainders, int8_t *weights) {
  int8_t multiples[16];
  UNROLL for (int i = 0; i < 16; i++) multiples[i] = (int8_t)(FURL_NESTED_STEPS * i);
  UNROLL for (int j = 0; j < 4; j++) {
    v64b first = stored_bytes(tile + 64 * j), rest = stored_bytes(remainders + 64 * j);
    put_columns(weights, j, looked_up(first & 15, multiples) + (rest & 15), FURL_NESTED_ZERO);
    put_columns(weights, j + 4, looked_up(first >> 4, multiples) + (rest >> 4), FURL_NESTED_ZERO);
  }
}

/// One tile of weights: [8 groups][16 rows][4 columns].
INLINE void unpack_tile(const scheme s, const furl_matrix *matrix, size_t at, int8_t *weights) {
  const uint8_t *tile = (const uint8_t *)matrix->codes + at * tile_bytes(s);
  fetch_ahead(2, true, tile, tile_bytes(s));
  if (s == NESTED8) {
    const uint8_t *remainders = matrix->remainders + at * tile_bytes(s);
    fetch_ahead(2, true, remainders, tile_bytes(s));
    unpack_nested(tile, remainders, weights);
  } else if (has_bytes(s)) {
    UNROLL for (int j = 0; j < 8; j++) put_columns(weights, j, stored_bytes(tile + 64 * j), 128);
  } else if (code_bits(s) < 4) {
    unpack_low_bits(s, tile, weights);
  } else {
    unpack_nibbles(s, matrix, tile, weights);
  }
}

// MARK: One panel

/// Sixteen rows of activations: their codes side by side, their scales and sums in two groups of eight.
typedef struct panel {
  const int8_t *codes;
  const float *scales[2];
  const int32_t *sums[2];
} panel;

INLINE panel panel_at(const furl_activations *x, size_t tiles, size_t first) {
  panel p = {.codes = x->panels + furl_panel_codes(tiles, first)};
  UNROLL for (size_t half = 0; half < 2; half++) {
    size_t at = furl_group_scales(tiles, first + half * FURL_ACTIVATION_GROUP);
    p.scales[half] = x->scales + at, p.sums[half] = x->sums + at;
  }
  return p;
}

INLINE v16 panel_scale(const panel *p, size_t t, const int row) {
  return splat(p->scales[row / FURL_ACTIVATION_GROUP][t * FURL_ACTIVATION_GROUP + (size_t)row % FURL_ACTIVATION_GROUP]);
}

INLINE v16 scaled_sums(const panel *p, size_t t) {
  float scales[16];
  int32_t sums[16];
  v16i whole;
  UNROLL for (size_t half = 0; half < 2; half++) {
    memcpy(scales + 8 * half, p->scales[half] + t * FURL_ACTIVATION_GROUP, 8 * sizeof(float));
    memcpy(sums + 8 * half, p->sums[half] + t * FURL_ACTIVATION_GROUP, 8 * sizeof(int32_t));
  }
  memcpy(&whole, sums, sizeof whole);
  return load(scales) * __builtin_convertvector(whole, v16);
}

INLINE v16 dots_of(const int32_t *dots, const int row) {
  v16i whole;
  memcpy(&whole, dots + 16 * row, sizeof whole);
  return __builtin_convertvector(whole, v16);
}

/// A row tile on its way through the panels.
typedef struct row_tile {
  const furl_matrix *matrix;
  size_t tile;
  int8_t *weights; // unpacked by the first panel: [column tile][8 groups][16 rows][4 columns]
  panel now;
  const int8_t *next;     // codes of the panel that follows, whose first products are begun by this one; or NULL
  int32_t (*dots)[256];   // of two tiles: their products are begun while the sums of the two before are taken
} row_tile;

/// Codes of the panel behind one, where its first products can be begun early: with an odd number of tiles they would
/// meet the last one's in the same slot.
INLINE const int8_t *next_panel(const furl_activations *x, size_t tiles, size_t first, size_t rows) {
  first += FURL_PANEL_ROWS;
  return tiles % 2 == 0 && first < rows ? x->panels + furl_panel_codes(tiles, first) : NULL;
}

/// How many tiles are unpacked before the products that read them begin.
#define UNPACKED_AHEAD 2

INLINE void unpack_ahead(const scheme s, const row_tile *r, size_t t) {
  size_t tiles = r->matrix->column_tiles;
  if (t < tiles) unpack_tile(s, r->matrix, r->tile * tiles + t, r->weights + t * TILE_CODES);
}

/// Begins the products of a tile, or of the next panel's.
INLINE void begin_tile(const bool unpacks, const scheme s, const int slot, const row_tile *r, size_t t) {
  size_t tiles = r->matrix->column_tiles;
  const int8_t *codes = r->now.codes;
  if (unpacks) unpack_ahead(s, r, t + UNPACKED_AHEAD);
  if (t >= tiles) {
    if (r->next == NULL) return;
    codes = r->next, t -= tiles;
  }
  multiply_tile(slot, codes + t * TILE_CODES, r->weights + t * TILE_CODES, r->dots[slot]);
}

INLINE void begin_panel(const bool unpacks, const scheme s, const row_tile *r) {
  if (unpacks) UNROLL for (size_t t = 0; t < UNPACKED_AHEAD; t++) unpack_ahead(s, r, t);
  begin_tile(unpacks, s, 0, r, 0);
  if (r->matrix->column_tiles > 1) begin_tile(unpacks, s, 1, r, 1);
}

INLINE void add_minimums(const row_tile *r, size_t at, v16 plain, v16 *total) {
  float all[16];
  store(all, plain);
  v16 minimum = block_minimums(r->matrix, r->tile, at);
  UNROLL for (int g = 0; g < 16; g++) total[g] = fma16(minimum, splat(all[g]), total[g]);
}

/// Blocks of one tile.
INLINE void add_tile(const scheme s, const int slot, const row_tile *r, size_t t, size_t at, v16 *total) {
  v16 scale = block_scales(r->matrix, r->tile, at);
  UNROLL for (int g = 0; g < 16; g++) {
    total[g] = fma16(dots_of(r->dots[slot], g) * panel_scale(&r->now, t, g), scale, total[g]);
    keep(&total[g]);
  }
  if (has_minimum(s)) add_minimums(r, at, scaled_sums(&r->now, t), total);
}

INLINE void add_tiles(const bool unpacks, const scheme s, const row_tile *r, v16 *total) {
  const size_t tiles = r->matrix->column_tiles;
  size_t at = r->tile * r->matrix->blocks * FURL_TILE_ROWS;
  for (size_t t = 0; t < tiles; t += 2, at += 2 * FURL_TILE_ROWS) {
    add_tile(s, 0, r, t, at, total);
    begin_tile(unpacks, s, 0, r, t + 2);
    if (t + 1 == tiles) return;
    add_tile(s, 1, r, t + 1, at + FURL_TILE_ROWS, total);
    begin_tile(unpacks, s, 1, r, t + 3);
  }
}

INLINE void add_part(const bool unpacks, const scheme s, const int slot, const row_tile *r, size_t t, v16 *part) {
  UNROLL for (int g = 0; g < 16; g++) {
    part[g] = fma16(dots_of(r->dots[slot], g), panel_scale(&r->now, t, g), part[g]);
    keep(&part[g]);
  }
  begin_tile(unpacks, s, slot, r, t + 2);
}

/// Longer blocks: the sums of a block stay in registers, those of the row wait in the cache.
INLINE void add_blocks(const bool unpacks, const scheme s, const row_tile *r, v16 *total) {
  const size_t tiles = r->matrix->column_tiles;
  size_t at = r->tile * r->matrix->blocks * FURL_TILE_ROWS;
  for (size_t t = 0; t < tiles; at += FURL_TILE_ROWS) {
    v16 part[16], plain = splat(0);
    UNROLL for (int g = 0; g < 16; g++) part[g] = splat(0);
    for (size_t end = block_end(r->matrix, t); t < end; t++) {
      if (t % 2 == 0) add_part(unpacks, s, 0, r, t, part);
      else add_part(unpacks, s, 1, r, t, part);
      if (has_minimum(s)) plain += scaled_sums(&r->now, t);
    }
    v16 scale = block_scales(r->matrix, r->tile, at);
    UNROLL for (int g = 0; g < 16; g++) total[g] = fma16(part[g], scale, total[g]);
    if (has_minimum(s)) add_minimums(r, at, plain, total);
  }
}

INLINE void add_panel(
  const bool unpacks, const scheme s, const bool has_unit, const row_tile *r, size_t first, const furl_output *output)
{
  v16 total[16];
  UNROLL for (int g = 0; g < 16; g++) total[g] = splat(0);
  if (r->matrix->block_tiles == 1) add_tiles(unpacks, s, r, total);
  else add_blocks(unpacks, s, r, total);
  UNROLL for (int g = 0; g < 16; g++) {
    if (has_unit) total[g] *= splat(r->matrix->unit);
    put(total[g], r->matrix, output, first + (size_t)g, r->tile);
  }
}

INLINE void later_panels(
  const scheme s, const bool has_unit, row_tile *r, const furl_activations *x, size_t rows, const furl_output *output)
{
  const size_t tiles = r->matrix->column_tiles;
  for (size_t first = FURL_PANEL_ROWS; first < rows; first += FURL_PANEL_ROWS) {
    r->now = panel_at(x, tiles, first);
    if (r->next == NULL) begin_panel(false, s, r);
    r->next = next_panel(x, tiles, first, rows);
    add_panel(false, s, has_unit, r, first, output);
  }
}

// Behind the first panel weights are bytes, whatever the scheme: one body for those with minimums and one for the rest.

static __attribute__((noinline)) void later_panels_plain(
  bool has_unit, row_tile *r, const furl_activations *x, size_t rows, const furl_output *output)
{
  later_panels(INT8, has_unit, r, x, rows, output);
}

static __attribute__((noinline)) void later_panels_minimum(
  row_tile *r, const furl_activations *x, size_t rows, const furl_output *output)
{
  later_panels(INT8_MINIMUM, false, r, x, rows, output);
}

// MARK: Whole products

/// Rows of activations that make whole panels.
INLINE size_t panel_rows(const furl_matrix *matrix, const furl_activations *x) {
  if (x->panels == NULL || matrix->column_tiles > PANEL_TILES) return 0;
  return x->count / FURL_PANEL_ROWS * FURL_PANEL_ROWS;
}

/// The rows behind the panels, for kernels that take fewer at a time.
INLINE void multiply_rest(
  furl_multiply multiply, const furl_matrix *matrix, const furl_activations *x, size_t first, size_t tile_begin,
  size_t tile_end, const furl_output *output)
{
  if (first == x->count) return;
  size_t tiles = matrix->column_tiles;
  furl_activations rest = {
    .count = x->count - first, .codes = x->codes + furl_group_codes(tiles, first),
    .scales = x->scales + furl_group_scales(tiles, first), .sums = x->sums + furl_group_scales(tiles, first),
    .values = x->values + first * tiles * FURL_TILE_COLUMNS};
  furl_output target = *output;
  target.values += first * output->stride;
  multiply(matrix, &rest, tile_begin, tile_end, &target);
}

INLINE void multiply_panels(
  const scheme s, const furl_matrix *matrix, const furl_activations *x, size_t rows, size_t tile_begin,
  size_t tile_end, const furl_output *output)
{
  int8_t weights[PANEL_TILES * TILE_CODES] __attribute__((aligned(64)));
  int32_t dots[2][256] __attribute__((aligned(64)));
  const size_t tiles = matrix->column_tiles;
  const bool has_unit = s == TABLE4 || s == NESTED8;
  for (size_t tile = tile_begin; tile < last_tile(matrix, tile_end); tile++) {
    row_tile r = {
      .matrix = matrix, .tile = tile, .weights = weights, .now = panel_at(x, tiles, 0),
      .next = next_panel(x, tiles, 0, rows), .dots = dots};
    begin_panel(true, s, &r);
    add_panel(true, s, has_unit, &r, 0, output);
    if (has_minimum(s)) later_panels_minimum(&r, x, rows, output);
    else later_panels_plain(has_unit, &r, x, rows, output);
  }
}

#define FOR_EACH_PANEL_SCHEME(each)                                                                         \
  each(int8, INT8) each(int8_minimum, INT8_MINIMUM) each(int6, INT6) each(int6_minimum, INT6_MINIMUM)       \
  each(int5, INT5) each(int5_minimum, INT5_MINIMUM) each(int4, INT4) each(int4_minimum, INT4_MINIMUM)       \
  each(int3, INT3) each(int3_minimum, INT3_MINIMUM) each(int2, INT2) each(int2_minimum, INT2_MINIMUM)       \
  each(table4, TABLE4) each(nested8, NESTED8)
