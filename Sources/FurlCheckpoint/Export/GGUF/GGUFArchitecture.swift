import FurlBase
import FurlSpec

/// An architecture of llama.cpp's: which models it runs, and what it calls their tensors.
///
/// Source: llama.cpp, `src/models` (what is computed) and `conversion` (what files say).
struct GGUFArchitecture {
  /// `general.architecture`.
  let name: String
  let norm: ModelSpec.Norm
  let residual: UniformDecoder.Residual
  let mlp: UniformDecoder.MLP
  let activation: ModelSpec.Activation
  var isRotary = true
  /// Biases that must be there.
  var neededBiases: Set<TensorRole> = []
  /// Biases that may be there.
  var possibleBiases: Set<TensorRole> = []
  /// Query, key and value are one tensor.
  var isFused = false
  /// The two halves of a head take turns in the rows of query and key.
  var interleavesHeads = false
  /// The size of a head may be another than the hidden size over the heads.
  var hasHeadSize = false
  /// Less than a whole head may be turned.
  var rotatesParts = false
  /// There may be factors for frequencies, as Llama 3.1 needs them.
  var hasFrequencyFactors = false
  /// There must be a head of its own.
  var needsHead = false

  private static let linearBiases: Set<TensorRole> = [.query, .key, .value, .attentionOutput, .up, .down]

  /// Furl's families and the architectures that run them.
  private static let all: [String: GGUFArchitecture] = {
    var gpt2 = GGUFArchitecture(
      name: "gpt2", norm: .layerNorm, residual: .sequential, mlp: .plain, activation: .geluTanh)
    gpt2.isRotary = false
    gpt2.neededBiases = linearBiases.union([.norm])
    gpt2.isFused = true
    var starcoder2 = GGUFArchitecture(
      name: "starcoder2", norm: .layerNorm, residual: .sequential, mlp: .plain, activation: .geluTanh)
    starcoder2.neededBiases = [.norm, .attentionOutput, .up, .down]
    starcoder2.possibleBiases = [.query, .key, .value]
    var phi2 = GGUFArchitecture(
      name: "phi2", norm: .layerNorm, residual: .parallel, mlp: .plain, activation: .geluTanh)
    phi2.neededBiases = [.norm, .attentionOutput, .up, .down, .head]
    phi2.possibleBiases = [.query, .key, .value]
    phi2.rotatesParts = true
    phi2.needsHead = true
    var llama = GGUFArchitecture(
      name: "llama", norm: .rmsNorm, residual: .sequential, mlp: .gated, activation: .silu)
    llama.possibleBiases = linearBiases.union([.gate])
    llama.interleavesHeads = true
    llama.hasHeadSize = true
    llama.hasFrequencyFactors = true
    var qwen2 = GGUFArchitecture(
      name: "qwen2", norm: .rmsNorm, residual: .sequential, mlp: .gated, activation: .silu)
    qwen2.possibleBiases = [.query, .key, .value, .head]
    return ["gpt2": gpt2, "starcoder2": starcoder2, "phi": phi2, "llama": llama, "mistral": llama, "qwen2": qwen2]
  }()

  private static let mostBlocks = 512

  /// The architecture that runs a model.
  ///
  /// - Throws: ``FurlError`` of kind `input` that says what llama.cpp cannot run.
  static func of(_ spec: ModelSpec, path: String) throws -> GGUFArchitecture {
    func refuse(_ problem: String) -> FurlError {
      .input(path, "llama.cpp cannot run it: \(problem)", remedy: "run it with furl, or export it as safetensors")
    }
    guard let found = all[spec.architecture] else {
      throw refuse("it has no architecture for a \(spec.architecture) model that Furl knows")
    }
    if let problem = found.problem(spec) { throw refuse(problem) }
    return found
  }

  /// Whether llama.cpp runs a model as it is.
  static func canRun(_ spec: ModelSpec) -> Bool { all[spec.architecture].map { $0.problem(spec) == nil } ?? false }

