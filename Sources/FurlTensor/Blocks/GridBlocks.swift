/// The GGUF types of about 1 to 3 bits whose codes stand for vectors of 4 or 8 magnitudes out of a table, with signs by the
/// number.
///
/// Layouts: `ggml-common.h` and `ggml-quants.c` of https://github.com/ggml-org/ggml. Each function decodes one block of 256;
/// a number is scale * magnitude, rounded once, then signed.
enum GridBlocks {

  // MARK: Tables

  private static let eights: [Float] = [0x08, 0x19, 0x2B]
  private static let iq2xxsGrid = grid8(GridTables.iq2xxs, eights)
  private static let iq2xsGrid = grid8(GridTables.iq2xs, eights)
  private static let iq2sGrid = grid8(GridTables.iq2s, eights)
  private static let iq1Grid = grid8(GridTables.iq1, [-1, 0, 1])
  private static let iq3xxsGrid = grid4(GridTables.iq3xxs, [0x04, 0x0C, 0x14, 0x1C, 0x24, 0x2C, 0x34, 0x3E])
  private static let iq3sGrid = grid4(GridTables.iq3s, [1, 3, 5, 7, 9, 11, 13, 15])

  /// The numbers that a table is written as.
  private static func numbers(_ text: StaticString) -> [Int] {
    let characters = text.description.utf8.map { Int($0) - ($0 > 0x5C ? 0x29 : 0x28) }
    return stride(from: 0, to: characters.count, by: 2).map { characters[$0] * 86 + characters[$0 + 1] }
  }

  private static func grid8(_ text: StaticString, _ levels: [Float]) -> [SIMD8<Float>] {
    numbers(text).map { number in
      var (number, vector) = (number, SIMD8<Float>())
      for index in 0..<8 {
        vector[index] = levels[number % 3]
        number /= 3
      }
      return vector
    }
  }

  private static func grid4(_ text: StaticString, _ levels: [Float]) -> [SIMD4<Float>] {
    numbers(text).map { number in
      var vector = SIMD4<Float>()
      for index in 0..<4 { vector[index] = levels[number >> (3 * index) & 7] }
      return vector
    }
  }

  // MARK: Parts

  @inline(__always)
  private static func word(_ bytes: Bytes) -> UInt32 {
    UInt32(bytes[0]) | UInt32(bytes[1]) << 8 | UInt32(bytes[2]) << 16 | UInt32(bytes[3]) << 24
  }

  @inline(__always)
  private static func half(_ bytes: Bytes) -> UInt16 { UInt16(bytes[0]) | UInt16(bytes[1]) << 8 }

  /// Signs of eight numbers by seven bits: an even count of them is negative.
  @inline(__always)
  private static func signs(_ bits: UInt32) -> UInt8 {
    let bits = UInt8(truncatingIfNeeded: bits & 127)
    return bits | UInt8(truncatingIfNeeded: bits.nonzeroBitCount & 1) << 7
  }

  /// Writes eight numbers: a scale times magnitudes, where a bit is set times -1.
  @inline(__always)
  private static func write(_ magnitudes: SIMD8<Float>, _ scale: Float, _ signs: UInt8, _ output: Floats) {
    for index in 0..<8 {
      output[index] = scale * magnitudes[index] * (signs &>> UInt8(truncatingIfNeeded: index) & 1 == 0 ? 1 : -1)
    }
  }

  @inline(__always)
  private static func write(
    _ low: SIMD4<Float>, _ high: SIMD4<Float>, _ scale: Float, _ signs: UInt8, _ output: Floats
  ) {
    write(SIMD8(lowHalf: low, highHalf: high), scale, signs, output)
  }

  // MARK: IQ2

