#include "../tiers.h"
#include "scalar.h"

const furl_kernels furl_kernels_scalar = {
  .name = "scalar",
  .quantize = furl_scalar_quantize,
  .encode_float32 = furl_scalar_encode_float32,
  .encode_int8 = furl_scalar_encode_int8,
  .encode_int4 = furl_scalar_encode_int4,
  .encode_int4_minimum = furl_scalar_encode_int4_minimum,
  .float32 = furl_scalar_float32,
  .int8_a8 = furl_scalar_int8_a8,
  .int8_a32 = furl_scalar_int8_a32,
  .int4_a8 = furl_scalar_int4_a8,
  .int4_a32 = furl_scalar_int4_a32,
  .int4_minimum_a8 = furl_scalar_int4_minimum_a8,
  .int4_minimum_a32 = furl_scalar_int4_minimum_a32,
  .attend_f32 = furl_scalar_attend_f32,
  .attend_f16 = furl_scalar_attend_f16,
  .store_f32 = furl_scalar_store_f32,
  .store_f16 = furl_scalar_store_f16,
  .layer_norm = furl_scalar_layer_norm,
  .rms_norm = furl_scalar_rms_norm,
  .rotate = furl_scalar_rotate,
  .activate = furl_scalar_activate,
  .argmax = furl_scalar_argmax,
};
