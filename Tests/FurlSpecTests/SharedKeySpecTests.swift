import FurlBase
import FurlSpec
import FurlTestSupport
import Testing

/// Blocks that take keys and values from others, or something from the tokens, as artifacts say them.
@Suite struct SharedKeySpecTests {
  private static let rms = NormSpec(.rmsNorm, epsilon: 1e-6)

  private static let spec: ModelSpec = {
    func block(_ source: AttentionSpec.KeySource, window: Int?) -> BlockSpec {
      var attention = AttentionSpec(
        heads: 4, kvHeads: 2, headSize: 8, window: window,
        rotary: .init(theta: 100, dimensions: 8, scaling: .proportional(factor: 2, turning: 1)))
      attention.keySource = source
      attention.queryNorm = rms
      if source != .earlier { (attention.keyNorm, attention.valueNorm) = (rms, 1e-6) }
      let input = TokenInputSpec(size: 6, activation: .geluTanh, norm: rms)
      return BlockSpec(
        [
          StageSpec(norm: rms, parts: [PartSpec(.attention(attention))]),
          StageSpec(norm: nil, parts: [PartSpec(.tokenInput(input), outputNorm: rms)]),
        ], isScaled: true)
    }
    return ModelSpec(
      architecture: "any", vocabularySize: 50, hiddenSize: 24, contextLength: 32, norm: rms, tiedEmbeddings: true,
      blocks: [block(.own, window: 7), block(.keysAlone, window: nil), block(.earlier, window: 7)])
  }()

  @Test func theFormIsReadBack() throws {
    let text = Self.spec.json.compactText
    #expect(text.contains(#""value_norm":1e-06,"key_source":"keys""#) && text.contains(#""scaled":true"#))
    #expect(text.contains(#""scaling":{"kind":"proportional","factor":2.0,"turning":1}"#))
    #expect(text.contains(#"{"token_input":{"size":6,"activation":"gelu_tanh","norm":"#))
    let copy = try ModelSpec(JSON.parse(Array(text.utf8), file: nil), architecture: "any", file: nil)
    #expect(copy == Self.spec && copy.formVersion == 2)
  }

  @Test func tensorsAreThoseThatThereAre() throws {
    let names = Self.spec.tensors.filter { $0.block == 2 }.map { "\($0.name.dropFirst("blocks.2.".count)) \($0.shape)" }
    #expect(
      names == [
        "attention.norm [24]", "attention.query [32, 24]", "attention.query_norm [8]", "attention.output [24, 32]",
        "input.gate [6, 24]", "input.context [6, 24]", "input.table [50, 6]", "input.context_norm [6]",
        "input.output [24, 6]", "input.output_norm [24]", "scale [1]",
      ])
    let keys = Self.spec.tensors.filter { $0.role == .key || $0.role == .value }.map(\.name)
    #expect(keys == ["blocks.0.attention.key", "blocks.0.attention.value", "blocks.1.attention.key"])
    let places = Self.spec.sites(of: 2).map { Self.spec.readers(of: $0, in: 2).map(\.name) }
    #expect(
      places == [
        ["attention.query"], ["attention.output"], ["input.gate"], ["input.context"], ["input.table"], ["input.output"],
      ])
    #expect(Self.spec.keyBlocks == [0, 1, 0] && Self.spec.sharedKeyBlocks == [0])
  }

  /// Frequencies behind those that turn are none.
  @Test func someFrequenciesAreZero() {
    let rotary = ModelSpec.Rotary(theta: 16, dimensions: 8, scaling: .proportional(factor: 2, turning: 3))
    #expect(zip(rotary.frequencies, [0.5, 0.25, 0.125]).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(rotary.frequencies.count == 4 && rotary.frequencies[3] == 0)
  }

  @Test func keysOfNobodyAreRefused() {
    var spec = Self.spec
    spec.blocks.removeFirst()
    let error = #expect(throws: FurlError.self) { try spec.validate(file: nil) }
    #expect(error?.problem.contains("no block before block 1") == true)
  }
}
