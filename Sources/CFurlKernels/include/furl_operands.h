// What kernels are called with.

#ifndef FURL_OPERANDS_H
#define FURL_OPERANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

#define FURL_TILE_ROWS 16
#define FURL_TILE_COLUMNS 32

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
  // Scale codes with neither factors nor super_scales are exponents: scale = 2^(code - 128).
  // What the codes of table4 stand for. 8-bit activations meet the levels, of which `unit` makes values: those of a
  // table that was not made for this are rounded by half a unit at most.
  const float *_Nullable values;  // [16]
  const int8_t *_Nullable levels; // [16]
  float unit;
  // Columns whose weights are kept apart and are zero among the codes; their inputs are left out of 8-bit activations.
  const int32_t *_Nullable outlier_columns; // [outlier_count]
  const uint16_t *_Nullable outliers;       // IEEE halves, [row tile][outlier_count][16 rows]
  size_t outlier_count;
  // Scale codes that are multiples of a half of their super-block instead of their row's factor, as GGUF's K-quants have
  // them; NULL where there are none. A super-block has 1 << super_shift blocks, and a row whole ones.
  const uint16_t *_Nullable super_scales;   // IEEE halves, [row tile][super-block][16 rows]
  const uint16_t *_Nullable super_minimums; // the same
  size_t super_shift;
  bool is_halved; // blocks are halves of tiles: 16 columns
  // Of nested8: what is left of each code behind its first four bits, in tiles as the codes are; `unit` is 1 over
  // FURL_NESTED_STEPS. NULL in other schemes.
  const uint8_t *_Nullable remainders;
} furl_matrix;

/// Steps of the remainders of nested8 in a step of its codes. 16 of them would reach as far as half a step of the codes and
/// leave those no choice; with fewer, codes may be others than the nearest, and 8 bits have larger steps.
#define FURL_NESTED_STEPS 10
/// The whole code, FURL_NESTED_STEPS * code + remainder, that stands for zero: 8 of each.
#define FURL_NESTED_ZERO (8 * FURL_NESTED_STEPS + 8)
#define FURL_NESTED_UNIT (1.0f / FURL_NESTED_STEPS)
/// The largest whole codes below and above zero, in steps of the first plane.
#define FURL_NESTED_LOW (8 + 8.0f / FURL_NESTED_STEPS)
#define FURL_NESTED_HIGH (7 + 7.0f / FURL_NESTED_STEPS)

/// Rows of activations whose 8-bit form is interleaved.
#define FURL_ACTIVATION_GROUP 8

/// Rows of activations that CPUs with tiles multiply at once: two groups.
#define FURL_PANEL_ROWS 16

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
  // The codes of whole panels once more, a row's 32 columns side by side: [panel][column_tiles][16][32]. NULL where
  // the tier does not read them.
  const int8_t *_Nullable panels;
  // The BF16 form, where that is read: values rounded to the nearest, ties to even, those below 2^-40 in magnitude to zero. In
  // panels of 16 rows, of which the last has what is left; of a panel of n rows [column_tiles][n][32].
  const uint16_t *_Nullable bfloats;
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

/// Where a row's codes begin among those of the panels, and a row's BF16 form; its tiles lie the panel's rows * 32 apart.
static inline size_t furl_panel_codes(size_t column_tiles, size_t row) {
  return row / FURL_PANEL_ROWS * FURL_PANEL_ROWS * column_tiles * FURL_TILE_COLUMNS
    + row % FURL_PANEL_ROWS * FURL_TILE_COLUMNS;
}

/// Rows of the panel that a row of the BF16 form belongs to.
static inline size_t furl_panel_rows(size_t count, size_t row) {
  size_t left = count - row / FURL_PANEL_ROWS * FURL_PANEL_ROWS;
  return left < FURL_PANEL_ROWS ? left : FURL_PANEL_ROWS;
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
  float soft_cap;  // 0: none; otherwise scores become soft_cap * tanh(score / soft_cap) behind the scale
  const float *_Nullable slopes; // [heads]: each score grows by slope * (position of the key - that of the query), scaled or not
  const float *_Nullable sinks; // [heads]: a score of each head that the softmax counts and nothing is read for
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
  uint8_t *_Nullable remainders;    // of nested8: [column_tiles] tiles
} furl_row_tile;

// How scales get 8 bits: a row's factor is its largest scale by these, a code the nearest one, and of a scale that is
// not zero never that of none.
#define FURL_SCALE_STEPS 255        // positive ones
#define FURL_SIGNED_SCALE_STEPS 127 // those with signs, and minimums

/// The table of GGUF's IQ4_NL and IQ4_XS, and that of FP4 (E2M1) of the OCP Microscaling Formats times 2, by code.
extern const float furl_iq4[16];
extern const float furl_mxfp4[16];

