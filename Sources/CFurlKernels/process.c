// What a command has to see to before it works: its descriptors, signals, and what the machine grants it.

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "CFurlKernels.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

bool furl_open_standard_descriptors(void) {
  for (int number = 0; number <= 2; number++) {
    if (fcntl(number, F_GETFD) != -1 || errno != EBADF) continue;
    // The wrong way round, so that using it stays an error. The lowest free number is this one.
    if (open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY) != number) return false;
  }
  return true;
}

// MARK: Signals

static void do_nothing(int number) { (void)number; }

void furl_survive_closed_pipes(void) {
  // A handler and not SIG_IGN, which programs that are started would inherit.
  struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGPIPE, &action, NULL);
}

static int ends[2] = {-1, -1};
static void (*told)(int32_t);
static atomic_int noted;        // The first signal, 0: none yet.
static struct timespec noted_at; // Written before noted is.

/// Seconds that telling of a signal may take, whoever does not read what is written.
enum { TELLING_SECONDS = 3 };

/// Whether a second signal is another one, and not the same wish twice: a terminal and a shell both send it.
static bool is_insisted_on(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t since = (int64_t)(now.tv_sec - noted_at.tv_sec) * 1000000000 + (now.tv_nsec - noted_at.tv_nsec);
  return since > 300000000;
}

static void note(int number) {
  int before = errno;
  static atomic_flag taken = ATOMIC_FLAG_INIT;
  if (!atomic_flag_test_and_set(&taken)) {
    clock_gettime(CLOCK_MONOTONIC, &noted_at);
    atomic_store(&noted, number);
    unsigned char byte = (unsigned char)number;
    if (write(ends[1], &byte, 1) < 0) _exit(128 + number); // Nobody reads: as without this.
  } else if (atomic_load(&noted) != 0 && is_insisted_on()) {
    _exit(128 + number);
  }
  errno = before;
}

static void give_up(int number) {
  (void)number;
  _exit(128 + atomic_load(&noted));
}

/// Ends the process if telling does not end.
static void limit_telling(void) {
  struct sigaction action = {.sa_handler = give_up};
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, NULL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  alarm(TELLING_SECONDS);
}

static void *watch(void *unused) {
  (void)unused;
  unsigned char number;
  ssize_t count;
  while ((count = read(ends[0], &number, 1)) < 0 && errno == EINTR) continue;
  if (count != 1) return NULL;
  limit_telling();
  told(number);
  // Whoever waits for this process learns what has ended it.
  signal(number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  raise(number);
  _exit(128 + number);
}

bool furl_watch_signals(void (*tell)(int32_t)) {
  if (pipe(ends) != 0) return false;
  for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  told = tell;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  bool started = pthread_create(&thread, NULL, watch, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!started) {
    close(ends[0]);
    close(ends[1]);
    return false;
  }
  pthread_detach(thread);
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction action;
    // Who started this may have had it ignore one (nohup).
    if (sigaction(numbers[i], NULL, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(numbers[i], &action, NULL);
  }
  return true;
}

// MARK: What the machine grants

bool furl_can_open(size_t count) {
  int *opened = calloc(count, sizeof *opened);
  if (opened == NULL) return false;
  size_t done = 0;
  while (done < count && (opened[done] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) done++;
  for (size_t i = 0; i < done; i++) close(opened[i]);
  free(opened);
  return done == count;
}

typedef struct gate {
  pthread_mutex_t lock;
  pthread_cond_t opens;
  bool is_open;
} gate;

static void *wait_at(void *argument) {
  gate *g = argument;
  pthread_mutex_lock(&g->lock);
  while (!g->is_open) pthread_cond_wait(&g->opens, &g->lock);
  pthread_mutex_unlock(&g->lock);
  return NULL;
}

bool furl_can_start_threads(size_t count) {
  pthread_t *threads = calloc(count, sizeof *threads);
  if (threads == NULL) return false;
  gate g = {.is_open = false};
  pthread_mutex_init(&g.lock, NULL);
  pthread_cond_init(&g.opens, NULL);
  size_t done = 0;
  while (done < count && pthread_create(&threads[done], NULL, wait_at, &g) == 0) done++;
  pthread_mutex_lock(&g.lock);
  g.is_open = true;
  pthread_cond_broadcast(&g.opens);
  pthread_mutex_unlock(&g.lock);
  for (size_t i = 0; i < done; i++) pthread_join(threads[i], NULL);
  pthread_cond_destroy(&g.opens);
  pthread_mutex_destroy(&g.lock);
  free(threads);
  return done == count;
}

bool furl_can_map(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  munmap(memory, bytes);
  return true;
}
