// Huffman codes for symbols of four bits, as zstd frames (RFC 8878) of literals without matches.
//
// With 16 symbols two of them are counted, and coded, by one look at a table of 256 pairs, and the code lengths are the
// best ones that the format allows (by package-merge: Larmore and Hirschberg, 1990): faster and no larger than what
// the general coder of libzstd makes.

#include "../include/CFurlKernels.h"

#include "count.h"

#define BLOCK_SYMBOLS (128 * 1024) // the most that a block of a frame may hold
#define LONGEST_CODE 11
#define STREAMS 4

static void store_64(uint8_t *p, uint64_t v) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  memcpy(p, &v, sizeof v);
}

static uint8_t *put_number(uint8_t *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) *out++ = (uint8_t)(value >> 8 * i);
  return out;
}

// MARK: Checksum

static uint64_t rotate(uint64_t v, int bits) {
  return v << bits | v >> (64 - bits);
}

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint64_t xxh_round(uint64_t sum, uint64_t v) {
  return rotate(sum + v * P2, 31) * P1;
}

/// XXH64 with seed 0: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
static uint64_t xxh64(const uint8_t *p, size_t n) {
  const uint8_t *end = p + n;
  uint64_t hash = P5;
  if (n >= 32) {
    uint64_t sums[4] = {P1 + P2, P2, 0, 0 - P1};
    for (; end - p >= 32; p += 32) {
      for (int i = 0; i < 4; i++) sums[i] = xxh_round(sums[i], load_64(p + 8 * i));
    }
    hash = rotate(sums[0], 1) + rotate(sums[1], 7) + rotate(sums[2], 12) + rotate(sums[3], 18);
    for (int i = 0; i < 4; i++) hash = (hash ^ xxh_round(0, sums[i])) * P1 + P4;
  }
  hash += n;
  for (; end - p >= 8; p += 8) hash = rotate(hash ^ xxh_round(0, load_64(p)), 27) * P1 + P4;
  if (end - p >= 4) {
    uint64_t four = p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
    hash = rotate(hash ^ four * P1, 23) * P2 + P3;
    p += 4;
  }
  for (; p < end; p++) hash = rotate(hash ^ *p * P5, 11) * P1;
  hash = (hash ^ hash >> 33) * P2;
  hash = (hash ^ hash >> 29) * P3;
  return hash ^ hash >> 32;
}

// MARK: Code lengths

typedef struct package {
  uint32_t weight;
  uint16_t symbols[SYMBOLS]; // how often each symbol is in it
} package;

/// The lengths of the best code without a longer one than LONGEST_CODE; 0 for symbols that do not occur.
static void code_lengths(const uint32_t *counts, uint8_t *lengths) {
  package coins[SYMBOLS], merged[2 * SYMBOLS], level[2 * SYMBOLS];
  size_t n = 0, size = 0;
  memset(lengths, 0, SYMBOLS);
  for (int symbol = 0; symbol < SYMBOLS; symbol++) {
    if (counts[symbol] == 0) continue;
    package coin = {.weight = counts[symbol]};
    coin.symbols[symbol] = 1;
    size_t place = n++;
    for (; place > 0 && coins[place - 1].weight > coin.weight; place--) coins[place] = coins[place - 1];
    coins[place] = coin;
  }
  for (int length = 0; length < LONGEST_CODE; length++) {
    // Pairs of the level below join the symbols themselves, by weight.
    size_t pairs = size / 2, a = 0, b = 0, count = 0;
    while (a < n || b < pairs) {
      package pair = {0};
      if (b < pairs) {
        pair.weight = level[2 * b].weight + level[2 * b + 1].weight;
        for (int s = 0; s < SYMBOLS; s++) {
          pair.symbols[s] = (uint16_t)(level[2 * b].symbols[s] + level[2 * b + 1].symbols[s]);
        }
      }
      bool takes_coin = a < n && (b == pairs || coins[a].weight <= pair.weight);
      merged[count++] = takes_coin ? coins[a++] : pair;
      if (!takes_coin) b++;
    }
    memcpy(level, merged, count * sizeof *merged);
    size = count;
  }
  for (size_t i = 0; i < 2 * n - 2; i++) {
    for (int s = 0; s < SYMBOLS; s++) lengths[s] = (uint8_t)(lengths[s] + level[i].symbols[s]);
  }
}

