// Codes out of the bytes that hold them, one byte for each.

#pragma once

#include "output.h"

INLINE v16i load_codes(const uint8_t *codes) {
  v16i v;
  memcpy(&v, codes, sizeof v);
  return v;
}

/// Byte i of each lane is the code of column 4 * group + i, as it is stored.
INLINE v16i group_codes(const scheme s, const uint8_t *tile, const int group) {
  if (has_bytes(s)) return load_codes(tile + 64 * group);
  if (code_bits(s) == 4) return (load_codes(tile + 64 * (group % 4)) >> (group / 4 * 4)) & splat_int(0x0f0f0f0f);
  if (is_wide(s)) {
    v16i nibbles = (load_codes(tile + 64 * (group % 4)) >> (group / 4 * 4)) & splat_int(0x0f0f0f0f);
    const uint8_t *above = tile + tile_bytes(INT4);
    if (code_bits(s) == 5) return nibbles | ((load_codes(above) >> group) & splat_int(0x01010101)) << 4;
    return nibbles | ((load_codes(above + 64 * (group % 2)) >> (group / 2 * 2)) & splat_int(0x03030303)) << 4;
  }
  v16i low = (load_codes(tile + 64 * (group % 2)) >> (group / 2 * 2)) & splat_int(0x03030303);
  if (code_bits(s) == 2) return low;
  return low | ((load_codes(tile + 128) >> group) & splat_int(0x01010101)) << 2;
}
