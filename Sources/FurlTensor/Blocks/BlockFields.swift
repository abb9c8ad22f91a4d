/// What one block of GGUF holds, taken apart: codes counted from 0, small whole numbers that scale its parts, and halves.
///
/// Layouts: `ggml-common.h` of https://github.com/ggml-org/ggml, little-endian; those that ``SuperBlocks``, ``TableBlocks`` and
/// ``SmallBlocks`` decode.
struct BlockFields: Equatable {
  /// 256 or 32, counted from 0.
  var codes: [UInt8]
  /// One for each part: 6 bits, or 8 as they lie.
  var scales: [UInt8] = []
  /// The same, 6 bits.
  var minimums: [UInt8] = []
  /// `d`, and `dmin` or `m`, as halves.
  var unit: UInt16 = 0
  var minimumUnit: UInt16 = 0

  typealias FieldTarget = UnsafeMutablePointer<UInt8>

  /// - Parameter type: one that a coding names (``Coding/blockType``).
  init(_ block: Bytes, _ type: SourceType) {
    codes = Array(repeating: 0, count: type.blockSize)
    switch type {
    case .q4k, .q5k: readK(block, hasFifths: type == .q5k)
    case .q6k: read6(block)
    case .q3k: read3(block)
    case .iq4xs: readIQ4(block)
    case .iq4nl:
      unit = BlockFields.half(block)
      readNibbles(block + 2, at: 0)
    case .mxfp4:
      scales = [block[0]]
      readNibbles(block + 1, at: 0)
    default:
      unit = BlockFields.half(block)
      let start = type == .q51 ? 4 : 2
      if type == .q51 { minimumUnit = BlockFields.half(block + 2) }
      readNibbles(block + start + 4, at: 0)
      for index in 0..<32 { codes[index] |= (block[start + index / 8] >> UInt8(index % 8) & 1) << 4 }
    }
  }

  init(codes: [UInt8]) { self.codes = codes }

  /// Writes the block, as many bytes as the type says.
  func write(_ type: SourceType, to block: FieldTarget) {
    block.update(repeating: 0, count: type.blockBytes)
    switch type {
    case .q4k, .q5k: writeK(block, hasFifths: type == .q5k)
    case .q6k: write6(block)
    case .q3k: write3(block)
    case .iq4xs: writeIQ4(block)
    case .iq4nl:
      BlockFields.put(unit, block)
      writeNibbles(block + 2, at: 0)
    case .mxfp4:
      block[0] = scales[0]
      writeNibbles(block + 1, at: 0)
    default:
      BlockFields.put(unit, block)
      let start = type == .q51 ? 4 : 2
      if type == .q51 { BlockFields.put(minimumUnit, block + 2) }
      writeNibbles(block + start + 4, at: 0)
      for index in 0..<32 { block[start + index / 8] |= (codes[index] >> 4) << UInt8(index % 8) }
    }
  }

  // MARK: Pieces

  private static func half(_ bytes: Bytes) -> UInt16 { UInt16(bytes[0]) | UInt16(bytes[1]) << 8 }

  private static func put(_ half: UInt16, _ target: FieldTarget) {
    target[0] = UInt8(truncatingIfNeeded: half)
    target[1] = UInt8(half >> 8)
  }

  /// 32 codes of 16 bytes, the low halves first.
  private mutating func readNibbles(_ bytes: Bytes, at first: Int) {
    for index in 0..<16 {
      codes[first + index] = bytes[index] & 15
      codes[first + 16 + index] = bytes[index] >> 4
    }
  }

  private func writeNibbles(_ target: FieldTarget, at first: Int) {
    for index in 0..<16 { target[index] = codes[first + index] & 15 | codes[first + 16 + index] << 4 }
  }

  // MARK: Q4_K and Q5_K

  private mutating func readK(_ block: Bytes, hasFifths: Bool) {
    (unit, minimumUnit) = (BlockFields.half(block), BlockFields.half(block + 2))
    let bytes = block + 4
    for part in 0..<8 {
      let low = bytes[part + 4]
      scales.append(part < 4 ? bytes[part] & 63 : low & 15 | bytes[part - 4] >> 2 & 0x30)
      minimums.append(part < 4 ? low & 63 : low >> 4 | bytes[part] >> 2 & 0x30)
    }
    let start = block + (hasFifths ? 48 : 16)
    for part in 0..<8 {
      for index in 0..<32 {
        let code = start[part / 2 * 32 + index] >> UInt8(part % 2 * 4) & 15
        let fifth = hasFifths ? block[16 + index] >> UInt8(part) & 1 : 0
        codes[part * 32 + index] = code | fifth << 4
      }
    }
  }

