// Elementary functions against the C library's in extended precision.

#include "support.h"

static void check(outcome *o, double value, long double expected, double units, double x) {
  o->checks++;
  if (isnan(value) || fabsl(expected) < 0x1p-1022L) {
    require(o, isnan(value) == (bool)isnan(expected) && fabsl((long double)value - expected) <= 0x1p-1072L, "an extreme");
    return;
  }
  double error = (double)(fabsl((long double)value - expected) / fabsl(expected));
  if (error > o->worst) o->worst = error;
  if (error > units * 0x1p-53 && o->wrong++ == 0) printf("  %s(%.17g) = %.17g\n", o->kernel, x, value);
}

void test_functions(void) {
  outcome e = {.kernel = "exponential", .tier = "all"}, two = {.kernel = "power_of_two", .tier = "all"};
  outcome l = {.kernel = "logarithm", .tier = "all"}, p = {.kernel = "power", .tier = "all"};
  outcome t = {.kernel = "cosine_and_sine", .tier = "all"};
  for (int round = 0; round < 200000; round++) {
    if (!is_taken()) continue;
    double x = (double)draw_unit() * (round % 2 ? 700 : 3) + (double)draw_unit() * 1e-7, sine;
    check(&e, furl_exponential(x), expl((long double)x), 4, x);
    check(&two, furl_power_of_two(x), exp2l((long double)x), 4, x);
    double positive = furl_power_of_two(x);
    if (round % 3 == 0) positive = 1 + (double)draw_unit() * 1e-3;
    check(&l, furl_logarithm(positive), logl((long double)positive), 4, positive);
    double exponent = (double)draw_unit();
    check(&p, furl_power(positive, exponent), powl((long double)positive, (long double)exponent),
      4 + 4 * fabs(exponent * log(positive)), positive);
    double angle = x * (round % 5 ? 1 : 3000), cosine = furl_cosine_and_sine(angle, &sine);
    compare(&t, cosine, (double)cosl((long double)angle), 1 + fabs(angle) / 1000, 2.5e-16);
    compare(&t, sine, (double)sinl((long double)angle), 1 + fabs(angle) / 1000, 2.5e-16);
  }
  for (int n = -1022; n < 1024; n++) require(&two, furl_power_of_two(n) == ldexp(1, n), "a whole power");
  require(&l, furl_logarithm(1) == 0 && furl_logarithm(0) == -INFINITY && isnan(furl_logarithm(-1)), "special values");
  require(&l, isinf(furl_logarithm(INFINITY)) && isnan(furl_logarithm(NAN)), "special values");
  require(&l, fabs(furl_logarithm(5e-324) - -744.4400719213812) < 1e-12, "the least number");
  require(&e, furl_exponential(0) == 1 && furl_exponential(-INFINITY) == 0 && isinf(furl_exponential(INFINITY)), "special");
  require(&p, furl_power(0, 2) == 0 && furl_power(3, 0) == 1 && furl_power(1, 5) == 1, "special values");
  report(&e), report(&two), report(&l), report(&p), report(&t);
}
