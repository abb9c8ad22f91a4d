// Codes that were found one by one, in the order of the kernels.

#include "layout.h"

#include <string.h>

void furl_pack_tile(int bits, const uint8_t *codes, size_t stride, size_t columns, uint8_t zero, uint8_t *tile) {
  memset(tile, 0, FURL_INT8_TILE / 8 * (size_t)bits);
  for (size_t c = 0; c < FURL_TILE_COLUMNS; c++) {
    for (size_t row = 0; row < FURL_TILE_ROWS; row++) {
      furl_put_code(tile, bits, row, c, c < columns ? codes[c * stride + row] : zero);
    }
  }
}
