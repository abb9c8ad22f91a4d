import FurlBase
import FurlSpec
import FurlTensor

/// Papers as GGUF files have them.
///
/// The keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and `gguf-py/gguf/constants.py` of llama.cpp.
enum GGUFPapers {
  static let template = "tokenizer.chat_template"
  static let templateNames = "tokenizer.chat_templates"
  /// Furl's own key: GGUF has none for what `generation_config.json` says, but for some settings of sampling.
  static let generation = "furl.generation_config"
  static let baseModel = "general.base_model"
  static let hub = "https://huggingface.co/"

  /// Special tokens by GGUF's keys, below `tokenizer.ggml.`. The second is spelled as GGUF spells it.
  static let tokenKeys: KeyValuePairs = [
    "padding_token_id": "pad_token", "seperator_token_id": "sep_token", "cls_token_id": "cls_token",
    "mask_token_id": "mask_token",
  ]
  /// Facts of a card that are texts, and those that are lists.
  static let texts: KeyValuePairs = [
    "general.license": "license", "general.license.name": "license_name", "general.license.link": "license_link",
  ]
  static let lists: KeyValuePairs = ["general.languages": "language", "general.tags": "tags"]

  /// - Throws: ``FurlError`` of kind `input` that names the key.
  static func read(_ metadata: GGUFMetadata) throws -> ModelPapers {
    var papers = ModelPapers()
    if let text = try metadata.string(template) {
      papers.templates.append(.init(name: ModelPapers.NamedTemplate.usual, text: text))
    }
    for key in metadata.keys where key.hasPrefix(template + ".") {
      let name = String(key.dropFirst(template.count + 1))
      guard let text = try metadata.string(key), name != ModelPapers.NamedTemplate.usual || papers.templates.isEmpty
      else { continue }
      papers.templates.append(.init(name: name, text: text))
    }
    papers.generation = try metadata.string(generation)
    papers.specialTokens = try specialTokens(metadata)
    papers.card = try card(metadata).sorted { $0.key < $1.key }
    let longest = (papers.templates.map(\.text) + [papers.generation ?? ""]).map(\.utf8.count).max() ?? 0
    guard longest <= ModelPapers.largest else { throw metadata.error(template, "has more than 1 MiB") }
    return papers
  }

  private static func specialTokens(_ metadata: GGUFMetadata) throws -> [JSON.Member] {
    let wanted = try tokenKeys.compactMap { key, role in
      try metadata.integer("tokenizer.ggml." + key).map { (role, $0) }
    }
    guard !wanted.isEmpty, let tokens = try metadata.bytes("tokenizer.ggml.tokens") else { return [] }
    return wanted.compactMap { role, id in
      guard tokens.indices.contains(id), let text = String(validating: tokens[id], as: UTF8.self), !text.isEmpty else {
        return nil
      }
      return JSON.Member(role, .string(text))
    }.sorted { $0.key < $1.key }
  }

  private static func card(_ metadata: GGUFMetadata) throws -> [JSON.Member] {
    var facts: [JSON.Member] = []
    for (key, name) in texts {
      if let text = try metadata.string(key) { facts.append(.init(name, .string(text))) }
    }
    for (key, name) in lists {
      if let list = try metadata.strings(key) { facts.append(.init(name, .array(list.map(JSON.string)))) }
    }
    for name in ModelCard.general {
      if let text = try metadata.string("general." + name) { facts.append(.init(ModelCard.name(name), .string(text))) }
    }
    for (stem, name) in [(baseModel, "base_model"), ("general.dataset", "datasets")] {
      let found = try references(stem, metadata)
      if !found.isEmpty { facts.append(.init(name, .array(found.map(JSON.string)))) }
    }
    return facts
  }

  /// Models or data sets with numbers, as the hub names them.
  private static func references(_ stem: String, _ metadata: GGUFMetadata) throws -> [String] {
    let count = try metadata.integer(stem + ".count") ?? 0
    return try (0..<max(0, min(count, 1000))).compactMap { number in
      let key = "\(stem).\(number)."
      if let url = try metadata.string(key + "repo_url") {
        return url.hasPrefix(hub) ? String(url.dropFirst(hub.count)) : url
      }
      guard let name = try metadata.string(key + "name") else { return nil }
      return try metadata.string(key + "organization").map { "\($0)/\(name)" } ?? name
    }
  }
}
