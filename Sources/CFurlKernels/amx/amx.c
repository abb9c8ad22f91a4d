// AMX: products of 16 rows of activations and more by tiles of bytes. Everything else is the AVX-512 tier's.
//
// A product of two tiles takes as long with 32 columns as with 64, and storing its sums as long as the product; with
// scales for every 32 columns of activations that is half of what tiles could do, and twice what VNNI does. Products of BF16
// numbers have no scales, and sums of whole rows stay in their tiles.

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../tiers.h"

// MARK: Leave to use tiles

#ifndef ARCH_REQ_XCOMP_PERM
#define ARCH_REQ_XCOMP_PERM 0x1023
#endif
#define XFEATURE_XTILEDATA 18

/// Whether the CPU has tiles, and Linux lets this process have the 8 KB a thread that they take: it has to be asked
/// before the first use, and says no under emulators and filters of system calls.
static bool may_use_tiles(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const unsigned tile = 1u << 24, int8 = 1u << 25;
  if ((d & tile) == 0 || (d & int8) == 0) return false;
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/// Whether there are products of BF16 numbers and conversions to them, which all CPUs with tiles of bytes have so far.
static bool may_use_bfloats(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & 1u << 22) == 0) return false;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5) != 0;
}

static bool allowed;
static void ask(void) { allowed = may_use_tiles(); }

bool furl_may_use_tiles(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, ask);
  return allowed;
}

// MARK: Kernels

#pragma clang attribute push( \
  __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,amx-tile,amx-int8,"         \
                        "amx-bf16"))),                                                                      \
  apply_to = function)

#include "../shared/panels.h"

#include "../avx512/halves.h"

INLINE v64b looked_up(v64b nibbles, const int8_t *levels) {
  __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)levels));
  return (v64b)_mm512_shuffle_epi8(table, (__m512i)nibbles);
}

INLINE void keep(v16 *sum) {
  __asm__ volatile("" : "+v"(*sum));
}

// Tiles 0 and 1 hold sums, 2 and 3 codes of activations, 4 and 5 weights.
INLINE void multiply_tile(const int slot, const int8_t *codes, const int8_t *weights, int32_t *dots) {
  if (slot == 0) {
    _tile_zero(0);
    _tile_loadd(2, codes, FURL_TILE_COLUMNS);
    _tile_loadd(4, weights, 64);
    _tile_dpbssd(0, 2, 4);
    _tile_stored(0, dots, 64);
  } else {
    _tile_zero(1);
    _tile_loadd(3, codes, FURL_TILE_COLUMNS);
    _tile_loadd(5, weights, 64);
    _tile_dpbssd(1, 3, 5);
    _tile_stored(1, dots, 64);
  }
}

/// The shapes of the tiles, as the instruction that loads them wants them described.
typedef struct tile_shapes {
  uint8_t palette, first_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

static const tile_shapes shapes = {
  .palette = 1, .row_bytes = {64, 64, FURL_TILE_COLUMNS, FURL_TILE_COLUMNS, 64, 64},
  .rows = {16, 16, FURL_PANEL_ROWS, FURL_PANEL_ROWS, 8, 8}};

// What works on the stack is a function of its own: a single row, which decoding has, takes none of it.
#define PANELS(name, s)                                                                                     \
  static __attribute__((noinline)) void name##_whole(                                                       \
    const furl_matrix *matrix, const furl_activations *x, size_t rows, size_t tile_begin, size_t tile_end,  \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    _tile_loadconfig(&shapes);                                                                              \
    multiply_panels(s, matrix, x, rows, tile_begin, tile_end, output);                                      \
    _tile_release();                                                                                        \
  }                                                                                                         \
  static void name##_panels(                                                                                \
    const furl_matrix *matrix, const furl_activations *x, size_t tile_begin, size_t tile_end,               \
    const furl_output *output)                                                                              \
  {                                                                                                         \
    size_t rows = panel_rows(matrix, x);                                                                    \
    if (rows != 0) name##_whole(matrix, x, rows, tile_begin, tile_end, output);                             \
    multiply_rest(furl_kernels_avx512.name##_a8, matrix, x, rows, tile_begin, tile_end, output);            \
  }
FOR_EACH_PANEL_SCHEME(PANELS)

#include "../shared/bfloat_panels.h"

#include "bfloats.h"

FOR_EACH_BFLOAT_SCHEME(BFLOAT_PANELS)

#pragma clang attribute pop

static furl_kernels kernels;

static void fill_table(void) {
  kernels = furl_kernels_avx512;
  kernels.name = "amx";
  kernels.reads_panels = true;
#define OFFER(name, s) kernels.name##_a8 = name##_panels;
  FOR_EACH_PANEL_SCHEME(OFFER)
#undef OFFER
  if (!may_use_bfloats()) return;
#define OFFER(name, s) kernels.name##_b16 = name##_pairs;
  FOR_EACH_BFLOAT_SCHEME(OFFER)
#undef OFFER
}

const furl_kernels *furl_kernels_amx(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, fill_table);
  return &kernels;
}

#endif
