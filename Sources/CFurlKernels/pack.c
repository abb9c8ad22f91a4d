// Codes that were found one by one, in the order of the kernels.

#include "layout.h"

#include <string.h>

void furl_pack_tile(bool nibbles, const uint8_t *codes, size_t stride, size_t columns, uint8_t zero, uint8_t *tile) {
  memset(tile, nibbles ? zero | zero << 4 : zero, nibbles ? FURL_INT4_TILE : FURL_INT8_TILE);
  for (size_t c = 0; c < columns; c++) {
    size_t within = nibbles ? c % 16 : c;
    uint8_t *first = tile + within / 4 * (FURL_TILE_ROWS * 4) + within % 4;
    for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
      uint8_t code = codes[c * stride + row], *out = first + row * 4;
      if (!nibbles) *out = code;
      else if (c < 16) *out = (uint8_t)((*out & 0xf0) | code);
      else *out = (uint8_t)((*out & 0x0f) | code << 4);
    }
  }
}
