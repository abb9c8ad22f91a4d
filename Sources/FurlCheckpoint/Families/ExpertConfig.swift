import FurlBase
import FurlSpec

/// The keys of `config.json` that families with experts share.
struct ExpertConfig {
  let decoder: DecoderConfig
  let count: Int
  let active: Int

  /// - Parameter active: experts of a row where their key is missing.
  init(_ decoder: DecoderConfig, active assumed: Int) throws {
    self.decoder = decoder
    let reader = decoder.reader
    let key = ["num_experts", "num_local_experts", "n_routed_experts"].first { reader.keys.contains($0) }
    guard let key, let count = try reader.integer(key, in: 1...4096) else {
      throw reader.error(key ?? "num_experts", "is missing")
    }
    self.count = count
    active = try reader.integer("num_experts_per_tok", in: 1...4096) ?? assumed
    guard active <= count else {
      throw reader.error("num_experts_per_tok", "\(active) experts of \(count) cannot be chosen")
    }
  }

  /// A gated MLP with the family's activation.
  func mlp(_ size: Int, biases: Set<TensorRole> = []) throws -> FeedForwardSpec {
    FeedForwardSpec(
      size: size, isGated: true, activation: try decoder.reader.activation("hidden_act", assumed: .silu), biases: biases
    )
  }

  /// The size under a key of its own.
  func size(_ key: String) throws -> Int {
    try decoder.reader.needed(key) { try decoder.reader.integer($0, in: 1...Int.max) }
  }

  /// Which blocks have experts, as Qwen says it.
  func sparseBlocks() throws -> [Bool] {
    let reader = decoder.reader
    let step = try reader.integer("decoder_sparse_step", in: 1...Int.max) ?? 1
    let dense = try reader.optional("mlp_only_layers").map { value in
      let list = value.array?.compactMap(\.integer) ?? []
      guard list.count == value.array?.count else {
        throw reader.error("mlp_only_layers", "a list of layers is expected")
      }
      return Set(list)
    }
    return (0..<decoder.layers).map { !(dense ?? []).contains($0) && ($0 + 1) % step == 0 }
  }

  /// Which blocks have experts, by `mlp_layer_types`.
  ///
  /// - Parameter dense: so many blocks without, from the first on, where the key is missing.
  func sparseTypes(dense: Int = 0) throws -> [Bool] {
    let key = "mlp_layer_types"
    guard let words = try decoder.reader.strings(key) else { return (0..<decoder.layers).map { $0 >= dense } }
    guard words.count == decoder.layers, words.allSatisfy({ ["dense", "sparse"].contains($0) }) else {
      throw decoder.reader.error(key, "\"dense\" or \"sparse\" for each of \(decoder.layers) layers is expected")
    }
    return words.map { $0 == "sparse" }
  }
}
