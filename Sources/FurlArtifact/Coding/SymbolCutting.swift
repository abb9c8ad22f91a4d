import FurlTensor

extension SymbolForm {
  /// Writes the symbols of one plane of a chunk.
  func split(_ chunk: UnsafeRawBufferPointer, _ plane: Int, to symbols: UnsafeMutableRawBufferPointer) {
    guard let source = chunk.baseAddress?.assumingMemoryBound(to: UInt8.self),
      let target = symbols.baseAddress?.assumingMemoryBound(to: UInt8.self)
    else { return }
    let count = chunk.count
    if let bits = tileBits {
      for tile in 0..<count / unit { SymbolForm.split(tile: source + tile * unit, bits: bits, to: target + tile * 512) }
    } else if self == .nibbles {
      for index in 0..<count {
        target[index] = source[index] & 15
        target[count &+ index] = source[index] >> 4
      }
    } else {
      for index in 0..<count / planes { target[index] = source[index &* planes &+ plane] }
    }
  }

  /// Puts the symbols of one plane of a chunk in their place.
  ///
  /// - Returns: false if a symbol is none.
  func join(
    _ symbols: UnsafeRawBufferPointer, _ plane: Int, to chunk: UnsafeMutableRawBufferPointer
  ) -> Bool {
    guard let source = symbols.baseAddress?.assumingMemoryBound(to: UInt8.self),
      let target = chunk.baseAddress?.assumingMemoryBound(to: UInt8.self)
    else { return true }
    let count = chunk.count
    if let bits = tileBits {
      var all: UInt8 = 0
      for tile in 0..<count / unit {
        all |= SymbolForm.join(source + tile * 512, bits: bits, to: target + tile * unit)
      }
      return all < 1 << UInt8(bits)
    }
    if self == .nibbles {
      var all: UInt8 = 0
      for index in 0..<count {
        all |= source[index] | source[count &+ index]
        target[index] = source[index] | source[count &+ index] << 4
      }
      return all < 16
    }
    let planes = self.planes
    for index in 0..<count / planes { target[index &* planes &+ plane] = source[index] }
    return true
  }
}

/// Codes of 5 and 6 bits: eight groups of 16 rows x 4 columns, whose low nibbles lie in pairs, and the bits above behind them.
extension SymbolForm {
  private static let groupBytes = 64

  fileprivate static func split(tile: UnsafePointer<UInt8>, bits: Int, to symbols: UnsafeMutablePointer<UInt8>) {
    for group in 0..<8 {
      let (nibbles, shift) = (tile + group % 4 * groupBytes, UInt8(group / 4 * 4))
      let above = tile + 4 * groupBytes + (bits == 6 ? group % 2 * groupBytes : 0)
      let (place, mask) = (UInt8(bits == 6 ? group / 2 * 2 : group), UInt8(bits == 6 ? 3 : 1))
      let target = symbols + group * groupBytes
      for index in 0..<groupBytes {
        target[index] = nibbles[index] >> shift & 15 | (above[index] >> place & mask) << 4
      }
    }
  }

  /// - Returns: the bits that any symbol has.
  fileprivate static func join(
    _ symbols: UnsafePointer<UInt8>, bits: Int, to tile: UnsafeMutablePointer<UInt8>
  ) -> UInt8 {
    tile.update(repeating: 0, count: bits * groupBytes)
    var all: UInt8 = 0
    for group in 0..<8 {
      let (nibbles, shift) = (tile + group % 4 * groupBytes, UInt8(group / 4 * 4))
      let above = tile + 4 * groupBytes + (bits == 6 ? group % 2 * groupBytes : 0)
      let place = UInt8(bits == 6 ? group / 2 * 2 : group)
      let source = symbols + group * groupBytes
      for index in 0..<groupBytes {
        all |= source[index]
        nibbles[index] |= (source[index] & 15) << shift
        above[index] |= (source[index] >> 4) << place
      }
    }
    return all
  }
}
