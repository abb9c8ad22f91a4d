import FurlSpec
import FurlTensor

/// What `tokenizer_config.json` says about the tokens around a text.
struct TokenizerConfig {
  var file: String?
  var addsBOS: Bool?
  var bos: (key: String, text: String)?
  var eos: (key: String, text: String)?

  init() {}

  init(path: String) throws {
    let json = try JSON.parse(try MappedFile(path: path).readAll(limit: 64 << 20), file: path, python: true)
    let reader = try DocumentReader(json, file: path)
    file = path
    addsBOS = try reader.bool("add_bos_token")
    bos = try Self.token("bos_token", reader)
    eos = try Self.token("eos_token", reader)
  }

  /// A token is a text, or a mapping with its text under `content`.
  private static func token(_ key: String, _ reader: DocumentReader) throws -> (key: String, text: String)? {
    guard let value = reader.optional(key) else { return nil }
    guard let text = value.string ?? value["content"]?.string else {
      throw reader.error(key, "a text or a mapping with a text \"content\" is expected, not \(value.kindName)")
    }
    return (key, text)
  }
}
