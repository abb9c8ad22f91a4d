/// The GGUF types whose 4-bit codes stand for 16 numbers that are not evenly spaced.
///
/// Layouts and numbers: `ggml-common.h` of https://github.com/ggml-org/ggml. Each function decodes one block.
enum TableBlocks {

  /// FP4 (E2M1) of the OCP Microscaling formats, times 2.
  private static let halves = SIMD16<Float>(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)

  private static let numbers = SIMD16<Float>(
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)

  /// 32 numbers of 16 bytes, the low halves first.
  @inline(__always)
  private static func decode(_ codes: Bytes, scale: Float, _ output: Floats, _ numbers: SIMD16<Float> = numbers) {
    for index in 0..<16 {
      output[index] = scale * numbers[Int(codes[index] & 15)]
      output[16 + index] = scale * numbers[Int(codes[index] &>> 4)]
    }
  }

  /// A scale and 32 codes.
  @inline(__always)
  static func iq4nl(_ block: Bytes, _ output: Floats) {
    decode(block + 2, scale: SmallBlocks.half(block), output)
  }

  /// The scales' scale; high 2 and low 4 bits of 8 scales; 8 times 32 codes.
  @inline(__always)
  static func iq4xs(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block)
    let high = UInt16(block[2]) | UInt16(block[3]) << 8
    for part in 0..<8 {
      let low = block[4 + part / 2] &>> UInt8(truncatingIfNeeded: part % 2 * 4) & 15
      let factor = Int32(low) | Int32(high &>> UInt16(truncatingIfNeeded: 2 * part) & 3) &<< 4
      decode(block + 8 + part * 16, scale: scale * Float(factor &- 32), output + part * 32)
    }
  }

  /// An exponent and 32 codes: a number is 2^(exponent - 127) times that of its code, exact in FP32.
  @inline(__always)
  static func mxfp4(_ block: Bytes, _ output: Floats) {
    let exponent = UInt32(block[0])
    // Half the scale, as the table has twice the numbers; the smallest two are subnormal.
    let bits: UInt32 = exponent < 2 ? 0x0020_0000 &<< exponent : (exponent &- 1) &<< 23
    decode(block + 1, scale: Float(bitPattern: bits), output, halves)
  }
}
