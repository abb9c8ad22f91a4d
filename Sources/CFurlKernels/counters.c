// Counters of the kernel, whose system call has no wrapper in C libraries.

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "CFurlKernels.h"

#include <errno.h>
#include <string.h>

#ifdef __linux__
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

int furl_open_counter(uint32_t type, uint64_t config, int process, int cpu, bool inherit) {
  struct perf_event_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = type;
  attributes.config = config;
  attributes.inherit = inherit;
  // What the kernel and a hypervisor do meanwhile is not for everybody to see. Counters of the whole machine cannot
  // leave anything out.
  attributes.exclude_kernel = attributes.exclude_hv = process >= 0;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  long descriptor = syscall(SYS_perf_event_open, &attributes, process, cpu, -1, (unsigned long)PERF_FLAG_FD_CLOEXEC);
  return descriptor >= 0 ? (int)descriptor : -errno;
}
#else
int furl_open_counter(uint32_t type, uint64_t config, int process, int cpu, bool inherit) {
  (void)type, (void)config, (void)process, (void)cpu, (void)inherit;
  return -ENOSYS;
}
#endif
