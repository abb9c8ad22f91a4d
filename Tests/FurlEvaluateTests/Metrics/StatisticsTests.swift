import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

/// Against the figures that the published programs gave (`research/evaluation-vectors.json`).
struct Vectors: Sendable {
  let json: JSON

  static let file: JSON? = TestData.shared.flatMap { folder in
    let path = folder + "/research/evaluation-vectors.json"
    return (try? TestData.bytes(path)).flatMap { try? JSON.parse($0, file: path) }
  }

  static func list(_ key: String) -> [JSON] { file?[key]?.array ?? [] }
}

@Suite struct StatisticsTests {
  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"), arguments: Vectors.list("wilson95"))
  func wilson(_ vector: JSON) throws {
    let share = Proportion(
      successes: try #require(vector["k"]?.integer), count: try #require(vector["n"]?.integer))
    let interval = share.interval()
    #expect(abs(interval.lowerBound - (vector["lo"]?.number ?? .nan)) < 1e-12)
    #expect(abs(interval.upperBound - (vector["hi"]?.number ?? .nan)) < 1e-12)
    #expect(interval.contains(share.value))
  }

  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"), arguments: Vectors.list("mcnemar"))
  func mcNemar(_ vector: JSON) throws {
    let b = try #require(vector["b"]?.integer)
    let c = try #require(vector["c"]?.integer)
    let paired = PairedOutcomes(regressions: b, fixes: c, count: 164)
    #expect(abs(paired.exactP - (vector["exact"]?.number ?? .nan)) < 1e-11)
    #expect(abs(paired.midP - (vector["midp"]?.number ?? .nan)) < 1e-11)
    let turned = PairedOutcomes(regressions: c, fixes: b, count: 164)
    #expect(turned.exactP == paired.exactP && turned.midP == paired.midP)
  }

  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"), arguments: Vectors.list("paired_difference"))
  func tango(_ vector: JSON) throws {
    let paired = PairedOutcomes(
      regressions: try #require(vector["regressions"]?.integer), fixes: try #require(vector["fixes"]?.integer),
      count: try #require(vector["n"]?.integer))
    #expect(abs(paired.difference - (vector["diff"]?.number ?? .nan)) < 1e-12)
    let lower = paired.lowerLimit(confidence: 0.95)
    #expect(abs(lower - (vector["tango_one_sided95_lower"]?.number ?? .nan)) < 1e-6)
    #expect(abs(paired.score(difference: -0.02) - (vector["noninferiority_z_margin_0_02"]?.number ?? .nan)) < 1e-9)
    let p = 1 - Normal.probability(upTo: paired.score(difference: -0.02))
    #expect(abs(p - (vector["p"]?.number ?? .nan)) < 1e-9)
    let newcombe = paired.newcombeInterval(
      baseline: try #require(vector["both_pass"]?.integer) + paired.regressions)
    #expect(abs(newcombe.lowerBound - (vector["newcombe10_95"]?[0]?.number ?? .nan)) < 1e-9)
    #expect(abs(newcombe.upperBound - (vector["newcombe10_95"]?[1]?.number ?? .nan)) < 1e-9)
    // Turning the roles round turns the limits round.
    let turned = PairedOutcomes(regressions: paired.fixes, fixes: paired.regressions, count: paired.count)
    #expect(turned.upperLimit(confidence: 0.95) == -lower)
    #expect(paired.interval().contains(paired.difference))
  }

  @Test func limitsGrowWithConfidence() {
    for (b, c) in [(0, 0), (164, 0), (0, 164), (82, 82), (1, 0), (3, 40)] {
      let paired = PairedOutcomes(regressions: b, fixes: c, count: 164)
      var before = (paired.difference, paired.difference)
      for confidence in [0.5, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999] {
        let now = (paired.lowerLimit(confidence: confidence), paired.upperLimit(confidence: confidence))
        #expect(now.0 <= before.0 + 1e-12 && now.1 >= before.1 - 1e-12)
        #expect(now.0 >= -1 && now.1 <= 1)
        before = now
      }
    }
  }

  @Test(arguments: [
    (1e-9, -5.997807015007686), (0.001, -3.090232306167813), (0.025, -1.9599639845400539),
    (0.3, -0.5244005127080409), (0.5, 0), (0.8, 0.8416212335729143), (0.95, 1.644853626951472),
    (0.975, 1.9599639845400539), (0.995, 2.5758293035489),
  ])
  func quantiles(_ p: Double, _ z: Double) {
    #expect(abs(Normal.quantile(p) - z) < 1e-9)
    #expect(abs(Normal.probability(upTo: z) - p) < 1e-9)
  }

  /// The same draws in Python's integers gave these limits.
  @Test func bootstrap() {
    let values = (0..<60).map { Double(($0 * 37) % 101 - 50) / 100 }
    let bootstrap = Bootstrap(of: values)
    #expect(abs(bootstrap.quantile(0.025) - -0.0778333333333333) < 1e-12)
    #expect(abs(bootstrap.quantile(0.975) - 0.06899999999999999) < 1e-12)
    #expect(abs(bootstrap.quantile(0.05) - -0.06616666666666667) < 1e-12)
    #expect(abs(Bootstrap(of: values, seed: 7).quantile(0.05) - -0.067) < 1e-12)
    #expect(bootstrap.interval() == bootstrap.quantile(0.025)...bootstrap.quantile(0.975))
    #expect(Bootstrap(of: [0.25, 0.25]).interval() == 0.25...0.25)
  }

  /// Every share of small suites against the decimals that people write.
  @Test func boundsAreExact() {
    for count in 1...200 {
      for successes in 0...count {
        let share = Proportion(successes: successes, count: count)
        for percent in 0..<100 {
          let bound = Double("0.\(percent < 10 ? "0" : "")\(percent)") ?? .nan
          if share.isAtLeast(bound) != (successes * 100 >= percent * count) {
            Issue.record("\(successes) of \(count) against \(bound)")
          }
        }
      }
    }
    #expect(!Proportion(successes: 98, count: 164).isAtLeast(0.60))
    #expect(Proportion(successes: 99, count: 164).isAtLeast(0.60))
    #expect(Proportion(successes: 7, count: 100).isAtLeast(0.07))
  }
}
