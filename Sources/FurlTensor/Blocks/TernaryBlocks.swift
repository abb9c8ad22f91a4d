/// The GGUF types whose codes are -1, 0 and 1, with one scale for 256 numbers.
///
/// Layouts: `ggml-common.h` and `ggml-quants.c` of https://github.com/ggml-org/ggml.
enum TernaryBlocks {

  /// Five codes a byte, as a fraction of 256 in base 3: multiplied by a power of three, the whole part of three times what
  /// is left of it is the code. 32 bytes of five, 16 of five, 4 of four; then the scale.
  static func tq10(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block + 52)
    var (start, target) = (0, output)
    for (bytes, codes) in [(32, 5), (16, 5), (4, 4)] {
      var power: UInt8 = 1
      for _ in 0..<codes {
        for index in 0..<bytes {
          let rest = block[start + index] &* power
          target[index] = scale * Float(Int32((UInt16(rest) * 3) >> 8) - 1)
        }
        target += bytes
        power &*= 3
      }
      start += bytes
    }
  }

  /// Four codes a byte, from the lowest bits on, of numbers that are 32 apart; then the scale.
  static func tq20(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block + 64)
    for part in 0..<8 {
      for index in 0..<32 {
        let code = block[part / 4 * 32 + index] >> UInt8(part % 4 * 2) & 3
        output[part * 32 + index] = scale * Float(Int32(code) - 1)
      }
    }
  }
}
