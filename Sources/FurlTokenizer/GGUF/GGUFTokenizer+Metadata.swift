package import FurlTensor

extension GGUFTokenizer {
  /// Reads the keys of a GGUF file.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the key.
  package init(_ metadata: GGUFMetadata) throws {
    let prefix = "tokenizer.ggml."
    guard let model = try metadata.string(prefix + "model"), let tokens = try metadata.bytes(prefix + "tokens") else {
      throw metadata.error(prefix + "tokens", "is missing: the file has no tokenizer")
    }
    // llama.cpp takes an id that no token has for none.
    func id(_ name: String) throws -> Int? {
      try metadata.integer(prefix + name).flatMap { tokens.indices.contains($0) ? $0 : nil }
    }
    var endIDs: [String: Int] = [:]
    for key in GGUFEnds.keys { endIDs[key] = try id(key) }
    self.init(
      model: model, pre: try metadata.string(prefix + "pre").flatMap { $0.isEmpty ? nil : $0 }, tokens: tokens,
      types: try metadata.integers(prefix + "token_type") ?? [], scores: try metadata.floats(prefix + "scores") ?? [],
      merges: try metadata.bytes(prefix + "merges") ?? [], bosID: try id("bos_token_id"),
      eosID: try id("eos_token_id"), endIDs: endIDs,
      unknownID: try id("unknown_token_id"),
      addsBOS: try metadata.bool(prefix + "add_bos_token"),
      addsSpacePrefix: try metadata.bool(prefix + "add_space_prefix"), name: try metadata.text("general.name"))
  }
}
