// One arithmetic on every CPU: all tiers but the scalar one give the same bits, which are those written down here.

#include "support.h"

static const furl_kernels *tier;
static uint64_t digest;

/// FNV-1a over the bits of results. A not-a-number counts as one, whatever its payload.
static void fold(const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t bits = 0x7fc00000u;
    if (x[i] == x[i]) memcpy(&bits, x + i, sizeof bits);
    digest = (digest ^ bits) * 0x100000001b3u;
  }
}

static float *drawn(size_t n, float size) {
  float *x = garbage(n * sizeof(float));
  for (size_t i = 0; i < n; i++) x[i] = draw_unit() * size;
  return x;
}

// MARK: Products of weights

static void multiply(furl_multiply f, size_t member_bits, size_t block_tiles, size_t count) {
  enum { ROWS = 40, COLUMNS = 200, TILES = 7, ROW_TILES = 3 };
  size_t blocks = (TILES + block_tiles - 1) / block_tiles, bytes = ROW_TILES * TILES * 64 * member_bits;
  uint8_t *codes = garbage(bytes);
  for (size_t i = 0; i < bytes; i++) codes[i] = (uint8_t)draw();
  if (member_bits == 32) for (size_t i = 0; i < bytes / 4; i++) ((float *)codes)[i] = draw_unit();
  uint8_t *remainders = garbage(bytes);
  for (size_t i = 0; i < bytes; i++) remainders[i] = codes[bytes - 1 - i];
  uint16_t scales[ROW_TILES * TILES * 16], minimums[ROW_TILES * TILES * 16];
  for (size_t i = 0; i < ROW_TILES * blocks * 16; i++) {
    scales[i] = furl_half_from_float(draw_unit()), minimums[i] = furl_half_from_float(draw_unit());
  }
  float table[16], *values = drawn(count * TILES * 32, 2), *out = garbage(count * ROWS * 4);
  int8_t levels[16], *x = garbage(count * TILES * 32), *panels = garbage(count * TILES * 32);
  for (int i = 0; i < 16; i++) table[i] = draw_unit(), levels[i] = (int8_t)((int)draw_below(255) - 127);
  float *x_scales = garbage(count * TILES * 4);
  int32_t *sums = garbage(count * TILES * 4);
  uint16_t *bfloats = garbage(count * TILES * 32 * 2);
  for (size_t row = 0; row < count; row++) {
    for (size_t i = COLUMNS; i < TILES * 32; i++) values[row * TILES * 32 + i] = 0;
    size_t at = furl_group_scales(TILES, row);
    tier->quantize(values + row * TILES * 32, TILES * 32, furl_group_rows(count, row),
      x + furl_group_codes(TILES, row), x_scales + at, sums + at,
      row < count / 16 * 16 ? panels + furl_panel_codes(TILES, row) : NULL);
    tier->round_bfloats(
      values + row * TILES * 32, COLUMNS, furl_panel_rows(count, row), bfloats + furl_panel_codes(TILES, row));
  }
  furl_matrix matrix = {
    .codes = codes, .scales = scales, .minimums = minimums, .rows = ROWS, .column_tiles = TILES,
    .block_tiles = block_tiles, .blocks = blocks, .values = table, .levels = levels, .unit = 1.0f / 120,
    .remainders = remainders};
  furl_activations activations = {count, x, x_scales, sums, values, panels, bfloats};
  furl_output output = {out, ROWS, NULL, false};
  f(&matrix, &activations, 0, ROW_TILES, &output);
  fold(out, count * ROWS);
  free(codes), free(remainders), free(values), free(out), free(x), free(panels), free(x_scales), free(sums);
  free(bfloats);
}

static void multiply_all(void) {
#define EACH(bits, name) {bits, tier->name##_a8}, {bits, tier->name##_a32}
  struct { size_t bits; furl_multiply f; } all[] = {
    {32, tier->float32}, EACH(8, int8), EACH(4, int4), EACH(4, int4_minimum), EACH(3, int3), EACH(3, int3_minimum),
    EACH(2, int2), EACH(2, int2_minimum), EACH(4, table4)};
#undef EACH
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    for (size_t count = 1; count <= 20; count += count < 9 ? 1 : 11) {
      multiply(all[i].f, all[i].bits, 1, count);
      multiply(all[i].f, all[i].bits, 3, count);
    }
  }
}

