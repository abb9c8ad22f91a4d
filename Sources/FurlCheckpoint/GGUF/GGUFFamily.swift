import FurlBase
import FurlSpec
import FurlTensor

/// What llama.cpp's files call a family's keys and tensors, and what llama.cpp computes of it: one declaration that is read in
/// both directions.
///
/// Sources: llama.cpp, `src/models` (what is computed), `src/llama-arch.cpp` (keys, tensors) and `conversion` (what files say).
struct GGUFFamily: Sendable {
  /// How llama.cpp takes windows.
  enum Windows: Sendable {
    /// It has none, and a file of the family says none.
    case none
    /// A file says one for all blocks, which llama.cpp leaves out.
    case leftOut(writesZero: Bool = false)
    /// In all blocks but each so manieth, unless the file has a list. `assumed`: where the key is missing; nil: none then.
    /// `startsWithout`: the one without is the first of so many and not the last.
    case pattern(every: Int, assumed: Int? = nil, startsWithout: Bool = false)

    /// Whether a block has one where no list says it.
    func slides(_ block: Int) -> Bool {
      guard case .pattern(let every, _, let startsWithout) = self else { return false }
      return GGUFFamily.Windows.slides(block, every: every, startsWithout)
    }

    /// - Parameter every: at least 0, where all blocks have one.
    static func slides(_ block: Int, every: Int, _ startsWithout: Bool) -> Bool {
      every == 0 || (startsWithout ? block % every != 0 : block % every < every - 1)
    }
  }

  /// The base of the frequencies in blocks with a window.
  enum SlidingBase: Sendable {
    /// That of the others, and scaled as they are.
    case same
    /// One of its own, never scaled; where its key is missing this one, or that of the others.
    case own(assumed: Double?)
  }

  /// What a file says that is of one family.
  enum FamilyMarker: Sendable, ExpressibleByStringLiteral {
    /// A number that is not 0.
    case number(String)
    /// No.
    case no(String)

    init(stringLiteral key: String) { self = .number(key) }
  }

  /// How `config.json` says that the first blocks have no experts.
  enum DenseBlocks: Sendable {
    /// By their number, `first_k_dense_replace`.
    case count
    /// By a word for each block, `mlp_layer_types`.
    case types
  }

  /// llama.cpp's numbers of what makes weights of experts from scores.
  enum Gating: Int, Sendable { case softmax = 1, sigmoid = 2 }

  /// Whether the head is the embedding.
  enum Head: Sendable { case either, embedding, apart }

  /// `general.architecture`.
  var architecture: String
  /// `architectures` of `config.json`.
  var className: String
  /// Why llama.cpp does not run models of this family, though it has files for them.
  var refusal: String?
  /// Whether files of this architecture are read as this family.
  var isRead = true
  /// The keys that tell its files from those of other families with the same architecture.
  var markers: [FamilyMarker] = []
  /// What makes weights of experts, where that tells its files from those of others; nil: files say nothing about it.
  var gating: Gating?
  /// Whether a file that says nothing about it means the same.
  var assumesGating = false
  /// Whether the first blocks have no experts; nil: all blocks are alike.
  var denseBlocks: DenseBlocks?
  /// Attention whose keys and values are made from latents.
  var isLatent = false
  var names = GGUFFamily.names()
  /// The two halves of a head take turns in the rows of query and key: llama.cpp turns neighbours in such models.
  var interleavesHeads = false
  /// What every file means, as `config.json` says it.
  var fixed: KeyValuePairs<String, JSON> = [:]
  /// Keys of `config.json` that are true where a block has one of some tensors; with `!` in front: where it has none.
  var switches: KeyValuePairs<String, [String]> = [:]
  /// A word of `config.json` for each block: `layer_types`.
  var layerType: String?
  /// Keys that llama.cpp takes any number of, and the model one.
  var numbers: KeyValuePairs<String, Double> = [:]
  /// `rope.scaling.finetuned`: no heads are turned.
  var turnsNothing = false
  /// Each block has as many heads as a list says; what `config.json` calls it.
  var headsByBlock: String?
  /// Keys beside those that all files have.
  var keys: [GGUFKey] = []
  var epsilon = "attention.layer_norm_rms_epsilon"
  static let layerNormEpsilon = "attention.layer_norm_epsilon"
  var windows = Windows.none
  /// What says in `config.json` that all queries share one key/value head, where it has no number of them.
  var singleKeyHead: String?
  /// What `config.json` calls the share of a head that is turned; nil: whole heads are.
  var turnedShare: String?
  /// Blocks with a window may turn another share of a head than the others.
  var turnsSharesByKind = false
  /// What `config.json` calls the base of the frequencies.
  var baseKey = "rope_theta"
  var slidingBase = SlidingBase.same
  /// llama.cpp takes the base of the others for blocks with a window, whatever a file says.
  var turnsAllByOneBase = false
  /// Whether there may be divisors of frequencies, as Llama 3.1 has them, and those of LongRoPE.
  var hasFrequencyFactors = false
  var hasLongFactors = false
  /// Whether the model rounds the bounds of YaRN's ramp, as llama.cpp always does.
  var roundsYarn = true
  /// Blocks with a window have heads of another size and as many of keys as a list says, those at the end may take keys of
  /// earlier ones, and what a file says of the heads of the others ends with nothing: those with `_swa` are of blocks with one.
  var differsByWindow = false
  /// `rope_freqs` says which numbers of the heads of blocks without a window are turned.
  var turnsByFactors = false
  /// Where tensors lie that the names alone do not say.
  var places: (@Sendable (TensorSpec, ModelSpec, inout TensorLocation) -> Void)?
  /// What becomes of a file's numbers, where that is other than of those of a checkpoint.
  var folds: (@Sendable (DocumentReader, ModelSpec) throws -> Folds)?
  /// How many blocks the model has of which llama.cpp divides the scores by the root of the hidden size over the heads.
  var dividesByWidth: Int?
  /// What llama.cpp multiplies scores with in all of them; nil: one over the square root of the head's size.
  var scale: Double?

