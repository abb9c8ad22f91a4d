// The tables behind furl_kernels_for, one for each folder.

#ifndef FURL_TIERS_H
#define FURL_TIERS_H

#include "include/CFurlKernels.h"

/// Dimensions of a key that share a scale in an 8-bit cache.
#define FURL_KEY_BLOCK 32

extern const furl_kernels furl_kernels_scalar;
extern const furl_kernels furl_kernels_portable;
#if defined(__x86_64__)
extern const furl_kernels furl_kernels_avx2;
extern const furl_kernels furl_kernels_avx512;
bool furl_has_avx_vnni(void);
const furl_kernels *furl_kernels_avx_vnni(void);
#if defined(__linux__)
/// Whether this process may use AMX.
bool furl_may_use_tiles(void);
const furl_kernels *furl_kernels_amx(void);
#endif
#elif defined(__aarch64__)
extern const furl_kernels furl_kernels_neon;
#endif

#endif
