// The loops that need CPU intrinsics, and the thread pool that runs them.
//
// Everything here is total: no function allocates (save the pool), fails or reads past what its arguments
// say. Shapes are checked in FurlTensor before a kernel is called.
//
// Weights lie in tiles of 16 rows x 32 columns, row tiles outermost, padded with zero weights:
//
//   float32   codes[rowTile][columnTile][32 columns][16 rows]                      float
//   int8      codes[rowTile][columnTile][8 groups][16 rows][4 columns]             code + 128, one byte
//   int4      codes[rowTile][columnTile][4 groups][16 rows][4 columns]             one byte holds two codes:
//             low nibble = column 4 * group + i, high nibble = column 16 + 4 * group + i
//   table4    the same; what a code stands for is in a table
//   int2      codes[rowTile][columnTile][2 groups][16 rows][4 columns]             one byte holds four codes:
//             bits 2 p and 2 p + 1 = column 4 * (2 * p + group) + i
//   int3      the two low bits of each code as int2 has them, then the third ones:
//             [16 rows][4 columns] bytes, bit k = column 4 * k + i
//   scales    scales[rowTile][block][16 rows]                                      IEEE half, or a code of one byte
//
// A block is `blockTiles` column tiles of one row (the last block of a row may be shorter).
// weight = (code - zero) * scale | code * scale + minimum | table[code] * scale; zero is 128, 8, 4 or 2.
// Where scales are codes, scale = (code - scale zero) * the row's factor, minimum = (code - 128) * the row's other one.

#ifndef C_FURL_KERNELS_H
#define C_FURL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

#define FURL_TILE_ROWS 16
#define FURL_TILE_COLUMNS 32

// MARK: What the CPU can do

typedef enum furl_isa {
  FURL_ISA_SCALAR = 0,
  FURL_ISA_AVX2 = 1,        // AVX2, FMA and F16C
  FURL_ISA_AVX512_VNNI = 2, // AVX-512 F, BW, VL, DQ and VNNI
  FURL_ISA_NEON = 3,        // NEON with the dot product instructions
} furl_isa;

/// Whether this CPU (and this build) has the tier.
bool furl_isa_supported(furl_isa isa);

// MARK: Operands

/// A packed weight matrix. `scales` and `minimums` are NULL where the scheme has none.
typedef struct furl_matrix {
  const void *codes;
  const uint16_t *_Nullable scales;
  const uint16_t *_Nullable minimums;
  size_t rows;         // without padding
  size_t column_tiles; // columns / 32, rounded up
  size_t block_tiles;  // column tiles in a block
  size_t blocks;       // blocks in a row
  // Scales in 8 bits, instead of the halves and in the same places; NULL where there are halves.
  const uint8_t *_Nullable scale_codes;
  const uint8_t *_Nullable minimum_codes;
  const float *_Nullable factors;         // [row tiles * 16]
  const float *_Nullable minimum_factors; // the same
  int32_t scale_zero;                     // the code of no scale: 128 where scales have signs, else 0
  // What the codes of table4 stand for. 8-bit activations meet the levels, of which `unit` makes values: those of a
  // table that was not made for this are rounded by half a unit at most.
  const float *_Nullable values;  // [16]
  const int8_t *_Nullable levels; // [16]
  float unit;
  // Columns whose weights are kept apart and are zero among the codes; their inputs are left out of 8-bit activations.
  const int32_t *_Nullable outlier_columns; // [outlier_count]
  const uint16_t *_Nullable outliers;       // IEEE halves, [row tile][outlier_count][16 rows]
  size_t outlier_count;
} furl_matrix;

/// Rows of activations whose 8-bit form is interleaved.
#define FURL_ACTIVATION_GROUP 8

/// Activations of `count` rows, each padded with zeros to column_tiles * 32 columns.
///
/// The 8-bit form: value = code * scale, one scale for each 32 columns, codes in -127...127. It lies in groups of 8
/// rows, of which the last has what is left; of a group of n rows, row r has
///   codes    [column_tiles * 8][n][4]   four columns of every row side by side
///   scales   [column_tiles][n]
///   sums     [column_tiles][n]          the sum of a tile's codes
typedef struct furl_activations {
  size_t count;
  const int8_t *codes;  // group g: from g * 8 * column_tiles * 32 on
  const float *scales;  // group g: from g * 8 * column_tiles on
  const int32_t *sums;  // the same
  const float *values;  // [count][column_tiles * 32], what the 32-bit kernels read
} furl_activations;

