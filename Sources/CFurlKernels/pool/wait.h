// Sleeping until a word changes: the futex where there is one, a mutex and a condition elsewhere.

#ifndef FURL_WAIT_H
#define FURL_WAIT_H

#include "../include/CFurlKernels.h"

#include <stdatomic.h>

#if defined(__linux__)

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

long syscall(long number, ...); // Hidden by unistd.h under a strict -std; the futex has no other entry.

typedef struct waiting_room {
  char none;
} waiting_room;

static inline void furl_room_open(waiting_room *room) { (void)room; }
static inline void furl_room_close(waiting_room *room) { (void)room; }

/// Sleeps while *word is `value`; may return early, so callers look again.
static inline void furl_wait(waiting_room *room, _Atomic uint32_t *word, uint32_t value) {
  (void)room;
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static inline void furl_wake_all(waiting_room *room, _Atomic uint32_t *word) {
  (void)room;
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

#else

#include <pthread.h>

typedef struct waiting_room {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
} waiting_room;

static inline void furl_room_open(waiting_room *room) {
  pthread_mutex_init(&room->mutex, NULL);
  pthread_cond_init(&room->changed, NULL);
}

static inline void furl_room_close(waiting_room *room) {
  pthread_cond_destroy(&room->changed);
  pthread_mutex_destroy(&room->mutex);
}

static inline void furl_wait(waiting_room *room, _Atomic uint32_t *word, uint32_t value) {
  pthread_mutex_lock(&room->mutex);
  while (atomic_load(word) == value) pthread_cond_wait(&room->changed, &room->mutex);
  pthread_mutex_unlock(&room->mutex);
}

/// Takes the mutex though it writes nothing: a waiter then either has seen the new value or is asleep.
static inline void furl_wake_all(waiting_room *room, _Atomic uint32_t *word) {
  (void)word;
  pthread_mutex_lock(&room->mutex);
  pthread_cond_broadcast(&room->changed);
  pthread_mutex_unlock(&room->mutex);
}

#endif

#endif
