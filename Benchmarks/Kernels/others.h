#include "CFurlKernels.h"

void bench_others(const furl_kernels *kernels);