/// Rows of the group that a row of activations belongs to.
static inline size_t furl_group_rows(size_t count, size_t row) {
  size_t left = count - row / FURL_ACTIVATION_GROUP * FURL_ACTIVATION_GROUP;
  return left < FURL_ACTIVATION_GROUP ? left : FURL_ACTIVATION_GROUP;
}
/// Where a row's 8-bit form begins: its codes lie this far from the first ones, its scales and sums so far from theirs.
static inline size_t furl_group_codes(size_t column_tiles, size_t row) {
  return row / FURL_ACTIVATION_GROUP * FURL_ACTIVATION_GROUP * column_tiles * FURL_TILE_COLUMNS
    + row % FURL_ACTIVATION_GROUP * 4;
}
static inline size_t furl_group_scales(size_t column_tiles, size_t row) {
  return row / FURL_ACTIVATION_GROUP * FURL_ACTIVATION_GROUP * column_tiles + row % FURL_ACTIVATION_GROUP;
}

/// Where a product goes: out[row of activations][row of the matrix].
/// result = dot + (bias ? bias[row] : 0); out = accumulate ? out + result : result.
typedef struct furl_output {
  float *values;
  size_t stride;     // floats between two rows of activations
  const float *_Nullable bias; // [matrix.rows] or NULL
  bool accumulate;
} furl_output;

/// Rows [tile_begin, tile_end) * 16 of the matrix against every row of activations. The sum of one output
/// runs over the columns in one fixed order, whatever `count` and the range of tiles.
typedef void (*furl_multiply)(
  const furl_matrix *matrix, const furl_activations *activations, size_t tile_begin, size_t tile_end,
  const furl_output *output);

/// What a cache keeps of one key/value head: a ring, in which position p lies at p % capacity.
///
///   keys          [capacity / 16][head][16]    float, IEEE half or int8
///   values        [capacity][head]
///   key_scales    [capacity / 16][blocks][16]  IEEE half, one for each position and block of 32 dimensions
///   value_scales  [capacity]                   IEEE half, one for each position
///
/// `head` is furl_padded_head(head_size), what is beyond head_size is zero; blocks = head / 32, rounded up. Only
/// int8 has scales: number = code * scale, codes in -127...127.
typedef struct furl_kv_head {
  void *keys;
  void *values;
  uint16_t *_Nullable key_scales;
  uint16_t *_Nullable value_scales;
  size_t capacity; // a multiple of 16
  size_t head_size;
} furl_kv_head;

/// A head's dimensions as they are kept: a multiple of 8.
size_t furl_padded_head(size_t head_size);

/// Positions are taken in tiles of this many, which begin at its multiples. A tile's softmax is computed by
/// itself, then the tiles are joined in order: a row's result depends on its position and its window only, not on
/// the rows beside it, nor on who computes which tile.
#define FURL_ATTENTION_TILE 512

/// Attention of `queries` consecutive positions of the heads that share one key/value head.
/// Query i sees the positions up to position + i, its own included.
typedef struct furl_attention {
  furl_kv_head cache;
  const float *query; // head h of query i: query + i * query_stride + h * head_size, already rotated
  size_t query_stride;
  size_t queries;
  size_t heads;
  size_t position; // of query 0
  size_t window;   // 0: none; otherwise each query sees at most its last `window` positions
  float scale;     // on the scores, before the softmax; above 0
  float *scratch;  // [furl_attention_scratch(queries * heads, head_size)]
  float *out;      // as the queries lie
  size_t out_stride;
  /// NULL: `out` is computed. Otherwise only the tiles [tile_begin, tile_end) are, of those that any query sees,
  /// into [tiles from the first that is seen][furl_attention_part(queries * heads, head_size)]; join_parts makes
  /// `out` from all of them. The bits are the same.
  float *_Nullable parts;
  size_t tile_begin;
  size_t tile_end;
  /// Keys that this thread will read next, of so many positions in a cache of the same kind: they are fetched while
  /// there is still work to do here. Nothing depends on it.
  const void *_Nullable next_keys;
  size_t next_positions;
} furl_attention;

/// Floats that an attention of so many rows (queries * heads) wants to work in, whatever the context.
size_t furl_attention_scratch(size_t rows, size_t head_size);
/// Floats of one tile's part.
size_t furl_attention_part(size_t rows, size_t head_size);

/// What stands between a linear layer's outputs and the next layer.
typedef enum furl_activation {
  FURL_GELU = 0,       // x Phi(x), Phi the standard normal distribution function
  FURL_GELU_TANH = 1,  // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  FURL_QUICK_GELU = 2, // x / (1 + e^(-1.702 x))
  FURL_SILU = 3,       // x / (1 + e^-x)
  FURL_RELU = 4,       // max(x, 0)
  FURL_TANH = 5,
} furl_activation;

