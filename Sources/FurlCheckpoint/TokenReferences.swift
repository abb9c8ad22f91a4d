package import FurlBase
package import FurlSpec

/// The ids of tokens that a `config.json` names: `eos_token_id` and its like, and lists of tokens that are not to come up.
package struct TokenReferences {
  private let config: JSON

  package init(_ config: JSON) { self.config = config }

  private static let lists: Set<String> = ["suppress_tokens", "begin_suppress_tokens", "bad_words_ids"]

  private static func names(_ key: String) -> Bool { key.hasSuffix("_token_id") || lists.contains(key) }

  /// All of them.
  package var ids: Set<Int> {
    var ids: Set<Int> = []
    func collect(_ value: JSON) {
      if let id = value.integer { ids.insert(id) }
      for element in value.array ?? [] { collect(element) }
    }
    for member in config.members ?? [] where TokenReferences.names(member.key) { collect(member.value) }
    return ids
  }

  /// The configuration of the same model with other ids.
  ///
  /// - Parameters:
  ///   - numbers: the new id of every old one; what is not in it, such as -1, stays.
  ///   - spec: what the model has become.
  package func renumbered(_ numbers: [Int: Int], for spec: ModelSpec) -> JSON {
    guard let members = config.members else { return config }
    func renumber(_ value: JSON) -> JSON {
      if let id = value.integer { return .integer(numbers[id] ?? id) }
      return value.array.map { .array($0.map(renumber)) } ?? value
    }
    let family = Architectures.named(spec.architecture)
    let sizes = [family?.configurationKeys.vocabulary, family?.configurationKeys.tableRows]
    return .object(
      members.map { member in
        if sizes.contains(member.key) { return .init(member.key, .integer(spec.vocabularySize)) }
        return TokenReferences.names(member.key) ? .init(member.key, renumber(member.value)) : member
      })
  }
}
