package import FurlBase

/// Unsigned codes of 2 to 8 bits in little-endian words of 32 bits, many streams of them: code i of a stream begins at its
/// bit `bits` * i, counted from the lowest bit of its first word; a code may lie across two words.
package struct CodeWords: Sendable {
  /// Where the streams lie in a matrix of words.
  package enum StreamOrder: Sendable, Hashable {
    /// A stream is a row of words.
    case rows
    /// A stream is a column of words.
    case columns
    /// A row of words has a code of each stream, one behind the other.
    case turned
    /// A row of words has a code of 4 bits of each stream; the eight streams of a word take the places that AWQ gives them.
    case turns
  }

  package let part: StoredPart
  let bits: Int
  private let order: StreamOrder
  /// Words of a row.
  private let width: Int

  /// Words that a stream of so many codes takes.
  package static func words(_ codes: Int, bits: Int) -> Int { (codes * bits + 31) / 32 }

  /// The place of a word in which AWQ's `gemm` order puts each of eight neighbours (AutoAWQ, `awq/modules/linear/gemm.py`).
  private static let places: [UInt32] = [0, 4, 1, 5, 2, 6, 3, 7]

  /// - Parameters:
  ///   - streams: how many there are.
  ///   - length: codes of each.
  /// - Throws: ``FurlError`` of kind `defect` if they do not lie in the file.
  package init(_ file: MappedFile, offset: Int, bits: Int, streams: Int, length: Int, order: StreamOrder) throws {
    guard (2...8).contains(bits), order != .turns || bits == 4 && streams % 8 == 0, streams > 0, length > 0,
      streams < 1 << 31, length < 1 << 31
    else { throw FurlError(.defect, file: file.path, "codes of \(bits) bits are not read") }
    let words = CodeWords.words(length, bits: bits)
    let (height, width) =
      switch order {
      case .rows: (streams, words)
      case .columns: (words, streams)
      case .turned: (length, CodeWords.words(streams, bits: bits))
      case .turns: (length, streams / 8)
      }
    let (count, isHuge) = height.multipliedReportingOverflow(by: 4 * width)
    guard !isHuge, offset >= 0, offset <= file.count, count <= file.count - offset else {
      throw FurlError(.defect, file: file.path, "codes lie outside of the file")
    }
    part = StoredPart(file, offset..<offset + count)
    self.bits = bits
    self.order = order
    self.width = width
  }

  private func word(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> UInt32 {
    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
  }

  /// One code of a stream.
  func code(stream: Int, at index: Int) -> Int32 {
    let bytes = part.file.bytes(part.range)
    if order == .turns {
      let word = word(bytes, index * width + stream / 8)
      return Int32(word >> (4 * CodeWords.places[stream % 8]) & 15)
    }
    let (first, step) =
      switch order {
      case .rows: (stream * width, 1)
      case .turned: (index * width, 1)
      case .columns, .turns: (stream, width)
      }
    let place = (order == .turned ? stream : index) * bits
    let (number, shift) = (place / 32, place % 32)
    var value = UInt64(word(bytes, first + number * step)) >> UInt64(shift)
    if shift + bits > 32 { value |= UInt64(word(bytes, first + (number + 1) * step)) << UInt64(32 - shift) }
    return Int32(value & (1 << UInt64(bits) - 1))
  }

  /// Writes the first `count` codes of some streams, [streams.count][count].
  func unpack(streams: Range<Int>, count: Int, into output: UnsafeMutablePointer<UInt8>) {
    let bytes = part.file.bytes(part.range)
    if order == .turns { return unpackTurns(bytes, streams, count, output) }
    let (start, step) = order == .rows ? (width, 1) : (1, width)
    guard 32 % bits == 0, order != .turned else {
      for (index, stream) in streams.enumerated() {
        for code in 0..<count { output[index * count + code] = UInt8(self.code(stream: stream, at: code)) }
      }
      return
    }
    let (each, mask) = (32 / bits, UInt32(1) << UInt32(bits) - 1)
    for number in 0..<CodeWords.words(count, bits: bits) {
      let codes = min(each, count - number * each)
      for (index, stream) in streams.enumerated() {
        var word = word(bytes, stream * start + number * step)
        let target = output + index * count + number * each
        for code in 0..<codes {
          target[code] = UInt8(truncatingIfNeeded: word & mask)
          word >>= UInt32(bits)
        }
      }
    }
  }

  private func unpackTurns(
    _ bytes: UnsafeRawBufferPointer, _ streams: Range<Int>, _ count: Int, _ output: UnsafeMutablePointer<UInt8>
  ) {
    for code in 0..<count {
      for (index, stream) in streams.enumerated() {
        let word = word(bytes, code * width + stream / 8)
        output[index * count + code] = UInt8(truncatingIfNeeded: word >> (4 * CodeWords.places[stream % 8]) & 15)
      }
    }
  }
}
