// The loops that need CPU intrinsics, and the thread pool that runs them.
//
// Everything here is total: no function allocates (save the pool), fails or reads past what its arguments
// say. Shapes are checked in Swift before a kernel is called.
//
// Weights lie in tiles of 16 rows x 32 columns, row tiles outermost, padded with zero weights:
//
//   float32   codes[rowTile][columnTile][32 columns][16 rows]                      float
//   bfloat16  the same; the upper halves of the floats
//   int8      codes[rowTile][columnTile][8 groups][16 rows][4 columns]             code + 128, one byte
//   int4      codes[rowTile][columnTile][4 groups][16 rows][4 columns]             one byte holds two codes:
//             low nibble = column 4 * group + i, high nibble = column 16 + 4 * group + i
//   table4    the same; what a code stands for is in a table
//   int6      the four low bits of each code as int4 has them, then the two high ones as int2 has its codes
//   int5      the same, then the fifth ones as int3 has its third ones
//   int2      codes[rowTile][columnTile][2 groups][16 rows][4 columns]             one byte holds four codes:
//             bits 2 p and 2 p + 1 = column 4 * (2 * p + group) + i
//   nested8   two planes, each as int4's: codes, and the remainders behind them. weight = (steps * (code - 8) + (remainder
//             - 8)) * scale / steps; the first plane with the same scales is int4
//   halved    int8 and int3 whose blocks are 16 columns: two blocks in a tile
//   int3      the two low bits of each code as int2 has them, then the third ones:
//             [16 rows][4 columns] bytes, bit k = column 4 * k + i
//   scales    scales[rowTile][block][16 rows]                                      IEEE half, or a code of one byte
//
// A block is `blockTiles` column tiles of one row (the last block of a row may be shorter).
// weight = (code - zero) * scale | code * scale + minimum | table[code] * scale; zero is half of the codes' number.
// Where scales are codes, scale = (code - scale zero) * the row's factor, minimum = (code - 128) * the row's other one; or
// of the super-block's halves instead of the row's factors. int8 with a minimum has codes 128...255, less 128.

#ifndef C_FURL_KERNELS_H
#define C_FURL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "furl_operands.h"
#include "furl_services.h"

#pragma clang assume_nonnull begin

// MARK: What the CPU can do

typedef enum furl_isa {
  FURL_ISA_SCALAR = 0,
  FURL_ISA_AVX2 = 1,        // AVX2, FMA and F16C
  FURL_ISA_AVX512_VNNI = 2, // AVX-512 F, BW, VL, DQ and VNNI
  FURL_ISA_NEON = 3,        // NEON with the dot product instructions
  FURL_ISA_PORTABLE = 4,    // the same arithmetic without any of these
  FURL_ISA_AMX = 5,         // AVX512_VNNI with AMX's tiles of bytes, where Linux allows them
  FURL_ISA_AVX_VNNI = 6,    // AVX2 with AVX-VNNI
} furl_isa;

/// Whether this CPU (and this build) has the tier.
bool furl_isa_supported(furl_isa isa);

// MARK: Kernels

