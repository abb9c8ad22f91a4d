import FurlCheckpoint
import FurlTensor

extension GGUFTokenizer {
  /// Reads the keys of a GGUF file.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the key.
  public init(_ metadata: GGUFMetadata) throws {
    let prefix = "tokenizer.ggml."
    guard let model = try metadata.string(prefix + "model"), let tokens = try metadata.bytes(prefix + "tokens") else {
      throw metadata.error(prefix + "tokens", "is missing: the file has no tokenizer")
    }
    var endIDs: [String: Int] = [:]
    for key in GGUFEnds.keys { endIDs[key] = try metadata.integer(prefix + key) }
    self.init(
      model: model, pre: try metadata.string(prefix + "pre"), tokens: tokens,
      types: try metadata.integers(prefix + "token_type") ?? [], scores: try metadata.floats(prefix + "scores") ?? [],
      merges: try metadata.bytes(prefix + "merges") ?? [], bosID: try metadata.integer(prefix + "bos_token_id"),
      eosID: try metadata.integer(prefix + "eos_token_id"), endIDs: endIDs,
      unknownID: try metadata.integer(prefix + "unknown_token_id"),
      addsBOS: try metadata.bool(prefix + "add_bos_token"),
      addsSpacePrefix: try metadata.bool(prefix + "add_space_prefix"), name: try metadata.string("general.name"))
  }
}
