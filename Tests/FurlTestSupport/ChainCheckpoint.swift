package import FurlBase
import FurlTensor
import Foundation

/// A small llama whose every token leads to the next one of a chain, whatever came before: it shows where a runtime stops.
///
/// Attention and MLP add nothing; the head's row of a token is the embedding of the one before it in the chain.
package struct ChainCheckpoint {
  /// Letters and what is merged of them; the special tokens follow.
  package static let pieces = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "ab"]
  package static let special = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
  /// The ids of the special tokens.
  package static let (begin, end, start, turn) = (10, 11, 12, 13)
  /// a b c <|im_end|> d e </s> f g h i a
  package static let chain = [0, 1, 2, turn, 3, 4, end, 5, 6, 7, 8, 0]

  /// Rows of the embedding.
  package var rows = 16
  package var order = ChainCheckpoint.chain
  package var config: [JSON.Member] = []
  /// Files beside, or in the place of the usual ones; null leaves one out.
  package var files: [String: JSON] = [:]

  package init() {}

  package static func tokenizer(special: [String] = ChainCheckpoint.special) -> JSON {
    let level: JSON = ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true]
    return [
      "version": "1.0",
      "added_tokens": .array(
        special.enumerated().map { index, text in
          [
            "id": .integer(pieces.count + index), "content": .string(text), "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
          ]
        }), "normalizer": nil, "pre_tokenizer": level, "post_processor": nil, "decoder": level,
      "model": [
        "type": "BPE", "vocab": .object(pieces.enumerated().map { JSON.Member($1, .integer($0)) }), "merges": ["a b"],
      ],
    ]
  }

  /// Writes the folder.
  package func write(to folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let hidden = 64
    var members: [JSON.Member] = [
      .init("architectures", ["LlamaForCausalLM"]), .init("model_type", "llama"), .init("vocab_size", .integer(rows)),
      .init("hidden_size", .integer(hidden)), .init("intermediate_size", 64), .init("num_hidden_layers", 1),
      .init("num_attention_heads", 4), .init("num_key_value_heads", 2), .init("max_position_embeddings", 64),
      .init("rms_norm_eps", 1e-6), .init("rope_theta", 10000), .init("hidden_act", "silu"),
      .init("tie_word_embeddings", false),
    ]
    members.removeAll { member in config.contains { $0.key == member.key } }
    var files: [String: JSON] = [
      "config.json": .object(members + config), "tokenizer.json": ChainCheckpoint.tokenizer(),
      "tokenizer_config.json": ["bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false],
    ]
    files.merge(self.files) { $1 }
    for (name, json) in files where json != .null {
      try TestData.write(Array(json.prettyText.utf8), to: folder + "/" + name)
    }
    var random = SplitMix64(seed: 19)
    let embedding = (0..<rows * hidden).map { _ in Float(random.next() & 1 == 0 ? 1 : -1) }
    var head = [Float](repeating: 0, count: rows * hidden)
    for (from, to) in zip(order, order.dropFirst()) where from < rows && to < rows {
      for column in 0..<hidden { head[to * hidden + column] = embedding[from * hidden + column] }
    }
    func matrix(_ rows: Int, _ columns: Int, _ values: [Float]? = nil) -> SampleCheckpoint.Tensor {
      .init(shape: [rows, columns], values: values ?? [Float](repeating: 0, count: rows * columns))
    }
    let ones = SampleCheckpoint.Tensor(shape: [hidden], values: [Float](repeating: 1, count: hidden))
    let block = "model.layers.0."
    let tensors: [String: SampleCheckpoint.Tensor] = [
      "model.embed_tokens.weight": matrix(rows, hidden, embedding), "lm_head.weight": matrix(rows, hidden, head),
      "model.norm.weight": ones, block + "input_layernorm.weight": ones,
      block + "post_attention_layernorm.weight": ones, block + "self_attn.q_proj.weight": matrix(64, hidden),
      block + "self_attn.k_proj.weight": matrix(32, hidden), block + "self_attn.v_proj.weight": matrix(32, hidden),
      block + "self_attn.o_proj.weight": matrix(hidden, 64), block + "mlp.gate_proj.weight": matrix(64, hidden),
      block + "mlp.up_proj.weight": matrix(64, hidden), block + "mlp.down_proj.weight": matrix(hidden, 64),
    ]
    try TestData.write(SampleCheckpoint.bytes(of: tensors), to: folder + "/model.safetensors")
  }
}
