// What the system can do with files and Swift's view of it does not show.

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "CFurlKernels.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/vfs.h>
#else
#include <sys/mount.h>
#include <sys/param.h>
#endif

bool furl_is_cached(const void *base, size_t bytes) {
#ifdef __linux__
  if (bytes == 0) return true;
  uintptr_t page = (uintptr_t)getpagesize(), ends[] = {(uintptr_t)base, (uintptr_t)base + bytes - 1};
  for (int i = 0; i < 2; i++) {
    unsigned char state = 0;
    if (mincore((void *)(ends[i] / page * page), page, &state) != 0 || (state & 1) == 0) return false;
  }
  return true;
#else
  (void)base, (void)bytes;
  return false;
#endif
}

bool furl_is_local(int descriptor) {
  struct statfs status;
  if (fstatfs(descriptor, &status) != 0) return false;
#ifdef __linux__
  // ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs, tmpfs, overlayfs (statfs(2)).
  static const unsigned local[] = {0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x01021994, 0x794c7630};
  for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
    if ((unsigned)status.f_type == local[i]) return true;
  }
  return false;
#else
  return (status.f_flags & MNT_LOCAL) != 0;
#endif
}

void furl_start_flushing(int descriptor, int64_t offset, int64_t count) {
#ifdef __linux__
  (void)sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
#else
  (void)descriptor, (void)offset, (void)count;
#endif
}

bool furl_set_direct(int descriptor, bool direct) {
#ifdef O_DIRECT
  int flags = fcntl(descriptor, F_GETFL);
  return flags >= 0 && fcntl(descriptor, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
#else
  (void)descriptor;
  return !direct;
#endif
}

// MARK: Lost mappings

#define MAPPINGS 512

typedef struct mapping {
  _Atomic(const char *) base; // NULL: free. Written last, so that a handler sees a whole entry.
  size_t bytes;
  char path[256];
} mapping;

static mapping mappings[MAPPINGS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_flag reporting = ATOMIC_FLAG_INIT;
static int status_of_loss; // 0: losses are not reported

/// Where a thread goes on that lost what it was hashing.
static _Thread_local sigjmp_buf *volatile guard;
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static struct sigaction action_before;

void furl_note_mapping(const void *base, size_t bytes, const char *path) {
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < MAPPINGS; i++) {
    mapping *m = &mappings[i];
    if (atomic_load(&m->base) != NULL) continue;
    m->bytes = bytes;
    // A file must not be able to write to the terminal through its name.
    size_t n = 0;
    for (; n + 1 < sizeof m->path && path[n] != 0; n++) {
      unsigned char c = (unsigned char)path[n];
      m->path[n] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    m->path[n] = 0;
    atomic_store(&m->base, base);
    break;
  }
  pthread_mutex_unlock(&lock);
}

void furl_forget_mapping(const void *base) {
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < MAPPINGS; i++) {
    if (atomic_load(&mappings[i].base) == base) atomic_store(&mappings[i].base, NULL);
  }
  pthread_mutex_unlock(&lock);
}

static void say(const char *text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) return; // There is nobody to tell.
}

/// What is written beside the line on stderr, complete once its length is set.
typedef struct template {
  atomic_size_t length;
  furl_escaping escaping;
  char text[2048];
} template;

static template templates[2];

bool furl_also_report_lost_mappings(int descriptor, const char *text, furl_escaping escaping) {
  template *t = &templates[descriptor == STDOUT_FILENO ? 0 : 1];
  atomic_store(&t->length, 0);
  size_t length = text == NULL ? 0 : strlen(text);
  if (length > sizeof t->text) return false;
  if (length > 0) memcpy(t->text, text, length);
  t->escaping = escaping;
  atomic_store(&t->length, length);
  return true;
}

