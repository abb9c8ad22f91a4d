/// How a model family cuts text into words, by the name under `tokenizer.ggml.pre`, as llama.cpp does it.
struct GGUFPreTokenizer {
  /// Patterns that are applied one after the other, each within the words of the one before.
  private let patterns: [String]
  let ignoresMerges: Bool
  /// Whether a token goes before a text where the file does not say.
  let addsBOS: Bool

  private init(_ patterns: [String], ignoresMerges: Bool = false, addsBOS: Bool = false) {
    self.patterns = patterns
    self.ignoresMerges = ignoresMerges
    self.addsBOS = addsBOS
  }

  func stages() throws -> [Stage] { try patterns.map { try Stage(.pattern($0)) } }

  /// - Parameter name: nil for a name that is not known.
  init?(name: String) {
    guard let known = Self.table.first(where: { $0.names.contains(name) }) else { return nil }
    self = known.cutting
  }

  static var names: [String] { table.flatMap(\.names) }

  /// One name for each way of cutting.
  static var mainNames: [String] { table.map { $0.names[0] } }

  static let digit = #"\p{N}"#
  private static let cjk = "[\u{4E00}-\u{9FA5}\u{0800}-\u{4E00}\u{AC00}-\u{D7FF}]+"

  private static let table: [(names: [String], cutting: GGUFPreTokenizer)] = [
    (["default"], .init([#"[\p{P}\$\+<=>\^~\|]+"#, Pattern.gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"])),
    (["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"], .init([Pattern.gpt2])),
    (
      ["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"],
      .init([digit, Pattern.gpt2])
    ),
    (
      ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
      .init([Pattern.llama3], ignoresMerges: true, addsBOS: true)
    ),
    (["dbrx", "smaug-bpe", "chatglm-bpe"], .init([Pattern.llama3])),
    (["glm4", "glm5"], .init([Pattern.llama3], ignoresMerges: true)),
    (
      ["qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "solar-open", "grok-2"],
      .init([Pattern.qwen2])
    ),
    (["deepseek-coder"], .init(["[\r\n]", #"\s?\p{L}+"#, #"\s?\p{P}+"#, cjk, digit])),
    (["falcon"], .init([#"[\p{P}\$\+<=>\^~\|`]+"#, Pattern.gpt2, "[0-9][0-9][0-9]"])),
  ]
}
