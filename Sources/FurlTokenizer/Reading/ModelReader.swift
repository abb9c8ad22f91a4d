import FurlBase

/// Reads the `model` of a tokenizer.json.
enum ModelReader {
  /// Refuses what is no plain BPE.
  static func checkOptions(_ model: DocumentReader, _ alphabet: Alphabet) throws {
    if let type = try model.string("type"), type != "BPE" {
      throw model.error("type", "\"\(type)\" is not supported yet")
    }
    if let dropout = try model.number("dropout", in: 0...1), dropout > 0 {
      throw model.error("dropout", "is not supported: the same text has to give the same ids")
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let text = try model.string(key), !text.isEmpty { throw model.error(key, "is not supported yet") }
    }
    if try model.bool("byte_fallback") == true, alphabet == .bytes {
      throw model.error("byte_fallback", "together with ByteLevel is not supported yet")
    }
    // Of bytes, these two matter only for what is unknown, and no byte is (see `checkBytes`).
    _ = try (model.bool("fuse_unk"), model.string("unk_token"), model.bool("ignore_merges"))
    _ = (model.optional("vocab"), model.optional("merges"))
    try model.finish()
  }

  /// What becomes of characters that have no piece.
  static func fallback(_ model: DocumentReader, _ vocabulary: Vocabulary, _ index: PieceIndex) throws -> Fallback {
    guard vocabulary.alphabet == .marked else {
      try checkBytes(model, vocabulary)
      return Fallback()
    }
    var fallback = Fallback(usesBytes: try model.bool("byte_fallback") ?? false)
    if let unknown = try model.string("unk_token") {
      let (bytes, isLiteral) = vocabulary.alphabet.bytes(of: unknown)
      guard let id = index.find(bytes, 0..<bytes.count, literal: isLiteral, in: vocabulary) else {
        throw model.error("unk_token", "\"\(unknown)\" is not in the vocabulary")
      }
      fallback.unknownID = id
      fallback.fusesUnknown = try model.bool("fuse_unk") ?? false
    }
    return fallback
  }

  /// The vocabulary as it stands.
  static func vocabulary(_ model: DocumentReader) throws -> [JSON.Member] {
    let value = try model.required("vocab")
    guard let members = value.members else {
      throw model.error("vocab", "a mapping is expected, not \(value.kindName)")
    }
    try checkSize(members) { model.error("vocab", $0) }
    return members
  }

  static func checkSize(_ members: [JSON.Member], _ error: (String) -> FurlError) throws {
    guard members.count <= Vocabulary.maximumCount else {
      throw error("has \(members.count) pieces; at most \(Vocabulary.maximumCount) are supported")
    }
    guard members.reduce(0, { $0 + $1.key.utf8.count }) <= Vocabulary.maximumBytes else {
      throw error("has more than \(Vocabulary.maximumBytes) bytes of pieces")
    }
  }

  /// A byte without a piece is left out of the ids; with an unknown token it would become that.
  private static func checkBytes(_ model: DocumentReader, _ vocabulary: Vocabulary) throws {
    guard let unknown = try model.string("unk_token"), vocabulary.byteIDs().contains(MergeTable.none) else { return }
    throw model.error("unk_token", "\"\(unknown)\" for bytes without a piece is not supported yet")
  }

  /// The merges by rank, without those that can never apply.
  static func merges(
    _ model: DocumentReader, _ vocabulary: Vocabulary, _ index: PieceIndex
  ) throws -> [MergeTable.Merge] {
    let value = try model.required("merges")
    guard let lines = value.array else { throw model.error("merges", "a list is expected, not \(value.kindName)") }
    guard lines.count <= MergeTable.maximumCount else { throw model.error("merges", "has too many merges") }
    // A pair that comes again takes the later rank, as in the reference.
    var list = MergeList(vocabulary, index, repeated: .later, capacity: lines.count)
    for (line, element) in lines.enumerated() {
      guard let (left, right) = try pair(element, line, model) else { continue }
      try list.add(left, right) { model.error("merges[\(line)]", $0) }
    }
    return list.merges
  }

  /// The two pieces of a merge, written as `"a b"` or as `["a", "b"]`; nil for a version line.
  private static func pair(_ value: JSON, _ line: Int, _ model: DocumentReader) throws -> (String, String)? {
    let parts: [String]
    if let text = value.string {
      if text.hasPrefix("#version") { return nil }
      parts = text.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false).map { String($0) }
    } else if let list = value.array {
      parts = list.compactMap(\.string)
      guard parts.count == list.count else { throw model.error("merges[\(line)]", "two pieces are expected") }
    } else {
      throw model.error("merges[\(line)]", "two pieces are expected, not \(value.kindName)")
    }
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
      throw model.error("merges[\(line)]", "two pieces are expected")
    }
    return (parts[0], parts[1])
  }
}