  // What llama.cpp runs.

  /// Biases that must be there.
  var neededBiases: Set<TensorRole> = []
  /// Biases that may be there.
  var possibleBiases: Set<TensorRole> = []
  /// The size of a head may be another than the hidden size over the heads.
  var hasHeadSize = false
  var head = Head.either

  init(_ architecture: String, _ className: String) {
    self.architecture = architecture
    self.className = className
  }

  /// The same with some things set.
  func with(_ change: (inout GGUFFamily) -> Void) -> GGUFFamily {
    var family = self
    change(&family)
    return family
  }

  static let attentionBiases: Set<TensorRole> = [.query, .key, .value]
  static let linearBiases: Set<TensorRole> = [.query, .key, .value, .attentionOutput, .up, .down]
}

// MARK: Tensors

extension GGUFFamily {
  private static let modelNames = [
    "embedding": "token_embd", "positions": "position_embd", "norm": "output_norm", "head": "output",
  ]
  private static let blockNames = [
    "attention.norm": "attn_norm", "attention.query": "attn_q", "attention.key": "attn_k", "attention.value": "attn_v",
    "attention.output": "attn_output", "attention.query_norm": "attn_q_norm", "attention.key_norm": "attn_k_norm",
    "attention.sinks": "attn_sinks", "attention.gate": "attn_gate", "attention.output_norm": "post_attention_norm",
    "mlp.norm": "ffn_norm", "mlp.gate": "ffn_gate", "mlp.up": "ffn_up", "mlp.down": "ffn_down",
    "mlp.output_norm": "post_ffw_norm", "mlp.router": "ffn_gate_inp", "mlp.shared.router": "ffn_gate_inp_shexp",
    "attention.query_latent": "attn_q_a", "attention.query_latent_norm": "attn_q_a_norm",
    "attention.latent_norm": "attn_kv_a_norm", "mlp.shared.gate": "ffn_gate_shexp", "mlp.shared.up": "ffn_up_shexp",
    "mlp.shared.down": "ffn_down_shexp",
  ]

  /// What keys and values are made from, and the part of keys that all heads share.
  static let fusedLatents = TensorNames.Fusion(
    name: "attn_kv_a_mqa", parts: ["attention.latent", "attention.shared_key"])

  /// Query, key and value in one tensor.
  static let fusedQueries = TensorNames.Fusion(
    name: "attn_qkv", parts: ["attention.query", "attention.key", "attention.value"])

