import FurlBase
import FurlSpec
import FurlModel
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

@Suite struct LikelihoodTests {
  private func logProbabilities(_ logits: [Float]) throws -> [Double] {
    let activations = try Activations(columns: logits.count, capacity: 1)
    activations[0] = logits
    return Likelihood.logProbabilities(activations, row: 0)
  }

  /// Computed with NumPy in double precision after llama.cpp's perplexity.cpp: logits of base and candidate, the KL
  /// divergence, the negative log-likelihood of a target under both.
  @Test(
    arguments: [
      ([2, 1, 0, -1], [1.9, 1.2, -0.1, -1], 0.008458, 0, 0.440190, 0.522918),
      ([0, 0, 0, 0], [0.1, 0, -0.1, 0], 0.002499, 2, 1.386294, 1.488793),
      ([5, 1, 0, -3], [1, 4, 0, -3], 2.889037, 0, 0.025072, 3.066737),
    ] as [([Float], [Float], Double, Int, Double, Double)])
  func divergenceAsLlamaCpp(_ sample: (base: [Float], candidate: [Float], kl: Double, target: Int, Double, Double))
    throws
  {
    let base = try logProbabilities(sample.base)
    let candidate = try logProbabilities(sample.candidate)
    #expect(abs(Likelihood.divergence(of: base, from: candidate) - sample.kl) < 5e-7)
    #expect(Likelihood.divergence(of: base, from: base) == 0)
    #expect(abs(-base[sample.target] - sample.4) < 1e-6)
    #expect(abs(-candidate[sample.target] - sample.5) < 1e-6)
  }

  @Test func probabilitiesAddUpToOne() throws {
    var draws = SplitMix64(seed: 8)
    for scale in [1e-3, 1, 50, 1e4, 1e30] {
      let logits = (0..<300).map { _ in Float((draws.unit() - 0.5) * scale) }
      let sum = try logProbabilities(logits).reduce(0) { $0 + exp($1) }
      #expect(abs(sum - 1) < 1e-12)
    }
  }

  @Test func damageShowsInTheDivergence() {
    #expect(!Likelihood.divergence(of: [.nan, .nan], from: [log(0.5), log(0.5)]).isFinite)
    #expect(!Likelihood.divergence(of: [log(0.5), log(0.5)], from: [.nan, .nan]).isFinite)
  }

  /// Perplexities of Hugging Face transformers.
  @Test func perplexityEqualsTransformers() throws {
    let context = try Fixtures.context()
    let session = try Session(ModelFile(path: TestData.minipy).load(pool: context.pool), context: context)
    var losses = 0
    for expected in try LogitsTests.cases(TestData.root + "/Tests/Fixtures/minipy/expected-logits.json") {
      guard let mean = expected.meanNegativeLogLikelihood else { continue }
      var loss = 0.0
      try Likelihood(session).forEachPosition(expected.ids) { position, logits, row in
        guard position + 1 < expected.ids.count else { return }
        loss -= Likelihood.logProbabilities(logits[0], row: row)[expected.ids[position + 1]]
      }
      losses += 1
      let perplexity = exp(loss / Double(expected.ids.count - 1))
      #expect(abs(perplexity / exp(mean) - 1) < 1e-4)
    }
    #expect(losses > 0)
  }

  @Test func sessionsAreReadInLockstep() throws {
    let context = try Fixtures.context()
    let model = try ModelFile(path: Fixtures.gpt2).load(pool: context.pool)
    let length = model.spec.contextLength
    let ids = Fixtures.ids(length, below: model.spec.vocabularySize)
    var positions: [Int] = []
    try Likelihood(Session(model, context: context), Session(model, context: context)).forEachPosition(ids) {
      position, logits, row in
      positions.append(position)
      #expect(logits.count == 2 && logits[0][row] == logits[1][row])
    }
    #expect(positions == Array(0..<length))
    expectError(.usage, "\(length + 1) tokens") {
      let all = ids + [1]
      try Likelihood(Session(model, context: context)).forEachPosition(all) { _, _, _ in }
    }
  }
}
