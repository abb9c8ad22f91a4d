// Sums of weight * value of a few rows. Every sum of a row runs in the order of its positions.

#pragma once

#include "scores.h"

/// Positions of a tile that lie together in the ring.
typedef struct stretch {
  size_t begin, end;
  size_t at;       // where the first lies
  furl_span common; // what all rows see of the tile
  bool is_first;
} stretch;

/// sums += weight * value over the positions from `p` to `end`, each row's only where it sees them unless all do.
INLINE size_t add_values(
  const cells kind, const int n, const int vectors, const int lanes, const bool all_see, const piece *piece,
  const stretch *s, const row *rows, size_t p, size_t end, size_t d, v16 sums[][8])
{
  v16 value[8];
  for (; p < end; p++) {
    size_t here = (s->at + p - s->begin) * piece->head + d;
    fetch_next(kind, piece, here, vectors * lanes);
    UNROLL for (int v = 0; v < vectors; v++) {
      value[v] = load_cells(kind, lanes, piece->cells, here + 16 * (size_t)v);
    }
    UNROLL for (int q = 0; q < n; q++) {
      if (!all_see && (p < rows[q].seen.begin || p >= rows[q].seen.end)) continue;
      v16 w = splat(rows[q].scores[p]);
      UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = fma16(w, value[v], sums[q][v]);
    }
  }
  return p;
}

/// `vectors` * `lanes` dimensions of n rows over one stretch. Sums lie in the rows' targets between two of them. Values
/// that a row does not see never touch it.
INLINE void weigh_vectors(
  const cells kind, const int n, const int vectors, const int lanes, const piece *piece, const stretch *s,
  const row *rows, size_t d)
{
  v16 sums[4][8];
  UNROLL for (int q = 0; q < n; q++) {
    const float *target = rows[q].target + FURL_PART_SUMS + d;
    UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = s->is_first ? splat(0) : load(target + 16 * v);
  }
  size_t p = s->begin;
  if (n > 1) {
    p = add_values(
      kind, n, vectors, lanes, false, piece, s, rows, p, smaller_size(s->common.begin, s->end), d, sums);
  }
  p = add_values(kind, n, vectors, lanes, true, piece, s, rows, p, smaller_size(s->common.end, s->end), d, sums);
  if (n > 1) add_values(kind, n, vectors, lanes, false, piece, s, rows, p, s->end, d, sums);
  UNROLL for (int q = 0; q < n; q++) {
    float *target = rows[q].target + FURL_PART_SUMS + d;
    UNROLL for (int v = 0; v < vectors; v++) store(target + 16 * v, sums[q][v]);
  }
}

/// The same in all dimensions.
INLINE void weigh_stretch(
  const cells kind, const int n, const piece *piece, const stretch *s, const row *rows)
{
  // A single row has one sum for each vector of values to hide the additions' latency behind: it takes more.
  const size_t most = n == 1 ? 8 : VALUE_VECTORS;
  size_t d = 0;
#define VALUES(vectors, lanes)                                                                              \
  for (; d + (vectors) * (lanes) <= piece->head && (vectors) <= most; d += (vectors) * (lanes)) {           \
    weigh_vectors(kind, n, vectors, lanes, piece, s, rows, d);                                              \
  }
  VALUES(8, 16)
  if (piece->head - d == 96) VALUES(6, 16)
  if (piece->head - d == 80) VALUES(5, 16)
  VALUES(4, 16)
  VALUES(2, 16)
  VALUES(1, 16)
  VALUES(1, 8)
#undef VALUES
}
