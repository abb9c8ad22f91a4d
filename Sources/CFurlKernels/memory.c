#include "CFurlKernels.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

void furl_release_free_memory(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

void furl_share_heap(void) {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);
#endif
}
