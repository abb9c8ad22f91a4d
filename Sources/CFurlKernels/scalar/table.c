#include "../tiers.h"
#include "scalar.h"

const furl_kernels furl_kernels_scalar = {
  .name = "scalar",
  .quantize = furl_scalar_quantize,
  .float32 = furl_scalar_float32,
  .int8_a8 = furl_scalar_int8_a8,
  .int8_a32 = furl_scalar_int8_a32,
  .int4_a8 = furl_scalar_int4_a8,
  .int4_a32 = furl_scalar_int4_a32,
  .int4_minimum_a8 = furl_scalar_int4_minimum_a8,
  .int4_minimum_a32 = furl_scalar_int4_minimum_a32,
  .attend_f32 = furl_scalar_attend_f32,
  .attend_f16 = furl_scalar_attend_f16,
  .attend_i8 = furl_scalar_attend_i8,
  .join_parts = furl_scalar_join_parts,
  .store_f32 = furl_scalar_store_f32,
  .store_f16 = furl_scalar_store_f16,
  .store_i8 = furl_scalar_store_i8,
  .layer_norm = furl_scalar_layer_norm,
  .gelu_tanh = furl_scalar_gelu_tanh,
  .argmax = furl_scalar_argmax,
};