  /// The scale; for each 32 numbers four codes, four times seven bits of signs and a scale of four bits.
  static func iq2xxs(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block)
    for part in 0..<8 {
      let codes = block + 2 + 8 * part
      let rest = word(codes + 4)
      let own = scale * (0.5 + Float(rest >> 28)) * 0.25
      for index in 0..<4 {
        let bits = signs(rest >> UInt32(7 * index))
        write(iq2xxsGrid[Int(codes[index])], own, bits, output + 32 * part + 8 * index)
      }
    }
  }

  /// The scale; 32 codes of nine bits with seven bits of signs; 16 scales of four bits.
  static func iq2xs(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block)
    for index in 0..<32 {
      let code = half(block + 2 + 2 * index)
      let factor = block[66 + index / 4] >> UInt8(index / 2 % 2 * 4) & 15
      let own = scale * (0.5 + Float(factor)) * 0.25
      write(iq2xsGrid[Int(code & 511)], own, signs(UInt32(code >> 9)), output + 8 * index)
    }
  }

  /// The scale; low eight bits of 32 codes; their signs; high two bits; 16 scales of four bits.
  static func iq2s(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block)
    for index in 0..<32 {
      let high = block[66 + index / 4] >> UInt8(index % 4 * 2) & 3
      let factor = block[74 + index / 4] >> UInt8(index / 2 % 2 * 4) & 15
      let own = scale * (0.5 + Float(factor)) * 0.25
      write(
        iq2sGrid[Int(block[2 + index]) | Int(high) << 8], own, block[34 + index], output + 8 * index)
    }
  }

  // MARK: IQ3

  /// The scale; 64 codes; for each 32 numbers four times seven bits of signs and a scale of four bits.
  static func iq3xxs(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block)
    for part in 0..<8 {
      let codes = block + 2 + 8 * part
      let rest = word(block + 66 + 4 * part)
      let own = scale * (0.5 + Float(rest >> 28)) * 0.5
      for index in 0..<4 {
        write(
          iq3xxsGrid[Int(codes[2 * index])], iq3xxsGrid[Int(codes[2 * index + 1])], own,
          signs(rest >> UInt32(7 * index)), output + 32 * part + 8 * index)
      }
    }
  }

  /// The scale; low eight bits of 64 codes; their ninth bits; 32 bytes of signs; 8 scales of four bits.
  static func iq3s(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block)
    func code(_ index: Int) -> Int {
      Int(block[2 + index]) | Int(block[66 + index / 8] >> UInt8(index % 8) & 1) << 8
    }
    for index in 0..<32 {
      let factor = block[106 + index / 8] >> UInt8(index / 4 % 2 * 4) & 15
      write(
        iq3sGrid[code(2 * index)], iq3sGrid[code(2 * index + 1)], scale * Float(1 + 2 * Int32(factor)),
        block[74 + index], output + 8 * index)
    }
  }

  // MARK: IQ1

  /// Writes eight numbers: a scale times what the table has and an eighth more or less.
  @inline(__always)
  private static func write(_ code: Int, _ scale: Float, isLess: Bool, _ output: Floats) {
    let vector = iq1Grid[code]
    for index in 0..<8 { output[index] = scale * (vector[index] + (isLess ? -0.125 : 0.125)) }
  }

  /// The scale; low eight bits of 32 codes; for each four of them 12 high bits, a scale of three bits and a sign.
  static func iq1s(_ block: Bytes, _ output: Floats) {
    let scale = SmallBlocks.half(block)
    for index in 0..<32 {
      let rest = half(block + 34 + 2 * (index / 4))
      let high = Int(rest >> UInt16(index % 4 * 3) & 7)
      write(
        Int(block[2 + index]) | high << 8, scale * Float(2 * (rest >> 12 & 7) + 1), isLess: rest & 0x8000 != 0,
        output + 8 * index)
    }
  }

  /// Low eight bits of 32 codes; for each a nibble of three high bits and a sign; 16 scales of three bits in four words,
  /// whose high nibbles together are the scale.
  static func iq1m(_ block: Bytes, _ output: Floats) {
    let words = (0..<4).map { half(block + 48 + 2 * $0) }
    let bits = words[0] >> 12 | words[1] >> 8 & 0xF0 | words[2] >> 4 & 0xF00 | words[3] & 0xF000
    let scale = [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)].withUnsafeBufferPointer {
      SmallBlocks.half($0.baseAddress!)
    }
    for index in 0..<32 {
      let rest = block[32 + index / 2] >> UInt8(index % 2 * 4)
      let factor = words[index / 8] >> UInt16(index / 2 % 4 * 3) & 7
      write(
        Int(block[index]) | Int(rest & 7) << 8, scale * Float(2 * factor + 1), isLess: rest & 8 != 0,
        output + 8 * index)
    }
  }
}
