// What the system can do with files and Swift's view of it does not show.

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "CFurlKernels.h"

#ifdef __linux__
#include <fcntl.h>
#endif

void furl_start_flushing(int descriptor, int64_t offset, int64_t count) {
#ifdef __linux__
  (void)sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
#else
  (void)descriptor, (void)offset, (void)count;
#endif
}