/// Encodes up to 16 rows. Codes are computed from the scale as it is stored (a half), by division, ties to even,
/// clamped; a scale that is zero as a half makes all codes of its block the code of zero, and is stored as +0.
/// Missing rows and columns get the code of zero, missing rows the scale 0 and the minimum 0.
///
///   int8          scale = absmax / 127, codes 1...255
///   int4          scale = m / -8 with m the first of the values of largest magnitude, codes 0...15
///   int4 minimum  minimum = the least value (the first of equals), scale = (max - min) / 15, codes 0...15
///   int6, int5, int3, int2
///                 as int4, with m / -32, -16, -4 or -2 and codes 0...63, 31, 7 or 3; minimum: by 63, 31, 7 and 3 instead of 15
///   table4        scale = absmax, or m where the table's scales have signs; the code of the nearest value
///   nested8       the largest magnitude is below zero, by the scale's sign: scale = that / (8 + 8 / steps) or the largest on
///                 the other side / (7 + 7 / steps), whichever is larger. With steps in a scale, weight = whole * scale /
///                 steps; of the nearest whole number the nearest multiple of `steps` is the code, the rest the remainder
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
/// The grid of a table of 16 values by code. `low` and `high` are the largest magnitude, rounded up to a whole number.
void furl_table_grid(const float *values, bool is_signed, furl_grid *grid);

/// How the scales of 16 rows are stored: as multiples of the rows' factors, low...high of them (minimums: -127...127).
typedef struct furl_rounding {
  const float *factors;                   // [16]
  const float *_Nullable minimum_factors; // [16]
  int32_t low, high;
} furl_rounding;

/// Some columns of 16 rows that take up each other's errors. In each column and row
///   asked = feedback + sum over later columns j of factor[j][i] * error of j;
///   wanted = weight + asked + outputs + sum over rows s above of row_factor[s][row] * followed of s;
///   error = weight - decoded code;  followed = error + asked.
/// A scale of zero gives the code of zero.
typedef struct furl_row_feedback {
  const float *scales;              // [16]
  const float *_Nullable minimums;  // [16]
  const float *factor;              // [columns][columns]
  const float *feedback;            // [columns][stride], as all that follows but what has a stride of its own
  const float *outputs;
  const float *row_factor;          // [16][row_stride], zeros on the diagonal and below it
  size_t row_stride, columns, stride;
  float *weights;                   // errors take their place
  float *followed;                  // [columns][followed_stride]
  size_t followed_stride;
  uint8_t *codes;
} furl_row_feedback;

// The scales that a search tries: largest magnitude / (-low * factor), of both signs where the grid has them; with a
// minimum, ends that are moved in by so many steps of this share of half the range.
#define FURL_GRID_FIRST 0.75f
#define FURL_GRID_STEP 0.03125f
#define FURL_GRID_FACTORS 25
#define FURL_GRID_SHRINK 0.0625f
#define FURL_GRID_SHRINKS 7

// Those that a short search tries: these shares of the largest value, at both ends of the grid where scales have signs; with a minimum, ends that
// are moved in by so many steps, down and up.
#define FURL_FEW_SHARES {1, 0.95f, 0.9f, 0.85f}
#define FURL_FEW_MOVES {{0, 0}, {1, 1}, {2, 2}, {1, 0}, {0, 1}}

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

/// The depth of a product that is summed up before it is added to what is there.
#define FURL_PRODUCT_PANEL 256
/// Floats that a product, and the columns of a triangle, want to work in.
enum { FURL_PRODUCT_SCRATCH = FURL_PRODUCT_PANEL * (256 + 96) };
#define FURL_TRIANGLE_COLUMNS 128

typedef enum furl_product_mode {
  FURL_PRODUCT_SET = 0,      // c = a b
  FURL_PRODUCT_ADD = 1,      // c = c + a b
  FURL_PRODUCT_SUBTRACT = 2, // c = c - a b
} furl_product_mode;

/// A product of FP32 matrices: a [rows][depth], b [depth][columns], c [rows][columns]. Either factor may lie the other
/// way round: one of its two strides is 1.
typedef struct furl_product {
  const float *a;
  size_t a_row, a_depth; // floats between two rows, and between two places of the depth
  const float *b;
  size_t b_depth, b_column;
  float *c;
  size_t c_stride;
  size_t rows, columns, depth;
  furl_product_mode mode;
  float *scratch; // [FURL_PRODUCT_SCRATCH]
} furl_product;

/// a = a l^-T, or a l^-1, of a lower triangle l [columns][columns] without zeros on its diagonal, in place.
typedef struct furl_triangle {
  const float *l;
  size_t l_stride;
  float *a; // [rows][columns]
  size_t a_stride;
  size_t rows, columns; // at most FURL_TRIANGLE_COLUMNS
  bool is_transposed;   // l^-T
  float *scratch;       // [FURL_PRODUCT_SCRATCH]
} furl_triangle;

#pragma clang assume_nonnull end

#endif
