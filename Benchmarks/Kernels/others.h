#include "CFurlKernels.h"

void bench_others(const furl_kernels *kernels);
/// Decoding and prompts over caches of every format.
void bench_attention(const furl_kernels *kernels);