/// How a checkpoint stores its numbers.
typedef enum furl_number {
  FURL_FLOAT32 = 0,
  FURL_FLOAT16 = 1,  // IEEE half
  FURL_BFLOAT16 = 2,
} furl_number;

/// Rows of weights to encode, aligned as their numbers are.
typedef struct furl_rows {
  const void *numbers;
  furl_number type;
  size_t stride;  // numbers between two rows
  size_t rows;    // 1...16
  size_t columns; // 1 and more
} furl_rows;

/// Where one row tile of a packed matrix goes, laid out as above.
typedef struct furl_row_tile {
  void *codes;                          // [column_tiles] tiles
  uint16_t *_Nullable scales;           // [blocks][16], NULL where the scheme has none
  uint16_t *_Nullable minimums;         // the same
  size_t column_tiles, block_tiles, blocks;
  // Scales in 8 bits, instead of the halves and in the same places.
  uint8_t *_Nullable scale_codes;
  uint8_t *_Nullable minimum_codes;
  float *_Nullable factors;         // [16]
  float *_Nullable minimum_factors; // [16]
  const struct furl_grid *_Nullable grid; // of table4
} furl_row_tile;

// How scales get 8 bits: a row's factor is its largest scale by these, a code the nearest one, and of a scale that is
// not zero never that of none.
#define FURL_SCALE_STEPS 255        // positive ones
#define FURL_SIGNED_SCALE_STEPS 127 // those with signs, and minimums

/// Encodes up to 16 rows. Codes are computed from the scale as it is stored (a half), by division, ties to even,
/// clamped; a scale that is zero as a half makes all codes of its block the code of zero, and is stored as +0.
/// Missing rows and columns get the code of zero, missing rows the scale 0 and the minimum 0.
///
///   int8          scale = absmax / 127, codes 1...255
///   int4          scale = m / -8 with m the first of the values of largest magnitude, codes 0...15
///   int4 minimum  minimum = the least value (the first of equals), scale = (max - min) / 15, codes 0...15
///   int3, int2    as int4, with m / -4 and codes 0...7, m / -2 and codes 0...3; minimum: by 7 and 3 instead of 15
///   table4        scale = absmax, or m where the table's scales have signs; the code of the nearest value
///
/// With `scale_codes` scales are those of the rounding described below, not halves.
///
/// False if a number is not finite or a scale or minimum does not fit in a half: what has been written then means
/// nothing. All tiers give the same bits.
typedef bool (*furl_encode)(const furl_rows *rows, const furl_row_tile *tile);

/// What codes stand for. A uniform grid: weight = code * scale + minimum, codes low...high, stored as code + offset.
/// int8: -127...127 and 128; int4: -8...7 and 8; with a minimum: 0...15 and 0. A table: weight = a level * scale, and
/// the offset is the code of the level next to zero.
typedef struct furl_grid {
  int32_t low, high, offset;
  bool has_minimum;
  bool is_table;
  bool is_signed;   // of a table: whether scales have signs; those of a uniform grid do where low is not -high
  float levels[16]; // ascending
  float bounds[15]; // a value above bounds[i] is nearer to levels[i + 1]
  uint8_t codes[16];
} furl_grid;

/// The published values of NF4 (Dettmers et al. 2023, "QLoRA") and of the FP4 of bitsandbytes, by code.
extern const float furl_nf4[16];
extern const float furl_fp4[16];
/// The grid of a table of 16 values by code, none above 1 in magnitude.
void furl_table_grid(const float *values, bool is_signed, furl_grid *grid);

/// How the scales of 16 rows are stored: as multiples of the rows' factors, low...high of them (minimums: -127...127).
typedef struct furl_rounding {
  const float *factors;                   // [16]
  const float *_Nullable minimum_factors; // [16]
  int32_t low, high;
} furl_rounding;

// The scales that a search tries: largest magnitude / (-low * factor), of both signs where the grid has them; with a
// minimum, ends that are moved in by so many steps of this share of half the range.
#define FURL_GRID_FIRST 0.75f
#define FURL_GRID_STEP 0.03125f
#define FURL_GRID_FACTORS 25
#define FURL_GRID_SHRINK 0.0625f
#define FURL_GRID_SHRINKS 7

/// What two rows of logits make of each other; sums are of e^(scale x - largest), largest of scale x.
typedef struct furl_divergence {
  float student_largest, student_sum;
  float teacher_largest, teacher_sum;
  float difference; // the teacher's mean of (scale teacher - teacher_largest) - (scale student - student_largest)
} furl_divergence;

