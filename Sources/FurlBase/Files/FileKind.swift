/// What a file is, by its first bytes: so that whoever is given one of another kind says what it is.
package enum FileKind {
  private static let signs: [(first: [UInt8], words: String)] = [
    (Array("FURL\r\n".utf8), "an artifact"), (Array("GGUF\u{3}\0\0\0".utf8), "a GGUF file"),
    (Array("GGUF\u{2}\0\0\0".utf8), "a GGUF file"),
    ([0x50, 0x4B, 3, 4], "a ZIP archive, as PyTorch writes them"), ([0x1F, 0x8B], "a gzip'd file"),
    ([0x7F, 0x45, 0x4C, 0x46], "a program"),
  ]

  /// The kind in words, with the article; nil for a text, and for what is not known.
  ///
  /// - Parameter head: the file's first bytes, ten or all that there are.
  package static func words(_ head: some Collection<UInt8>) -> String? {
    if let sign = signs.first(where: { head.starts(with: $0.first) }) { return sign.words }
    // Eight bytes of a header's size, of which no header fills the last three, and then JSON.
    let bytes = Array(head.prefix(9))
    return bytes.count == 9 && bytes[8] == UInt8(ascii: "{") && bytes[5...7].allSatisfy { $0 == 0 }
      ? "a safetensors file" : nil
  }

  /// Refuses a file of another kind than text.
  ///
  /// - Parameters:
  ///   - head: its first bytes.
  ///   - wanted: what is expected, with its article: `a YAML document`.
  /// - Throws: ``FurlError`` of kind `input`.
  package static func requireText(
    _ head: some Collection<UInt8>, file: String?, wanted: String, remedy: String? = nil
  ) throws {
    guard let words = words(head) else { return }
    throw FurlError.input(file, "is \(words); \(wanted) is expected here", remedy: remedy)
  }
}
