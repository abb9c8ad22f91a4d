import FurlSpec
import FurlTensor

/// Reads the `model` of a tokenizer.json.
enum ModelReader {
  /// Refuses what is no plain BPE.
  static func checkOptions(_ model: DocumentReader) throws {
    if let type = try model.string("type"), type != "BPE" {
      throw model.error("type", "\"\(type)\" is not supported yet")
    }
    if let dropout = try model.number("dropout", in: 0...1), dropout > 0 {
      throw model.error("dropout", "is not supported: the same text has to give the same ids")
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let text = try model.string(key), !text.isEmpty { throw model.error(key, "is not supported yet") }
    }
    if try model.bool("byte_fallback") == true { throw model.error("byte_fallback", "is not supported yet") }
    // These two matter only for what is unknown, and no byte is (see `checkBytes`).
    _ = try (model.bool("fuse_unk"), model.string("unk_token"), model.bool("ignore_merges"))
    _ = (model.optional("vocab"), model.optional("merges"))
    try model.finish()
  }

  /// The vocabulary as it stands.
  static func vocabulary(_ model: DocumentReader) throws -> [JSON.Member] {
    let value = try model.required("vocab")
    guard let members = value.members else {
      throw model.error("vocab", "a mapping is expected, not \(value.kindName)")
    }
    guard members.count <= Vocabulary.maximumCount else {
      throw model.error("vocab", "has \(members.count) pieces; at most \(Vocabulary.maximumCount) are supported")
    }
    guard members.reduce(0, { $0 + $1.key.utf8.count }) <= Vocabulary.maximumBytes else {
      throw model.error("vocab", "has more than \(Vocabulary.maximumBytes) bytes of pieces")
    }
    return members
  }

  /// A byte without a piece is left out of the ids; with an unknown token it would become that.
  static func checkBytes(_ model: DocumentReader, _ vocabulary: Vocabulary) throws {
    guard let unknown = try model.string("unk_token") else { return }
    var known = [Bool](repeating: false, count: 256)
    for id in 0..<vocabulary.count where vocabulary.range(id).count == 1 && vocabulary.kinds[id].contains(.model) {
      if !vocabulary.kinds[id].contains(.literal) {
        known[Int(vocabulary.bytes[vocabulary.range(id).lowerBound])] = true
      }
    }
    guard known.allSatisfy({ $0 }) else {
      throw model.error("unk_token", "\"\(unknown)\" for bytes without a piece is not supported yet")
    }
  }

  /// The merges by rank, without those that can never apply.
  static func merges(
    _ model: DocumentReader, _ vocabulary: Vocabulary, _ index: PieceIndex
  ) throws -> [MergeTable.Merge] {
    let value = try model.required("merges")
    guard let list = value.array else { throw model.error("merges", "a list is expected, not \(value.kindName)") }
    guard list.count <= MergeTable.maximumCount else { throw model.error("merges", "has too many merges") }
    var merges: [MergeTable.Merge?] = []
    merges.reserveCapacity(list.count)
    var rankOfPair: [UInt64: Int] = [:]
    rankOfPair.reserveCapacity(list.count)
    for (line, element) in list.enumerated() {
      guard let (left, right) = try pair(element, line, model) else { continue }
      func id(_ piece: String) throws -> (id: UInt32, isLiteral: Bool) {
        let (bytes, isLiteral) = ByteAlphabet.bytes(of: piece)
        guard let id = index.find(bytes, 0..<bytes.count, literal: isLiteral, in: vocabulary) else {
          throw model.error("merges[\(line)]", "the piece \"\(piece)\" is not in the vocabulary")
        }
        return (UInt32(id), isLiteral)
      }
      let (first, second, both) = (try id(left), try id(right), try id(left + right))
      // Words are made of bytes only: a piece that is text as it stands never comes up.
      if first.isLiteral || second.isLiteral { continue }
      // A pair that comes again takes the later rank, as in the reference.
      if let earlier = rankOfPair.updateValue(merges.count, forKey: UInt64(first.id) << 32 | UInt64(second.id)) {
        merges[earlier] = nil
      }
      merges.append(MergeTable.Merge(left: first.id, right: second.id, result: both.id))
    }
    return merges.compactMap { $0 }
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

/// Reads the list of added tokens.
enum AddedTokenReader {
  struct Token {
    var id: Int
    var text: String
    var flags: AddedToken.Flags
    var isSpecial: Bool
  }

  static func read(_ file: DocumentReader, isNormalizing: Bool) throws -> [Token] {
    try (file.readers("added_tokens") ?? []).map { reader in
      guard let id = try reader.integer("id", in: 0...Vocabulary.maximumCount), let text = try reader.string("content")
      else {
        throw reader.error(nil, "an added token needs an id and a content")
      }
      var flags: AddedToken.Flags = []
      if try reader.bool("single_word") == true { flags.insert(.singleWord) }
      if try reader.bool("lstrip") == true { flags.insert(.stripsLeft) }
      if try reader.bool("rstrip") == true { flags.insert(.stripsRight) }
      if try reader.bool("normalized") == true { flags.insert(.normalized) }
      let isSpecial = try reader.bool("special") ?? false
      try reader.finish()
      let bytes = Array(text.utf8)
      if isNormalizing, flags.contains(.normalized), Normalizer.nfc(bytes, 0..<bytes.count) != bytes {
        throw reader.error("content", "a text that normalization changes is not supported yet")
      }
      return Token(id: id, text: text, flags: flags, isSpecial: isSpecial)
    }
  }
}
