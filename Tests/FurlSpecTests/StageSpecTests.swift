import FurlBase
import FurlSpec
import FurlTestSupport
import Testing

/// Blocks stage by stage, and the two forms in which a model is said.
@Suite struct StageSpecTests {
  static func read(_ json: JSON) throws -> ModelSpec { try ModelSpec(json, architecture: "any", file: "a.furl") }

  static func parsed(_ text: String) throws -> JSON { try JSON.parse(Array(text.utf8), file: nil) }

  // MARK: The second form

  static let text = """
    {"vocabulary_size":50,"hidden_size":24,"context_length":32,"norm":{"kind":"rms_norm","epsilon":1e-06},\
    "tied_embeddings":false,"learned_positions":true,"head_bias":true,"logit_soft_cap":30.0,"blocks":[\
    {"count":2,"stages":[\
    {"norm":{"kind":"layer_norm","epsilon":1e-05,"bias":true},"parts":[{"attention":{"heads":4,"kv_heads":2,\
    "head_size":8,"window":7,"rotary":{"theta":10000.0,"dimensions":4,"scaling":{"kind":"longrope",\
    "short":[1.0,1.5],"long":[2.0,9.0],"original_context":16},"attention_factor":1.25},"scale":0.25,"soft_cap":50.0,\
    "sinks":true,"query_norm":{"kind":"rms_norm","epsilon":1e-06},"key_norm":{"kind":"layer_norm","epsilon":1e-05},\
    "head_norms":"row","biases":["attention.query","attention.output"]},\
    "output_norm":{"kind":"rms_norm","epsilon":1e-06},"factor":0.5}]},\
    {"beside":true,"parts":[{"experts":{"count":8,"active":2,"expert":{"size":10,"gated":true,"activation":"quick_gelu",\
    "limit":7.0,"biases":["mlp.up","mlp.gate","mlp.down"]},"scoring":"sigmoid","normalizes":true,\
    "shared":{"size":12,"gated":false,"activation":"relu"},"gates_shared":true,"factor":2.5,"router_bias":true,\
    "choice_bias":true,"groups":{"count":4,"active":2,"best":2},"jitter":0.01}}]}]},\
    {"stages":[{"parts":[{"mlp":{"size":20,"gated":true,"activation":"silu"}}]}]}],"patches":[0,3]}
    """

  static let spec: ModelSpec = {
    let rms = NormSpec(.rmsNorm, epsilon: 1e-6)
    var attention = AttentionSpec(
      heads: 4, kvHeads: 2, headSize: 8, window: 7,
      rotary: .init(
        theta: 10_000, dimensions: 4, scaling: .longRoPE(short: [1, 1.5], long: [2, 9], originalContext: 16),
        attentionFactor: 1.25),
      biases: [.query, .attentionOutput])
    (attention.scale, attention.softCap, attention.hasSinks) = (0.25, 50, true)
    (attention.queryNorm, attention.keyNorm) = (rms, NormSpec(.layerNorm, epsilon: 1e-5))
    attention.headNorms = .ofRow
    var expert = FeedForwardSpec(size: 10, isGated: true, activation: .quickGelu, biases: [.gate, .up, .down])
    expert.limit = 7
    var experts = ExpertsSpec(
      count: 8, active: 2, expert: expert, shared: .init(size: 12, isGated: false, activation: .relu),
      gatesShared: true, scoring: .sigmoid, normalizesWeights: true, weightFactor: 2.5)
    (experts.routerHasBias, experts.routerHasChoiceBias) = (true, true)
    (experts.groups, experts.jitter) = (.init(count: 4, active: 2, best: 2), 0.01)
    let block = BlockSpec([
      StageSpec(
        norm: NormSpec(.layerNorm, epsilon: 1e-5, hasBias: true),
        parts: [PartSpec(.attention(attention), outputNorm: rms, factor: 0.5)]),
      StageSpec(norm: nil, parts: [PartSpec(.experts(experts))], isBeside: true),
    ])
    let mlp = FeedForwardSpec(size: 20, isGated: true, activation: .silu)
    var spec = ModelSpec(
      architecture: "any", vocabularySize: 50, hiddenSize: 24, contextLength: 32, norm: rms, tiedEmbeddings: false,
      blocks: [block, block, BlockSpec([StageSpec(norm: nil, parts: [PartSpec(.feedForward(mlp))])])])
    (spec.hasLearnedPositions, spec.hasHeadBias, spec.logitSoftCap, spec.patches) = (true, true, 30, [0, 3])
    return spec
  }()

  @Test func theSecondFormIsThis() throws {
    #expect(Self.spec.json.compactText == Self.text)
    #expect(Self.spec.formVersion == 2)
    #expect(try Self.read(Self.parsed(Self.text)) == Self.spec)
  }

  /// Anything that stages can say is read back as it was, and said again with the same bytes.
  @Test(arguments: 0..<16)
  func whateverIsSaidIsReadBack(_ seed: Int) throws {
    var draws = SpecDraws(seed: UInt64(seed))
    for _ in 0..<32 {
      let spec = draws.spec()
      try spec.validate(file: nil)
      let text = spec.json.compactText
      let json = try Self.parsed(text)
      let copy = try Self.read(json)
      #expect(copy == spec, "\(text)")
      #expect(copy.json.compactText == text)
      #expect(spec.formVersion == (json["norm"]?.string == nil ? 2 : 1))
      #expect(Set(spec.tensors.map(\.name)).count == spec.tensors.count, "\(text)")
    }
  }

