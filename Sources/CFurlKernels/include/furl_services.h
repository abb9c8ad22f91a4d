// What is no kernel: entropy coding, digests, the thread pool, and what the system can do.

#ifndef FURL_SERVICES_H
#define FURL_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// MARK: Version

/// Which build this is: `commit 0123456789ab, 2026-12-01` in a release, `development build` in any other.
const char *furl_build(void);

// MARK: Entropy coding

/// One zstd frame of n symbols below 16, one a byte: Huffman codes, no matches, a checksum. The same bytes on every
/// CPU and with every version of zstd.
///
/// `frame` has room for furl_nibble_frame_room(n) bytes, part of which is only used meanwhile. Returns the size of
/// the frame; 0 if there is none of this kind (few symbols, all the same, or one of 16 and more).
size_t furl_nibble_frame(const uint8_t *symbols, size_t n, uint8_t *frame);
size_t furl_nibble_frame_room(size_t n);

// MARK: Digests

/// A SHA-256 digest on its way.
typedef struct furl_sha256 {
  uint32_t state[8];
  uint8_t rest[64]; // bytes % 64 bytes that make no block yet
  uint64_t bytes;
  bool is_fast; // with the CPU's instructions
} furl_sha256;

/// Whether the CPU has instructions for SHA-256 that are used here.
bool furl_sha256_is_fast(void);
/// Begins a message; `plainly` in plain C, whatever the CPU has. The digest is the same.
void furl_sha256_begin(furl_sha256 *hash, bool plainly);
void furl_sha256_update(furl_sha256 *hash, const uint8_t *data, size_t n);
/// Two messages at once: on x86-64 with the instructions for it, the shorter one costs half.
void furl_sha256_update_two(
  furl_sha256 *a, const uint8_t *a_data, size_t a_n, furl_sha256 *b, const uint8_t *b_data, size_t b_n);
/// The same for messages in mapped files, alone if b is NULL; false if a file has become shorter meanwhile or cannot be
/// read. The digests are worth nothing then.
bool furl_sha256_update_guarded(
  furl_sha256 *a, const uint8_t *a_data, size_t a_n, furl_sha256 *_Nullable b, const uint8_t *_Nullable b_data,
  size_t b_n);
/// Writes the 32 bytes of the digest of what there has been so far.
void furl_sha256_finish(const furl_sha256 *hash, uint8_t *digest);

// MARK: Thread pool

typedef struct furl_pool furl_pool;
typedef void (*furl_task)(void *context, size_t part, size_t parts);

/// A pool of `threads` threads, the caller of furl_pool_run being one of them. NULL if none can be made.
furl_pool *_Nullable furl_pool_create(size_t threads);
void furl_pool_destroy(furl_pool *_Nullable pool);
size_t furl_pool_threads(const furl_pool *pool);
/// Runs task(context, part, threads) for every part, each on its own thread, and returns when all are done.
/// One caller at a time. Waiting threads spin for a moment, then sleep (futex).
void furl_pool_run(
  furl_pool *pool, __attribute__((swift_attr("@Sendable"))) furl_task task, void *context);

// MARK: Memory

/// Gives free heap memory back to the system, where the C library can.
void furl_release_free_memory(void);

/// Makes all threads share one heap, where the C library can, so that what one thread frees another one uses.
void furl_share_heap(void);

// MARK: Files

/// Whether the system has both ends of a part of a mapped file in its cache; false where that cannot be told. Where files
/// are read from front to back what lies between mostly is there, too.
bool furl_is_cached(const void *base, size_t bytes);

/// Whether an open file lies in a file system of this machine; false where that cannot be told.
bool furl_is_local(int descriptor);

/// Maps the pages of a part of a mapped file that is in the system's cache, so that another thread that looks at them
/// does not wait for the system; false if the file has become shorter or cannot be read.
bool furl_map_pages(const void *base, size_t bytes);

/// Asks the system to begin to put a range of a file on the disk, where it can. Nothing is promised.
void furl_start_flushing(int descriptor, int64_t offset, int64_t count);

/// Sets whether what is written to a file leaves the system's cache out; memory, offsets and sizes have to be
/// multiples of a block then. Returns false where that cannot be had.
bool furl_set_direct(int descriptor, bool direct);

/// A look at a mapped file that has become shorter ends a process with SIGBUS. These say which file it was.
/// Notes that a file is mapped somewhere; of some hundred files at once at most, longer paths cut off.
void furl_note_mapping(const void *base, size_t bytes, const char *path);
/// Forgets it again; to be called before the file is unmapped.
void furl_forget_mapping(const void *base);
/// From now on a lost mapping is reported on stderr in one line, and ends the process with this status.
void furl_report_lost_mappings(int exit_status);

/// How a path is written into a text.
typedef enum furl_escaping {
  FURL_ESCAPE_JSON,   ///< Inside of a string.
  FURL_ESCAPE_PERCENT ///< Behind a workflow command of GitHub Actions.
} furl_escaping;

/// Has a lost mapping reported in a second form, too: this text with the path in the place of each byte 1. For descriptors
/// 1 and 2, one text each; NULL for none any more. The text is copied; false if it is too long.
bool furl_also_report_lost_mappings(int descriptor, const char *_Nullable text, furl_escaping escaping);

// MARK: Processes

/// Opens what is closed of the descriptors 0 to 2, so that no file gets their numbers and what was meant for a person; used,
/// they give an error as before. Returns false when that cannot be had.
bool furl_open_standard_descriptors(void);

/// Writing to a pipe whose reader has gone is an error from now on (EPIPE), not the end of the process.
void furl_survive_closed_pipes(void);

/// From now on SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGXCPU, where they would end the process, call `tell` on a thread of
/// its own first, once. What that takes longer than a few seconds, or a second signal, ends the process at once. Returns
/// false, and changes nothing, when there is no thread or descriptor for that.
bool furl_watch_signals(void (*tell)(int32_t number));

/// Whether so many more files can be open, so many more threads run, and so many more bytes be mapped, at once and now.
bool furl_can_open(size_t count);
bool furl_can_start_threads(size_t count);
bool furl_can_map(size_t bytes);

// MARK: Counters

/// Opens a counter of the kernel (perf_event_open(2)) of a process (0: this one) or, where that is -1, of a whole CPU.
/// Reading gives three uint64_t: the count, the time that it was enabled and the time that it counted, in nanoseconds.
/// With `inherit`, threads that are made later are counted, too. Returns a descriptor, or a negative errno.
int furl_open_counter(uint32_t type, uint64_t config, int process, int cpu, bool inherit);

#pragma clang assume_nonnull end

#endif
