import FurlBase

/// A `config.json`: as it stands, and as the families read it, with keys under the names that they ask for.
struct StoredConfiguration {
  /// What the family reads.
  private(set) var json: JSON
  /// What artifacts and exports carry: the file's own words, as far as they say what the model is.
  private(set) var kept: JSON
  /// What a person should know of how it was read.
  private(set) var notes: [String] = []
  private let path: String
  /// Whether the model is the text part of one that takes images, too.
  private(set) var isWrapped = false

  /// - Throws: ``FurlError`` of kind `input`.
  init(path: String) throws {
    json = try JSON.parse(
      MappedFile(path: path).readAll(limit: 2 << 20), file: path, depthLimit: 100, dialect: .nonFinite)
    self.path = path
    kept = json
    try unwrap()
    let family = Architectures.named(json["model_type"]?.string)
    try refuseOtherAliases(family?.aliases ?? [:])
    for (alias, key) in family?.aliases ?? [:] { try rename(alias, key) }
  }

  /// Takes the text part of a model that takes images or sounds beside text.
  private mutating func unwrap() throws {
    guard let text = json["text_config"], var members = text.members, let outer = json["model_type"]?.string,
      Architectures.named(outer) == nil
    else { return }
    guard let kind = text["model_type"]?.string else {
      throw FurlError.input(path, "text_config.model_type", "is missing")
    }
    // Whether the head is the embedding is said by the whole; the rest by its text part where that does.
    if let tied = json["tie_word_embeddings"], tied != .null {
      members.removeAll { $0.key == "tie_word_embeddings" }
      members.append(.init("tie_word_embeddings", tied))
    }
    for key in ["eos_token_id", "bos_token_id", "quantization_config", "quantization"] {
      guard text[key] == nil, let value = json[key] else { continue }
      members.append(.init(key, value))
    }
    json = .object(members)
    kept = json
    isWrapped = true
    notes.append("of this \(outer) model the text part is taken, a \(kind) model")
  }

  /// transformers would read every key under another name by this mapping.
  private func refuseOtherAliases(_ own: KeyValuePairs<String, String>) throws {
    guard let members = json["attribute_map"]?.members else { return }
    guard members.allSatisfy({ member in own.contains { $0.key == member.key && $0.value == member.value.string } })
    else {
      throw FurlError.input(path, "attribute_map", "gives keys other meanings, which is not supported")
    }
  }

  /// Puts what stands under an alias under the key that it stands for.
  private mutating func rename(_ alias: String, _ key: String) throws {
    guard var members = json.members, let index = members.firstIndex(where: { $0.key == alias }) else { return }
    let value = members.remove(at: index).value
    let isAlone = (json[key] ?? .null) == .null
    if value != .null {
      if let other = members.first(where: { $0.key == key })?.value, other != value {
        throw FurlError.input(
          path, alias, "says \(value.compactText.prefix(40)), and \(key) says \(other.compactText.prefix(40))",
          remedy: "both mean the same; leave the right one")
      }
      members.removeAll { $0.key == key }
      members.append(.init(key, value))
    }
    json = .object(members)
    // Where both are there they say the same, and the file stays as it is.
    if isAlone, value != .null {
      kept = .object((kept.members ?? []).filter { ![alias, key].contains($0.key) } + [.init(key, value)])
    }
  }

  mutating func set(_ key: String, _ value: JSON) {
    json = .object((json.members ?? []).filter { $0.key != key } + [.init(key, value)])
    kept = .object((kept.members ?? []).filter { $0.key != key } + [.init(key, value)])
  }

  mutating func note(_ text: String) { notes.append(text) }

  private mutating func remove(_ keys: [String]) {
    json = .object((json.members ?? []).filter { !keys.contains($0.key) })
    kept = .object((kept.members ?? []).filter { !keys.contains($0.key) })
  }

  /// Leaves out how weights are quantized: what is read of them are plain numbers.
  ///
  /// - Parameter form: that the weights have; nil: the tensors say that they are plain, and what is declared a merge of an
  ///   adapter has left.
  /// - Throws: ``FurlError`` of kind `input` for a method that makes other weights of plain ones when they are loaded.
  mutating func dropQuantization(_ form: (any QuantizedForm)?) throws {
    let key = "quantization_config"
    if let form {
      remove([key, "quantization"])
      return note("the weights are quantized (\(form.name)), and are decoded to FP32 when they are read")
    }
    guard let value = json[key], value != .null else { return }
    if let name = value["quant_method"]?.string, StoredConfiguration.roundsPlainWeights(name, value) {
      throw FurlError.input(
        path, "\(key).quant_method", "\"\(name)\" rounds plain weights when they are loaded, which is not supported",
        remedy: "if they are to be taken as they stand, remove \(key)")
    }
    remove([key])
    // What transformers unpacks is read as it lies.
    if value["quant_method"]?.string == "mxfp4" { return }
    let method = value["quant_method"]?.string.map { " (\($0.prefix(40)))" } ?? ""
    notes.append("\(key)\(method) of config.json is left over: the weights are plain numbers")
  }

  /// BitNet's linear layers round their weights in every call; FP-Quant keeps master weights, and rounds those.
  private static func roundsPlainWeights(_ method: String, _ value: JSON) -> Bool {
    switch method {
    case "bitnet": true
    case "fp_quant": value["store_master_weights"] == .bool(true)
    default: false
    }
  }
}
