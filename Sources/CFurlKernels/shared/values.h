// Sums of weight * value of a few rows. Every sum of a row runs in the order of its positions.

#pragma once

#include "scores.h"

/// sums += weight * value in `vectors` * `lanes` dimensions of n rows, over some positions. Sums lie in the rows'
/// targets, so that positions may be taken piece by piece.
INLINE void weigh_vectors(
  const cells kind, const int n, const int vectors, const int lanes, const piece *piece, size_t at, size_t count,
  const row *rows, size_t position, size_t d)
{
  const float *weights[4];
  v16 sums[4][8], value[8];
  UNROLL for (int q = 0; q < n; q++) {
    weights[q] = rows[q].scores + position;
    UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = load(rows[q].target + FURL_PART_SUMS + d + 16 * (size_t)v);
  }
  for (size_t p = 0; p < count; p++) {
    size_t here = (at + p) * piece->head + d;
    fetch_next(kind, piece, here, vectors * lanes);
    UNROLL for (int v = 0; v < vectors; v++) {
      value[v] = load_cells(kind, lanes, piece->cells, here + 16 * (size_t)v);
    }
    UNROLL for (int q = 0; q < n; q++) {
      v16 w = splat(weights[q][p]);
      UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = fma16(w, value[v], sums[q][v]);
    }
  }
  UNROLL for (int q = 0; q < n; q++) {
    UNROLL for (int v = 0; v < vectors; v++) store(rows[q].target + FURL_PART_SUMS + d + 16 * (size_t)v, sums[q][v]);
  }
}

/// The same in all dimensions.
INLINE void weigh_piece(
  const cells kind, const int n, const piece *piece, size_t at, size_t count, const row *rows, size_t position)
{
  // A single row has one sum for each vector of values to hide the additions' latency behind: it takes more.
  const size_t most = n == 1 ? 8 : VALUE_VECTORS;
  size_t d = 0;
#define VALUES(vectors, lanes)                                                                              \
  for (; d + (vectors) * (lanes) <= piece->head && (vectors) <= most; d += (vectors) * (lanes)) {           \
    weigh_vectors(kind, n, vectors, lanes, piece, at, count, rows, position, d);                            \
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
