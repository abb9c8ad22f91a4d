/// How byte-level BPE spells bytes: every byte is one printable character, so that a vocabulary is plain text.
///
/// Printable bytes of Latin-1 stand for themselves; the other 68 are the characters from U+0100 on, in their
/// order (Radford et al., "Language models are unsupervised multitask learners", 2019, the released encoder).
enum ByteAlphabet {
  /// The character of every byte.
  static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (0..<256).map { byte in
      let isPrintable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
      if isPrintable { return Unicode.Scalar(UInt8(byte)) }
      defer { next += 1 }
      return Unicode.Scalar(next) ?? " "
    }
  }()

  /// The byte of every character below U+0144, or -1.
  private static let bytes: [Int16] = {
    var table = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = Int16(byte) }
    return table
  }()

  /// What a spelled piece stands for: the bytes of its characters, or, when one of them is not in the alphabet,
  /// its own UTF-8 ("literal").
  static func bytes(of spelling: String) -> (bytes: [UInt8], isLiteral: Bool) {
    var result: [UInt8] = []
    result.reserveCapacity(spelling.utf8.count)
    for scalar in spelling.unicodeScalars {
      guard scalar.value < 0x144, bytes[Int(scalar.value)] >= 0 else { return (Array(spelling.utf8), true) }
      result.append(UInt8(truncatingIfNeeded: bytes[Int(scalar.value)]))
    }
    return (result, false)
  }

  /// The spelling of some bytes.
  static func spelling(of bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes { text.unicodeScalars.append(scalars[Int(byte)]) }
    return text
  }
}
