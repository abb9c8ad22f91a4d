// A fork-join pool: one caller, parts fixed to threads. Both sides spin for about as long as a short kernel
// takes, then sleep: a spin of any length would starve other processes on a shared machine.

#include "wait.h"

#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>

#define SPIN_LIMIT 2000
// Unoptimized, with every body inlined, a kernel's frame takes up to 1.4 MB (portable tier). Pages are taken when used.
#define STACK_BYTES (2 * 1024 * 1024)

typedef struct worker {
  furl_pool *pool;
  pthread_t thread;
  size_t part;
} worker;

struct furl_pool {
  size_t threads;
  worker *workers; // threads - 1 of them; part 0 is the caller's
  waiting_room room;
  // What is written together shares a cache line; what is watched meanwhile has one of its own, or each write
  // of the others would disturb those who watch.
  alignas(64) _Atomic uint32_t generation;
  alignas(64) _Atomic uint32_t remaining;
  furl_task task; // published by the rise of `generation`, as are context and stopping
  void *context;
  bool stopping;
  alignas(64) _Atomic uint32_t sleepers;
  _Atomic uint32_t caller_sleeps;
};

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb"); // `yield` does nothing on most cores, `isb` waits about as long as x86's pause.
#endif
}

static uint32_t await_generation_after(furl_pool *pool, uint32_t seen) {
  for (int i = 0; i < SPIN_LIMIT; i++) {
    uint32_t now = atomic_load_explicit(&pool->generation, memory_order_acquire);
    if (now != seen) return now;
    pause_briefly();
  }
  // Sequentially consistent on both sides: either the caller sees this sleeper after it raised the
  // generation, or the wait below sees the risen generation and returns at once.
  atomic_fetch_add(&pool->sleepers, 1);
  uint32_t now;
  while ((now = atomic_load(&pool->generation)) == seen) furl_wait(&pool->room, &pool->generation, seen);
  atomic_fetch_sub(&pool->sleepers, 1);
  return now;
}

static void release_workers(furl_pool *pool) {
  atomic_fetch_add(&pool->generation, 1);
  if (atomic_load(&pool->sleepers) != 0) furl_wake_all(&pool->room, &pool->generation);
}

static void await_workers(furl_pool *pool) {
  for (int i = 0; i < SPIN_LIMIT; i++) {
    if (atomic_load_explicit(&pool->remaining, memory_order_acquire) == 0) return;
    pause_briefly();
  }
  atomic_store(&pool->caller_sleeps, 1);
  uint32_t left;
  while ((left = atomic_load(&pool->remaining)) != 0) furl_wait(&pool->room, &pool->remaining, left);
  atomic_store(&pool->caller_sleeps, 0);
}

static void *work(void *argument) {
  worker *self = argument;
  furl_pool *pool = self->pool;
  uint32_t seen = 0;
  for (;;) {
    seen = await_generation_after(pool, seen);
    if (pool->stopping) return NULL;
    pool->task(pool->context, self->part, pool->threads);
    if (atomic_fetch_sub(&pool->remaining, 1) == 1 && atomic_load(&pool->caller_sleeps) != 0) {
      furl_wake_all(&pool->room, &pool->remaining);
    }
  }
}

/// Starts the workers with signals blocked, so that they reach the threads that expect them; but not those that a
/// thread causes itself, which would end the process at once.
static size_t start_workers(furl_pool *pool) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return 0;
  (void)pthread_attr_setstacksize(&attributes, STACK_BYTES); // Else the default size serves as well.
  sigset_t all, before;
  sigfillset(&all);
  static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  size_t started = 0;
  for (; started < pool->threads - 1; started++) {
    worker *w = &pool->workers[started];
    *w = (worker){.pool = pool, .part = started + 1};
    if (pthread_create(&w->thread, &attributes, work, w) != 0) break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return started;
}

static void stop_workers(furl_pool *pool, size_t started) {
  pool->stopping = true;
  release_workers(pool);
  for (size_t i = 0; i < started; i++) pthread_join(pool->workers[i].thread, NULL);
  furl_room_close(&pool->room);
  free(pool->workers);
  free(pool);
}

furl_pool *furl_pool_create(size_t threads) {
  if (threads == 0 || threads > UINT32_MAX) return NULL;
  void *memory = NULL;
  if (posix_memalign(&memory, alignof(furl_pool), sizeof(furl_pool)) != 0) return NULL;
  furl_pool *pool = memory;
  *pool = (furl_pool){.threads = threads};
  furl_room_open(&pool->room);
  pool->workers = calloc(threads, sizeof(worker));
  size_t started = pool->workers != NULL && threads > 1 ? start_workers(pool) : 0;
  if (pool->workers != NULL && started == threads - 1) return pool;
  stop_workers(pool, started);
  return NULL;
}

void furl_pool_destroy(furl_pool *pool) {
  if (pool != NULL) stop_workers(pool, pool->threads - 1);
}

size_t furl_pool_threads(const furl_pool *pool) {
  return pool->threads;
}

void furl_pool_run(furl_pool *pool, furl_task task, void *context) {
  if (pool->threads > 1) {
    pool->task = task;
    pool->context = context;
    atomic_store_explicit(&pool->remaining, (uint32_t)(pool->threads - 1), memory_order_relaxed);
    release_workers(pool);
  }
  task(context, 0, pool->threads);
  if (pool->threads > 1) await_workers(pool);
}
