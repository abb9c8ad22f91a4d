// Scales as they are stored: halves, or multiples of a row's factor.

#pragma once

#include "lanes.h"

/// The nearest multiples among low...high of the factors; of what is not zero, none is zero unless low or high is.
INLINE v16 scale_multiples(v16 scale, v16 factor, v16 low, v16 high) {
  v16i none = (scale == splat(0)) | (factor == splat(0));
  v16 steps = scale / select16(none, splat(1), factor);
  steps = select16(steps < low, low, steps);
  steps = select16(steps > high, high, steps);
  v16 code = nearest_whole(steps), least = select16(low < splat(-1), splat(-1), low);
  code = select16(code == splat(0), select16(scale < splat(0), least, splat(1)), code);
  return select16(none, splat(0), code);
}

INLINE v16 as_half(v16 x) {
  uint16_t halves[FURL_TILE_ROWS];
  halves_from_floats(x, halves);
  return floats_from_halves(halves);
}

/// `factors` NULL: halves.
INLINE v16 as_stored(v16 x, const float *factors, v16 low, v16 high) {
  if (factors == NULL) return as_half(x);
  v16 factor = load(factors);
  return scale_multiples(x, factor, low, high) * factor;
}