  private func writeK(_ block: FieldTarget, hasFifths: Bool) {
    BlockFields.put(unit, block)
    BlockFields.put(minimumUnit, block + 2)
    let bytes = block + 4
    for part in 0..<4 {
      bytes[part] = scales[part] | (scales[part + 4] >> 4) << 6
      bytes[part + 4] = minimums[part] | (minimums[part + 4] >> 4) << 6
      bytes[part + 8] = scales[part + 4] & 15 | minimums[part + 4] << 4
    }
    let start = block + (hasFifths ? 48 : 16)
    for part in 0..<8 {
      for index in 0..<32 {
        let code = codes[part * 32 + index]
        start[part / 2 * 32 + index] |= (code & 15) << UInt8(part % 2 * 4)
        if hasFifths { block[16 + index] |= (code >> 4) << UInt8(part) }
      }
    }
  }

  // MARK: Q6_K

  /// Where the bits of a code lie: the byte and shift of its low four, and of its high two.
  private static func places6(_ index: Int) -> (low: Int, lowShift: UInt8, high: Int, highShift: UInt8) {
    let (half, inside) = (index / 128, index % 128)
    let (quarter, place) = (inside / 32, inside % 32)
    return (
      half * 64 + quarter % 2 * 32 + place, UInt8(quarter / 2 * 4), 128 + half * 32 + place, UInt8(quarter * 2)
    )
  }

  private mutating func read6(_ block: Bytes) {
    for index in 0..<256 {
      let at = BlockFields.places6(index)
      codes[index] = block[at.low] >> at.lowShift & 15 | (block[at.high] >> at.highShift & 3) << 4
    }
    scales = (0..<16).map { block[192 + $0] }
    unit = BlockFields.half(block + 208)
  }

  private func write6(_ block: FieldTarget) {
    for index in 0..<256 {
      let at = BlockFields.places6(index)
      block[at.low] |= (codes[index] & 15) << at.lowShift
      block[at.high] |= (codes[index] >> 4) << at.highShift
    }
    for part in 0..<16 { block[192 + part] = scales[part] }
    BlockFields.put(unit, block + 208)
  }

  // MARK: Q3_K

  /// Where the bits of a code lie: the byte and shift of its low two, and of its third.
  private static func places3(_ index: Int) -> (low: Int, lowShift: UInt8, third: Int, thirdShift: UInt8) {
    let (half, inside) = (index / 128, index % 128)
    return (32 + half * 32 + inside % 32, UInt8(inside / 32 * 2), inside % 32, UInt8(index / 32))
  }

  private mutating func read3(_ block: Bytes) {
    for index in 0..<256 {
      let at = BlockFields.places3(index)
      codes[index] = block[at.low] >> at.lowShift & 3 | (block[at.third] >> at.thirdShift & 1) << 2
    }
    let bytes = block + 96
    for part in 0..<16 {
      let low = part < 8 ? bytes[part] & 15 : bytes[part - 8] >> 4
      scales.append(low | (bytes[8 + part % 4] >> UInt8(part / 4 * 2) & 3) << 4)
    }
    unit = BlockFields.half(block + 108)
  }

  private func write3(_ block: FieldTarget) {
    for index in 0..<256 {
      let at = BlockFields.places3(index)
      block[at.low] |= (codes[index] & 3) << at.lowShift
      block[at.third] |= (codes[index] >> 2) << at.thirdShift
    }
    let bytes = block + 96
    for part in 0..<16 {
      bytes[part % 8] |= (scales[part] & 15) << UInt8(part / 8 * 4)
      bytes[8 + part % 4] |= (scales[part] >> 4) << UInt8(part / 4 * 2)
    }
    BlockFields.put(unit, block + 108)
  }

  // MARK: IQ4_XS

  private mutating func readIQ4(_ block: Bytes) {
    unit = BlockFields.half(block)
    let high = BlockFields.half(block + 2)
    for part in 0..<8 {
      let low = block[4 + part / 2] >> UInt8(part % 2 * 4) & 15
      scales.append(low | UInt8(truncatingIfNeeded: high >> UInt16(2 * part) & 3) << 4)
      readNibbles(block + 8 + part * 16, at: part * 32)
    }
  }

  private func writeIQ4(_ block: FieldTarget) {
    BlockFields.put(unit, block)
    var high: UInt16 = 0
    for part in 0..<8 {
      block[4 + part / 2] |= (scales[part] & 15) << UInt8(part % 2 * 4)
      high |= UInt16(scales[part] >> 4) << UInt16(2 * part)
      writeNibbles(block + 8 + part * 16, at: part * 32)
    }
    BlockFields.put(high, block + 2)
  }
}
