package import FurlBase
package import FurlSpec

/// How an artifact keeps its weights.
package enum ArtifactStorage: String, Sendable, Hashable, CaseIterable {
  /// The smallest file; streams are decoded when they are loaded.
  case compact
  /// Streams lie aligned and are used as they lie in the mapped file.
  case mapped
}

/// What an artifact says beside its tensors: what the model is, and what it was made from.
package struct ArtifactDescription: Sendable, Hashable {
  /// The version of Furl that wrote the file.
  package var furl: String
  /// The family of the model, `gpt2`.
  package var architecture: String
  /// The architecture as data: a mapping that this module does not look into.
  package var spec: JSON
  /// The checkpoint's configuration: a mapping that this module does not look into.
  package var config: JSON
  package var recipe: RecipeRecord
  package var lineage: [SourceRecord]
  /// The ids of the tokens at which generation ends, ascending; nil: those that `config` and the tokenizer name.
  package var endTokens: [Int]?
  /// What came with the weights: chat templates, settings of generation, licence.
  package var papers: ModelPapers

  package init(
    furl: String, architecture: String, spec: JSON, config: JSON, recipe: RecipeRecord, lineage: [SourceRecord],
    endTokens: [Int]? = nil, papers: ModelPapers = ModelPapers()
  ) {
    self.furl = furl
    self.architecture = architecture
    self.spec = spec
    self.config = config
    self.recipe = recipe
    self.lineage = lineage
    self.endTokens = endTokens
    self.papers = papers
  }

  /// The recipe that the artifact was made by.
  package struct RecipeRecord: Sendable, Hashable {
    package var name: String
    /// In canonical form.
    package var text: String
    /// What else the caller wants kept: a mapping that this module does not look into.
    package var details: JSON

    package init(name: String, text: String, details: JSON = .object([])) {
      self.name = name
      self.text = text
      self.details = details
    }

    package var digest: Digest { Digest(of: Array(text.utf8)) }
  }

  /// A file that the artifact was made from.
  package struct SourceRecord: Sendable, Hashable {
    /// Without its folder: the same input gives the same bytes wherever it lies.
    package var name: String
    package var bytes: Int
    package var digest: Digest

    package init(name: String, bytes: Int, digest: Digest) {
      self.name = name
      self.bytes = bytes
      self.digest = digest
    }
  }
}

extension ArtifactDescription {
  var members: [JSON.Member] {
    [
      .init("architecture", .string(architecture)),
      .init("config", config),
      .init("furl", .string(furl)),
      .init("lineage", .array(lineage.map(\.json))),
      .init("recipe", recipe.json),
      .init("spec", spec),
    ] + endMembers + paperMembers(papers.json)
  }

  /// Those of the manifest that the id is the digest of.
  var identityMembers: [JSON.Member] { endMembers + paperMembers(papers.identity) }

  private func paperMembers(_ papers: JSON?) -> [JSON.Member] { papers.map { [.init("papers", $0)] } ?? [] }

  /// Nothing where there are none of their own, so that such a file is as it was before there was this key.
  var endMembers: [JSON.Member] {
    endTokens.map { [.init("end_tokens", .array($0.map(JSON.integer)))] } ?? []
  }

  /// Reads the members that are not about tensors.
  init(_ reader: DocumentReader) throws {
    func object(_ reader: DocumentReader, _ key: String) throws -> JSON {
      let value = try reader.required(key)
      guard case .object = value else { throw reader.error(key, "a mapping is expected, not \(value.kindName)") }
      return value
    }
    furl = try reader.needed("furl", reader.string)
    architecture = try reader.needed("architecture", reader.string)
    spec = try object(reader, "spec")
    config = try object(reader, "config")

    if let value = reader.optional("end_tokens") {
      let ids = (value.array ?? []).compactMap(\.integer)
      guard ids.count == value.array?.count, ids.allSatisfy({ $0 >= 0 }),
        zip(ids, ids.dropFirst()).allSatisfy({ $0 < $1 })
      else { throw reader.error("end_tokens", "a list of ascending ids is expected") }
      endTokens = ids
    }

    papers = try reader.reader("papers").map { try ModelPapers($0) } ?? ModelPapers()

    let inner = try reader.needed("recipe", reader.reader)
    recipe = RecipeRecord(
      name: try inner.needed("name", inner.string), text: try inner.needed("text", inner.string),
      details: try object(inner, "details"))
    guard try inner.digest("sha256") == recipe.digest else {
      throw inner.error("sha256", "is not the digest of the recipe's text")
    }
    try inner.finish()

    lineage = try reader.needed("lineage", reader.readers).map { entry in
      let source = SourceRecord(
        name: try entry.needed("name", entry.string),
        bytes: try entry.needed("bytes") { try entry.integer($0, in: 0...Int.max) },
        digest: try entry.digest("sha256"))
      try entry.finish()
      guard source.isNamedWithoutFolder else { throw entry.error("name", "is not the name of a file") }
      return source
    }
  }
}

extension ArtifactDescription.RecipeRecord {
  var json: JSON {
    ["details": details, "name": .string(name), "sha256": .string(digest.hex), "text": .string(text)]
  }
}

extension ArtifactDescription.SourceRecord {
  var json: JSON { ["bytes": .integer(bytes), "name": .string(name), "sha256": .string(digest.hex)] }

  var isNamedWithoutFolder: Bool { !name.isEmpty && !name.utf8.contains(UInt8(ascii: "/")) }
}

extension DocumentReader {
  /// A SHA-256 digest in hexadecimal digits.
  func digest(_ key: String) throws -> Digest {
    guard let digest = Digest(hex: try needed(key, string)) else {
      throw error(key, "64 lower-case hexadecimal digits are expected")
    }
    return digest
  }
}
