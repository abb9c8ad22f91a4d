/// The GGUF types with blocks of 256 numbers ("k-quants"): an FP16 scale for the block, and small integers that scale
/// its 8 or 16 parts.
///
/// Layouts: `ggml-common.h` of https://github.com/ggml-org/ggml. Each function decodes one block; products and
/// differences are rounded one by one.
enum SuperBlocks {

  /// 16 parts of scale (low 4 bits) and minimum (high 4 bits); 2-bit codes, four numbers a byte; the scales' scales.
  @inline(__always)
  static func q2k(_ block: Bytes, _ output: Floats) {
    let (scale, minimum) = (SmallBlocks.half(block + 80), SmallBlocks.half(block + 82))
    for part in 0..<16 {
      let factors = block[part]
      let partScale = scale * Float(factors & 15)
      let partMinimum = minimum * Float(factors &>> 4)
      let codes = block + 16 + (part / 8) * 32 + (part % 2) * 16
      let shift = UInt8(truncatingIfNeeded: (part % 8) / 2 * 2)
      for index in 0..<16 {
        let code = Int32(codes[index] &>> shift & 3)
        output[part * 16 + index] = partScale * Float(code) - partMinimum
      }
    }
  }

  /// Third bits (32 bytes); 2-bit codes; 16 scales of 6 bits; their scale. A third bit that is not set takes 4 away.
  @inline(__always)
  static func q3k(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block + 108)
    let factors = block + 96
    for part in 0..<16 {
      let low = part < 8 ? factors[part] & 15 : factors[part - 8] &>> 4
      let high = factors[8 + part % 4] &>> UInt8(truncatingIfNeeded: part / 4 * 2) & 3
      let partScale = scale * Float(Int32(low | high &<< 4) &- 32)
      let codes = block + 32 + (part / 8) * 32 + (part % 2) * 16
      let thirds = block + (part % 2) * 16
      let shift = UInt8(truncatingIfNeeded: (part % 8) / 2 * 2)
      let bit = UInt8(truncatingIfNeeded: part / 2)
      for index in 0..<16 {
        let third = Int32(thirds[index] &>> bit & 1)
        let code = Int32(codes[index] &>> shift & 3) &+ third &* 4 &- 4
        output[part * 16 + index] = partScale * Float(code)
      }
    }
  }

  /// The 6-bit scale and minimum of one of 8 parts, out of 12 bytes.
  @inline(__always)
  private static func sixBits(_ bytes: Bytes, _ part: Int) -> (scale: UInt8, minimum: UInt8) {
    if part < 4 { return (bytes[part] & 63, bytes[part + 4] & 63) }
    let low = bytes[part + 4]
    return (low & 15 | bytes[part - 4] &>> 2 & 0x30, low &>> 4 | bytes[part] &>> 2 & 0x30)
  }

  /// The scales' scales; 8 scales and minimums; 4-bit codes.
  @inline(__always)
  static func q4k(_ block: Bytes, _ output: Floats) {
    let (scale, minimum) = (SmallBlocks.half(block), SmallBlocks.half(block + 2))
    for part in 0..<8 {
      let factors = sixBits(block + 4, part)
      let partScale = scale * Float(factors.scale)
      let partMinimum = minimum * Float(factors.minimum)
      let codes = block + 16 + part / 2 * 32
      let shift = UInt8(truncatingIfNeeded: part % 2 * 4)
      for index in 0..<32 {
        let code = Int32(codes[index] &>> shift & 15)
        output[part * 32 + index] = partScale * Float(code) - partMinimum
      }
    }
  }

  /// As ``q4k(_:_:)``, with 32 bytes of fifth bits before the codes: a bit of each byte for each part.
  @inline(__always)
  static func q5k(_ block: Bytes, _ output: Floats) {
    let (scale, minimum) = (SmallBlocks.half(block), SmallBlocks.half(block + 2))
    for part in 0..<8 {
      let factors = sixBits(block + 4, part)
      let partScale = scale * Float(factors.scale)
      let partMinimum = minimum * Float(factors.minimum)
      let fifths = block + 16
      let codes = block + 48 + part / 2 * 32
      let shift = UInt8(truncatingIfNeeded: part % 2 * 4)
      let bit = UInt8(truncatingIfNeeded: part)
      for index in 0..<32 {
        let code = Int32(codes[index] &>> shift & 15 | (fifths[index] &>> bit & 1) &<< 4)
        output[part * 32 + index] = partScale * Float(code) - partMinimum
      }
    }
  }

  /// Low 4 bits; high 2 bits; 16 signed scales; their scale.
  @inline(__always)
  static func q6k(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block + 208)
    for part in 0..<16 {
      let partScale = scale * Float(Int8(bitPattern: block[192 + part]))
      let (half, quarter, start) = (part / 8, part % 8 / 2, part % 2 * 16)
      let low = block + half * 64 + quarter % 2 * 32 + start
      let high = block + 128 + half * 32 + start
      let lowShift = UInt8(truncatingIfNeeded: quarter / 2 * 4)
      let highShift = UInt8(truncatingIfNeeded: quarter * 2)
      for index in 0..<16 {
        let code = Int32(low[index] &>> lowShift & 15 | (high[index] &>> highShift & 3) &<< 4)
        output[part * 16 + index] = partScale * Float(code &- 32)
      }
    }
  }
}