/// Puts a path into a text; returns the bytes. Of a path that is cut off inside of a character the rest of that goes, too.
static size_t put_path(char *to, size_t room, const char *path, furl_escaping escaping) {
  size_t n = strlen(path), done = 0;
  if (n == sizeof((mapping *)0)->path - 1) {
    while (n > 0 && ((unsigned char)path[n - 1] & 0xc0) == 0x80) n--;
    if (n > 0 && (unsigned char)path[n - 1] >= 0xc0) n--;
  }
  for (size_t i = 0; i < n && done + 3 <= room; i++) {
    char c = path[i];
    if (escaping == FURL_ESCAPE_JSON && (c == '"' || c == '\\')) to[done++] = '\\';
    to[done++] = c;
    if (escaping == FURL_ESCAPE_PERCENT && c == '%') {
      to[done++] = '2';
      to[done++] = '5';
    }
  }
  return done;
}

/// Only what a signal handler may call.
static void say_template(int descriptor, const char *path) {
  const template *t = &templates[descriptor == STDOUT_FILENO ? 0 : 1];
  size_t length = atomic_load(&t->length), done = 0;
  static char whole[4096];
  for (size_t i = 0; i < length && done < sizeof whole; i++) {
    if (t->text[i] == 1) done += put_path(whole + done, sizeof whole - done, path, t->escaping);
    else whole[done++] = t->text[i];
  }
  if (done > 0 && write(descriptor, whole, done) < 0) return; // There is nobody to tell.
}

static void report_loss(int number, siginfo_t *info, void *context) {
  (void)context;
  if (guard != NULL) siglongjmp(*guard, 1);
  const char *address = info->si_addr;
  for (size_t i = 0; status_of_loss != 0 && i < MAPPINGS; i++) {
    const char *base = atomic_load(&mappings[i].base);
    if (base == NULL || address < base || address >= base + mappings[i].bytes) continue;
    // Others that lose the same file meanwhile wait for this end.
    if (atomic_flag_test_and_set(&reporting)) for (;;) pause();
    if (isatty(STDERR_FILENO)) say("\r\033[K");
    say_template(STDERR_FILENO, mappings[i].path);
    say("furl: ");
    say(mappings[i].path);
    say(": has become shorter while it was in use, or its disk cannot be read (leave the file alone while Furl "
        "uses it, and start again)\n");
    say_template(STDOUT_FILENO, mappings[i].path);
    _exit(status_of_loss);
  }
  // Something else: it happens again when this returns, and then goes as it would have without this.
  sigaction(number, &action_before, NULL);
}

static void install(void) {
  // Not blocked meanwhile: a jump out of the handler would leave it blocked.
  struct sigaction action = {.sa_sigaction = report_loss, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &action_before);
}

void furl_report_lost_mappings(int exit_status) {
  status_of_loss = exit_status;
  pthread_once(&installed, install);
}

/// Calls body(context); false if it looked at a mapping that is lost.
static bool survives(void (*body)(void *), void *context) {
  pthread_once(&installed, install);
  sigjmp_buf here;
  if (sigsetjmp(here, 0) != 0) {
    guard = NULL;
    return false;
  }
  guard = &here;
  body(context);
  guard = NULL;
  return true;
}

typedef struct pages {
  uintptr_t begin, end;
} pages;

static void touch(void *context) {
  // What the system maps at one fault if it has the pages (Linux), on multiples of itself. Asking for all pages
  // (madvise(2), `MADV_POPULATE_READ`) takes half as long again, as it looks at each of them.
  const uintptr_t at_once = 64 << 10;
  const pages *p = context;
  for (uintptr_t at = p->begin; at < p->end; at = (at / at_once + 1) * at_once) (void)*(const volatile char *)at;
}

bool furl_map_pages(const void *base, size_t bytes) {
  pages all = {(uintptr_t)base, (uintptr_t)base + bytes};
  return survives(touch, &all);
}

typedef struct messages {
  furl_sha256 *a, *b;
  const uint8_t *a_data, *b_data;
  size_t a_n, b_n;
} messages;

static void hash(void *context) {
  const messages *m = context;
  if (m->b == NULL) furl_sha256_update(m->a, m->a_data, m->a_n);
  else furl_sha256_update_two(m->a, m->a_data, m->a_n, m->b, m->b_data, m->b_n);
}

bool furl_sha256_update_guarded(
  furl_sha256 *a, const uint8_t *a_data, size_t a_n, furl_sha256 *b, const uint8_t *b_data, size_t b_n)
{
  messages both = {a, b, a_data, b_data, a_n, b_n};
  return survives(hash, &both);
}
