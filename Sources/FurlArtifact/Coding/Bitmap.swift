/// Which elements of a chunk are not zero: bit i % 8 of byte i / 8 stands for element i.
struct Bitmap: Sendable {
  /// Elements of the chunk.
  let count: Int
  let bytes: [UInt8]
  /// Elements that are not zero.
  let ones: Int

  static func bytes(_ count: Int) -> Int { (count + 7) / 8 }

  /// - Returns: nil when a bit behind the last element is set.
  init?(_ bytes: [UInt8], count: Int) {
    guard bytes.count == Bitmap.bytes(count), count % 8 == 0 || bytes[bytes.count - 1] >> (count % 8) == 0 else {
      return nil
    }
    self.bytes = bytes
    self.count = count
    ones = bytes.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  subscript(element: Int) -> Bool { bytes[element >> 3] >> (element & 7) & 1 != 0 }
}

/// The two parts of a chunk: which elements are not zero, and those.
struct SplitChunk {
  let bitmap: [UInt8]
  /// Byte planes of the elements that are not zero.
  let planes: [[UInt8]]

  /// At least so many hundredths have to be zero: below that Huffman codes say as shortly which are. The shortest takes
  /// one bit, and a number of several planes needs one in each.
  private static func leastZeros(planes: Int) -> Int { planes == 1 ? 50 : 25 }
  /// One element in so many is looked at first: nearly all chunks have few zeros.
  private static let sampling = 16

  /// - Parameter zero: an element is zero when all of its bytes are this.
  /// - Returns: nil when too few are zero.
  init?(_ chunk: UnsafeRawBufferPointer, planes count: Int, zero: UInt8) {
    let elements = chunk.count / count
    func isZero(_ element: Int) -> Bool {
      var differs: UInt8 = 0
      for plane in 0..<count { differs |= chunk[element &* count &+ plane] ^ zero }
      return differs == 0
    }
    let least = SplitChunk.leastZeros(planes: count)
    var (seen, zeros) = (0, 0)
    for element in stride(from: 0, to: elements, by: SplitChunk.sampling) {
      seen += 1
      if isZero(element) { zeros += 1 }
    }
    guard zeros * 100 >= seen * least else { return nil }
    var bitmap = [UInt8](repeating: 0, count: Bitmap.bytes(elements))
    var ones = 0
    for element in 0..<elements where !isZero(element) {
      bitmap[element >> 3] |= 1 << UInt8(element & 7)
      ones += 1
    }
    self.bitmap = bitmap
    planes = (0..<count).map { plane in
      var symbols: [UInt8] = []
      symbols.reserveCapacity(ones)
      for element in 0..<elements where bitmap[element >> 3] >> UInt8(element & 7) & 1 != 0 {
        symbols.append(chunk[element &* count &+ plane])
      }
      return symbols
    }
  }
}