/// One tier of kernels. All tiers agree with FURL_ISA_SCALAR within 1e-5 relative to the sum of magnitudes, and all but
/// that one, whose sums are in double precision, with each other in every bit.
typedef struct furl_kernels {
  const char *name; // "scalar", "avx2", "avx-vnni", "avx512-vnni", "amx", "neon", "portable"
  bool reads_panels; // whether products of whole panels read `panels` of the activations

  /// x[columns] -> codes, scales and sums of column_tiles * 32 columns, as a row of a group of `rows` has them;
  /// scale = absmax / 127, ties to even.
  /// A tile of zeros (or of nothing above 4e-37) has scale 0. Not-a-numbers and infinities never reach a
  /// code: such a tile gets scale NaN, codes 0. All tiers give the same codes, sums and scales.
  /// `panel` is where the row's codes go once more as a panel has them, or NULL.
  void (*quantize)(
    const float *x, size_t columns, size_t rows, int8_t *codes, float *scales, int32_t *sums, int8_t *_Nullable panel);

  furl_encode encode_float32;
  furl_encode encode_bfloat16;
  furl_encode encode_int8;
  furl_encode encode_int6;
  furl_encode encode_int6_minimum;
  furl_encode encode_int5;
  furl_encode encode_int5_minimum;
  furl_encode encode_int4;
  furl_encode encode_int4_minimum;
  furl_encode encode_int3;
  furl_encode encode_int3_minimum;
  furl_encode encode_int2;
  furl_encode encode_int2_minimum;
  furl_encode encode_table4;
  furl_encode encode_nested8;

  /// Of the scales above, and of what least squares make of the best one's codes, the ones with the least weighted
  /// squared error, for one block of 16 rows. `values` are [columns][stride], the first 16 of each stride are taken;
  /// `weights` are [columns], none negative. Scales and minimums, and errors under them, are those that are stored: as
  /// halves, unless there is a rounding. False if a number is not finite or no scale fits in a half. All tiers give the
  /// same bits.
  bool (*search_grid)(
    const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns,
    const furl_rounding *_Nullable rounding, float *scales, float *_Nullable minimums);
  /// The same with a few of the scales: about the one that takes the largest value to an end of the grid. A fifth of the
  /// time, for a few percent of the error. Scales and minimums are halves.
  bool (*search_few)(
    const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns, float *scales,
    float *_Nullable minimums);
  /// Of the numbers that a row's wanted scales, [parts][16], may be multiples of, low...high times, the one with the least
  /// error by `weights` [parts][16]: the largest wanted magnitude divided by `steps` of the multiples from the ends on.
  /// All tiers give the same bits.
  void (*search_unit)(
    const float *wanted, const float *weights, size_t parts, int32_t low, int32_t high, size_t steps, float *unit);
  /// What the weighted squares of one block of 16 rows add up to under scales and minimums as they are:
  /// sums[0...5][16] = the loss, and what least squares with the same codes want: the weights, and times them code,
  /// code^2, value and code * value. All tiers give the same bits.
  void (*weigh_grid)(
    const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns,
    const float *scales, const float *_Nullable minimums, float *sums);
  /// Codes of some columns of 16 rows, from the last column to the first; each column takes up the errors of those
  /// that have been done (Chee et al. 2023, "QuIP", LDLQ; the same as Frantar et al. 2022, "GPTQ"):
  ///   wanted = weight + feedback + sum over j > i of factor[j][i] * error of j;  error = weight - decoded code.
  /// `weights`, `feedback` and `codes` are [columns][stride], the first 16 of each stride; `factor` is
  /// [columns][columns]. NULL: nothing is fed back. The errors take the place of the weights. A scale of zero gives
  /// the code of zero. All tiers give the same bits.
  void (*feed_back)(
    const furl_grid *grid, const float *scales, const float *_Nullable minimums, const float *_Nullable factor,
    const float *_Nullable feedback, size_t columns, float *weights, size_t stride, uint8_t *codes);
  /// The same where rows take up each other's errors, too: column after column from the last one on, and in each row
  /// after row from the first one on (Tseng et al. 2025, "Model-Preserving Adaptive Rounding"). All tiers give the same bits.
  void (*feed_back_rows)(const furl_grid *grid, const furl_row_feedback *feedback);

  furl_multiply float32;
  furl_multiply bfloat16;
  furl_multiply int8_a8;
  furl_multiply int8_a32;
  furl_multiply int6_a8;          // symmetric
  furl_multiply int6_a32;
  furl_multiply int6_minimum_a8;
  furl_multiply int6_minimum_a32;
  furl_multiply int5_a8;
  furl_multiply int5_a32;
  furl_multiply int5_minimum_a8;
  furl_multiply int5_minimum_a32;
  furl_multiply int4_a8;
  furl_multiply int4_a32;
  furl_multiply int4_minimum_a8;
  furl_multiply int4_minimum_a32;
  furl_multiply int3_a8;
  furl_multiply int3_a32;
  furl_multiply int3_minimum_a8;
  furl_multiply int3_minimum_a32;
  furl_multiply int2_a8;
  furl_multiply int2_a32;
  furl_multiply int2_minimum_a8;
  furl_multiply int2_minimum_a32;
  furl_multiply table4_a8;
  furl_multiply table4_a32;
  furl_multiply nested8_a8;
  furl_multiply nested8_a32;
  furl_multiply int8_minimum_a8;
  furl_multiply int8_minimum_a32;
  furl_multiply int8_halved_a8; // a scale for each 16 columns
  furl_multiply int8_halved_a32;
  furl_multiply int3_halved_a8;
  furl_multiply int3_halved_a32;
  /// The BF16 form of a row of activations: `rows` are those of its panel. All tiers give the same numbers.
  void (*round_bfloats)(const float *x, size_t columns, size_t rows, uint16_t *out);
  // Weights rounded to BF16 times the BF16 form of the activations.
  furl_multiply int8_b16;
  furl_multiply int6_b16;
  furl_multiply int6_minimum_b16;
  furl_multiply int5_b16;
  furl_multiply int5_minimum_b16;
  furl_multiply int4_b16;
  furl_multiply int4_minimum_b16;
  furl_multiply int3_b16;
  furl_multiply int3_minimum_b16;
  furl_multiply int2_b16;
  furl_multiply int2_minimum_b16;
  furl_multiply table4_b16;
  furl_multiply nested8_b16;
  furl_multiply int8_minimum_b16;
  furl_multiply int8_halved_b16;
  furl_multiply int3_halved_b16;
  /// Adds the products of the columns that are kept apart, and of `values`, to what is in the output; its bias and
  /// `accumulate` are of no meaning.
  furl_multiply add_outliers;

  void (*attend_f32)(const furl_attention *attention);
  void (*attend_f16)(const furl_attention *attention);
  void (*attend_i8)(const furl_attention *attention);
  /// Makes `out` from the parts of all tiles that are seen, and uses the parts up.
  void (*join_parts)(const furl_attention *attention);
  /// Writes one position's key and value, [head_size] each, into a cache.
  void (*store_f32)(const furl_kv_head *cache, const float *key, const float *value, size_t position);
  void (*store_f16)(const furl_kv_head *cache, const float *key, const float *value, size_t position);
  /// scale = absmax / 127 rounded up to a half, code = number / scale rounded to the nearest, ties to even: no
  /// number is off by more than half its scale. Not-a-numbers and infinities never reach a code: they make the
  /// scale a NaN. All tiers give the same codes and scales.
  void (*store_i8)(const furl_kv_head *cache, const float *key, const float *value, size_t position);

  /// out = (x - mean) / sqrt(variance + epsilon) * weight + bias, over n values.
  /// `bias` may be NULL, `out` may be `x`.
  void (*layer_norm)(
    const float *x, size_t n, const float *weight, const float *_Nullable bias, float epsilon, float *out);
  /// The same without the mean: out = x / sqrt(mean of x^2 + epsilon) * weight + bias.
  void (*rms_norm)(
    const float *x, size_t n, const float *weight, const float *_Nullable bias, float epsilon, float *out);
  /// Turns the pairs (x[i], x[half + i]) by angles whose cosines and sines are given, in place.
  /// All tiers give the same bits.
  void (*rotate)(float *x, size_t half, const float *cosines, const float *sines);
  /// x = activation(x), or activation(x) * factor where there is one, in place, within 1e-6 |x factor|. What is
  /// not a number stays so; minus infinity gives the function's limit.
  void (*activate)(furl_activation activation, float *x, const float *_Nullable factor, size_t n);
  /// The index of the largest value, the first of equals; -1 if any value is not a number or infinite.
  int64_t (*argmax)(const float *x, size_t n);

  // Training. Rows are reduced in one fixed order.

  /// x = e^(scale x - largest) / sum, in place; gives the sum and the largest of scale x. scale is above 0; minus
  /// infinity gives 0.
  float (*softmax)(float *x, size_t n, float scale, float *largest);
  /// x = e^(scale x - offset): the same again from what softmax gave, offset = largest + log sum.
  void (*probabilities)(float *x, size_t n, float scale, float offset);
  /// gradient = p (gradient - inner) scale: from softmax's outputs to its inputs, inner = sum of p gradient.
  void (*softmax_back)(const float *p, size_t n, float scale, float inner, float *gradient);
  /// The sum of a b.
  float (*dot)(const float *a, const float *b, size_t n);
  /// student = student_weight softmax(scale student) - teacher_weight softmax(scale teacher), which is the gradient of
  /// a divergence; the teacher's row is used up.
  furl_divergence (*distill)(
    float *student, float *teacher, size_t n, float scale, float student_weight, float teacher_weight);
  /// From the gradient of y = activation(x) or activation(x) factor to that of x, in place, and of the factor, of
  /// inputs that are finite, within 1e-6 |gradient factor| (1 + |x|).
  void (*activate_back)(
    furl_activation activation, const float *x, const float *_Nullable factor, size_t n, float *gradient,
    float *_Nullable factor_gradient);
  /// Adds the gradients of a norm's input, weight and bias, from that of its output.
  void (*norm_back)(
    bool centred, const float *x, size_t n, const float *weight, float epsilon, const float *gradient, float *out,
    float *weight_gradient, float *_Nullable bias_gradient);
  void (*adam)(
    const furl_adam *step, size_t n, const float *gradient, float *weights, float *first, float *second);

  // Dense FP32 matrices, on the calling thread. All tiers but the scalar one give the same bits.

  void (*multiply_matrices)(const furl_product *product);
  void (*solve_triangle)(const furl_triangle *triangle);
} furl_kernels;

