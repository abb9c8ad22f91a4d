/// A model whose shape is known well enough to make a checkpoint of it.
public struct PublishedModel: Sendable {
  /// What the command line calls it.
  public let name: String
  /// Where it was published.
  public let repository: String
  /// `config.json` as published, but for `torch_dtype`, which is that of the weights written.
  let config: String
  /// Ids of the published tokenizer; the model may know more.
  let tokenizerCount: Int
  /// The special tokens of the synthetic tokenizer, by id.
  let special: [Int: String]
  /// The tokens before and behind a text.
  let begin: String
  let end: String
  /// Files that the weights are published in.
  let shards: Int

  /// The published model of a name.
  public init?(name: String) {
    guard let model = PublishedModel.all.first(where: { $0.name == name }) else { return nil }
    self = model
  }

  init(
    _ name: String, _ repository: String, tokenizerCount: Int, special: [Int: String], begin: String, end: String,
    shards: Int, config: String
  ) {
    self.name = name
    self.repository = repository
    self.tokenizerCount = tokenizerCount
    self.special = special
    self.begin = begin
    self.end = end
    self.shards = shards
    self.config = config
  }

  private static let endOfText = "<|endoftext|>"

  public static let all = [starcoder2Small, starcoder2Medium, phi2, codeGPT, smolLM2]

  private static let starcoder2Small = PublishedModel(
    "starcoder2-3b", "bigcode/starcoder2-3b", tokenizerCount: 49152, special: [0: endOfText], begin: endOfText,
    end: endOfText, shards: 1,
    config: starcoder2(
      hidden: 3072, mlp: 12288, heads: 24, kvHeads: 2, layers: 30, theta: "999999.4420358813"))

  private static let starcoder2Medium = PublishedModel(
    "starcoder2-7b", "bigcode/starcoder2-7b", tokenizerCount: 49152, special: [0: endOfText], begin: endOfText,
    end: endOfText, shards: 3,
    config: starcoder2(hidden: 4608, mlp: 18432, heads: 36, kvHeads: 4, layers: 32, theta: "1000000"))

  private static func starcoder2(
    hidden: Int, mlp: Int, heads: Int, kvHeads: Int, layers: Int, theta: String
  ) -> String {
    """
    {
      "architectures": ["Starcoder2ForCausalLM"],
      "attention_dropout": 0.1,
      "residual_dropout": 0.1,
      "embedding_dropout": 0.1,
      "bos_token_id": 0,
      "eos_token_id": 0,
      "hidden_act": "gelu_pytorch_tanh",
      "hidden_size": \(hidden),
      "initializer_range": 0.018042,
      "intermediate_size": \(mlp),
      "max_position_embeddings": 16384,
      "mlp_type": "default",
      "model_type": "starcoder2",
      "norm_epsilon": 1e-05,
      "num_attention_heads": \(heads),
      "num_hidden_layers": \(layers),
      "num_key_value_heads": \(kvHeads),
      "rope_theta": \(theta),
      "sliding_window": 4096,
      "torch_dtype": "float32",
      "transformers_version": "4.37.0.dev0",
      "use_bias": true,
      "use_cache": true,
      "vocab_size": 49152
    }
    """
  }

  private static let phi2 = PublishedModel(
    "phi-2", "microsoft/phi-2", tokenizerCount: 50295, special: [50256: endOfText], begin: endOfText, end: endOfText,
    shards: 2,
    config: """
      {
        "_name_or_path": "microsoft/phi-2",
        "architectures": ["PhiForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 50256,
        "embd_pdrop": 0.0,
        "eos_token_id": 50256,
        "hidden_act": "gelu_new",
        "hidden_size": 2560,
        "initializer_range": 0.02,
        "intermediate_size": 10240,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 2048,
        "model_type": "phi",
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 32,
        "partial_rotary_factor": 0.4,
        "qk_layernorm": false,
        "resid_pdrop": 0.1,
        "rope_scaling": null,
        "rope_theta": 10000.0,
        "tie_word_embeddings": false,
        "torch_dtype": "float32",
        "transformers_version": "4.37.0",
        "use_cache": true,
        "vocab_size": 51200
      }
      """)

  /// The configuration is GPT-2's with the vocabulary that the published number of parameters (124.24 million) means.
  private static let codeGPT = PublishedModel(
    "codegpt", "microsoft/CodeGPT-small-py", tokenizerCount: 50001,
    special: [0: "<s>", 1: "<pad>", 2: "</s>", 3: "<unk>"], begin: "<s>", end: "</s>", shards: 1,
    config: """
      {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "bos_token_id": 0,
        "embd_pdrop": 0.1,
        "eos_token_id": 2,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_ctx": 1024,
        "n_embd": 768,
        "n_head": 12,
        "n_inner": null,
        "n_layer": 12,
        "n_positions": 1024,
        "resid_pdrop": 0.1,
        "torch_dtype": "float32",
        "vocab_size": 50001
      }
      """)

  private static let smolLM2 = PublishedModel(
    "smollm2", "HuggingFaceTB/SmolLM2-135M", tokenizerCount: 49152, special: [0: endOfText], begin: endOfText,
    end: endOfText, shards: 1,
    config: """
      {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "hidden_act": "silu",
        "hidden_size": 576,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": 1536,
        "is_llama_config": true,
        "max_position_embeddings": 8192,
        "model_type": "llama",
        "num_attention_heads": 9,
        "num_hidden_layers": 30,
        "num_key_value_heads": 3,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_interleaved": false,
        "rope_scaling": null,
        "rope_theta": 100000,
        "tie_word_embeddings": true,
        "torch_dtype": "float32",
        "transformers_version": "4.40.1",
        "use_cache": true,
        "vocab_size": 49152
      }
      """)
}
