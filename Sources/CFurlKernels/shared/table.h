// All bodies, and the table that offers them as TIER_TABLE under TIER_NAME. Before it a tier defines the two
// half conversions and the table of lanes.h, the dot products of multiply_a8.h with INT8_ZERO, and how much fits its
// registers:
//   GROUP_A8, GROUP_A32   rows of activations at once: 8, 4, 2 or 1
//   GROUP_QUERIES         rows of queries at once: 4 or 2
//   KEY_VECTORS           vectors of 16 scores at once for so many rows: 2 or 1
//   VALUE_VECTORS         vectors of 16 values at once for so many rows
//   PRODUCT_ROWS          rows of a product of FP32 matrices: 8 or 4
//   PRODUCT_VECTORS       vectors of 16 of its columns: 2 or 1
// With TIER_POWERS it has rounded and times_power of exponential.h, too.

#include "activate.h"
#include "attention.h"
#include "elementwise.h"
#include "encode.h"
#include "grid.h"
#include "multiply_a32.h"
#include "multiply_a8.h"
#include "multiply_b16.h"
#include "product.h"
#include "store.h"
#include "training.h"

FOR_EACH_BFLOAT_SCHEME(MULTIPLY_BFLOATS)

const furl_kernels TIER_TABLE = {
  .name = TIER_NAME,
  .quantize = quantize,
  .encode_float32 = encode_float32,
  .encode_bfloat16 = encode_bfloat16,
  .encode_int8 = encode_int8,
  .encode_int6 = encode_int6,
  .encode_int6_minimum = encode_int6_minimum,
  .encode_int5 = encode_int5,
  .encode_int5_minimum = encode_int5_minimum,
  .encode_int4 = encode_int4,
  .encode_int4_minimum = encode_int4_minimum,
  .encode_int3 = encode_int3,
  .encode_int3_minimum = encode_int3_minimum,
  .encode_int2 = encode_int2,
  .encode_int2_minimum = encode_int2_minimum,
  .encode_table4 = encode_table4,
  .encode_nested8 = encode_nested8,
  .search_grid = search_grid,
  .search_few = search_few,
  .search_unit = search_unit,
  .weigh_grid = weigh_grid,
  .feed_back = feed_back,
  .feed_back_rows = feed_back_rows,
  .float32 = float32,
  .bfloat16 = bfloat16,
  .int8_a8 = int8_a8,
  .int8_a32 = int8_a32,
  .int6_a8 = int6_a8,
  .int6_a32 = int6_a32,
  .int6_minimum_a8 = int6_minimum_a8,
  .int6_minimum_a32 = int6_minimum_a32,
  .int5_a8 = int5_a8,
  .int5_a32 = int5_a32,
  .int5_minimum_a8 = int5_minimum_a8,
  .int5_minimum_a32 = int5_minimum_a32,
  .int4_a8 = int4_a8,
  .int4_a32 = int4_a32,
  .int4_minimum_a8 = int4_minimum_a8,
  .int4_minimum_a32 = int4_minimum_a32,
  .int3_a8 = int3_a8,
  .int3_a32 = int3_a32,
  .int3_minimum_a8 = int3_minimum_a8,
  .int3_minimum_a32 = int3_minimum_a32,
  .int2_a8 = int2_a8,
  .int2_a32 = int2_a32,
  .int2_minimum_a8 = int2_minimum_a8,
  .int2_minimum_a32 = int2_minimum_a32,
  .table4_a8 = table4_a8,
  .table4_a32 = table4_a32,
  .nested8_a8 = nested8_a8,
  .nested8_a32 = nested8_a32,
  .int8_minimum_a8 = int8_minimum_a8,
  .int8_minimum_a32 = int8_minimum_a32,
  .int8_halved_a8 = int8_halved_a8,
  .int8_halved_a32 = int8_halved_a32,
  .int3_halved_a8 = int3_halved_a8,
  .int3_halved_a32 = int3_halved_a32,
  .round_bfloats = round_bfloats,
  .int8_b16 = int8_b16,
  .int6_b16 = int6_b16,
  .int6_minimum_b16 = int6_minimum_b16,
  .int5_b16 = int5_b16,
  .int5_minimum_b16 = int5_minimum_b16,
  .int4_b16 = int4_b16,
  .int4_minimum_b16 = int4_minimum_b16,
  .int3_b16 = int3_b16,
  .int3_minimum_b16 = int3_minimum_b16,
  .int2_b16 = int2_b16,
  .int2_minimum_b16 = int2_minimum_b16,
  .table4_b16 = table4_b16,
  .nested8_b16 = nested8_b16,
  .int8_minimum_b16 = int8_minimum_b16,
  .int8_halved_b16 = int8_halved_b16,
  .int3_halved_b16 = int3_halved_b16,
  .add_outliers = add_outliers,
  .attend_f32 = attend_f32,
  .attend_f16 = attend_f16,
  .attend_i8 = attend_i8,
  .join_parts = join_parts,
  .store_f32 = store_f32,
  .store_f16 = store_f16,
  .store_i8 = store_i8,
  .layer_norm = layer_norm,
  .rms_norm = rms_norm,
  .rotate = rotate,
  .activate = activate,
  .argmax = argmax,
  .softmax = softmax_row,
  .probabilities = probabilities,
  .softmax_back = softmax_back,
  .dot = dot,
  .distill = distill,
  .activate_back = activate_back,
  .norm_back = norm_back,
  .adam = adam,
  .multiply_matrices = multiply_matrices,
  .solve_triangle = solve_triangle,
};