static void multiply_nested(void) {
  for (size_t count = 1; count <= 20; count += count < 9 ? 1 : 11) {
    multiply(tier->nested8_a8, 4, 1, count), multiply(tier->nested8_a32, 4, 3, count);
  }
}

static void multiply_bfloats(void) {
#define EACH(bits, name) {bits, tier->name##_b16}
  struct { size_t bits; furl_multiply f; } all[] = {
    EACH(8, int8), EACH(8, int8_minimum), EACH(6, int6), EACH(6, int6_minimum), EACH(5, int5), EACH(5, int5_minimum),
    EACH(4, int4), EACH(4, int4_minimum), EACH(3, int3), EACH(3, int3_minimum), EACH(2, int2), EACH(2, int2_minimum),
    EACH(4, table4), EACH(4, nested8)};
#undef EACH
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    for (size_t count = 1; count <= 50; count += count < 3 ? 1 : 14) multiply(all[i].f, all[i].bits, 1 + 2 * (i % 2), count);
  }
}

// MARK: Attention

static void attend(size_t head_size, size_t format, size_t positions, size_t queries, size_t heads, size_t window) {
  size_t head = furl_padded_head(head_size), capacity = (positions + 15) / 16 * 16, width = heads * head_size;
  furl_kv_head cache = {
    .keys = calloc(capacity * head, 4), .values = calloc(capacity * head, 4), .key_scales = calloc(capacity * head, 2),
    .value_scales = calloc(capacity, 2), .capacity = capacity, .head_size = head_size};
  for (size_t p = 0; p < positions; p++) {
    float *key = drawn(head_size, 3), *value = drawn(head_size, 1);
    (format == 0 ? tier->store_f32 : format == 1 ? tier->store_f16 : tier->store_i8)(&cache, key, value, p);
    free(key), free(value);
  }
  float *query = drawn(queries * width, 9), *out = garbage(queries * width * 4);
  float *scratch = garbage(furl_attention_scratch(queries * heads, head_size) * 4);
  furl_attention a = {
    .cache = cache, .query = query, .query_stride = width, .queries = queries, .heads = heads,
    .position = positions - queries, .window = window, .scale = 0.7f, .scratch = scratch, .out = out,
    .out_stride = width};
  (format == 0 ? tier->attend_f32 : format == 1 ? tier->attend_f16 : tier->attend_i8)(&a);
  fold(out, queries * width);
  free(cache.keys), free(cache.values), free(cache.key_scales), free(cache.value_scales);
  free(query), free(out), free(scratch);
}

static void attend_all(void) {
  for (size_t format = 0; format < 3; format++) {
    for (size_t head_size = 2; head_size <= 130; head_size += 6) {
      attend(head_size, format, 1 + draw_below(90), 1, 1 + draw_below(4), 0);
      attend(head_size, format, 40 + draw_below(700), 1 + draw_below(9), 1 + draw_below(4), draw_below(2) * 33);
    }
  }
}

// MARK: Rows

static void rows(void) {
  for (size_t n = 1; n <= 200; n += n < 40 ? 1 : 23) {
    float *x = drawn(n, 4), *y = drawn(n, 2), *z = drawn(n, 1), *out = drawn(n, 1), *more = drawn(n, 1), largest;
    tier->layer_norm(x, n, y, z, 1e-5f, out), fold(out, n);
    tier->rms_norm(x, n, y, NULL, 1e-6f, out), fold(out, n);
    if (n % 2 == 0) tier->rotate(x, n / 2, y, z), fold(x, n);
    for (int activation = FURL_GELU; activation <= FURL_TANH; activation++) {
      memcpy(out, x, n * 4);
      tier->activate((furl_activation)activation, out, activation % 2 ? y : NULL, n), fold(out, n);
      memcpy(out, z, n * 4);
      tier->activate_back((furl_activation)activation, x, y, n, out, more), fold(out, n), fold(more, n);
    }
    tier->norm_back(n % 2, x, n, y, 1e-5f, z, out, more, NULL), fold(out, n), fold(more, n);
    furl_adam step = {0.5f, 0.9f, 0.99f, 1.5f, 1e-8f, 0.01f, 0.002f};
    for (size_t i = 0; i < n; i++) more[i] = fabsf(more[i]);
    tier->adam(&step, n, x, y, z, more), fold(y, n), fold(z, n), fold(more, n);
    float product = tier->dot(x, z, n);
    fold(&product, 1);
    memcpy(out, x, n * 4);
    furl_divergence d = tier->distill(out, y, n, 0.6f, 1.25f, 0.75f);
    fold(out, n), fold(&d.student_largest, 5);
    memcpy(out, x, n * 4), tier->probabilities(out, n, 0.5f, 3), fold(out, n);
    float sum = tier->softmax(x, n, 0.7f, &largest);
    fold(x, n), fold(&sum, 1), fold(&largest, 1);
    tier->softmax_back(x, n, 0.7f, 0.1f, z), fold(z, n);
    free(x), free(y), free(z), free(out), free(more);
  }
}

