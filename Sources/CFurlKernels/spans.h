// Which positions, tiles and rows of an attention meet.

#ifndef FURL_SPANS_H
#define FURL_SPANS_H

#include "tiers.h"

typedef struct furl_span {
  size_t begin, end;
} furl_span;

/// The positions that a query sees.
static inline furl_span furl_visible(const furl_attention *a, size_t query) {
  size_t end = a->position + query + 1;
  return (furl_span){a->window != 0 && end > a->window ? end - a->window : 0, end};
}

/// The tiles that any query sees.
static inline furl_span furl_tiles(const furl_attention *a) {
  size_t end = a->position + a->queries;
  return (furl_span){furl_visible(a, 0).begin / FURL_ATTENTION_TILE, (end - 1) / FURL_ATTENTION_TILE + 1};
}

/// The queries that see a position of a tile.
static inline furl_span furl_queries_in(const furl_attention *a, size_t tile) {
  size_t begin = tile * FURL_ATTENTION_TILE, end = a->position + a->queries;
  size_t first = a->position > begin ? a->position : begin;
  size_t last = begin + FURL_ATTENTION_TILE - 1 + a->window;
  if (a->window == 0 || last > end) last = end;
  return (furl_span){first - a->position, last - a->position};
}

/// What a query sees of a tile, counted from the tile's first position; only for queries of furl_queries_in.
static inline furl_span furl_in_tile(const furl_attention *a, size_t query, size_t tile) {
  size_t begin = tile * FURL_ATTENTION_TILE;
  furl_span seen = furl_visible(a, query);
  size_t end = seen.end - begin;
  return (furl_span){
    seen.begin > begin ? seen.begin - begin : 0, end < FURL_ATTENTION_TILE ? end : FURL_ATTENTION_TILE};
}

/// The first tile that a query sees.
static inline size_t furl_first_tile(const furl_attention *a, size_t query) {
  return furl_visible(a, query).begin / FURL_ATTENTION_TILE;
}

/// What one row comes to over some positions, as floats: the largest score, the sum of the weights
/// e^(score - largest), and from FURL_PART_SUMS on the sums of weight * value. The row's result is sums / weights.
/// A tier may have scores to another base, since no other one reads them.
#define FURL_PART_SUMS 16

/// Floats of one row's part.
static inline size_t furl_part_row(size_t head_size) {
  return FURL_PART_SUMS + (head_size + 15) / 16 * 16;
}

#endif
