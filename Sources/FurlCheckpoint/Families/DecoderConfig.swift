import FurlBase
import FurlSpec

/// The keys of `config.json` that most families share, by the names that transformers gives them.
///
/// Sizes that shape the weights must be there; any other key that is missing has the value that transformers assumes.
struct DecoderConfig {
  let reader: DocumentReader
  let keys: ConfigurationKeys
  let vocabularySize: Int
  let hiddenSize: Int
  let layers: Int
  let heads: Int
  let kvHeads: Int
  let headSize: Int
  let mlpSize: Int
  /// The most positions, with those that a scaling of frequencies adds.
  let contextLength: Int
  /// The most positions by the key of their own.
  let statedContext: Int

  /// What families differ in.
  struct Assumed {
    /// The context length where its key is missing.
    var context: Int
    /// The key/value heads where their key is missing; nil, as a null in the file: one for each head.
    var kvHeads: Int?
    /// The head size where its key is missing; nil: the hidden size over the heads.
    var headSize: Int?
    /// Whether the family asks for `sliding_window` and `layer_types` itself.
    var keepsWindows = false
    /// Whether the family asks for `per_layer_config` itself.
    var keepsSizes = false
    /// Neurons where their key is missing, as a multiple of the hidden size; nil: the key must be there.
    var mlpFactor: Int?
  }

  init(_ reader: DocumentReader, _ assumed: Assumed, keys: ConfigurationKeys = ConfigurationKeys()) throws {
    self.reader = reader
    self.keys = keys
    vocabularySize = try reader.size(keys.vocabulary)
    hiddenSize = try reader.size(keys.hidden)
    layers = try reader.size(keys.layers)
    guard layers <= 4096 else {
      throw reader.error(keys.layers, "\(layers) is out of range", remedy: "allowed: 0 to 4096")
    }
    heads = try reader.size(keys.heads)
    if let key = keys.kvHeads {
      kvHeads =
        try reader.integer(key, in: 1...Int.max) ?? (reader.keys.contains(key) ? nil : assumed.kvHeads) ?? heads
      guard heads > 0, kvHeads <= heads, heads % kvHeads == 0 else {
        throw reader.error(key, "\(heads) heads cannot share \(kvHeads) key/value heads evenly")
      }
    } else {
      kvHeads = heads
    }
    let stated = try keys.headSize.flatMap { key in
      try reader.integer(key, in: 1...4096) ?? (reader.keys.contains(key) ? nil : assumed.headSize)
    }
    guard heads > 0, stated != nil || hiddenSize % heads == 0 else {
      throw reader.error(keys.heads, "\(heads) heads do not divide a hidden size of \(hiddenSize)")
    }
    headSize = stated ?? hiddenSize / heads
    if let factor = assumed.mlpFactor {
      mlpSize = try reader.integer(keys.mlp, in: 1...Int.max) ?? factor * min(hiddenSize, 1 << 40)
    } else {
      mlpSize = try reader.size(keys.mlp)
    }
    statedContext = try reader.integer(keys.context, in: 1...Int.max) ?? assumed.context
    contextLength = try RotaryScaling.context(statedContext, reader)
    try ConfigurationRules(reader: reader).check(
      layers: layers, contextLength: statedContext, keepsWindows: assumed.keepsWindows,
      keepsSizes: assumed.keepsSizes)
  }

  /// For a family that is as most are.
  init(
    _ reader: DocumentReader, context: Int, kvHeads: Int? = nil, keepsWindows: Bool = false,
    keys: ConfigurationKeys = ConfigurationKeys()
  ) throws {
    try self.init(reader, Assumed(context: context, kvHeads: kvHeads, keepsWindows: keepsWindows), keys: keys)
  }

  /// The blocks, all alike but for their windows.
  func blocks(window: (Int) throws -> Int?) rethrows -> [UniformDecoder.DecoderWidths] {
    try (0..<layers).map {
      UniformDecoder.DecoderWidths(
        heads: heads, kvHeads: kvHeads, headSize: headSize, mlpSize: mlpSize, window: try window($0))
    }
  }

  /// Attention as wide as the configuration says.
  func attention(window: Int? = nil, rotary: ModelSpec.Rotary? = nil, biases: Set<TensorRole> = []) -> AttentionSpec {
    AttentionSpec(
      heads: heads, kvHeads: kvHeads, headSize: headSize, window: window, rotary: rotary, biases: biases)
  }

