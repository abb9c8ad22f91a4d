#include "support.h"

/// Examples of FIPS 180-4 and of NIST's long-message test: text, how often, digest.
static const struct {
  const char *text;
  size_t times;
  const char *digest;
} examples[] = {
  {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
  {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
  {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
  {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
   1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
  {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

static const char *hex(const furl_sha256 *hash) {
  static char text[65];
  uint8_t digest[32];
  furl_sha256_finish(hash, digest);
  for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
  return text;
}

static void test_examples(outcome *o, bool plainly) {
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
    furl_sha256 hash;
    furl_sha256_begin(&hash, plainly);
    size_t n = strlen(examples[i].text);
    for (size_t j = 0; j < examples[i].times; j++) furl_sha256_update(&hash, (const uint8_t *)examples[i].text, n);
    require(o, strcmp(hex(&hash), examples[i].digest) == 0, "an example of the standard");
  }
}

/// Messages in pieces and in pairs are what they are as a whole in plain C.
static void test_pieces(outcome *o, bool plainly) {
  enum { MOST = 4000 };
  uint8_t *a = garbage(MOST), *b = garbage(MOST);
  for (size_t i = 0; i < MOST; i++) a[i] = (uint8_t)draw_below(256), b[i] = (uint8_t)draw_below(256);
  for (int round = 0; round < 2000; round++) {
    size_t a_n = draw_below(round < 1000 ? 300 : MOST + 1), b_n = draw_below(round < 1000 ? 300 : MOST + 1);
    furl_sha256 whole[2], parts[2];
    // Of two at once one may be in plain C alone.
    bool mixed = round % 3 == 0;
    for (int i = 0; i < 2; i++) {
      furl_sha256_begin(&whole[i], true), furl_sha256_begin(&parts[i], plainly || (mixed && i == round % 2));
    }
    furl_sha256_update(&whole[0], a, a_n);
    furl_sha256_update(&whole[1], b, b_n);
    for (size_t a_at = 0, b_at = 0; a_at < a_n || b_at < b_n;) {
      size_t a_step = draw_below(a_n - a_at + 1), b_step = draw_below(b_n - b_at + 1);
      // Exact allocations: nothing beyond a piece may be read.
      uint8_t *a_piece = garbage(a_step), *b_piece = garbage(b_step);
      memcpy(a_piece, a + a_at, a_step), memcpy(b_piece, b + b_at, b_step);
      furl_sha256_update_two(&parts[0], a_piece, a_step, &parts[1], b_piece, b_step);
      free(a_piece), free(b_piece);
      a_at += a_step, b_at += b_step;
    }
    for (int i = 0; i < 2; i++) {
      char first[65];
      strcpy(first, hex(&whole[i]));
      require(o, strcmp(first, hex(&parts[i])) == 0, "pieces and the whole differ");
    }
  }
  free(a), free(b);
}

static void test_way(const char *tier, bool plainly) {
  outcome o = {.kernel = "sha256", .tier = tier};
  test_examples(&o, plainly);
  test_pieces(&o, plainly);
  report(&o);
}

void test_hash(void) {
  test_way("scalar", true);
  if (furl_sha256_is_fast()) test_way("instructions", false);
}