  /// What keeps llama.cpp from running a model.
  private func problem(_ spec: ModelSpec) -> String? {
    guard let uniform = UniformDecoder(spec) else { return "its blocks are not built as those of \(name)" }
    guard let block = uniform.blocks.first else { return "it has no blocks" }
    guard spec.blocks.count <= GGUFArchitecture.mostBlocks else {
      return "\(spec.blocks.count) blocks are more than \(GGUFArchitecture.mostBlocks)"
    }
    for other in uniform.blocks
    where other.heads != block.heads || other.kvHeads != block.kvHeads || other.headSize != block.headSize
      || other.mlpSize != block.mlpSize
    {
      return "its blocks have different widths"
    }
    guard uniform.norm == norm, uniform.residual == residual, uniform.mlp == mlp else {
      return "its blocks are not built as those of \(name)"
    }
    guard uniform.activation == activation else {
      return "\(name) has the activation \(activation.rawValue) and no \(uniform.activation.rawValue)"
    }
    guard hasHeadSize || block.heads * block.headSize == spec.hiddenSize else {
      return "\(block.heads) heads of \(block.headSize) are not the hidden size of \(spec.hiddenSize)"
        + (norm == .layerNorm ? ", and channels of zeros would change the means of its norms" : "")
    }
    if let role = neededBiases.subtracting(uniform.biases).map(\.rawValue).min() {
      return "\(name) needs a bias of \(role), which the model does not have"
    }
    if let role = uniform.biases.subtracting(neededBiases.union(possibleBiases)).map(\.rawValue).min() {
      return "\(name) has no bias of \(role)"
    }
    guard !(needsHead && spec.tiedEmbeddings) else { return "\(name) needs a head that is not the embedding" }
    return positionProblem(uniform.positions, block)
  }

  private func positionProblem(_ positions: UniformDecoder.Positions, _ block: UniformDecoder.Widths) -> String? {
    switch positions {
    case .learned: return isRotary ? "\(name) has no learned positions" : nil
    case .rotary(let rotary):
      guard isRotary else { return "\(name) has no rotary positions" }
      guard rotatesParts || rotary.dimensions == block.headSize else {
        return "\(name) turns whole heads of \(block.headSize), not \(rotary.dimensions) numbers of them"
      }
      if case .llama3 = rotary.scaling, !hasFrequencyFactors { return "\(name) has no llama3 scaling of frequencies" }
      return nil
    }
  }

  // MARK: Metadata

  /// What a file says about the model, without its tokenizer.
  func metadata(_ spec: ModelSpec, name modelName: String, fileType: UInt32) -> [GGUFEntry] {
    let block = spec.blocks[0].widths
    var entries: [GGUFEntry] = [
      .init("general.architecture", .text(name)), .init("general.type", .text("model")),
      .init("general.name", .text(modelName)),
    ]
    func number(_ key: String, _ value: Int) { entries.append(.init("\(name).\(key)", .uint32(UInt32(value)))) }
    func real(_ key: String, _ value: Double) { entries.append(.init("\(name).\(key)", .float32(Float(value)))) }
    number("block_count", spec.blocks.count)
    number("context_length", spec.contextLength)
    number("embedding_length", spec.hiddenSize)
    number("feed_forward_length", block.mlpSize)
    number("attention.head_count", block.heads)
    number("attention.head_count_kv", block.kvHeads)
    if block.heads * block.headSize != spec.hiddenSize {
      number("attention.key_length", block.headSize)
      number("attention.value_length", block.headSize)
    }
    real(norm == .rmsNorm ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", spec.norm.epsilon)
    if let window = spec.blocks.compactMap(\.attention?.window).min() { number("attention.sliding_window", window) }
    if let rotary = spec.blocks[0].attention?.rotary {
      number("rope.dimension_count", rotary.dimensions)
      real("rope.freq_base", rotary.theta)
      if case .linear(let factor) = rotary.scaling {
        entries.append(.init("\(name).rope.scaling.type", .text("linear")))
        real("rope.scaling.factor", factor)
      }
    }
    number("vocab_size", spec.vocabularySize)
    entries += [
      .init("general.file_type", .uint32(fileType)), .init("general.quantization_version", .uint32(2)),
    ]
    return entries
  }

  /// What llama.cpp computes otherwise than Furl.
  func notes(_ spec: ModelSpec) -> [String] {
    guard let window = spec.blocks.compactMap(\.attention?.window).min(), window < spec.contextLength else { return [] }
    return [
      "llama.cpp's \(name) has no sliding window: beyond \(window) positions it attends to more than the model does"
    ]
  }
}
