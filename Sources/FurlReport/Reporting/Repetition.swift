/// Tells texts that end in repeating themselves, which is what models do that were cut too far.
package enum Repetition {
  /// The fewest bytes and copies that count.
  static let shortest = 32
  static let copies = 4
  /// Longer texts are looked at from their end.
  private static let limit = 1 << 14

  /// Whether the end of a text, 32 bytes or more and at least half of it, is one piece repeated four times or more
  /// (the first copy may be cut off).
  ///
  /// By the failure function of Knuth, Morris and Pratt on the reversed bytes, which gives the smallest period of every
  /// suffix. White space at the end is left out, and a run of white space alone does not count.
  package static func isRepeating(_ text: String) -> Bool {
    let bytes = Array(text.utf8.suffix(limit).reversed().drop(while: isSpace))
    guard bytes.count >= shortest else { return false }
    var failure = [Int](repeating: 0, count: bytes.count)
    var border = 0
    var longest = 0
    for index in 1..<bytes.count {
      while border > 0, bytes[index] != bytes[border] { border = failure[border - 1] }
      if bytes[index] == bytes[border] { border += 1 }
      failure[index] = border
      let length = index + 1
      if length >= shortest, (length - border) * copies <= length { longest = length }
    }
    return longest > 0 && 2 * longest >= bytes.count
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