  /// llama.cpp's names (`gguf-py/gguf/constants.py`), with others in the place of some. Linear layers are stored output x
  /// input, those of GPT-2, too.
  static func names(block: [String: String] = [:], fusions: [TensorNames.Fusion] = []) -> TensorNames {
    var names = TensorNames(
      model: modelNames, layer: "blk", block: blockNames.merging(block) { $1 }, fusions: fusions,
      experts: .stacked(gate: "ffn_gate_exps", up: "ffn_up_exps", down: "ffn_down_exps"))
    names.namesAllWeights = true
    return names
  }

  /// Where a tensor lies in a file.
  ///
  /// - Parameters:
  ///   - names: of this file, where they are not the declared ones.
  ///   - joinsHeads: whether keys and values that are made from latents have one tensor.
  func location(
    of tensor: TensorSpec, in spec: ModelSpec, names: TensorNames? = nil, joinsHeads: Bool = false
  ) -> TensorLocation {
    var location = (names ?? self.names).location(of: tensor, in: spec)
    guard let block = tensor.block else { return location }
    let name = tensor.nameInBlock
    let base = tensor.role == .bias ? String(name.dropLast(".bias".count)) : name
    if base == "mlp.shared.router" { location.storedShape = [spec.hiddenSize] }
    if base == "mlp.router.choice" { location.name = "blk.\(block).exp_probs_b.bias" }
    places?(tensor, spec, &location)
    if let attention = spec.blocks[block].latentAttention {
      return latentLocation(base, location, attention, prefix: "blk.\(block).", joinsHeads: joinsHeads)
    }
    guard let attention = spec.blocks[block].attention else { return location }
    switch base {
    case "attention.query", "attention.key":
      if interleavesHeads { location.rowOrder = .interleavedHalves(headSize: attention.headSize) }
    case "attention.query_norm" where attention.headNorms == .ofEachHead:
      location.storedShape = [attention.heads, attention.headSize]
    case "attention.key_norm" where attention.headNorms == .ofEachHead:
      location.storedShape = [attention.kvHeads, attention.headSize]
    default: break
    }
    return location
  }

  private func latentLocation(
    _ base: String, _ location: TensorLocation, _ attention: LatentAttentionSpec, prefix: String, joinsHeads: Bool
  ) -> TensorLocation {
    var location = location
    switch base {
    case "attention.query":
      if attention.queryRank != nil { location.name = prefix + "attn_q_b.weight" }
      location.rowOrder = LatentConfig.queryOrder(attention)
    case "attention.shared_key": location.rowOrder = .interleavedHalves(headSize: attention.turnedSize)
    case "attention.key", "attention.value":
      let isKey = base == "attention.key"
      if joinsHeads {
        LatentConfig.join(&location, attention, isKey: isKey, name: prefix + "attn_kv_b.weight")
      } else if isKey {
        location.name = prefix + "attn_k_b.weight"
        location.headRows = attention.plainSize
        location.storedShape = [attention.heads, attention.rank, attention.plainSize]
      } else {
        location.name = prefix + "attn_v_b.weight"
        location.storedShape = [attention.heads, attention.valueSize, attention.rank]
      }
    default: break
    }
    return location
  }

  /// What becomes of a file's numbers.
  func folds(_ family: any Architecture.Type, _ config: DocumentReader, _ spec: ModelSpec) throws -> Folds {
    try folds?(config, spec) ?? family.folds(config, spec)
  }

  /// What llama.cpp multiplies scores with where no key says it; nil: one over the square root of the head's size.
  func assumedScale(_ spec: ModelSpec) -> Double? {
    if let scale { return scale }
    guard spec.blocks.count == dividesByWidth, let attention = spec.blocks.first?.attention else { return nil }
    return 1 / Double(spec.hiddenSize / attention.heads).squareRoot()
  }
}

/// A key that some families' files have.
struct GGUFKey: Sendable {
  enum GGUFKeyValue: Sendable, Hashable {
    case integer(Int)
    case number(Double)
    case flag(Bool)
    case word(String)
  }

  enum GGUFKeyKind: Sendable {
    case integer, number, flag, word
    /// 0 stands for none, which is not what a missing key means.
    case numberOrNone
  }

  /// Behind the architecture's name.
  let name: String
  /// What `config.json` calls it; nil: it says again what others do.
  let configuration: String?
  let kind: GGUFKeyKind
  /// Whether `config.json` has it in the mapping that says how heads are turned.
  var isRotary = false
  /// What a file says of a model with its `config.json`; nil: nothing.
  let value: @Sendable (ModelSpec, JSON) -> GGUFKeyValue?

