import FurlBase
import FurlSpec

/// GPT-BigCode (Li et al. 2023, https://arxiv.org/abs/2305.06161): GPT-2 with plain linear layers and, as a rule, one
/// key/value head for all queries (Shazeer 2019).
enum GPTBigCode: Architecture {
  static let modelType = "gpt_bigcode"
  static let models = "StarCoder, StarCoderBase, SantaCoder, Granite 20B Code"
  static let prefix = GPT2.prefix
  static let configurationKeys = GPT2.configurationKeys
  static let aliases = GPT2.aliases
  static let names = GPT2.naming(isTransposed: false)

  static let gguf: GGUFFamily? = GGUFFamily("starcoder", "GPTBigCodeForCausalLM").with {
    $0.names = GGUFFamily.names(fusions: [GGUFFamily.fusedQueries])
    $0.fixed = ["activation_function": "gelu_pytorch_tanh"]
    $0.singleKeyHead = "multi_query"
    $0.epsilon = GGUFFamily.layerNormEpsilon
    $0.neededBiases = GGUFFamily.linearBiases.union([.norm])
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    try config.refuse("scale_attn_weights", unless: true)
    try config.refuse("add_cross_attention", unless: false)
    let decoder = try DecoderConfig(config, .init(context: 1024, mlpFactor: 4), keys: configurationKeys)
    let hasOne = try decoder.flag("multi_query", assumed: true)
    return try GPT2.spec(decoder, modelType, kvHeads: hasOne ? 1 : nil)
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    var names = names
    // With keys for every head, the rows of each head lie together.
    if let attention = spec.blocks.first?.attention, attention.kvHeads == attention.heads, attention.heads > 1 {
      names.fusions[0].isByHead = true
    }
    return names.location(of: tensor, in: spec)
  }
}
