extension StringProtocol {
  /// Where a text is found last.
  package func lastRange(of text: String) -> Range<Index>? {
    for start in indices.reversed() where self[start...].hasPrefix(text) {
      return start..<index(start, offsetBy: text.count)
    }
    return nil
  }

  /// The text without white space at its ends.
  package var trimmed: String {
    let begin = drop(while: \.isWhitespace)
    return String(begin.reversed().drop(while: \.isWhitespace).reversed())
  }
}
