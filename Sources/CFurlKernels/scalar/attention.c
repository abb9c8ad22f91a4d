#include "scalar.h"

typedef float (*read_function)(const void *values, size_t index);

static float read_f32(const void *values, size_t index) {
  return ((const float *)values)[index];
}

static float read_f16(const void *values, size_t index) {
  return furl_float_from_half(((const uint16_t *)values)[index]);
}

static size_t key_index(size_t head_size, size_t position, size_t d) {
  return (position / 16 * head_size + d) * 16 + position % 16;
}

static void attend(const furl_attention *a, read_function read) {
  float *weights = a->scratch;
  for (size_t i = 0; i < a->queries; i++) {
    const float *query = a->query + i * a->query_stride;
    float *out = a->out + i * a->out_stride;
    size_t end = a->visible + i;
    size_t begin = a->first;
    if (a->window != 0 && end > a->window && end - a->window > begin) begin = end - a->window;

    float largest = -__builtin_inff();
    for (size_t p = begin; p < end; p++) {
      double score = 0; // Its absolute error is the weight's relative error, and this is the oracle.
      for (size_t d = 0; d < a->head_size; d++) {
        score += (double)query[d] * (double)read(a->keys, key_index(a->head_size, p, d));
      }
      weights[p] = (float)score * a->scale;
      if (weights[p] > largest) largest = weights[p];
    }
    float total = 0;
    for (size_t p = begin; p < end; p++) {
      weights[p] = furl_scalar_exp(weights[p] - largest);
      total += weights[p];
    }
    for (size_t d = 0; d < a->head_size; d++) {
      float sum = 0;
      for (size_t p = begin; p < end; p++) sum += weights[p] * read(a->values, p * a->head_size + d);
      out[d] = sum / total;
    }
  }
}

void furl_scalar_attend_f32(const furl_attention *attention) {
  attend(attention, read_f32);
}

void furl_scalar_attend_f16(const furl_attention *attention) {
  attend(attention, read_f16);
}

void furl_scalar_store_f32(
  const float *key, const float *value, size_t head_size, size_t position, void *keys, void *values)
{
  for (size_t d = 0; d < head_size; d++) {
    ((float *)keys)[key_index(head_size, position, d)] = key[d];
    ((float *)values)[position * head_size + d] = value[d];
  }
}

void furl_scalar_store_f16(
  const float *key, const float *value, size_t head_size, size_t position, void *keys, void *values)
{
  for (size_t d = 0; d < head_size; d++) {
    ((uint16_t *)keys)[key_index(head_size, position, d)] = furl_half_from_float(key[d]);
    ((uint16_t *)values)[position * head_size + d] = furl_half_from_float(value[d]);
  }
}