  init(
    _ name: String, _ configuration: String?, _ kind: GGUFKeyKind, isRotary: Bool = false,
    value: @escaping @Sendable (ModelSpec, JSON) -> GGUFKeyValue?
  ) {
    (self.name, self.configuration, self.kind, self.isRotary, self.value) = (name, configuration, kind, isRotary, value)
  }
}

extension GGUFKey {
  private static func integer(
    _ name: String, _ configuration: String?, _ figure: @escaping @Sendable (ExpertsSpec) -> Int?
  ) -> GGUFKey {
    GGUFKey(name, configuration, .integer) { spec, _ in
      spec.blocks.lazy.compactMap(\.experts).first.flatMap(figure).map { .integer($0) }
    }
  }

  /// How many experts there are and how many a row goes through.
  static func experts(_ configuration: String, active: String = "num_experts_per_tok") -> [GGUFKey] {
    [integer("expert_count", configuration) { $0.count }, integer("expert_used_count", active) { $0.active }]
  }

  /// The width of an expert.
  static func expertSize(_ configuration: String?) -> GGUFKey {
    integer("expert_feed_forward_length", configuration) { $0.expert.size }
  }

  /// The same as so many experts.
  static let sharedCount = integer("expert_shared_count", "n_shared_experts") { experts in
    experts.shared.flatMap { $0.size % experts.expert.size == 0 ? $0.size / experts.expert.size : nil }
  }

  /// The groups that experts are chosen in.
  static let groups = [
    integer("expert_group_count", "n_group") { $0.groups?.count },
    integer("expert_group_used_count", "topk_group") { $0.groups?.active },
  ]

  /// What the weights of experts are multiplied with.
  static func weightFactor(_ configuration: String) -> GGUFKey {
    GGUFKey("expert_weights_scale", configuration, .number) { spec, _ in
      spec.blocks.lazy.compactMap(\.experts).first.map { .number($0.weightFactor) }
    }
  }

  /// Whether the weights of experts are made to add up to one.
  static func normalizesWeights(_ configuration: String?) -> GGUFKey {
    GGUFKey("expert_weights_norm", configuration, .flag) { spec, _ in
      spec.blocks.lazy.compactMap(\.experts).first.flatMap { $0.normalizesWeights ? .flag(true) : nil }
    }
  }

  /// The width of what all rows go through beside them.
  static func sharedSize(_ configuration: String) -> GGUFKey {
    integer("expert_shared_feed_forward_length", configuration) { $0.shared?.size }
  }

  /// A number that `config.json` alone has.
  ///
  /// - Parameter assumed: what stands for a missing one; nil: nothing is said.
  static func multiplier(_ name: String, _ configuration: String, assumed: Double?) -> GGUFKey {
    GGUFKey(name, configuration, .number) { _, config in
      (config[configuration]?.number ?? assumed).map { .number($0) }
    }
  }

  /// What scores are multiplied with.
  static func scale(_ configuration: String) -> GGUFKey {
    GGUFKey("attention.scale", configuration, .number) { spec, _ in
      spec.blocks.first?.attention.map { .number($0.scale ?? 1 / Double($0.headSize).squareRoot()) }
    }
  }

  /// Whether attention and MLP read the same stream.
  static let parallelResidual = GGUFKey("use_parallel_residual", "use_parallel_residual", .flag) { spec, _ in
    spec.blocks.first.map { .flag($0.stages.count == 1 || $0.stages[1].isBeside) }
  }

  /// Caps that tanh keeps logits and scores below.
  static let logitCap = GGUFKey("final_logit_softcapping", "final_logit_softcapping", .number) { spec, _ in
    spec.logitSoftCap.map { .number($0) }
  }
  /// The same where llama.cpp assumes a cap unless a file says that there is none.
  static let statedLogitCap = GGUFKey("final_logit_softcapping", "final_logit_softcapping", .numberOrNone) { spec, _ in
    .number(spec.logitSoftCap ?? 0)
  }
  static let scoreCap = GGUFKey("attn_logit_softcapping", "attn_logit_softcapping", .number) { spec, _ in
    spec.blocks.first?.attention?.softCap.map { .number($0) }
  }
}
