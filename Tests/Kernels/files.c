#include "support.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/// Runs body in a child whose stderr is kept; returns how it ended.
static int in_child(void (*body)(void), char *errors, size_t size) {
  int pipes[2];
  if (pipe(pipes) != 0) abort();
  pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], STDERR_FILENO);
    body();
    _exit(0);
  }
  close(pipes[1]);
  size_t done = 0;
  for (ssize_t n; (n = read(pipes[0], errors + done, size - 1 - done)) > 0;) done += (size_t)n;
  errors[done] = 0;
  close(pipes[0]);
  int status;
  waitpid(child, &status, 0);
  return status;
}

static const volatile char *mapped(const char *path, bool is_noted, bool is_forgotten) {
  FILE *file = tmpfile();
  if (file == NULL || ftruncate(fileno(file), 1 << 20) != 0) abort();
  char *base = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE, fileno(file), 0);
  if (base == MAP_FAILED) abort();
  furl_report_lost_mappings(65);
  if (is_noted) furl_note_mapping(base, 1 << 20, path);
  if (is_forgotten) furl_forget_mapping(base);
  if (base[1 << 19] != 0 || ftruncate(fileno(file), 4096) != 0) abort();
  madvise(base, 1 << 20, MADV_DONTNEED);
  return base;
}

static void look_at_lost(void) { (void)mapped("a \033name", true, false)[1 << 19]; }
static void look_at_rest(void) { (void)mapped("a name", true, false)[100]; }
static void look_at_unknown(void) { (void)mapped("a name", false, false)[1 << 19]; }
static void look_at_forgotten(void) { (void)mapped("a name", true, true)[1 << 19]; }

static void note_many(void) {
  for (size_t i = 1; i <= 2000; i++) furl_note_mapping((void *)(i << 32), 4096, "one of many");
  for (size_t i = 1; i <= 2000; i++) furl_forget_mapping((void *)(i << 32));
  look_at_lost();
}

/// Hashing what is gone fails, again and again and in plain C, too, and what is there is hashed as ever.
static void hash_lost(void) {
  const uint8_t *base = (const uint8_t *)mapped("a name", true, false);
  furl_sha256 a, b;
  for (int i = 0; i < 3; i++) {
    furl_sha256_begin(&a, i == 1);
    furl_sha256_begin(&b, i == 1);
    if (furl_sha256_update_guarded(&a, base, 1 << 20, NULL, NULL, 0)) _exit(1);
    if (furl_sha256_update_guarded(&a, base, 4096, &b, base + (1 << 19), 4096)) _exit(2);
    furl_sha256_begin(&a, i == 1);
    if (!furl_sha256_update_guarded(&a, base, 4096, NULL, NULL, 0)) _exit(3);
  }
  uint8_t zeros[4096] = {0}, one[32], other[32];
  furl_sha256_begin(&b, true);
  furl_sha256_update(&b, zeros, sizeof zeros);
  furl_sha256_finish(&a, one);
  furl_sha256_finish(&b, other);
  _exit(memcmp(one, other, sizeof one) == 0 ? 0 : 4);
}

/// What is gone is not mapped, what is there is, and neither is an error.
static void map_lost(void) {
  const uint8_t *base = (const uint8_t *)mapped("a name", true, false);
  for (int i = 0; i < 3; i++) {
    if (furl_map_pages(base, 1 << 20)) _exit(1);
    if (!furl_map_pages(base, 4096) || !furl_map_pages(base + 4095, 1) || !furl_map_pages(base, 0)) _exit(2);
    if (furl_is_cached(base, 1 << 20)) _exit(3);
  }
  madvise((void *)base, 4096, MADV_DONTNEED);
#ifdef __linux__
  if (!furl_is_cached(base, 4096) || !furl_is_cached(base, 0)) _exit(4);
#endif
  if (base[100] != 0) _exit(5);
}

static void look_at_lost_after_hashing(void) {
  const uint8_t *base = (const uint8_t *)mapped("a name", true, false);
  furl_sha256 a;
  furl_sha256_begin(&a, false);
  if (furl_sha256_update_guarded(&a, base, 1 << 20, NULL, NULL, 0)) _exit(1);
  (void)((const volatile uint8_t *)base)[1 << 19];
}

static void hash_lost_unguarded(void) {
  const uint8_t *base = (const uint8_t *)mapped("a name", true, false);
  furl_sha256 a;
  furl_sha256_begin(&a, false);
  furl_sha256_update(&a, base, 1 << 20);
}

void test_files(void) {
  outcome o = {.kernel = "lost mappings", .tier = "common"};
  char errors[1000];
  int status = in_child(look_at_lost, errors, sizeof errors);
  require(&o, WIFEXITED(status) && WEXITSTATUS(status) == 65, "not the status that was asked for");
  require(&o, strncmp(errors, "furl: a ?name: has become shorter", 33) == 0, "not the file's name");
  require(&o, strchr(errors, '\n') == errors + strlen(errors) - 1, "not one line");
  status = in_child(look_at_rest, errors, sizeof errors);
  require(&o, WIFEXITED(status) && WEXITSTATUS(status) == 0 && errors[0] == 0, "what is still there is lost");
  status = in_child(look_at_unknown, errors, sizeof errors);
  require(&o, WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "another error is hidden");
  status = in_child(look_at_forgotten, errors, sizeof errors);
  require(&o, WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "a forgotten file is named");
  status = in_child(note_many, errors, sizeof errors);
  require(&o, WIFEXITED(status) && WEXITSTATUS(status) == 65, "no room after many files");
  status = in_child(hash_lost, errors, sizeof errors);
  require(&o, WIFEXITED(status) && WEXITSTATUS(status) == 0 && errors[0] == 0, "hashing does not survive a loss");
  status = in_child(map_lost, errors, sizeof errors);
  require(&o, WIFEXITED(status) && WEXITSTATUS(status) == 0 && errors[0] == 0, "mapping ahead does not survive a loss");
  status = in_child(look_at_lost_after_hashing, errors, sizeof errors);
  require(&o, WIFEXITED(status) && WEXITSTATUS(status) == 65, "the guard stays");
  status = in_child(hash_lost_unguarded, errors, sizeof errors);
  require(&o, WIFEXITED(status) && WEXITSTATUS(status) == 65, "a digest of what is gone passes for one");
  report(&o);
}
