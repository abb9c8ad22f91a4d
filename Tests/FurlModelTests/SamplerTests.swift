import FurlBase
@testable import FurlModel
import FurlTensor
import Foundation
import Testing

@Suite struct SamplerTests {
  private let kernels: Kernels

  init() throws { kernels = try Kernels() }

  private func row(_ logits: [Float]) throws -> Activations {
    let activations = try Activations(columns: logits.count, capacity: 1)
    activations[0] = logits
    return activations
  }

  private func next(_ sampler: inout Sampler, _ logits: Activations) throws -> Int {
    try sampler.next(logits, row: 0, best: logits.argmax(row: 0, kernels))
  }

  private func counts(_ logits: [Float], _ sampling: Sampling, draws: Int) throws -> [Int] {
    let activations = try row(logits)
    var sampler = Sampler(sampling)
    var counts = [Int](repeating: 0, count: logits.count)
    for _ in 0..<draws { counts[try next(&sampler, activations)] += 1 }
    return counts
  }

  private func chiSquare(_ counts: [Int], _ expected: [Double]) -> Double {
    let total = Double(counts.reduce(0, +))
    return zip(counts, expected).reduce(0) { sum, pair in
      pair.1 == 0 ? sum : sum + pow(Double(pair.0) - total * pair.1, 2) / (total * pair.1)
    }
  }

  @Test func temperatureZeroTakesTheFirstOfTheLargest() throws {
    var draws = SplitMix64(seed: 5)
    for _ in 0..<200 {
      let logits = (0..<(1 + Int(draws.next() % 70))).map { _ in Float(Int(draws.next() % 9)) - 4 }
      var sampler = Sampler(.greedy)
      let largest = try #require(logits.max())
      #expect(try next(&sampler, row(logits)) == logits.firstIndex(of: largest))
    }
  }

  /// Logits 1, 0, -1, 2, -30. Probabilities at temperatures 1 and 2 from NumPy 2.4.6.
  @Test(arguments: [
    (1.0, [0.23688281808990821, 0.08714431874203186, 0.032058603280084724, 0.643914259887967, 0]),
    (2.0, [0.2760043305725201, 0.1674050887056944, 0.10153631889191674, 0.45505421062026363, 0]),
  ])
  func drawsFollowTheSoftmax(_ sample: (temperature: Double, expected: [Double])) throws {
    let counts = try counts(
      [1, 0, -1, 2, -30], Sampling(temperature: sample.temperature, seed: 11), draws: 40_000)
    #expect(counts[4] == 0)
    // Three degrees of freedom: above 16.27 in one of a thousand seeds.
    #expect(chiSquare(counts, sample.expected) < 16.27)
  }

  /// Probabilities 0.5, 0.3, 0.15, 0.05, not in their order.
  private let skewed = [0.15, 0.5, 0.05, 0.3].map { Float(log($0)) + 7 }

  @Test(arguments: [(1, [1]), (2, [1, 3]), (3, [0, 1, 3]), (4, [0, 1, 2, 3]), (400, [0, 1, 2, 3])])
  func topKKeepsTheMostProbable(_ sample: (k: Int, kept: [Int])) throws {
    let counts = try counts(skewed, Sampling(temperature: 1, topK: sample.k, seed: 2), draws: 20_000)
    let whole = [0.15, 0.5, 0.05, 0.3]
    let sum = sample.kept.reduce(0) { $0 + whole[$1] }
    #expect(counts.indices.filter { counts[$0] > 0 } == sample.kept)
    #expect(chiSquare(counts, whole.indices.map { sample.kept.contains($0) ? whole[$0] / sum : 0 }) < 16.27)
  }

  @Test(arguments: [
    (0.0, [1]), (0.49, [1]), (0.51, [1, 3]), (0.79, [1, 3]), (0.81, [0, 1, 3]), (0.94, [0, 1, 3]),
    (0.96, [0, 1, 2, 3]), (1.0, [0, 1, 2, 3]),
  ])
  func topPKeepsTheFewestThatReachIt(_ sample: (p: Double, kept: [Int])) throws {
    let counts = try counts(skewed, Sampling(temperature: 1, topP: sample.p, seed: 2), draws: 20_000)
    let whole = [0.15, 0.5, 0.05, 0.3]
    let sum = sample.kept.reduce(0) { $0 + whole[$1] }
    #expect(counts.indices.filter { counts[$0] > 0 } == sample.kept)
    #expect(chiSquare(counts, whole.indices.map { sample.kept.contains($0) ? whole[$0] / sum : 0 }) < 16.27)
  }

  @Test func theSameSeedGivesTheSameTokens() throws {
    let logits = (0..<50).map { Float($0 % 7) / 3 }
    func tokens(_ seed: UInt64) throws -> [Int] {
      let activations = try row(logits)
      var sampler = Sampler(Sampling(temperature: 0.8, seed: seed))
      return try (0..<64).map { _ in try next(&sampler, activations) }
    }
    #expect(try tokens(1) == tokens(1))
    #expect(try tokens(1) != tokens(2))
  }

  @Test(arguments: [1e-300, 1e-9, 1e9, .infinity])
  func extremeTemperaturesGiveATokenThatExists(_ temperature: Double) throws {
    let counts = try counts([1, 3, 2, -1e30], Sampling(temperature: temperature, topP: 0.9, seed: 3), draws: 1000)
    #expect(counts.reduce(0, +) == 1000)
    if temperature < 1 { #expect(counts[1] == 1000) }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func logitsThatAreNotFiniteAreRefused(_ bad: Float) throws {
    for temperature in [0, 1.0] {
      for place in [0, 20, 36] {
        var logits = (0..<37).map { Float($0) }
        logits[place] = bad
        var sampler = Sampler(Sampling(temperature: temperature))
        expectError(.input, "not finite numbers") { _ = try next(&sampler, row(logits)) }
      }
    }
  }
}
