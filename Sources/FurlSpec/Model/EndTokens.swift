package import FurlBase

/// The tokens at which a model ends its texts, each with the places that name it.
///
/// One rule says what they are. A folder: those of `eos_token_id` (a number or a list) in `generation_config.json`, or in
/// `config.json` where the former names none, and with them the tokenizer's own end in any case. A GGUF file: what
/// llama.cpp ends at, which are the ids under `eos`, `eot`, `eom` and three of fill-in-the-middle, and tokens of well-known
/// names. An artifact: those of the model that it was made of.
package struct EndTokens: Sendable, Hashable {
  /// One of them.
  package struct GivenEndToken: Sendable, Hashable {
    package let id: Int
    /// The files or keys that name it, in the order in which they are asked.
    package fileprivate(set) var sources: [String]
  }

  /// By id, ascending.
  package private(set) var tokens: [GivenEndToken] = []

  package init() {}

  /// - Parameter source: what names all of them.
  package init(_ ids: [Int], from source: String) { for id in ids.sorted() { add(id, from: source) } }

  package var ids: [Int] { tokens.map(\.id) }

  package func contains(_ id: Int) -> Bool {
    let place = place(of: id)
    return place < tokens.count && tokens[place].id == id
  }

  /// Where a token is, or would be: a file may list as many as there are.
  private func place(of id: Int) -> Int {
    var (low, high) = (0, tokens.count)
    while low < high {
      let middle = (low + high) / 2
      if tokens[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Names a token, which may have been named before.
  package mutating func add(_ id: Int, from source: String) {
    let place = self.place(of: id)
    guard place < tokens.count, tokens[place].id == id else {
      return tokens.insert(GivenEndToken(id: id, sources: [source]), at: place)
    }
    if !tokens[place].sources.contains(source) { tokens[place].sources.append(source) }
  }

  /// Both sets; what names a token here comes before what names it there.
  package func union(_ other: EndTokens) -> EndTokens {
    var result = self
    for token in other.tokens { for source in token.sources { result.add(token.id, from: source) } }
    return result
  }

  /// Without one that is none after all.
  package mutating func remove(_ id: Int) { tokens.removeAll { $0.id == id } }

  /// The same tokens with other ids; those that have none are gone.
  package func renumbered(_ number: (Int) -> Int?) -> EndTokens {
    var result = EndTokens()
    for token in tokens {
      guard let id = number(token.id) else { continue }
      for source in token.sources { result.add(id, from: source) }
    }
    return result
  }
}

extension EndTokens {
  static let key = "eos_token_id"

  /// The ids under `eos_token_id` of a configuration. Null and negative numbers, which people write for none, name no
  /// token.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the key, for what is no id.
  package static func ids(in configuration: JSON?, file: String) throws -> [Int] {
    guard let value = configuration?[key], value != .null else { return [] }
    return try (value.array ?? [value]).compactMap { value in
      guard let id = value.integer else {
        throw FurlError.input(file, key, "an id of a token or a list of them is expected, not \(value.kindName)")
      }
      return id < 0 ? nil : id
    }
  }

  /// The same as far as it makes sense, for a configuration that was taken before anybody looked at it.
  package static func plainIDs(in configuration: JSON) -> [Int] {
    let value = configuration[key]
    return (value?.array ?? value.map { [$0] } ?? []).compactMap(\.integer).filter { $0 >= 0 }
  }
}

extension EndTokens {
  /// What an artifact has to say of them: nil where they are those that it says with its tokenizer and this configuration.
  ///
  /// - Parameter limit: what is not below it names no token.
  package func ids(beyond configuration: JSON, below limit: Int) -> [Int]? {
    let own = tokens.filter { $0.sources.contains("tokenizer") }.map(\.id)
    return Set(own + EndTokens.plainIDs(in: configuration).filter { $0 < limit }) == Set(ids) ? nil : ids
  }
}
