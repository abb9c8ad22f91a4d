import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Every architecture that a specification can say, against plain loops in double precision.
@Suite struct ArchitectureTests {
  static let schemes: [Scheme] = [
    .float32, .int8(.columns(32)), .int4(.columns(32)), .int4Minimum(.columns(64)), .int8(.row),
  ]

  /// Draws what a combination leaves open: widths, heads, windows, biases, rotary positions.
  static func spec(
    _ mlp: UniformDecoder.MLP, _ activation: ModelSpec.Activation, _ norm: ModelSpec.Norm,
    _ residual: UniformDecoder.Residual,
    isRotary: Bool, _ draws: inout SplitMix64
  ) -> ModelSpec {
    func below(_ limit: Int) -> Int { Int(draws.next() % UInt64(limit)) }
    let context = 18
    let blocks = (0..<1 + below(3)).map { _ in
      let kvHeads = 1 + below(2)
      return UniformDecoder.DecoderWidths(
        heads: kvHeads * (1 + below(3)), kvHeads: kvHeads, headSize: 8 * (1 + below(3)), mlpSize: 1 + below(90),
        window: below(2) == 0 ? nil : 1 + below(context + 2))
    }
    let headSize = blocks.map(\.headSize).min() ?? 8
    let scalings: [ModelSpec.Rotary.Scaling] = [
      .none, .linear(factor: 4),
      .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 10),
    ]
    let rotary = ModelSpec.Rotary(
      theta: [10_000, 1e6, 100][below(3)], dimensions: below(2) == 0 ? headSize : 2 * (1 + below(headSize / 2)),
      scaling: scalings[below(3)])
    let isTied = below(2) == 0
    var roles: Set<TensorRole> = [.norm, .query, .key, .value, .attentionOutput, .up, .down]
    if mlp == .gated { roles.insert(.gate) }
    if !isTied { roles.insert(.head) }
    return ModelSpec(
      architecture: "any", vocabularySize: 11 + below(40), hiddenSize: 5 + below(60), contextLength: context,
      norm: norm, normEpsilon: 1e-5, residual: residual, positions: isRotary ? .rotary(rotary) : .learned, mlp: mlp,
      activation: activation, biases: roles.filter { _ in below(2) == 0 }, tiedEmbeddings: isTied, blocks: blocks)
  }

  @Test(arguments: UniformDecoder.MLP.allCases, ModelSpec.Activation.allCases)
  func everyCombinationEqualsPlainLoops(_ mlp: UniformDecoder.MLP, _ activation: ModelSpec.Activation) throws {
    let index = ModelSpec.Activation.allCases.firstIndex(of: activation) ?? 0
    var draws = SplitMix64(seed: UInt64(100 * index) + (mlp == .gated ? 1 : 2))
    for norm in ModelSpec.Norm.allCases {
      for residual in UniformDecoder.Residual.allCases {
        for isRotary in [false, true] {
          let spec = Self.spec(mlp, activation, norm, residual, isRotary: isRotary, &draws)
          try spec.validate(file: nil)
          let scheme = Self.schemes[Int(draws.next() % UInt64(Self.schemes.count))]
          let worst = try Self.compare(NaiveModel(spec, seed: draws.next(), scheme: scheme), seed: draws.next())
          #expect(worst.share <= 1, "\(worst.place), \(scheme), \(spec)")
        }
      }
    }
  }

  /// The forward pass in some pieces, on one and on two threads, against the plain loops; activations stay FP32.
  static func compare(_ naive: NaiveModel, seed: UInt64, bound: Double = 5e-5) throws -> Worst {
    var worst = Worst()
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      try naive.write(to: path)
      let ids = Fixtures.ids(naive.spec.contextLength, below: naive.spec.vocabularySize, seed: seed)
      let expected = naive.logits(ids)
      for threads in [1, 2] {
        let context = try Fixtures.context(threads: threads, .fp32)
        let model = try ModelFile(path: path).load(pool: context.pool)
        let actual = try Fixtures.logits(Session(model, context: context, format: .float32), ids, pieces: [7, 1, 3])
        #expect(actual.count == expected.count)
        for (position, (row, exact)) in zip(actual, expected).enumerated() {
          #expect(row.count == exact.count)
          for (value, right) in zip(row, exact) {
            worst.add(Double(value), right, bound: bound, "position \(position)")
          }
        }
      }
    }
    return worst
  }

  /// Architectures like those of well-known families.
  static let families: [(name: String, spec: ModelSpec)] = [
    (
      "starcoder2",
      ModelSpec(
        architecture: "starcoder2", vocabularySize: 91, hiddenSize: 48, contextLength: 80, norm: .layerNorm,
        normEpsilon: 1e-5, residual: .sequential, positions: .rotary(.init(theta: 1e6, dimensions: 16)), mlp: .plain,
        activation: .geluTanh, biases: [.norm, .query, .key, .value, .attentionOutput, .up, .down],
        tiedEmbeddings: true,
        blocks: [
          .init(heads: 6, kvHeads: 2, headSize: 16, mlpSize: 100, window: 9),
          .init(heads: 6, kvHeads: 2, headSize: 16, mlpSize: 100, window: 33),
        ])
    ),
    (
      "phi",
      ModelSpec(
        architecture: "phi", vocabularySize: 70, hiddenSize: 40, contextLength: 80, norm: .layerNorm,
        normEpsilon: 1e-5, residual: .parallel, positions: .rotary(.init(theta: 10_000, dimensions: 10)), mlp: .plain,
        activation: .gelu, biases: [.norm, .query, .key, .value, .attentionOutput, .up, .down, .head],
        tiedEmbeddings: false,
        blocks: Array(repeating: .init(heads: 2, kvHeads: 2, headSize: 24, mlpSize: 90), count: 2))
    ),
    (
      "llama",
      ModelSpec(
        architecture: "llama", vocabularySize: 85, hiddenSize: 64, contextLength: 80, norm: .rmsNorm,
        normEpsilon: 1e-6, residual: .sequential, positions: .rotary(.init(theta: 10_000, dimensions: 16)),
        mlp: .gated, activation: .silu, biases: [], tiedEmbeddings: false,
        blocks: Array(repeating: .init(heads: 4, kvHeads: 1, headSize: 16, mlpSize: 177), count: 2))
    ),
    (
      "all at once",
      ModelSpec(
        architecture: "any", vocabularySize: 33, hiddenSize: 33, contextLength: 80, norm: .rmsNorm, normEpsilon: 1e-6,
        residual: .parallel, positions: .rotary(.init(theta: 500, dimensions: 6, scaling: .linear(factor: 2))),
        mlp: .gated, activation: .quickGelu, biases: [.norm, .gate, .head], tiedEmbeddings: false,
        blocks: [
          .init(heads: 3, kvHeads: 3, headSize: 8, mlpSize: 40, window: 5),
          .init(heads: 4, kvHeads: 2, headSize: 32, mlpSize: 16),
        ])
    ),
  ]
}
