// SHA-256 (FIPS 180-4), one message or two at once.
//
// A message is a chain in which every instruction waits for the last one. A CPU that has the instructions begins one
// every second or even every cycle and takes four to finish it, so a second message costs half of what it costs alone.

#include "../include/CFurlKernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

#define UNROLL _Pragma("clang loop unroll(full)")

static const uint32_t constants[64] = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
};

// MARK: In plain C

static uint32_t rotate(uint32_t x, int bits) {
  return x >> bits | x << (32 - bits);
}

static void blocks_scalar(uint32_t *state, const uint8_t *data, size_t blocks) {
  for (; blocks > 0; blocks--, data += 64) {
    // Of the message's words only the last 16 are needed. Nothing is moved: what is named changes with every round,
    // and because each of the 16 is written out the words stay in registers.
    uint32_t w[16], s[8];
    for (int i = 0; i < 16; i++) {
      const uint8_t *p = data + 4 * i;
      w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    memcpy(s, state, sizeof s);
    for (int n = 0; n < 64; n += 16) {
      UNROLL for (int i = 0; i < 16; i++) {
        if (n > 0) {
          uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
          w[i] += w[(i + 9) & 15] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
        }
        const uint32_t a = s[-i & 7], b = s[(1 - i) & 7], c = s[(2 - i) & 7];
        const uint32_t e = s[(4 - i) & 7], f = s[(5 - i) & 7], g = s[(6 - i) & 7];
        uint32_t *d = &s[(3 - i) & 7], *h = &s[(7 - i) & 7];
        *h += (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (g ^ (e & (f ^ g))) + constants[n + i] + w[i];
        *d += *h;
        *h += (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));
      }
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
  }
}

// MARK: With the instructions of x86

#if defined(__x86_64__)

#define TARGET __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE static inline __attribute__((always_inline)) TARGET

/// The eight words of a state in the order of the instructions.
typedef struct lane {
  __m128i abef, cdgh;
} lane;

INLINE lane load_state(const uint32_t *state) {
  __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
  __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
  return (lane){_mm_alignr_epi8(abcd, efgh, 8), _mm_blend_epi16(efgh, abcd, 0xf0)};
}

INLINE void store_state(lane s, uint32_t *state) {
  __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b), dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);
  _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE void load_block(const uint8_t *data, __m128i *w) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  UNROLL for (int i = 0; i < 4; i++) {
    w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), big_endian);
  }
}

/// Rounds 4 n to 4 n + 3, and what they do for the words of later rounds.
INLINE void four_rounds(const int n, lane *s, __m128i *w) {
  __m128i now = w[n & 3];
  __m128i sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)&constants[4 * n]));
  s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, sum);
  s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(sum, 0x0e));
  __m128i *before = &w[(n + 3) & 3], *after = &w[(n + 1) & 3];
  if (n >= 3 && n < 15) {
    *after = _mm_add_epi32(*after, _mm_alignr_epi8(now, *before, 4));
    *after = _mm_sha256msg2_epu32(*after, now);
  }
  if (n >= 1 && n < 13) *before = _mm_sha256msg1_epu32(*before, now);
}

/// Asks for what a message holds a little later. While the chain waits for itself the CPU's window is full of what
/// waits with it, so a load runs no more than a block ahead: what is not in the first caches costs 9 % without this.
/// Nothing is read, so nothing happens where the message has ended.
INLINE void ask_ahead(const uint8_t *data) {
  _mm_prefetch((const char *)((uintptr_t)data + 1024), _MM_HINT_T0);
}

INLINE lane add(lane a, lane b) {
  return (lane){_mm_add_epi32(a.abef, b.abef), _mm_add_epi32(a.cdgh, b.cdgh)};
}

TARGET static void blocks_x86(uint32_t *state, const uint8_t *data, size_t blocks) {
  lane s = load_state(state);
  for (; blocks > 0; blocks--, data += 64) {
    lane before = s;
    __m128i w[4];
    ask_ahead(data);
    load_block(data, w);
    UNROLL for (int n = 0; n < 16; n++) four_rounds(n, &s, w);
    s = add(s, before);
  }
  store_state(s, state);
}

TARGET static void two_x86(uint32_t *a, const uint8_t *a_data, uint32_t *b, const uint8_t *b_data, size_t blocks) {
  lane s = load_state(a), t = load_state(b);
  for (; blocks > 0; blocks--, a_data += 64, b_data += 64) {
    lane s_before = s, t_before = t;
    __m128i w[4], v[4];
    ask_ahead(a_data);
    ask_ahead(b_data);
    load_block(a_data, w);
    load_block(b_data, v);
    UNROLL for (int n = 0; n < 16; n++) {
      four_rounds(n, &s, w);
      four_rounds(n, &t, v);
    }
    s = add(s, s_before);
    t = add(t, t_before);
  }
  store_state(s, a);
  store_state(t, b);
}