/// A step of AdamW (Loshchilov and Hutter 2019). The bias corrections of step t: 1 / (1 - second_decay^t) in
/// second_correction, the other one in `rate`.
typedef struct furl_adam {
  float gradient_scale; // what gradients are multiplied with before anything else
  float first_decay, second_decay, second_correction, epsilon;
  float rate;
  float weight_decay; // the share of a weight that goes
} furl_adam;

/// One tier of kernels. All tiers agree with FURL_ISA_SCALAR within 1e-5 relative to the sum of magnitudes.
typedef struct furl_kernels {
  const char *name; // "scalar", "avx2", "avx512-vnni", "neon"

  /// x[columns] -> codes, scales and sums of column_tiles * 32 columns, as a row of a group of `rows` has them;
  /// scale = absmax / 127, ties to even.
  /// A tile of zeros (or of nothing above 4e-37) has scale 0. Not-a-numbers and infinities never reach a
  /// code: such a tile gets scale NaN, codes 0. All tiers give the same codes, sums and scales.
  void (*quantize)(const float *x, size_t columns, size_t rows, int8_t *codes, float *scales, int32_t *sums);

  furl_encode encode_float32;
  furl_encode encode_int8;
  furl_encode encode_int4;
  furl_encode encode_int4_minimum;
  furl_encode encode_int3;
  furl_encode encode_int3_minimum;
  furl_encode encode_int2;
  furl_encode encode_int2_minimum;
  furl_encode encode_table4;

  /// Of the scales above, and of what least squares make of the best one's codes, the ones with the least weighted
  /// squared error, for one block of 16 rows. `values` are [columns][stride], the first 16 of each stride are taken;
  /// `weights` are [columns], none negative. Scales and minimums, and errors under them, are those that are stored: as
  /// halves, unless there is a rounding. False if a number is not finite or no scale fits in a half. All tiers give the
  /// same bits.
  bool (*search_grid)(
    const furl_grid *grid, const float *values, size_t stride, const float *weights, size_t columns,
    const furl_rounding *_Nullable rounding, float *scales, float *_Nullable minimums);
  /// Codes of some columns of 16 rows, from the last column to the first; each column takes up the errors of those
  /// that have been done (Chee et al. 2023, "QuIP", LDLQ; the same as Frantar et al. 2022, "GPTQ"):
  ///   wanted = weight + feedback + sum over j > i of factor[j][i] * error of j;  error = weight - decoded code.
  /// `weights`, `feedback` and `codes` are [columns][stride], the first 16 of each stride; `factor` is
  /// [columns][columns]. NULL: nothing is fed back. The errors take the place of the weights. A scale of zero gives
  /// the code of zero. All tiers give the same bits.
  void (*feed_back)(
    const furl_grid *grid, const float *scales, const float *_Nullable minimums, const float *_Nullable factor,
    const float *_Nullable feedback, size_t columns, float *weights, size_t stride, uint8_t *codes);

  furl_multiply float32;
  furl_multiply int8_a8;
  furl_multiply int8_a32;
  furl_multiply int4_a8;          // symmetric
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
} furl_kernels;

/// The table of a tier; NULL where furl_isa_supported says no.
const furl_kernels *_Nullable furl_kernels_for(furl_isa isa);

// MARK: Conversions (the same on every CPU)

uint16_t furl_half_from_float(float value); // ties to even; overflow gives infinity
float furl_float_from_half(uint16_t half);
void furl_floats_from_halves(const uint16_t *halves, size_t n, float *out);
void furl_floats_from_bfloats(const uint16_t *bfloats, size_t n, float *out);

/// in[rows][columns] -> out[columns][rows], of numbers of 2 or 4 bytes; `in` and `out` do not overlap.
void furl_transpose(const void *in, size_t rows, size_t columns, size_t size, void *out);

/// Stored codes of up to 32 columns of 16 rows, [columns][stride], as one tile of codes of 8, 4, 3 or 2 bits; columns
/// that are missing get the code `zero`.
void furl_pack_tile(int bits, const uint8_t *codes, size_t stride, size_t columns, uint8_t zero, uint8_t *tile);