  /// `sliding_window`: nil where it is null, `assumed` where it is missing.
  func slidingWindow(assumed: Int?) throws -> Int? {
    let key = "sliding_window"
    return try reader.integer(key, in: 1...(1 << 30)) ?? (reader.keys.contains(key) ? nil : assumed)
  }

  func epsilon(_ key: String, assumed: Double) throws -> Double { try reader.number(key, in: 0...1) ?? assumed }

  func flag(_ key: String, assumed: Bool) throws -> Bool { try reader.bool(key) ?? assumed }

  func size(_ key: String, assumed: Int) throws -> Int { try reader.integer(key, in: 1...Int.max) ?? assumed }

  /// The kind of each layer.
  ///
  /// - Parameters:
  ///   - kinds: that there may be.
  ///   - assumed: where `layer_types` is missing.
  func layerTypes(_ kinds: [String], assumed: (Int) throws -> String) throws -> [String] {
    let key = "layer_types"
    guard let words = try reader.strings(key) else { return try (0..<layers).map(assumed) }
    guard words.count == layers else { throw reader.error(key, "has \(words.count) entries for \(layers) layers") }
    return try words.map(ConfigurationRules.kind).enumerated().map { index, word in
      guard kinds.contains(word) else {
        throw reader.error("\(key)[\(index)]", "\"\(word)\" is not supported yet")
      }
      return word
    }
  }

  /// A model of attention and MLP, one after the other.
  ///
  /// - Parameters:
  ///   - norm: behind the last block, and before and behind parts where those are not given.
  ///   - before: what parts read the stream through; behind: what they give goes through.
  ///   - attention, mlp: of each block.
  func model(
    _ architecture: String, norm: NormSpec, before: NormSpec?, behind: NormSpec? = nil, assumesTied: Bool = false,
    attention: (Int) throws -> AttentionSpec, mlp: (Int) throws -> MixerSpec
  ) throws -> ModelSpec {
    try model(architecture, norm: norm, before: before, behind: behind, assumesTied: assumesTied) { index in
      [.attention(try attention(index)), try mlp(index)]
    }
  }

  /// A model of such mixers, one after the other.
  func model(
    _ architecture: String, norm: NormSpec, before: NormSpec?, behind: NormSpec? = nil, assumesTied: Bool = false,
    mixers: (Int) throws -> [MixerSpec]
  ) throws -> ModelSpec {
    let blocks = try (0..<layers).map { index in
      BlockSpec(try mixers(index).map { StageSpec(norm: before, parts: [PartSpec($0, outputNorm: behind)]) })
    }
    return ModelSpec(
      architecture: architecture, vocabularySize: vocabularySize, hiddenSize: hiddenSize,
      contextLength: contextLength, norm: norm,
      tiedEmbeddings: try flag("tie_word_embeddings", assumed: assumesTied), blocks: blocks)
  }

  /// A model built like llama: RMSNorm before attention and a gated MLP.
  func llama(
    _ architecture: String, epsilon assumedEpsilon: Double = 1e-6, assumesTied: Bool = false,
    attention: (Int) throws -> AttentionSpec, mlp: ((Int) throws -> MixerSpec)? = nil
  ) throws -> ModelSpec {
    let norm = NormSpec(.rmsNorm, epsilon: try epsilon("rms_norm_eps", assumed: assumedEpsilon))
    let neurons = FeedForwardSpec(
      size: mlpSize, isGated: true, activation: try reader.activation("hidden_act", assumed: .silu))
    return try model(
      architecture, norm: norm, before: norm, assumesTied: assumesTied, attention: attention,
      mlp: mlp ?? { _ in .feedForward(neurons) })
  }
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

  /// Refuses a number that is not the one that changes nothing.
  func refuse(_ key: String, unless harmless: Double) throws {
    guard let value = try number(key, in: -1e300...1e300), value != harmless else { return }
    throw error(key, "\(value) is not supported yet")
  }
}

/// What a family's `config.json` calls the sizes that transforms change; nil where a size follows from others.
struct ConfigurationKeys: Sendable {
  var layers = "num_hidden_layers"
  var vocabulary = "vocab_size"
  /// Another key that says the same of tables that blocks look tokens up in.
  var tableRows: String?
  var hidden = "hidden_size"
  var heads = "num_attention_heads"
  var kvHeads: String? = "num_key_value_heads"
  var headSize: String? = "head_dim"
  var mlp = "intermediate_size"
  var context = "max_position_embeddings"
  var normEpsilon = "rms_norm_eps"
  /// Whether `layer_types` says which layers have a window.
  var hasLayerTypes = false
}
