import FurlTensor
import FurlCheckpoint
import FurlSpec
import FurlTestSupport
import Testing

/// The checkpoints that transformers wrote: every tensor of the specification is where transformers put it.
@Suite(.enabled(if: TestData.shared != nil, "needs the shared fixtures (FURL_SHARED)"))
struct FamilyFixtureTests {
  static let fixtures = (TestData.shared ?? "") + "/fixtures/"

  /// What transformers calls a tensor of Furl's, where it is stored as it is used.
  static func name(_ name: String, in family: String) -> String {
    let isBias = name.hasSuffix(".bias")
    let bare = isBias ? String(name.dropLast(5)) : name
    let suffix = isBias ? ".bias" : ".weight"
    let parts = bare.split(separator: ".", maxSplits: 2).map(String.init)
    guard parts[0] == "blocks" else {
      if bare == "head" { return "lm_head" + suffix }
      let norm = family == "phi" ? "final_layernorm" : "norm"
      return "model." + (bare == "norm" ? norm : "embed_tokens") + suffix
    }
    var names = [
      "attention.norm": "input_layernorm", "mlp.norm": "post_attention_layernorm",
      "attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj",
      "attention.value": "self_attn.v_proj", "attention.output": "self_attn.o_proj", "mlp.gate": "mlp.gate_proj",
      "mlp.up": "mlp.up_proj", "mlp.down": "mlp.down_proj",
    ]
    if family == "starcoder2" {
      names["mlp.up"] = "mlp.c_fc"
      names["mlp.down"] = "mlp.c_proj"
    }
    if family == "phi" {
      names["attention.output"] = "self_attn.dense"
      names["mlp.up"] = "mlp.fc1"
      names["mlp.down"] = "mlp.fc2"
    }
    return "model.layers.\(parts[1])." + (names[parts[2]] ?? parts[2]) + suffix
  }

  @Test(arguments: ["starcoder2", "phi", "llama", "qwen2"])
  func everyTensorIsFoundWithItsShapeAndNumbers(_ family: String) throws {
    let checkpoint = try Checkpoint(folder: Self.fixtures + family)
    let stored = try SampleCheckpoint(folder: Self.fixtures + family).tensors
    #expect(checkpoint.spec.architecture == family)
    #expect(checkpoint.spec.tensors.count == stored.count)
    for tensor in checkpoint.spec.tensors {
      let name = Self.name(tensor.name, in: family)
      let expected = try #require(stored[name], "\(name)")
      let source = try checkpoint.source(tensor.name)
      #expect(tensor.shape == expected.shape, "\(name)")
      #expect(source.columnStride == 1 && source.rowStride == tensor.shape.last && source.rowOrder == .stored)
      #expect(source.readAll() == expected.values, "\(name)")
    }
  }

  @Test func gpt2IsTransposedAndFused() throws {
    let checkpoint = try Checkpoint(folder: Self.fixtures + "gpt2")
    let stored = try SampleCheckpoint(folder: Self.fixtures + "gpt2").tensors
    let fused = try #require(stored["transformer.h.2.attn.c_attn.weight"])
    for (part, name) in ["query", "key", "value"].enumerated() {
      let source = try checkpoint.source("blocks.2.attention.\(name)")
      #expect(source.rows == 48 && source.columns == 48 && source.rowStride == 1 && source.columnStride == 144)
      #expect(
        source.readAll()
          == GPT2Tests.transposed(fused.values, inputs: 48, outputs: part * 48..<(part + 1) * 48, of: 144))
    }
    #expect(checkpoint.spec.parameterCount == stored.values.reduce(0) { $0 + $1.values.count })
  }

  /// The same weights in other files: as near as their numbers allow.
  @Test(arguments: [("sharded", Float(0)), ("bf16", 0x1p-8), ("f16", 0x1p-11)])
  func otherFilesHoldTheSameModel(_ folder: String, _ bound: Float) throws {
    let whole = try Checkpoint(folder: Self.fixtures + "starcoder2")
    let other = try Checkpoint(folder: Self.fixtures + "formats/" + folder)
    #expect(other.spec == whole.spec)
    for tensor in whole.spec.tensors {
      let (expected, found) = (try whole.source(tensor.name).readAll(), try other.source(tensor.name).readAll())
      let isNear = zip(expected, found).allSatisfy { abs($0 - $1) <= abs($0) * bound + (bound == 0 ? 0 : 0x1p-25) }
      #expect(found.count == expected.count && isNear, "\(tensor.name)")
    }
  }

  @Test func theSpecificationsAreWhatTheConfigurationsSay() throws {
    func spec(_ family: String) throws -> ModelSpec { try Checkpoint(folder: Self.fixtures + family).spec }
    let linear: Set<TensorRole> = [.query, .key, .value, .attentionOutput, .up, .down]
    let starcoder2 = ModelSpec(
      architecture: "starcoder2", vocabularySize: 512, hiddenSize: 96, contextLength: 128, norm: .layerNorm,
      normEpsilon: 1e-5, residual: .sequential,
      positions: .rotary(.init(theta: 999999.4420358813, dimensions: 16)), mlp: .plain, activation: .geluTanh,
      biases: linear.union([.norm]), tiedEmbeddings: true,
      blocks: Array(repeating: .init(heads: 6, kvHeads: 2, headSize: 16, mlpSize: 192, window: 9), count: 3))
    #expect(try spec("starcoder2") == starcoder2)
    let phi = ModelSpec(
      architecture: "phi", vocabularySize: 512, hiddenSize: 64, contextLength: 128, norm: .layerNorm,
      normEpsilon: 1e-5, residual: .parallel, positions: .rotary(.init(theta: 10_000, dimensions: 8)), mlp: .plain,
      activation: .geluTanh, biases: linear.union([.norm, .head]), tiedEmbeddings: false,
      blocks: Array(repeating: .init(heads: 4, kvHeads: 4, headSize: 16, mlpSize: 160), count: 2))
    #expect(try spec("phi") == phi)
    let llama = ModelSpec(
      architecture: "llama", vocabularySize: 512, hiddenSize: 64, contextLength: 128, norm: .rmsNorm,
      normEpsilon: 1e-6, residual: .sequential, positions: .rotary(.init(theta: 10_000, dimensions: 16)), mlp: .gated,
      activation: .silu, biases: [], tiedEmbeddings: false,
      blocks: Array(repeating: .init(heads: 4, kvHeads: 2, headSize: 16, mlpSize: 96), count: 2))
    #expect(try spec("llama") == llama)
    var qwen2 = llama
    qwen2.architecture = "qwen2"
    qwen2.uniform?.biases = [.query, .key, .value]
    qwen2.tiedEmbeddings = true
    qwen2.uniform?.blocks = Array(repeating: .init(heads: 4, kvHeads: 1, headSize: 16, mlpSize: 96), count: 2)
    #expect(try spec("qwen2") == qwen2)
  }
}
