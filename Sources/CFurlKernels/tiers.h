// The tables behind furl_kernels_for, one for each folder.

#ifndef FURL_TIERS_H
#define FURL_TIERS_H

#include "include/CFurlKernels.h"

/// The most queries that any tier scores at once: what the scratch of an attention is made for.
#define FURL_QUERY_BLOCK 4

extern const furl_kernels furl_kernels_scalar;
#if defined(__x86_64__)
extern const furl_kernels furl_kernels_avx2;
extern const furl_kernels furl_kernels_avx512;
#elif defined(__aarch64__)
extern const furl_kernels furl_kernels_neon;
#endif

#endif