// MARK: Codes

/// For every pair of symbols, the bits of both and how many they are.
typedef struct pair_code {
  uint32_t bits;
  uint32_t count;
} pair_code;

static void build_codes(const uint8_t *lengths, int longest, pair_code *singles, pair_code *pairs) {
  uint32_t next[LONGEST_CODE + 2] = {0}, of_length[LONGEST_CODE + 2] = {0};
  for (int s = 0; s < SYMBOLS; s++) of_length[lengths[s]]++;
  // The longest codes come first, from zero on; a shorter one follows the longer ones' common beginning.
  for (int length = longest, value = 0; length > 0; length--) {
    next[length] = (uint32_t)value;
    value = (value + (int)of_length[length]) >> 1;
  }
  for (int s = 0; s < SYMBOLS; s++) {
    singles[s] = (pair_code){lengths[s] == 0 ? 0 : next[lengths[s]]++, lengths[s]};
  }
  // A stream is read from its end: of two symbols the second one is written first.
  for (int first = 0; first < SYMBOLS; first++) for (int second = 0; second < SYMBOLS; second++) {
    const pair_code *a = &singles[first], *b = &singles[second];
    pairs[first | second << 4] = (pair_code){b->bits | a->bits << b->count, a->count + b->count};
  }
}

typedef struct bit_stream {
  const uint8_t *begin, *end; // symbols that are still to be written, from the last to the first
  uint8_t *out;
  uint64_t bits;
  uint64_t count;
} bit_stream;

#define INLINE static inline __attribute__((always_inline))

INLINE void put_pair(bit_stream *s, const pair_code *pairs) {
  uint16_t two;
  s->end -= 2;
  memcpy(&two, s->end, sizeof two);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  two = __builtin_bswap16(two);
#endif
  pair_code code = pairs[(two | two >> 4) & 0xff];
  s->bits |= (uint64_t)code.bits << s->count;
  s->count += code.count;
}

/// Writes whole bytes; eight are touched.
INLINE void flush(bit_stream *s) {
  store_64(s->out, s->bits);
  s->out += s->count >> 3;
  s->bits >>= s->count & 56;
  s->count &= 7;
}

/// Two streams at once, which is what registers have room for, and as many pairs between two writes as always fit.
INLINE void put_common(bit_stream *first, bit_stream *second, const int pairs_at_once, const pair_code *pairs) {
  bit_stream a = *first, b = *second;
  size_t a_left = (size_t)(a.end - a.begin), b_left = (size_t)(b.end - b.begin);
  size_t rounds = (a_left < b_left ? a_left : b_left) / (2 * (size_t)pairs_at_once);
  for (size_t i = 0; i < rounds; i++) {
    for (int j = 0; j < pairs_at_once; j++) {
      put_pair(&a, pairs);
      put_pair(&b, pairs);
    }
    flush(&a);
    flush(&b);
  }
  *first = a;
  *second = b;
}

INLINE void put_two_inline(bit_stream *a, bit_stream *b, int longest, const pair_code *pairs) {
  // At most 7 bits are left over from before.
  if (longest <= 7) put_common(a, b, 4, pairs);
  else if (longest <= 9) put_common(a, b, 3, pairs);
  else put_common(a, b, 2, pairs);
}

#if defined(__x86_64__)
/// With shifts that leave the flags alone.
__attribute__((target("bmi2"))) static void put_two_bmi2(
  bit_stream *a, bit_stream *b, int longest, const pair_code *pairs)
{
  put_two_inline(a, b, longest, pairs);
}
#endif

static void put_two(bit_stream *a, bit_stream *b, int longest, const pair_code *pairs) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("bmi2")) return put_two_bmi2(a, b, longest, pairs);
#endif
  put_two_inline(a, b, longest, pairs);
}

/// Writes what is left, and the bit that marks the end; returns where the stream ends.
static uint8_t *finish(bit_stream *s, const pair_code *pairs) {
  while (s->end != s->begin) {
    put_pair(s, pairs);
    flush(s);
  }
  s->bits |= (uint64_t)1 << s->count;
  s->count++;
  flush(s);
  return s->out + (s->count > 0);
}