/// One row of a packed matrix as `columns` floats.
void furl_row_float32(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int8(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int4(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int4_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int3(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int3_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int2(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_int2_minimum(const furl_matrix *matrix, size_t row, size_t columns, float *out);
void furl_row_table4(const furl_matrix *matrix, size_t row, size_t columns, float *out);

// MARK: Entropy coding

/// One zstd frame of n symbols below 16, one a byte: Huffman codes, no matches, a checksum. The same bytes on every
/// CPU and with every version of zstd.
///
/// `frame` has room for furl_nibble_frame_room(n) bytes, part of which is only used meanwhile. Returns the size of
/// the frame; 0 if there is none of this kind (few symbols, all the same, or one of 16 and more).
size_t furl_nibble_frame(const uint8_t *symbols, size_t n, uint8_t *frame);
size_t furl_nibble_frame_room(size_t n);

// MARK: Digests

/// A SHA-256 digest on its way.
typedef struct furl_sha256 {
  uint32_t state[8];
  uint8_t rest[64]; // bytes % 64 bytes that make no block yet
  uint64_t bytes;
} furl_sha256;

/// Whether the CPU has instructions for SHA-256 that are used here. Elsewhere libraries are faster.
bool furl_sha256_is_fast(void);
void furl_sha256_begin(furl_sha256 *hash);
void furl_sha256_update(furl_sha256 *hash, const uint8_t *data, size_t n);
/// Two messages at once: where the CPU has the instructions, the shorter one costs half.
void furl_sha256_update_two(
  furl_sha256 *a, const uint8_t *a_data, size_t a_n, furl_sha256 *b, const uint8_t *b_data, size_t b_n);
/// The same for messages in mapped files, alone if b is NULL; false if a file has become shorter meanwhile or cannot be
/// read. The digests are worth nothing then.
bool furl_sha256_update_guarded(
  furl_sha256 *a, const uint8_t *a_data, size_t a_n, furl_sha256 *_Nullable b, const uint8_t *_Nullable b_data,
  size_t b_n);
/// Writes the 32 bytes of the digest of what there has been so far.
void furl_sha256_finish(const furl_sha256 *hash, uint8_t *digest);

// MARK: Thread pool

typedef struct furl_pool furl_pool;
typedef void (*furl_task)(void *context, size_t part, size_t parts);

/// A pool of `threads` threads, the caller of furl_pool_run being one of them. NULL if none can be made.
furl_pool *_Nullable furl_pool_create(size_t threads);
void furl_pool_destroy(furl_pool *pool);
size_t furl_pool_threads(const furl_pool *pool);
/// Runs task(context, part, threads) for every part, each on its own thread, and returns when all are done.
/// One caller at a time. Waiting threads spin for a moment, then sleep (futex).
void furl_pool_run(
  furl_pool *pool, __attribute__((swift_attr("@Sendable"))) furl_task task, void *context);

// MARK: Memory

/// Gives free heap memory back to the system, where the C library can.
void furl_release_free_memory(void);

/// Makes all threads share one heap, where the C library can, so that what one thread frees another one uses.
void furl_share_heap(void);

// MARK: Files

/// Whether the system has both ends of a part of a mapped file in its cache; false where that cannot be told. Where files
/// are read from front to back what lies between mostly is there, too.
bool furl_is_cached(const void *base, size_t bytes);

/// Whether an open file lies in a file system of this machine; false where that cannot be told.
bool furl_is_local(int descriptor);

/// Maps the pages of a part of a mapped file that is in the system's cache, so that another thread that looks at them
/// does not wait for the system; false if the file has become shorter or cannot be read.
bool furl_map_pages(const void *base, size_t bytes);

/// Asks the system to begin to put a range of a file on the disk, where it can. Nothing is promised.
void furl_start_flushing(int descriptor, int64_t offset, int64_t count);

/// Sets whether what is written to a file leaves the system's cache out; memory, offsets and sizes have to be
/// multiples of a block then. Returns false where that cannot be had.
bool furl_set_direct(int descriptor, bool direct);

/// A look at a mapped file that has become shorter ends a process with SIGBUS. These say which file it was.
/// Notes that a file is mapped somewhere; of some hundred files at once at most, longer paths cut off.
void furl_note_mapping(const void *base, size_t bytes, const char *path);
/// Forgets it again; to be called before the file is unmapped.
void furl_forget_mapping(const void *base);
/// From now on a lost mapping is reported on stderr in one line, and ends the process with this status.
void furl_report_lost_mappings(int exit_status);

// MARK: Counters

/// Opens a counter of the kernel (perf_event_open(2)) of a process (0: this one) or, where that is -1, of a whole CPU.
/// Reading gives three uint64_t: the count, the time that it was enabled and the time that it counted, in nanoseconds.
/// With `inherit`, threads that are made later are counted, too. Returns a descriptor, or a negative errno.
int furl_open_counter(uint32_t type, uint64_t config, int process, int cpu, bool inherit);

#pragma clang assume_nonnull end

#endif
