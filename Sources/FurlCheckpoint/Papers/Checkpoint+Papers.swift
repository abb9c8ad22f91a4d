import FurlBase
package import FurlSpec
import FurlTensor

extension Checkpoint {
  /// What came with the weights: templates, special tokens, settings of generation, the card's facts and licences.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names file and key.
  package func papers() throws -> ModelPapers {
    var papers = try gguf.map { try GGUFPapers.read($0.metadata) } ?? FolderPapers(folder).read()
    if tokenizerBytes != nil { papers.dropTokenIDs() }
    return papers
  }
}

extension ModelPapers {
  /// Leaves out the ids of tokens, which are others now; what ends a text is said by itself.
  fileprivate mutating func dropTokenIDs() {
    guard let members = generationSettings?.members else { return }
    let lists = ["suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias", "forced_decoder_ids"]
    let kept = members.filter { !$0.key.hasSuffix("_token_id") && !lists.contains($0.key) }
    generation = kept.isEmpty ? nil : JSON.object(kept).prettyText + "\n"
  }
}

/// Papers of a folder, as transformers and the Hugging Face hub have them.
///
/// Source: https://huggingface.co/docs/transformers/chat_templating and `PreTrainedTokenizerBase._from_pretrained`: files with
/// templates count before what `tokenizer_config.json` says.
struct FolderPapers {
  private let folder: String

  init(_ folder: String) { self.folder = folder }

  func read() throws -> ModelPapers {
    var papers = ModelPapers()
    let config = try document("tokenizer_config.json")
    papers.templates = try templateFiles()
    if papers.templates.isEmpty { papers.templates = try templates(config?["chat_template"]) }
    papers.specialTokens = specialTokens([try document("special_tokens_map.json"), config])
    papers.generation = try text("generation_config.json")
    papers.card = try text("README.md").map(ModelCard.facts) ?? []
    papers.files = try FolderListing(folder).names.filter(ModelPapers.isFileName).sorted().compactMap { name in
      try text(name).map { ModelPapers.TextFile(name: name, text: $0) }
    }
    return papers
  }

  /// A text of the folder, if it is there.
  private func text(_ name: String) throws -> String? {
    let path = folder + "/" + name
    guard FileNames.isFolder(path) == false else { return nil }
    guard let text = String(validating: try MappedFile(path: path).readAll(limit: ModelPapers.largest), as: UTF8.self)
    else {
      throw FurlError.input(path, "is not UTF-8")
    }
    return text
  }

  private func document(_ name: String) throws -> JSON? {
    let path = folder + "/" + name
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try JSON.parse(MappedFile(path: path).readAll(limit: 64 << 20), file: path, dialect: .nonFinite)
  }

  private func templateFiles() throws -> [ModelPapers.NamedTemplate] {
    var found: [ModelPapers.NamedTemplate] = []
    if let text = try text("chat_template.jinja") {
      found.append(.init(name: ModelPapers.NamedTemplate.usual, text: text))
    }
    let more = "additional_chat_templates"
    guard FileNames.isFolder(folder + "/" + more) == true else { return found }
    for name in FolderListing(folder + "/" + more).names.sorted() where name.hasSuffix(".jinja") {
      guard let text = try text(more + "/" + name) else { continue }
      found.append(.init(name: String(name.dropLast(".jinja".count)), text: text))
    }
    return found
  }

  /// One template, a list of templates with names, or a mapping from names.
  private func templates(_ value: JSON?) throws -> [ModelPapers.NamedTemplate] {
    guard let value, value != .null else { return [] }
    func error(_ problem: String) -> FurlError {
      .input(folder + "/tokenizer_config.json", "chat_template", problem)
    }
    if let text = value.string { return [.init(name: ModelPapers.NamedTemplate.usual, text: text)] }
    let pairs: [(String?, String?)] =
      value.members.map { $0.map { ($0.key, $0.value.string) } }
      ?? value.array.map { $0.map { ($0["name"]?.string, $0["template"]?.string) } } ?? [(nil, nil)]
    let found = try pairs.map { name, text in
      guard let name, let text else { throw error("a text or a list of templates with names is expected") }
      return ModelPapers.NamedTemplate(name: name, text: text)
    }
    guard Set(found.map { Array($0.name.utf8) }).count == found.count else {
      throw error("has two templates of one name")
    }
    return found
  }

  /// Those that an artifact's tokenizer does not say itself. Of several files the later one counts.
  private func specialTokens(_ documents: [JSON?]) -> [JSON.Member] {
    var found: [String: String] = [:]
    for member in documents.flatMap({ $0?.members ?? [] }) {
      guard member.key.hasSuffix("_token"), !["bos_token", "eos_token", "unk_token"].contains(member.key),
        let text = member.value.string ?? member.value["content"]?.string
      else { continue }
      found[member.key] = text
    }
    return found.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) }
  }
}
