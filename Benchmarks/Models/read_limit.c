// Prints the most bytes a second that some threads read from memory: sums over 1 GiB, the best of several passes.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { PASSES = 8, LANES = 64 };
static const size_t bytes = (size_t)1 << 30;
static const char *memory;
static int threads;
static pthread_barrier_t barrier;

typedef uint64_t words __attribute__((vector_size(LANES)));

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *read_all(void *argument) {
  size_t part = (size_t)(uintptr_t)argument, share = bytes / (size_t)threads / (4 * LANES) * (4 * LANES);
  const words *from = (const words *)(memory + part * share), *end = (const words *)((const char *)from + share);
  words sum[4] = {0};
  double best = 1e30;
  for (int pass = 0; pass < PASSES; pass++) {
    pthread_barrier_wait(&barrier);
    double start = now();
    for (const words *p = from; p < end; p += 4) {
      for (int i = 0; i < 4; i++) sum[i] += p[i];
    }
    pthread_barrier_wait(&barrier);
    double time = now() - start;
    if (time < best) best = time;
  }
  words total = sum[0] + sum[1] + sum[2] + sum[3];
  volatile uint64_t used = total[0] + total[1] + total[7];
  (void)used;
  double *result = malloc(sizeof *result);
  *result = (double)share * threads / best;
  return result;
}

int main(int count, char **arguments) {
  threads = count > 1 ? atoi(arguments[1]) : 1;
  if (threads < 1 || threads > 256) return 1;
  char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return 1;
  madvise(pages, bytes, MADV_HUGEPAGE);
  for (size_t i = 0; i < bytes; i += 64) pages[i] = (char)i;
  memory = pages;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  pthread_t others[256];
  for (int i = 1; i < threads; i++) pthread_create(&others[i], NULL, read_all, (void *)(uintptr_t)i);
  double *best = read_all(NULL);
  printf("%.0f\n", *best);
}
