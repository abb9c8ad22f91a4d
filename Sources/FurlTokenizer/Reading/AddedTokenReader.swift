import FurlBase

/// Reads added tokens in the forms that files have for them.
enum AddedTokenReader {
  struct AddedTokenEntry {
    var id: Int
    var text: String
    var flags: AddedToken.AddedTokenFlags
    var isSpecial: Bool
    /// Whether the configuration names it by a mapping, which `added_tokens.json` is not held against, as in the reference.
    var isMapping = false
  }

  /// The list of `tokenizer.json`.
  static func read(_ file: DocumentReader) throws -> [AddedTokenEntry] {
    try (file.readers("added_tokens") ?? []).map { reader in
      guard let id = try reader.integer("id", in: 0...Vocabulary.maximumCount), let text = try reader.string("content")
      else {
        throw reader.error(nil, "an added token needs an id and a content")
      }
      return try read(reader, id, text, isSpecial: reader.bool("special") ?? false)
    }
  }

  /// The mapping from ids of `tokenizer_config.json`, `added_tokens_decoder`, in the order of the ids.
  static func read(byID list: JSON, file: String?) throws -> [AddedTokenEntry] {
    let key = "added_tokens_decoder"
    guard let members = list.members else {
      throw FurlError.input(file, key, "a mapping is expected, not \(list.kindName)")
    }
    let tokens = try members.map { member in
      let reader = try DocumentReader(member.value, file: file, path: "\(key).\(member.key)")
      guard let id = Int(member.key), (0...Vocabulary.maximumCount).contains(id),
        let text = try reader.string("content")
      else { throw reader.error(nil, "an id with an added token that has a content is expected") }
      return try read(reader, id, text, isSpecial: reader.bool("special") ?? false)
    }
    return tokens.sorted { $0.id < $1.id }
  }

  /// The mapping to ids of `added_tokens.json`, in its order.
  static func read(byText list: JSON, file: String?) throws -> [AddedTokenEntry] {
    guard let members = list.members else {
      throw FurlError.input(file, "a mapping is expected, not \(list.kindName)")
    }
    return try members.map { member in
      guard let id = member.value.integer, (0...Vocabulary.maximumCount).contains(id) else {
        throw FurlError.input(file, member.key, "an id is expected, not \(member.value.kindName)")
      }
      return AddedTokenEntry(id: id, text: member.key, flags: .normalized, isSpecial: false)
    }
  }

  /// A special token whose id is not known yet.
  static func special(_ text: String) -> AddedTokenEntry {
    AddedTokenEntry(id: -1, text: text, flags: [], isSpecial: true)
  }

  /// The same, as a text or as a mapping.
  ///
  /// - Parameter isSpecial: whether a mapping is that of a special token.
  static func special(
    _ value: JSON, _ key: String, _ reader: DocumentReader, isSpecial: Bool = true
  ) throws -> AddedTokenEntry {
    if let text = value.string { return special(text) }
    guard value.members != nil, let text = value["content"]?.string else {
      throw reader.error(key, "a text or a mapping with a text \"content\" is expected, not \(value.kindName)")
    }
    return try read(DocumentReader(value, file: reader.file, path: key), -1, text, isSpecial: isSpecial)
  }

  private static func read(_ reader: DocumentReader, _ id: Int, _ text: String, isSpecial: Bool) throws
    -> AddedTokenEntry
  {
    var flags: AddedToken.AddedTokenFlags = []
    if try reader.bool("single_word") == true { flags.insert(.singleWord) }
    if try reader.bool("lstrip") == true { flags.insert(.stripsLeft) }
    if try reader.bool("rstrip") == true { flags.insert(.stripsRight) }
    if try reader.bool("normalized") ?? !isSpecial { flags.insert(.normalized) }
    _ = try (reader.string("content"), reader.bool("special"), reader.optional("id"), reader.string("__type"))
    try reader.finish()
    return AddedTokenEntry(id: id, text: text, flags: flags, isSpecial: isSpecial)
  }
}
