// Every kernel of every tier this CPU has against its scalar twin, and the twins against double-precision
// references written from the header's words. Exit status 1 on any mismatch.

#include "support.h"

int failures = 0;
uint64_t seed = 0x9e3779b97f4a7c15u;

uint64_t draw(void) {
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * 0x2545f4914f6cdd1du;
}

size_t draw_below(size_t bound) {
  return (size_t)((draw() >> 33) % bound);
}

float draw_unit(void) {
  return (float)((double)(draw() >> 11) * 0x1p-52 - 1);
}

/// One case of so many is run, and one near the beginning of what each line says.
static uint64_t share = 1, due = 5;

bool is_taken(void) {
  // A generator of its own: which cases are taken follows no loop's period.
  static uint64_t state = 1;
  state = state * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
  if (due > 0 && --due == 0) return true;
  return (state >> 33) % share == 0;
}

void *garbage(size_t bytes) {
  void *memory = malloc(bytes == 0 ? 1 : bytes);
  if (memory == NULL) abort();
  return memset(memory, 0xff, bytes);
}

bool same_bits(const float *a, const float *b, size_t n) {
  return memcmp(a, b, n * sizeof(float)) == 0;
}

void compare(outcome *o, double value, double expected, double magnitude, double bound) {
  o->checks++;
  if (!isfinite(expected)) {
    if (isfinite(value)) o->wrong++;
    return;
  }
  double error = fabs(value - expected);
  if (!(error <= bound * magnitude + 1e-36)) {
    if (o->wrong++ == 0) printf("  %s %s: %.9g instead of %.9g\n", o->tier, o->kernel, value, expected);
  }
  if (magnitude > 1e-30 && error / magnitude > o->worst) o->worst = error / magnitude;
}

void require(outcome *o, bool holds, const char *what) {
  o->checks++;
  if (!holds && o->wrong++ == 0) printf("  %s %s: %s\n", o->tier, o->kernel, what);
}

void report(const outcome *o) {
  printf("%-12s %-18s %9zu checks, largest relative error %.1e%s\n", o->tier, o->kernel, o->checks, o->worst,
    o->wrong == 0 ? "" : "  WRONG");
  if (o->wrong != 0) failures++;
  due = 5;
}

double activated(furl_activation activation, double x) {
  switch (activation) {
  case FURL_GELU: return 0.5 * x * erfc(-x / sqrt(2));
  case FURL_GELU_TANH: return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
  case FURL_QUICK_GELU: return x / (1 + exp(-1.702 * x));
  case FURL_SILU: return x / (1 + exp(-x));
  case FURL_RELU: return x > 0 ? x : 0;
  case FURL_TANH: return tanh(x);
  }
  return NAN;
}

/// The portable tier is tested natively: under an emulator it takes longest of all.
static bool skips_portable;

size_t tiers(const furl_kernels *found[MOST_TIERS]) {
  size_t n = 0;
  for (furl_isa isa = FURL_ISA_AVX2; isa <= FURL_ISA_AVX_VNNI; isa++) {
    if (isa == FURL_ISA_PORTABLE && skips_portable) continue;
    if (furl_kernels_for(isa) != NULL) found[n++] = furl_kernels_for(isa);
  }
  if (!skips_portable) found[n++] = modelled_tiles();
  return n;
}

bool is_first(const furl_kernels *const *found, size_t t, size_t member) {
  void (*mine)(void), (*other)(void);
  memcpy(&mine, (const char *)found[t] + member, sizeof mine);
  for (size_t i = 0; i < t; i++) {
    memcpy(&other, (const char *)found[i] + member, sizeof other);
    if (other == mine) return false;
  }
  return true;
}

static void test_everything(void) {
  test_conversions();
  test_encode();
  test_grid();
  test_multiply();
  test_bfloat_rows();
  test_outliers();
  test_attention();
  test_elementwise();
  test_training();
  test_entropy();
  test_hash();
  test_files();
  test_pool();
}

/// Without an argument, or with `all`, everything is tested; with `tiers` all but the portable tier, with `bits` only that
/// the tiers give the same bits. A second argument N runs one case in N: an emulator takes 100 times as long for each, a
/// sanitizer five times.
int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  skips_portable = count > 1 && strcmp(arguments[1], "tiers") == 0;
  if (count > 2) share = strtoull(arguments[2], NULL, 10);
  if (share == 0) return 2;
  if (count < 2 || strcmp(arguments[1], "bits") != 0) test_everything();
  test_product();
  test_functions();
  test_same();
  printf(failures == 0 ? "all kernels agree\n" : "%d kernels are wrong\n", failures);
  return failures != 0;
}