  /// Every layer and every vector of the blocks is a tensor, and every layer is read by one place.
  @Test(arguments: 0..<8)
  func tensorsAreThoseOfTheStages(_ seed: Int) {
    var draws = SpecDraws(seed: 100 + UInt64(seed))
    for _ in 0..<16 {
      let spec = draws.spec()
      let names = Set(spec.tensors.map(\.name))
      for (index, block) in spec.blocks.enumerated() {
        let layers = block.parts.flatMap { $0.inputs(hidden: spec.hiddenSize) + $0.outputs(hidden: spec.hiddenSize) }
        let readers = spec.sites(of: index).flatMap { spec.readers(of: $0, in: index) }
        #expect(readers.map(\.name).sorted() == layers.map(\.name).sorted())
        let vectors = block.parts.flatMap(\.vectors).map(\.name)
        let norms = spec.normNames(of: index).compactMap { $0 }
        #expect(names.isSuperset(of: (layers.map(\.name) + vectors).map { "blocks.\(index).\($0)" } + norms))
      }
    }
  }

  // MARK: The first form

  /// Texts as versions before stages have written them.
  static let firstForms = [
    """
    {"vocabulary_size":100,"hidden_size":48,"context_length":20,"norm":"layer_norm","norm_epsilon":1e-05,\
    "residual":"sequential","positions":"learned","mlp":"plain","activation":"gelu_tanh","biases":["norm",\
    "attention.query","attention.key","attention.value","attention.output","mlp.up","mlp.down"],\
    "tied_embeddings":true,"blocks":[{"heads":6,"kv_heads":2,"head_size":8,"mlp_size":192},\
    {"heads":3,"kv_heads":3,"head_size":16,"mlp_size":100,"window":9}],"patches":[0,2]}
    """,
    """
    {"vocabulary_size":70,"hidden_size":40,"context_length":80,"norm":"layer_norm","norm_epsilon":1e-05,\
    "residual":"parallel","positions":"rotary","rotary":{"theta":10000.0,"dimensions":10},"mlp":"plain",\
    "activation":"gelu","biases":["head","norm","mlp.down"],"tied_embeddings":false,\
    "blocks":[{"heads":2,"kv_heads":2,"head_size":24,"mlp_size":90},{"heads":2,"kv_heads":2,"head_size":24,"mlp_size":90}]}
    """,
    """
    {"vocabulary_size":85,"hidden_size":64,"context_length":80,"norm":"rms_norm","norm_epsilon":0.0,\
    "residual":"sequential","positions":"rotary","rotary":{"theta":500000.0,"dimensions":16,"scaling":{"kind":"llama3",\
    "factor":8.0,"low_frequency_factor":1.0,"high_frequency_factor":4.0,"original_context":8192}},"mlp":"gated",\
    "activation":"silu","biases":["attention.query","mlp.gate"],"tied_embeddings":false,\
    "blocks":[{"heads":4,"kv_heads":1,"head_size":16,"mlp_size":177}]}
    """,
    """
    {"vocabulary_size":85,"hidden_size":64,"context_length":80,"norm":"rms_norm","norm_epsilon":1e-06,\
    "residual":"sequential","positions":"rotary","rotary":{"theta":500000.0,"dimensions":16,"scaling":{"kind":"linear",\
    "factor":2.5}},"mlp":"gated","activation":"quick_gelu","biases":[],"tied_embeddings":true,\
    "blocks":[{"heads":4,"kv_heads":4,"head_size":16,"mlp_size":1}]}
    """,
  ]

  @Test(arguments: firstForms)
  func uniformModelsKeepTheirBytes(_ text: String) throws {
    let spec = try Self.read(Self.parsed(text))
    #expect(spec.json.compactText == text)
    #expect(spec.formVersion == 1)
    #expect(UniformDecoder(spec)?.blocks.count == spec.blocks.count)
  }

  /// One thing that the first form has no word for, and the second is taken.
  @Test func whatTheFirstFormCannotSay() throws {
    let uniform = try Self.read(Self.parsed(Self.firstForms[2]))
    let changes: [(inout ModelSpec) -> Void] = [
      { $0.logitSoftCap = 30 }, { $0.blocks[0].stages[0].norm = nil }, { $0.blocks[0].stages[1].isBeside = true },
      { $0.norm.epsilon = 0.5 }, { $0.norm.hasBias = true }, { $0.norm.kind = .layerNorm },
      { $0.blocks[0].stages[0].parts[0].factor = 2 }, { $0.blocks[0].stages.reverse() },
      { $0.blocks[0].stages[1].parts[0].outputNorm = $0.norm }, { $0.blocks[0].attention?.scale = 1 },
      { $0.blocks[0].attention?.softCap = 1 }, { $0.blocks[0].attention?.hasSinks = true },
      { $0.blocks[0].attention?.queryNorm = $0.norm }, { $0.blocks[0].attention?.keyNorm = $0.norm },
      { $0.blocks[0].attention?.headNorms = .ofRow }, { $0.blocks[0].attention?.rotary = nil },
      { $0.hasLearnedPositions = true }, { $0.blocks[0].feedForward?.limit = 7 },
      { $0.blocks[0].stages.remove(at: 0) }, { $0.blocks[0].stages.remove(at: 1) },
      { spec in
        spec.blocks.append(spec.blocks[0])
        spec.blocks[1].feedForward?.activation = .relu
      },
      { spec in
        let expert = spec.blocks[0].feedForward!
        spec.blocks[0].stages[1].parts[0].mixer = .experts(ExpertsSpec(count: 2, active: 1, expert: expert))
      },
    ]
    for (index, change) in changes.enumerated() {
      var spec = uniform
      change(&spec)
      #expect(spec != uniform, "\(index)")
      #expect(spec.formVersion == 2 && UniformDecoder(spec) == nil, "\(index)")
      #expect(try Self.read(Self.parsed(spec.json.compactText)) == spec, "\(index)")
    }
  }
}
