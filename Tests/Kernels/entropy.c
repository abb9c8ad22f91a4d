#include "support.h"

#include "../../Sources/CFurlKernels/entropy/count.h"

static void one_by_one(const uint8_t *symbols, size_t n, uint32_t *counts) {
  memset(counts, 0, SYMBOLS * sizeof *counts);
  for (size_t i = 0; i < n; i++) counts[symbols[i]]++;
}

static void test_counts(const char *tier, bool (*count)(const uint8_t *, size_t, uint32_t *)) {
  outcome o = {.kernel = "count of symbols", .tier = tier};
  for (int round = 0; round < 400; round++) {
    // All of one symbol fills the counts of a byte.
    size_t n = draw_below(round < 300 ? 100 : 100000), few = 1 + draw_below(SYMBOLS);
    uint8_t *symbols = garbage(n);
    for (size_t i = 0; i < n; i++) symbols[i] = (uint8_t)draw_below(few);
    uint32_t counts[SYMBOLS], expected[SYMBOLS];
    one_by_one(symbols, n, expected);
    require(&o, count(symbols, n, counts) && memcmp(counts, expected, sizeof counts) == 0, "wrong counts");
    if (n > 0) {
      symbols[draw_below(n)] |= (uint8_t)(16 << draw_below(4));
      require(&o, !count(symbols, n, counts), "a symbol of more than four bits is not seen");
    }
    free(symbols);
  }
  report(&o);
}

void test_entropy(void) {
  test_counts("scalar", count_symbols_scalar);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) test_counts("avx2", count_symbols_avx2);
#endif
}