/// Writes the streams of a block one after the other behind their table of sizes; returns the end.
static uint8_t *put_streams(
  const uint8_t *symbols, size_t n, int longest, const pair_code *singles, const pair_code *pairs, uint8_t *scratch,
  uint8_t *out)
{
  size_t part = (n + STREAMS - 1) / STREAMS, room = part * LONGEST_CODE / 8 + 16;
  bit_stream streams[STREAMS];
  for (size_t i = 0; i < STREAMS; i++) {
    size_t begin = i * part, end = i + 1 < STREAMS ? begin + part : n;
    streams[i] = (bit_stream){symbols + begin, symbols + end, scratch + i * room, 0, 0};
    if ((end - begin) % 2 != 0) {
      pair_code code = singles[*--streams[i].end];
      streams[i].bits = code.bits;
      streams[i].count = code.count;
    }
  }
  for (size_t i = 0; i < STREAMS; i += 2) put_two(&streams[i], &streams[i + 1], longest, pairs);
  uint8_t *sizes = out;
  out += 2 * (STREAMS - 1);
  for (size_t i = 0; i < STREAMS; i++) {
    size_t size = (size_t)(finish(&streams[i], pairs) - (scratch + i * room));
    memcpy(out, scratch + i * room, size);
    out += size;
    if (i + 1 < STREAMS) sizes = put_number(sizes, size, 2);
  }
  return out;
}

// MARK: Frames

/// Writes one block; NULL if its symbols are all the same or not of four bits.
static uint8_t *put_block(const uint8_t *symbols, size_t n, bool is_last, uint8_t *scratch, uint8_t *out) {
  uint32_t counts[SYMBOLS];
  if (!count_symbols(symbols, n, counts)) return NULL;
  int last = 0, different = 0, longest = 0;
  for (int s = 0; s < SYMBOLS; s++) {
    if (counts[s] != 0) last = s, different++;
  }
  if (different < 2) return NULL;
  uint8_t lengths[SYMBOLS];
  code_lengths(counts, lengths);
  for (int s = 0; s < SYMBOLS; s++) longest = lengths[s] > longest ? lengths[s] : longest;
  pair_code singles[SYMBOLS], pairs[SYMBOLS * SYMBOLS];
  build_codes(lengths, longest, singles, pairs);

  uint8_t *block = out, *literals = out + 3, *tree = out + 3 + 5;
  // The weights of all symbols but the last, four bits each: longest + 1 - length, 0 where there is no code.
  uint8_t weights[SYMBOLS + 1] = {0};
  for (int s = 0; s < last; s++) weights[s] = lengths[s] == 0 ? 0 : (uint8_t)(longest + 1 - lengths[s]);
  out = tree;
  *out++ = (uint8_t)(127 + last);
  for (int s = 0; s < last; s += 2) *out++ = (uint8_t)(weights[s] << 4 | weights[s + 1]);
  out = put_streams(symbols, n, longest, singles, pairs, scratch, out);
  // Compressed literals in four streams, two sizes of 18 bits; no sequences behind them.
  put_number(literals, 2 | 3 << 2 | (uint64_t)n << 4 | (uint64_t)(out - tree) << 22, 5);
  *out++ = 0;
  put_number(block, (uint64_t)is_last | 2 << 1 | (uint64_t)(out - literals) << 3, 3);
  return out;
}

size_t furl_nibble_frame_room(size_t n) {
  // Five bits and more a symbol at the very most, headers, and the streams before they are put together.
  return 2 * (n * LONGEST_CODE / 8) + (n / BLOCK_SYMBOLS + 1) * 256;
}

size_t furl_nibble_frame(const uint8_t *symbols, size_t n, uint8_t *frame) {
  if (n < 64 || n > UINT32_MAX) return 0;
  uint8_t *scratch = frame + furl_nibble_frame_room(n) / 2;
  uint8_t *out = put_number(frame, 0xFD2FB528, 4);
  *out++ = 0xA4; // a single segment with its size in four bytes and a checksum
  out = put_number(out, n, 4);
  for (size_t at = 0; at < n; at += BLOCK_SYMBOLS) {
    size_t count = n - at < BLOCK_SYMBOLS ? n - at : BLOCK_SYMBOLS;
    // Four streams need some symbols each.
    if (count < 64) return 0;
    out = put_block(symbols + at, count, at + count == n, scratch, out);
    if (out == NULL) return 0;
  }
  out = put_number(out, xxh64(symbols, n) & 0xffffffff, 4);
  return (size_t)(out - frame);
}
