import FurlBase
import FurlSpec

/// Seed-OSS (ByteDance 2025): llama with biases on query, key and value, and switches for the others.
enum SeedOSS: Architecture {
  static let modelType = "seed_oss"
  static let models = "Seed-OSS 36B"
  static let configurationKeys = ConfigurationKeys()

  static let gguf: GGUFFamily? = GGUFFamily("seed_oss", "SeedOssForCausalLM").with {
    $0.names = GGUFFamily.names(block: ["mlp.norm": "post_attention_norm"])
    $0.fixed = ["hidden_act": "silu"]
    $0.switches = [
      "attention_bias": ["attn_q.bias", "attn_qkv.bias"], "attention_out_bias": ["attn_output.bias"],
      "mlp_bias": ["ffn_up.bias"],
    ]
    $0.hasHeadSize = true
    $0.possibleBiases = GGUFFamily.attentionBiases
  }

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let decoder = try DecoderConfig(config, .init(context: 524_288, kvHeads: 8, headSize: 128))
    var biases: Set<TensorRole> = []
    if try decoder.flag("attention_bias", assumed: true) { biases.formUnion([.query, .key, .value]) }
    if try decoder.flag("attention_out_bias", assumed: false) { biases.insert(.attentionOutput) }
    if try decoder.flag("mlp_bias", assumed: false) { biases.formUnion([.gate, .up, .down]) }
    return try Llama.spec(decoder, modelType, biases: biases) { _ in nil }
  }
}
