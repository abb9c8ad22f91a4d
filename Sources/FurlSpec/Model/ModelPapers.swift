package import FurlBase

/// What comes with a model's weights beside what computes with them: how it is talked to, how it is sampled from, and what may
/// be done with it. All of it is kept as it was written.
package struct ModelPapers: Sendable, Hashable {
  /// A chat template, by the name that tells it from others of the model.
  package struct NamedTemplate: Sendable, Hashable {
    /// The one that is meant where none is named.
    package static let usual = "default"

    package let name: String
    package let text: String

    package init(name: String, text: String) {
      self.name = name
      self.text = text
    }
  }

  /// A file of text that belongs to the model, such as its licence.
  package struct TextFile: Sendable, Hashable {
    package let name: String
    package let text: String

    package init(name: String, text: String) {
      self.name = name
      self.text = text
    }
  }

  /// Of different names.
  package var templates: [NamedTemplate] = []
  /// The texts of tokens by what they are for, beside the beginning, the end and the unknown one: `pad_token`.
  package var specialTokens: [JSON.Member] = []
  /// The text of `generation_config.json`.
  package var generation: String?
  /// What the model's card says of licence, languages and the model that it was made from, under the names of Hugging Face's
  /// front matter; texts and lists of texts.
  package var card: [JSON.Member] = []
  /// `LICENSE`, `NOTICE` and their like.
  package var files: [TextFile] = []

  package init() {}

  package var isEmpty: Bool { self == ModelPapers() }

  /// The template of a name.
  package func template(_ name: String) -> String? { templates.first { $0.name == name }?.text }

  /// What the configuration of generation says; nil where there is none that can be read.
  package var generationSettings: JSON? {
    generation.flatMap { try? JSON.parse(Array($0.utf8), file: nil, depthLimit: 100, dialect: .nonFinite) }
  }

  // MARK: Form in artifacts

  /// Most bytes of a template, a file or the configuration of generation.
  package static let largest = 1 << 20

  /// Nil where there is nothing to say.
  package var json: JSON? { isEmpty ? nil : .object(members(generation: generation, specialTokens: specialTokens)) }

  /// As much of it as an artifact is told by: what only says which tokens there are is left to the tokenizer and the ends of
  /// texts.
  package var identity: JSON? {
    let namesTokensOnly = generationSettings?.members?.allSatisfy {
      $0.key.hasSuffix("_token_id") || ["transformers_version", "_from_model_config"].contains($0.key)
    }
    let members = members(generation: namesTokensOnly == true ? nil : generation, specialTokens: [])
    return members.isEmpty ? nil : .object(members)
  }

  private func members(generation: String?, specialTokens: [JSON.Member]) -> [JSON.Member] {
    func named(_ pairs: [(String, String)]) -> JSON {
      .array(pairs.map { ["name": .string($0.0), "text": .string($0.1)] })
    }
    var members: [JSON.Member] = []
    if !card.isEmpty { members.append(.init("card", .object(card))) }
    if !templates.isEmpty { members.append(.init("chat_templates", named(templates.map { ($0.name, $0.text) }))) }
    if !files.isEmpty { members.append(.init("files", named(files.map { ($0.name, $0.text) }))) }
    if let generation { members.append(.init("generation_config", .string(generation))) }
    if !specialTokens.isEmpty { members.append(.init("special_tokens", .object(specialTokens))) }
    return members
  }

  /// Reads the form in artifacts.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the key.
  package init(_ reader: DocumentReader) throws {
    func named(_ key: String) throws -> [(String, String)] {
      guard reader.optional(key) != nil else { return [] }
      let pairs = try (reader.readers(key) ?? []).map { entry in
        let pair = (try entry.needed("name", entry.string), try entry.needed("text", entry.string))
        try entry.finish()
        return pair
      }
      guard Set(pairs.map { Array($0.0.utf8) }).count == pairs.count else {
        throw reader.error(key, "has one name twice")
      }
      return pairs
    }
    func mapping(_ key: String) throws -> [JSON.Member] {
      guard let value = reader.optional(key) else { return [] }
      guard let members = value.members, members.allSatisfy({ $0.value.isTextOrTexts }) else {
        throw reader.error(key, "a mapping to texts is expected")
      }
      return members
    }
    card = try mapping("card")
    templates = try named("chat_templates").map(NamedTemplate.init)
    files = try named("files").map(TextFile.init)
    generation = try reader.string("generation_config")
    specialTokens = try mapping("special_tokens")
    try reader.finish()
    if let file = files.first(where: { !ModelPapers.isFileName($0.name) }) {
      throw reader.error("files", "\"\(file.name)\" is not the name of a licence or a notice")
    }
    let texts = templates.map(\.text) + files.map(\.text) + [generation ?? ""]
    if let text = texts.first(where: { $0.utf8.count > Self.largest }) {
      throw reader.error("files", "has a text of \(text.utf8.count) bytes, which is more than allowed")
    }
  }

  /// Whether a file of a checkpoint's folder is one of those that belong to the model, by its name.
  package static func isFileName(_ name: String) -> Bool {
    let stem = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)[0]
    let ending = name.dropFirst(stem.count)
    return ["LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY"].contains(String(stem))
      && ["", ".txt", ".md"].contains(String(ending))
  }
}

extension JSON {
  /// Whether it is a text or a list of texts.
  package var isTextOrTexts: Bool { string != nil || array?.allSatisfy { $0.string != nil } == true }

  /// A text, or the texts of a list.
  package var texts: [String] { string.map { [$0] } ?? array?.compactMap(\.string) ?? [] }
}
