// Products of BF16 numbers by AMX's tiles. Included by amx.c inside its target pragma.

#pragma once

INLINE void store_pairs(v16 first, v16 second, uint16_t *out) {
  // Lane r of either beside that of the other.
  const __m512i order = _mm512_set_epi16(
    31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
  _mm512_storeu_si512(out, _mm512_permutexvar_epi16(order, both));
}

/// Tiles 0 to 3 hold sums, 4 activations, 5 to 7 weights.
INLINE void begin_tiles(size_t rows) {
  tile_shapes panel_shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    panel_shapes.row_bytes[i] = 64;
    panel_shapes.rows[i] = i < 5 ? (uint8_t)rows : FURL_TILE_COLUMNS / 2;
  }
  _tile_loadconfig(&panel_shapes);
}

INLINE void end_tiles(void) {
  _tile_release();
}

// Tiles have to be named by constants.

#define BEGIN_SUM(tile)                                                                                     \
  if (columns > tile && p->before[tile] == NULL) _tile_zero(tile);                                          \
  if (columns > tile && p->before[tile] != NULL) _tile_loadd(tile, p->before[tile], 64)

#define ADD_TILE(tile, other)                                                                             \
  if (columns > tile) {                                                                                     \
    _tile_loadd(other, p->weights + (tile * CHUNK_TILES + t) * PAIR_NUMBERS, 64);                         \
    _tile_dpbf16ps(tile, 4, other);                                                                       \
  }

#define END_SUM(tile)                                                                                       \
  if (columns > tile) _tile_stored(tile, p->sums[tile], 64)

INLINE void add_products_of(const panel_product *p, const int columns) {
  BEGIN_SUM(0);
  BEGIN_SUM(1);
  BEGIN_SUM(2);
  BEGIN_SUM(3);
  for (size_t t = 0; t < p->tiles; t++) {
    _tile_loadd(4, p->panel + t * p->panel_stride, 64);
    ADD_TILE(0, 5)
    ADD_TILE(1, 6)
    ADD_TILE(2, 7)
    ADD_TILE(3, 5)
  }
  END_SUM(0);
  END_SUM(1);
  END_SUM(2);
  END_SUM(3);
}

#undef BEGIN_SUM
#undef ADD_TILE
#undef END_SUM
