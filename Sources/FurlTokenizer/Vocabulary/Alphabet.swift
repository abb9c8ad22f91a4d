/// How a vocabulary spells its pieces.
enum Alphabet: UInt8, Sendable {
  /// Every byte is one printable character (``ByteAlphabet``).
  case bytes
  /// Text, in which U+2581 stands for a space, as SentencePiece writes it.
  case marked

  /// What a spelled piece stands for, and whether that is its own UTF-8 as it stands ("literal"), because text
  /// never comes up in such a form.
  func bytes(of spelling: String) -> (bytes: [UInt8], isLiteral: Bool) {
    switch self {
    case .bytes: return ByteAlphabet.bytes(of: spelling)
    case .marked:
      let text = Array(spelling.utf8)
      // The spaces of a text are marks before anything is looked up.
      return text.contains(0x20) ? (text, true) : (SpaceMark.toSpaces(text, 0..<text.count), false)
    }
  }

  /// The spelling of bytes that are not literal.
  func spelling(of bytes: ArraySlice<UInt8>) -> String {
    switch self {
    case .bytes: ByteAlphabet.spelling(of: bytes)
    case .marked: String(decoding: bytes.flatMap { $0 == 0x20 ? SpaceMark.bytes : [$0] }, as: UTF8.self)
    }
  }
}

/// U+2581, "lower one eighth block", which stands for a space in vocabularies of whole texts.
///
/// Furl keeps it as the space that it stands for: the reference takes both for the same, and a text grows no
/// longer by them.
enum SpaceMark {
  static let text = "\u{2581}"
  static let bytes = Array(text.utf8)

  /// A text with spaces for its marks.
  static func toSpaces(_ text: [UInt8], _ range: Range<Int>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(range.count + 1)
    var index = range.lowerBound
    while index < range.upperBound {
      if text[index] == bytes[0], index + 2 < range.upperBound, text[index + 1] == bytes[1], text[index + 2] == bytes[2]
      {
        result.append(0x20)
        index += 3
      } else {
        result.append(text[index])
        index += 1
      }
    }
    return result
  }
}
