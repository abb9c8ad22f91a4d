/* Furl for other languages: open a model, let it continue a text, close it.
 *
 * The library is libFurlC.so. Every function may be called from any thread; calls on one model wait for each other. What is
 * returned as char * or in an error belongs to the caller, who gives it back with furl_free. Texts are UTF-8. */

#ifndef FURL_H
#define FURL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct furl_model furl_model;

/* How a text is continued. Zeros are usual values: 128 tokens, the most probable one each time. */
typedef struct furl_options {
  int32_t max_tokens;
  double temperature; /* 0: the most probable token */
  int32_t top_k;      /* 0: all of them */
  double top_p;       /* 0: 1, all of them */
  uint64_t seed;
  const char *stop;   /* a text that ends the completion, or NULL */
} furl_options;

/* Takes a piece of text as it comes; 0 goes on, anything else ends the generation. It may not call furl_close. */
typedef int (*furl_piece)(const char *text, void *context);

/* The version: "0.2.0". It is not to be freed. */
const char *furl_version(void);

/* Opens an artifact, a checkpoint's folder or a GGUF file; threads 0: one for each core. NULL where that fails, with the
 * reason in *error unless error is NULL. */
furl_model *furl_open(const char *path, int32_t threads, char **error);

/* Continues a prompt. Returns 0 when the text has ended or the callback ended it, and otherwise what the command would exit
 * with (65: the prompt is wrong, 69: this machine lacks something), with the reason in *error. options may be NULL. */
int32_t furl_generate(
  furl_model *model, const char *prompt, const furl_options *options, furl_piece piece, void *context, char **error);

/* Gives a model back. NULL does nothing. */
void furl_close(furl_model *model);

/* Gives a text back. NULL does nothing. */
void furl_free(char *text);

#ifdef __cplusplus
}
#endif

#endif
