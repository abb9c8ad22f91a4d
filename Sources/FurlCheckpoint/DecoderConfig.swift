import FurlBase
import FurlSpec

/// The keys of `config.json` that the families newer than GPT-2 share, by the names that transformers gives them.
///
/// Sizes that shape the weights must be there; any other key that is missing has the value that transformers assumes.
struct DecoderConfig {
  let reader: DocumentReader
  let vocabularySize: Int
  let hiddenSize: Int
  let layers: Int
  let heads: Int
  let kvHeads: Int
  let headSize: Int
  let mlpSize: Int
  let contextLength: Int

  /// - Parameters:
  ///   - context: the context length where `max_position_embeddings` is missing.
  ///   - kvHeads: the key/value heads where their key is missing; nil, as a null in the file: one for each head.
  ///   - keepsWindows: whether the family asks for `sliding_window` and `layer_types` itself.
  init(_ reader: DocumentReader, context: Int, kvHeads assumed: Int? = nil, keepsWindows: Bool = false) throws {
    self.reader = reader
    vocabularySize = try DecoderConfig.size("vocab_size", reader)
    hiddenSize = try DecoderConfig.size("hidden_size", reader)
    layers = try DecoderConfig.size("num_hidden_layers", reader)
    guard layers <= 4096 else {
      throw reader.error("num_hidden_layers", "\(layers) is out of range", remedy: "allowed: 0 to 4096")
    }
    heads = try DecoderConfig.size("num_attention_heads", reader)
    let key = "num_key_value_heads"
    kvHeads = try reader.integer(key, in: 1...Int.max) ?? (reader.keys.contains(key) ? nil : assumed) ?? heads
    guard heads > 0, kvHeads <= heads, heads % kvHeads == 0 else {
      throw reader.error(key, "\(heads) heads cannot share \(kvHeads) key/value heads evenly")
    }
    let stated = try reader.integer("head_dim", in: 1...4096)
    guard stated != nil || hiddenSize % heads == 0 else {
      throw reader.error("num_attention_heads", "\(heads) heads do not divide a hidden size of \(hiddenSize)")
    }
    headSize = stated ?? hiddenSize / heads
    mlpSize = try DecoderConfig.size("intermediate_size", reader)
    contextLength = try reader.integer("max_position_embeddings", in: 1...Int.max) ?? context
    try ConfigurationRules(reader: reader).check(
      layers: layers, contextLength: contextLength, keepsWindows: keepsWindows)
  }

  private static func size(_ key: String, _ reader: DocumentReader) throws -> Int {
    guard let value = try reader.integer(key, in: 0...Int.max) else { throw reader.error(key, "is missing") }
    return value
  }

  /// The blocks, all alike but for their windows.
  func blocks(window: (Int) throws -> Int?) rethrows -> [UniformDecoder.Widths] {
    try (0..<layers).map {
      UniformDecoder.Widths(heads: heads, kvHeads: kvHeads, headSize: headSize, mlpSize: mlpSize, window: try window($0))
    }
  }

  /// `sliding_window`: nil where it is null, `assumed` where it is missing.
  func slidingWindow(assumed: Int?) throws -> Int? {
    let key = "sliding_window"
    return try reader.integer(key, in: 1...(1 << 30)) ?? (reader.keys.contains(key) ? nil : assumed)
  }

  func epsilon(_ key: String, assumed: Double) throws -> Double { try reader.number(key, in: 0...1) ?? assumed }

  func flag(_ key: String, assumed: Bool) throws -> Bool { try reader.bool(key) ?? assumed }
}

extension DocumentReader {
  /// An activation by the name that transformers gives it.
  func activation(_ key: String, assumed: ModelSpec.Activation) throws -> ModelSpec.Activation {
    try word(
      key,
      [
        "gelu": ModelSpec.Activation.gelu, "gelu_python": .gelu, "gelu_new": .geluTanh, "gelu_fast": .geluTanh,
        "gelu_pytorch_tanh": .geluTanh, "gelu_python_tanh": .geluTanh, "gelu_accurate": .geluTanh,
        "quick_gelu": .quickGelu, "silu": .silu, "swish": .silu, "relu": .relu, "tanh": .tanh,
      ],
      later: ["gelu_10", "hardswish", "leaky_relu", "linear", "mish", "relu2", "relu6", "sigmoid"]) ?? assumed
  }

  /// Refuses a switch that is not as Furl supports it.
  func refuse(_ key: String, unless expected: Bool) throws {
    guard try bool(key) ?? expected == expected else { throw error(key, "\(!expected) is not supported yet") }
  }
}
