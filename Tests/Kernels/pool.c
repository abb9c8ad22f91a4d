#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { MOST_THREADS = 8 };

typedef struct round_state {
  _Atomic uint32_t runs[MOST_THREADS];
  pthread_t thread[MOST_THREADS];
  size_t parts;
  uint32_t delay; // microseconds, of the part that `slow` names
  size_t slow;
} round_state;

static void nap(uint32_t microseconds) {
  struct timespec t = {.tv_nsec = (long)microseconds * 1000};
  nanosleep(&t, NULL);
}

static void task(void *context, size_t part, size_t parts) {
  round_state *s = context;
  if (part == s->slow && s->delay != 0) nap(s->delay);
  s->thread[part] = pthread_self();
  if (part == 0) s->parts = parts;
  atomic_fetch_add_explicit(&s->runs[part], 1, memory_order_relaxed);
}

/// Naps before a round put the workers to sleep, naps in a part do so to the caller.
static void stress(outcome *o, size_t threads, uint32_t rounds, bool naps) {
  furl_pool *pool = furl_pool_create(threads);
  require(o, pool != NULL && furl_pool_threads(pool) == threads, "creation");
  if (pool == NULL) return;
  round_state s = {0};
  for (uint32_t round = 1; round <= rounds; round++) {
    s.delay = naps && draw_below(4) == 0 ? 300 : 0;
    s.slow = draw_below(threads);
    if (naps && draw_below(4) == 0) nap(300);
    furl_pool_run(pool, task, &s);
    bool all = s.parts == threads, apart = pthread_equal(s.thread[0], pthread_self());
    for (size_t i = 0; i < threads; i++) {
      all &= atomic_load_explicit(&s.runs[i], memory_order_relaxed) == round;
      for (size_t j = 0; j < i; j++) apart &= !pthread_equal(s.thread[i], s.thread[j]);
    }
    require(o, all, "a part did not run once");
    require(o, apart, "two parts shared a thread");
  }
  furl_pool_destroy(pool);
}

void test_pool(void) {
  outcome o = {.kernel = "pool", .tier = "common"};
  require(&o, furl_pool_create(0) == NULL, "a pool of none");
  for (size_t threads = 1; threads <= MOST_THREADS; threads++) {
    // More threads than cores make every round cost time slices.
    stress(&o, threads, threads <= 2 ? 100000 : 2000, false);
    stress(&o, threads, 500, true);
  }
  for (int i = 0; i < 200; i++) stress(&o, 1 + draw_below(MOST_THREADS), (uint32_t)draw_below(3), false);
  furl_pool_destroy(NULL);
  report(&o);
}
