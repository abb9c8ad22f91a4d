// e^x and 2^x in 16 lanes, relative error below 2e-7 where the result is a normal float.

#pragma once

#include "lanes.h"

/// 0 below the smallest normal result, at most e^88.37 above; not-a-number stays not a number.
INLINE v16 exponential(v16 x) {
  const float bound = 88.37f;
  v16 y = select16(x > splat(bound), splat(bound), x);
  // Adding 1.5 * 2^23 leaves the nearest integer n of x / ln 2 in the last bits, where a shift makes it an
  // exponent. No conversion to an integer: that would be undefined for what is not a number.
  v16 shifted = fma16(y, splat(1.44269504f), splat(0x1.8p23f));
  v16 n = shifted - splat(0x1.8p23f);
  v16 r = fma16(n, splat(-0.693359375f), y); // ln 2 in two parts, the first exact times n
  r = fma16(n, splat(2.12194440e-4f), r);
  v16 p = splat(1.9875691500e-4f);
  p = fma16(p, r, splat(1.3981999507e-3f));
  p = fma16(p, r, splat(8.3334519073e-3f));
  p = fma16(p, r, splat(4.1665795894e-2f));
  p = fma16(p, r, splat(1.6666665459e-1f));
  p = fma16(p, r, splat(5.0000001201e-1f));
  p = fma16(p, r * r, r) + splat(1);
  v16 power = (v16)(((v16u)shifted << 23) + (v16u)splat_int(0x3f800000));
  return select16(x < splat(-87.336544f), splat(0), p * power);
}

#if !defined(TIER_POWERS)
INLINE v16 rounded(v16 x) {
  return (x + splat(0x1.8p23f)) - splat(0x1.8p23f);
}

/// x * 2^n for whole n up to 127; below -126 there may be 0.
INLINE v16 times_power(v16 x, v16 n) {
  v16u exponent = ((v16u)(n + splat(0x1.8p23f)) << 23) + (v16u)splat_int(0x3f800000);
  return select16(n < splat(-126), splat(0), x * (v16)exponent);
}
#endif

/// For x up to 127; 0 for minus infinity, not-a-number stays not a number. 2^0 is 1.
INLINE v16 power_of_two(v16 x) {
  v16 n = rounded(x), r = x - n;
  v16 p = splat(0x1.5bba14p-10f);
  p = fma16(p, r, splat(0x1.3cea88p-7f));
  p = fma16(p, r, splat(0x1.c6b752p-5f));
  p = fma16(p, r, splat(0x1.ebf9bcp-3f));
  p = fma16(p, r, splat(0x1.62e42ap-1f));
  p = fma16(p, r, splat(1));
  return times_power(p, n);
}
