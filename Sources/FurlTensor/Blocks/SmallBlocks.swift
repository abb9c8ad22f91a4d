/// The GGUF types with blocks of 32 numbers, each block with an FP16 scale and perhaps a minimum.
///
/// Layouts: `ggml-common.h` of https://github.com/ggml-org/ggml. Of 16 bytes of 4-bit codes the low halves are the
/// first 16 numbers. Each function decodes one block; products and sums are rounded one by one, as everyone does it.
enum SmallBlocks {

  /// The FP16 number at two bytes, exact.
  @inline(__always)
  static func half(_ bytes: Bytes) -> Float {
    let bits = UInt32(bytes[0]) | UInt32(bytes[1]) << 8
    let sign = (bits & 0x8000) << 16
    if bits & 0x7C00 == 0x7C00 { return Float(bitPattern: sign | 0x7F80_0000 | (bits & 0x3FF) << 13) }
    // The exponents differ by 112; multiplying moves it and takes care of subnormal numbers.
    return Float(bitPattern: sign | (bits & 0x7FFF) << 13) * 0x1p112
  }

  @inline(__always)
  static func q80(_ block: Bytes, _ output: Floats) {
    let scale = half(block)
    for index in 0..<32 { output[index] = Float(Int32(Int8(bitPattern: block[2 + index]))) * scale }
  }

  @inline(__always)
  static func q40(_ block: Bytes, _ output: Floats) {
    let scale = half(block)
    for index in 0..<16 {
      let codes = Int32(block[2 + index])
      output[index] = scale * Float((codes & 15) &- 8)
      output[16 + index] = scale * Float((codes &>> 4) &- 8)
    }
  }

  @inline(__always)
  static func q41(_ block: Bytes, _ output: Floats) {
    let (scale, minimum) = (half(block), half(block + 2))
    for index in 0..<16 {
      let codes = Int32(block[4 + index])
      output[index] = scale * Float(codes & 15) + minimum
      output[16 + index] = scale * Float(codes &>> 4) + minimum
    }
  }

  /// The fifth bits of a block's codes, one for each number.
  @inline(__always)
  private static func fifthBits(_ bytes: Bytes) -> UInt32 {
    UInt32(bytes[0]) | UInt32(bytes[1]) << 8 | UInt32(bytes[2]) << 16 | UInt32(bytes[3]) << 24
  }

  /// The two 5-bit codes at a byte of a block.
  @inline(__always)
  private static func fiveBits(_ byte: UInt8, _ fifths: UInt32, _ index: Int) -> (low: Int32, high: Int32) {
    let bits = fifths &>> UInt32(truncatingIfNeeded: index)
    let low = UInt32(byte & 15) | (bits & 1) &<< 4
    let high = UInt32(byte &>> 4) | (bits &>> 16 & 1) &<< 4
    return (Int32(bitPattern: low), Int32(bitPattern: high))
  }

  @inline(__always)
  static func q50(_ block: Bytes, _ output: Floats) {
    let scale = half(block)
    let fifths = fifthBits(block + 2)
    for index in 0..<16 {
      let codes = fiveBits(block[6 + index], fifths, index)
      output[index] = scale * Float(codes.low &- 16)
      output[16 + index] = scale * Float(codes.high &- 16)
    }
  }

  @inline(__always)
  static func q51(_ block: Bytes, _ output: Floats) {
    let (scale, minimum) = (half(block), half(block + 2))
    let fifths = fifthBits(block + 4)
    for index in 0..<16 {
      let codes = fiveBits(block[8 + index], fifths, index)
      output[index] = scale * Float(codes.low) + minimum
      output[16 + index] = scale * Float(codes.high) + minimum
    }
  }
}
