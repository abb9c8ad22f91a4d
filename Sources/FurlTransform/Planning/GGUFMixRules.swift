import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor

/// Which type each tensor gets in a mix, by what llama.cpp calls it.
///
/// The rules are those of `llama_tensor_get_type_impl` and `tensor_type_fallback` of llama.cpp's `src/llama-quant.cpp`
/// (https://github.com/ggml-org/llama.cpp, November 2026).
struct GGUFMixRules {
  let mix: GGUFMix
  let spec: ModelSpec
  /// Whether there is a calibration, which has llama.cpp do without more bits in the first blocks of some mixes.
  let isCalibrated: Bool

  /// What a tensor is to llama.cpp's rules.
  private enum MixCategory {
    case output, embedding, values, queriesKeysValues, keys, attentionOutput, down, other
  }

  private var blocks: Int { spec.blocks.count }
  private var experts: Int { spec.blocks.lazy.compactMap(\.experts).first?.count ?? 1 }
  /// Heads of queries to one of keys.
  private var headGroup: Int {
    guard let attention = spec.blocks.lazy.compactMap(\.attention).first else { return 1 }
    return attention.heads / max(1, attention.kvHeads)
  }

  /// The scheme of a matrix; nil for one that llama.cpp leaves as it is.
  ///
  /// - Throws: ``FurlError`` of kind `input` for rows that no blocks are whole in.
  func scheme(of tensor: TensorSpec) throws -> Scheme? {
    let name = tensor.ggufName(in: spec) ?? GGUFMixRules.usualName(of: tensor)
    guard GGUFMixRules.isQuantized(name) else { return nil }
    return try fallback(wanted(category(name, tensor), tensor), tensor)
  }

  private static func isQuantized(_ name: String) -> Bool {
    let kept = ["_norm", "ffn_gate_inp", "position_embd", "altup", "laurel", "per_layer_model_proj", "ssm_conv1d"]
    return !kept.contains(where: name.contains)
  }

  /// Of a family that llama.cpp does not know.
  private static func usualName(of tensor: TensorSpec) -> String {
    switch tensor.role {
    case .embedding: "token_embd"
    case .head: "output"
    case .positions: "position_embd"
    case .query: "attn_q"
    case .key: "attn_k"
    case .value: "attn_v"
    case .attentionOutput: "attn_output"
    case .down: "ffn_down"
    default: tensor.role.rawValue
    }
  }

  private func category(_ name: String, _ tensor: TensorSpec) -> MixCategory {
    switch tensor.role {
    case .head: return .output
    case .embedding: return spec.tiedEmbeddings ? .output : .embedding
    case .inputTable: return .embedding
    default: break
    }
    if name.contains("attn_qkv") { return .queriesKeysValues }
    if name.contains("attn_v") || name.contains("attn_kv_b") || name.contains("attn_k_b") { return .values }
    if name.contains("attn_k.") || name.hasSuffix("attn_k") { return .keys }
    if name.contains("attn_output") { return .attentionOutput }
    return name.contains("ffn_down") ? .down : .other
  }

  /// Blocks that get more bits: the first and the last eighth, and every third between.
  private func hasMoreBits(_ block: Int) -> Bool {
    block < blocks / 8 || block >= 7 * blocks / 8 || (block - blocks / 8) % 3 == 2
  }

  private func wanted(_ category: MixCategory, _ tensor: TensorSpec) -> Scheme {
    let block = tensor.block ?? 0
    switch category {
    case .output: return tensor.shape[1] % mix.base.columnUnit == 0 ? .q6k : .int8(.columns(32))
    case .embedding, .other: return mix.base
    case .values, .queriesKeysValues: return values(block)
    case .keys: return experts == 8 ? .int8(.columns(32)) : mix.base
    case .attentionOutput: return attentionOutput
    case .down: return down(block)
    }
  }

  private func values(_ block: Int) -> Scheme {
    if experts == 8 { return .int8(.columns(32)) }
    var scheme = mix.base
    switch mix {
    case .q3_k_m: scheme = block < 2 ? .q5k : .q4k
    case .q3_k_l: scheme = .q5k
    case .iq4_nl, .iq4_xs: if headGroup >= 4 { scheme = .q5k }
    case .q4_k_m, .q5_k_m: if hasMoreBits(block) { scheme = .q6k }
    case .q4_k_s: if block < 4 { scheme = .q5k }
    case .q3_k_s, .q5_k_s, .q6_k: break
    }
    // What llama.cpp takes for the 70 billion weights of Llama and Qwen.
    let isLarge = blocks == 80 && headGroup > 1 && ["llama", "qwen2"].contains(spec.architecture)
    return isLarge && (scheme == .q3k || scheme == .q4k) ? .q5k : scheme
  }

  private var attentionOutput: Scheme {
    if experts == 8 { return [.q5_k_s, .q5_k_m, .q6_k, .q3_k_l].contains(mix) ? mix.base : .q5k }
    switch mix {
    case .q3_k_m: return .q4k
    case .q3_k_l: return .q5k
    default: return mix.base
    }
  }

  private func down(_ block: Int) -> Scheme {
    switch mix {
    case .q3_k_m: block < blocks / 16 ? .q5k : .q4k
    case .q3_k_l: .q5k
    case .q4_k_m, .q5_k_m: hasMoreBits(block) ? .q6k : mix.base
    case .q4_k_s: block < blocks / 8 ? .q5k : .q4k
    case .iq4_nl, .iq4_xs: block < blocks / 8 && !isCalibrated ? .q5k : mix.base
    case .q3_k_s, .q5_k_s, .q6_k: mix.base
    }
  }

  /// The same, or what llama.cpp takes where rows are not whole blocks.
  private func fallback(_ scheme: Scheme, _ tensor: TensorSpec) throws -> Scheme {
    let columns = tensor.shape[1]
    guard columns % scheme.columnUnit != 0 || columns % Tile.columns != 0 else { return scheme }
    guard columns % Tile.columns == 0 else {
      throw FurlError.input(
        nil, tensor.name, "has rows of \(columns) weights, and GGUF has blocks of 32 and 256",
        remedy: "keep it, or use weights: int8")
    }
    switch scheme {
    case .q3k: return .int4(.columns(32))
    case .q4k: return .q50
    case .q5k: return .q51
    case .iq4xs: return .iq4nl
    default: return .int8(.columns(32))
    }
  }
}
