// Sizes of attention's memory: the same for every tier, so that a caller may take it before it chooses one.

#include "ring.h"
#include "spans.h"

size_t furl_padded_head(size_t head_size) {
  return furl_padded(head_size);
}

size_t furl_attention_part(size_t rows, size_t head_size) {
  return rows * furl_part_row(head_size);
}

// The rows' parts of the tiles so far, those of one tile, and the weights of four rows.
size_t furl_attention_scratch(size_t rows, size_t head_size) {
  return 2 * furl_attention_part(rows, head_size) + 4 * FURL_ATTENTION_TILE;
}