static bool has_instructions(void) {
  unsigned a, b, c, d;
  if (!__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("ssse3")) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
}

#endif

// MARK: With the instructions of AArch64

#if defined(__aarch64__)

#define TARGET __attribute__((target("sha2")))

TARGET static void blocks_arm(uint32_t *state, const uint8_t *data, size_t blocks) {
  uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
  for (; blocks > 0; blocks--, data += 64) {
    const uint32x4_t abcd_before = abcd, efgh_before = efgh;
    uint32x4_t w[4];
    UNROLL for (int i = 0; i < 4; i++) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
    UNROLL for (int n = 0; n < 16; n++) {
      const uint32x4_t sum = vaddq_u32(w[n & 3], vld1q_u32(&constants[4 * n])), four = abcd;
      if (n < 12) {
        w[n & 3] = vsha256su1q_u32(vsha256su0q_u32(w[n & 3], w[(n + 1) & 3]), w[(n + 2) & 3], w[(n + 3) & 3]);
      }
      abcd = vsha256hq_u32(abcd, efgh, sum);
      efgh = vsha256h2q_u32(efgh, four, sum);
    }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
}

static bool has_instructions(void) {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) >> 6 & 1) != 0; // HWCAP_SHA2
#else
  return true; // Apple's all have them.
#endif
}

#endif

bool furl_sha256_is_fast(void) {
#if defined(__x86_64__) || defined(__aarch64__)
  static _Atomic int known; // 0: not yet
  if (known == 0) known = has_instructions() ? 1 : 2;
  return known == 1;
#else
  return false;
#endif
}

// MARK: Messages

static void hash_blocks(furl_sha256 *hash, const uint8_t *data, size_t blocks) {
#if defined(__x86_64__)
  if (hash->is_fast) return blocks_x86(hash->state, data, blocks);
#elif defined(__aarch64__)
  if (hash->is_fast) return blocks_arm(hash->state, data, blocks);
#endif
  blocks_scalar(hash->state, data, blocks);
}

void furl_sha256_begin(furl_sha256 *hash, bool plainly) {
  *hash = (furl_sha256){
    .state = {
      0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
    .is_fast = !plainly && furl_sha256_is_fast()};
}

/// Completes a block that was begun; returns how many bytes that took.
static size_t fill(furl_sha256 *hash, const uint8_t *data, size_t n) {
  size_t begun = hash->bytes % 64;
  if (begun == 0) return 0;
  size_t count = n < 64 - begun ? n : 64 - begun;
  memcpy(hash->rest + begun, data, count);
  hash->bytes += count;
  if (begun + count == 64) hash_blocks(hash, hash->rest, 1);
  return count;
}

void furl_sha256_update(furl_sha256 *hash, const uint8_t *data, size_t n) {
  size_t done = fill(hash, data, n);
  data += done, n -= done;
  if (n == 0) return;
  hash_blocks(hash, data, n / 64);
  memcpy(hash->rest, data + n / 64 * 64, n % 64);
  hash->bytes += n;
}

void furl_sha256_update_two(
  furl_sha256 *a, const uint8_t *a_data, size_t a_n, furl_sha256 *b, const uint8_t *b_data, size_t b_n)
{
#if defined(__x86_64__)
  if (a->is_fast && b->is_fast) {
    size_t a_done = fill(a, a_data, a_n), b_done = fill(b, b_data, b_n);
    a_data += a_done, a_n -= a_done, b_data += b_done, b_n -= b_done;
    size_t blocks = (a_n < b_n ? a_n : b_n) / 64;
    two_x86(a->state, a_data, b->state, b_data, blocks);
    a->bytes += blocks * 64, b->bytes += blocks * 64;
    a_data += blocks * 64, a_n -= blocks * 64, b_data += blocks * 64, b_n -= blocks * 64;
  }
#endif
  furl_sha256_update(a, a_data, a_n);
  furl_sha256_update(b, b_data, b_n);
}

void furl_sha256_finish(const furl_sha256 *hash, uint8_t *digest) {
  furl_sha256 last = *hash;
  uint8_t padding[72] = {0x80};
  size_t zeros = (119 - last.bytes % 64) % 64;
  for (int i = 0; i < 8; i++) padding[1 + zeros + (size_t)i] = (uint8_t)(hash->bytes << 3 >> (56 - 8 * i));
  furl_sha256_update(&last, padding, 1 + zeros + 8);
  for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(last.state[i / 4] >> (24 - 8 * (i % 4)));
}
