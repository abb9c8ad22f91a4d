// Scores of a few rows of queries, and their softmax. Every score is summed in one order, whatever rows and positions
// are beside it: KEY_SUMS sums of every so many dimensions, which are then joined. With two of them a single row's
// additions do not wait for each other, and the result is nearer than one long chain would be.

#pragma once

#include "cells.h"
#include "exponential.h"

/// As many as the tier with the fewest registers has room for, since every tier is to give the same bits.
#define KEY_SUMS 2

/// One head of one query over one tile.
typedef struct row {
  const float *query;
  float *scores;  // [FURL_ATTENTION_TILE], then the weights
  float *target;  // its part of the tile
  furl_span seen; // of the tile
  float slope;    // of the head; 0 where there is none
  float distance; // from the query's position to the tile's first: mostly below 0
} row;

INLINE size_t larger_size(size_t a, size_t b) {
  return a > b ? a : b;
}

INLINE size_t smaller_size(size_t a, size_t b) {
  return a < b ? a : b;
}

/// The keys or the values of a cache.
typedef struct piece {
  const void *cells;
  const uint16_t *scales;
  size_t head; // cells of a position
  /// What is going to be read after them, and lies as they do: asked for line by line, so that memory is never idle
  /// while these are worked on. A head's cache is too short for the CPU to find out by itself what comes. `cells` where
  /// there is nothing.
  const void *next;
} piece;

/// Into the second-level cache: the first has too few misses in flight.
INLINE void fetch_next(const cells kind, const piece *piece, size_t at, const int cells_read) {
  const char *next = (const char *)piece->next + at * cell_bytes(kind);
  const int bytes = cells_read * (int)cell_bytes(kind);
  UNROLL for (int line = 0; line < bytes; line += 64) __builtin_prefetch(next + line, 0, 2);
}

/// sums[q][v][d % KEY_SUMS] += query * key over dimensions d from `d` to `end`, an even number of them, for n rows and
/// `vectors` * 16 positions.
INLINE void add_scores(
  const cells kind, const int n, const int vectors, const piece *piece, size_t at, size_t d, size_t end,
  const row *rows, v16 sums[][4][KEY_SUMS])
{
  size_t first = at * piece->head, step = piece->head * 16;
  const float *queries[4];
  UNROLL for (int q = 0; q < n; q++) queries[q] = rows[q].query;
#define ADD(count)                                                                                          \
  fetch_next(kind, piece, first + d * 16 * (size_t)vectors, (count) * 16 * vectors);                        \
  UNROLL for (int i = 0; i < (count); i++) {                                                                \
    v16 key[4];                                                                                             \
    UNROLL for (int v = 0; v < vectors; v++) {                                                              \
      key[v] = load_cells(kind, 16, piece->cells, first + (size_t)v * step + (d + (size_t)i) * 16);         \
    }                                                                                                       \
    UNROLL for (int q = 0; q < n; q++) {                                                                    \
      v16 x = splat(queries[q][d + (size_t)i]);                                                             \
      UNROLL for (int v = 0; v < vectors; v++) {                                                            \
        sums[q][v][i % KEY_SUMS] = fma16(key[v], x, sums[q][v][i % KEY_SUMS]);                              \
      }                                                                                                     \
    }                                                                                                       \
  }
  for (; d + 4 <= end; d += 4) { ADD(4) }
  if (d < end) { ADD(2) }
#undef ADD
}

/// Scores of n rows against `vectors` * 16 positions, of which the first lies `at` in the ring.
INLINE void score_vectors(
  const cells kind, const int n, const int vectors, const piece *piece, size_t at, size_t size, const row *rows,
  size_t position)
{
  size_t blocks = (piece->head + FURL_KEY_BLOCK - 1) / FURL_KEY_BLOCK;
  v16 sums[4][4][KEY_SUMS];
  for (size_t d = 0, end; d < size; d = end) {
    end = kind == CODES && size - d > FURL_KEY_BLOCK ? d + FURL_KEY_BLOCK : size;
    UNROLL for (int q = 0; q < n; q++) {
      UNROLL for (int v = 0; v < vectors; v++) {
        UNROLL for (int i = 0; i < KEY_SUMS; i++) sums[q][v][i] = splat(0);
      }
    }
    add_scores(kind, n, vectors, piece, at, d, end, rows, sums);
    UNROLL for (int v = 0; v < vectors; v++) {
      size_t scale_at = ((at / 16 + (size_t)v) * blocks + d / FURL_KEY_BLOCK) * 16;
      v16 scale = kind == CODES ? floats_from_halves(piece->scales + scale_at) : splat(1);
      UNROLL for (int q = 0; q < n; q++) {
        float *score = rows[q].scores + position + 16 * v;
        v16 sum = sums[q][v][0] + sums[q][v][1];
        if (kind == CODES) sum = fma16(sum, scale, d == 0 ? splat(0) : load(score));
        store(score, sum);
      }
    }
  }
}

/// Scores of n rows against `count` positions from one of the tile on, a multiple of 16 as is `at`.
INLINE void score_piece(
  const cells kind, const int n, const piece *piece, size_t at, size_t count, size_t size, const row *rows,
  size_t position)
{
  const size_t most = n == 1 ? 4 / KEY_SUMS : KEY_VECTORS; // four sums at least hide the additions' latency
  size_t i = 0, vectors = (count + 15) / 16;
#define SCORE(v)                                                                                            \
  for (; (v) <= most && i + (v) <= vectors; i += (v)) {                                                     \
    score_vectors(kind, n, v, piece, at + i * 16, size, rows, position + i * 16);                           \
  }
  SCORE(2)
  SCORE(1)
#undef SCORE
}

/// Scores -> 2^(score * scale - top) in place, zero beside what is seen; returns their sum. top = the largest score *
/// scale. What lies beside what is seen may be anything, not-a-numbers included.
INLINE float softmax(float *scores, furl_span seen, float scale, float *top) {
  size_t first = seen.begin / 16 * 16;
  v16 largest = splat(-__builtin_inff());
  for (size_t p = first; p < seen.end; p += 16) {
    v16 s = load(scores + p);
    if (p < seen.begin || p + 16 > seen.end) {
      v16i at = lane_index() + splat_int((int32_t)p);
      v16i inside = (at >= splat_int((int32_t)seen.begin)) & (at < splat_int((int32_t)seen.end));
      s = select16(inside, s, splat(-__builtin_inff()));
      store(scores + p, s);
    }
    largest = select16(s > largest, s, largest);
  }
  *top = largest_of_lanes(largest) * scale;
  v16 sum = splat(0);
  for (size_t p = first; p < seen.end; p += 16) {
    v16 e = power_of_two(fma16(load(scores + p), splat(scale), splat(-*top)));
    sum += e;
    store(scores + p, e);
  }
  return sum_of_lanes(sum);
}