// MARK: Dense matrices

static void matrices(void) {
  float *scratch = garbage(FURL_PRODUCT_SCRATCH * 4);
  for (int round = 0; round < 24; round++) {
    size_t m = 1 + draw_below(120), n = 1 + draw_below(round % 6 ? 60 : 300), depth = draw_below(round % 4 ? 90 : 600);
    float *a = drawn(m * depth, 1), *b = drawn(depth * n, 1), *c = drawn(m * n, 1);
    bool turned = round % 2;
    furl_product p = {
      .a = a, .a_row = turned ? 1 : depth, .a_depth = turned ? m : 1, .b = b, .b_depth = turned ? 1 : n,
      .b_column = turned ? depth : 1, .c = c, .c_stride = n, .rows = m, .columns = n, .depth = depth,
      .mode = (furl_product_mode)(round % 3), .scratch = scratch};
    tier->multiply_matrices(&p);
    fold(c, m * n);
    size_t columns = 1 + draw_below(FURL_TRIANGLE_COLUMNS);
    float *l = drawn(columns * columns, 1), *x = drawn(m * columns, 1);
    for (size_t i = 0; i < columns; i++) l[i * columns + i] = (float)columns / 4 + 2;
    furl_triangle t = {
      .l = l, .l_stride = columns, .a = x, .a_stride = columns, .rows = m, .columns = columns,
      .is_transposed = turned, .scratch = scratch};
    tier->solve_triangle(&t);
    fold(x, m * columns);
    free(a), free(b), free(c), free(l), free(x);
  }
  free(scratch);
}

// MARK: Elementary functions

static void fold_double(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  digest = (digest ^ bits) * 0x100000001b3u;
}

static void functions(void) {
  for (int round = 0; round < 20000; round++) {
    double x = (double)draw_unit() * 40 + (double)draw_unit() * 1e-8, sine;
    fold_double(furl_exponential(x)), fold_double(furl_power_of_two(x)), fold_double(furl_logarithm(fabs(x)));
    fold_double(furl_power(fabs(x), x / 10)), fold_double(furl_cosine_and_sine(x * x * x, &sine)), fold_double(sine);
  }
}

static const struct {
  const char *name;
  void (*run)(void);
  uint64_t digest;
} groups[] = {
  {"products", multiply_all, 0x85b82f241f0b61d1u},
  {"attention", attend_all, 0x546bc8f8236f9410u},
  {"rows", rows, 0xbc42ea85ef99371fu},
  {"matrices", matrices, 0x1bc71fd05f2f8920u},
  {"functions", functions, 0xfb27f0f18fa4daa1u},
  {"products of two planes", multiply_nested, 0x1e6f34b9e11689feu},
  {"products in BF16", multiply_bfloats, 0xee5aa4409a7ebe9fu},
};

void test_same(void) {
  const furl_kernels *found[MOST_TIERS];
  size_t n = tiers(found);
  for (size_t t = 0; t < n; t++) {
    tier = found[t];
    outcome o = {.kernel = "the same bits", .tier = tier->name};
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
      seed = 0x9e3779b97f4a7c15u + g, digest = 0xcbf29ce484222325u;
      groups[g].run();
      if (digest != groups[g].digest) printf("  %s, %s: %#llx\n", tier->name, groups[g].name, (unsigned long long)digest);
      require(&o, digest == groups[g].digest, groups[g].name);
    }
    report(&o);
  }
}