/// The table of a tier; NULL where furl_isa_supported says no.
const furl_kernels *_Nullable furl_kernels_for(furl_isa isa);

// MARK: Elementary functions (the same on every CPU and with every C library)

double furl_exponential(double x);
float furl_exponential_float(float x); // rounded once, but for one in a thousand
double furl_power_of_two(double x); // exact for whole numbers
double furl_logarithm(double x);
double furl_power(double x, double y); // of x above 0
/// Within 2e-16 (1 + |x| / 1000) for |x| below 2^50; beyond, not a number.
double furl_cosine_and_sine(double x, double *sine);

// MARK: Conversions (the same on every CPU)

uint16_t furl_half_from_float(float value); // ties to even; overflow gives infinity
float furl_float_from_half(uint16_t half);
float furl_exponent(uint8_t code); // 2^(code - 128)
void furl_floats_from_halves(const uint16_t *halves, size_t n, float *out);
void furl_floats_from_bfloats(const uint16_t *bfloats, size_t n, float *out);

/// in[rows][columns] -> out[columns][rows], of numbers of 2 or 4 bytes; `in` and `out` do not overlap.
void furl_transpose(const void *in, size_t rows, size_t columns, size_t size, void *out);

/// Stored codes of up to 32 columns of 16 rows, [columns][stride], as one tile of codes of 2 to 6 or 8 bits; columns
/// that are missing get the code `zero`.
void furl_pack_tile(int bits, const uint8_t *codes, size_t stride, size_t columns, uint8_t zero, uint8_t *tile);

/// One row of a packed matrix as `columns` floats.
void furl_row_float32(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_bfloat16(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int8(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int8_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int6(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int6_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int5(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int5_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int4(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int4_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int3(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int3_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int2(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int2_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_table4(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_nested8(const furl_matrix *matrix, size_t row, size_t columns, float *out);

#pragma clang assume_nonnull end

#endif
