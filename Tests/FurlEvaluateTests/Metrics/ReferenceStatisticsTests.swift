import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

/// Against scipy and statsmodels (`Tests/Fixtures/statistics`).
@Suite struct ReferenceStatisticsTests {
  private static let file: JSON? = {
    let path = TestData.root + "/Tests/Fixtures/statistics/statistics.json"
    return (try? TestData.bytes(path)).flatMap { try? JSON.parse($0, file: path) }
  }()

  static func list(_ key: String) -> [JSON] { file?[key]?.array ?? [] }

  @Test func theReferenceIsThere() {
    for key in ["wilson", "mcnemar", "paired", "holm", "cluster_bootstrap", "needed", "normal"] {
      #expect(!Self.list(key).isEmpty, "\(key)")
    }
  }

  @Test(arguments: list("wilson"))
  func wilson(_ vector: JSON) throws {
    let share = Proportion(successes: try #require(vector["k"]?.integer), count: try #require(vector["n"]?.integer))
    let interval = share.interval(confidence: try #require(vector["level"]?.number))
    #expect(abs(interval.lowerBound - (vector["interval"]?[0]?.number ?? .nan)) < 1e-12)
    #expect(abs(interval.upperBound - (vector["interval"]?[1]?.number ?? .nan)) < 1e-12)
  }

  @Test(arguments: list("mcnemar"))
  func mcNemar(_ vector: JSON) throws {
    let paired = PairedOutcomes(
      regressions: try #require(vector["b"]?.integer), fixes: try #require(vector["c"]?.integer), count: 500)
    #expect(abs(paired.exactP - (vector["exact"]?.number ?? .nan)) < 1e-11)
  }

  @Test(arguments: list("paired"))
  func pairedLimits(_ vector: JSON) throws {
    let paired = PairedOutcomes(
      regressions: try #require(vector["regressions"]?.integer), fixes: try #require(vector["fixes"]?.integer),
      count: try #require(vector["n"]?.integer))
    let confidence = try #require(vector["confidence"]?.number)
    // The reference maximizes numerically.
    #expect(abs(paired.lowerLimit(confidence: confidence) - (vector["tango_lower"]?.number ?? .nan)) < 1e-6)
    #expect(abs(paired.upperLimit(confidence: confidence) - (vector["tango_upper"]?.number ?? .nan)) < 1e-6)
    let newcombe = paired.newcombeInterval(
      baseline: try #require(vector["both"]?.integer) + paired.regressions, confidence: confidence)
    #expect(abs(newcombe.lowerBound - (vector["newcombe"]?[0]?.number ?? .nan)) < 1e-10)
    #expect(abs(newcombe.upperBound - (vector["newcombe"]?[1]?.number ?? .nan)) < 1e-10)
  }

  @Test(arguments: list("holm"))
  func holm(_ vector: JSON) throws {
    let p = try #require(vector["p"]?.array).compactMap(\.number)
    let adjusted = try #require(vector["adjusted"]?.array).compactMap(\.number)
    #expect(zip(Holm.adjusted(p), adjusted).allSatisfy { abs($0 - $1) < 1e-12 } && p.count == adjusted.count)
  }

  @Test(arguments: list("cluster_bootstrap"))
  func clusters(_ vector: JSON) throws {
    let clusters = try #require(vector["clusters"]?.array).map { cluster in
      Bootstrap.Cluster(sum: cluster[0]?.number ?? .nan, count: cluster[1]?.integer ?? 0)
    }
    let bootstrap = Bootstrap(clusters: clusters, seed: UInt64(try #require(vector["seed"]?.integer)))
    for (share, place) in zip([0.025, 0.05, 0.5, 0.95, 0.975], 0...) {
      #expect(abs(bootstrap.quantile(share) - (vector["quantiles"]?[place]?.number ?? .nan)) < 1e-9)
    }
  }

  @Test(arguments: list("needed"))
  func problemsNeeded(_ vector: JSON) throws {
    let needed = PairedOutcomes.problemsNeeded(
      margin: try #require(vector["margin"]?.number), flips: try #require(vector["flips"]?.number),
      confidence: try #require(vector["confidence"]?.number))
    #expect(needed == vector["problems"]?.integer)
    #expect(PairedOutcomes.problemsNeeded(margin: 0, flips: 0.1, confidence: 0.95) == nil)
  }

  @Test(arguments: list("normal"))
  func normal(_ vector: JSON) throws {
    #expect(abs(Normal.quantile(try #require(vector["p"]?.number)) - (vector["z"]?.number ?? .nan)) < 1e-8)
  }

  /// Clusters of one value are values; a key puts values together wherever they stand.
  @Test func clustersByKey() {
    let values = [0.5, -0.25, 0.125, 1, 0, -1]
    #expect(Bootstrap(of: values, keys: [nil, nil, nil, nil, nil, nil]) == Bootstrap(of: values))
    #expect(Bootstrap(of: values, keys: ["a", "b", "c", "d", "e", "f"]) == Bootstrap(of: values))
    let together = Bootstrap(of: values, keys: ["a", "b", "a", "b", nil, "a"])
    #expect(
      together
        == Bootstrap(clusters: [.init(sum: -0.375, count: 3), .init(sum: 0.75, count: 2), .init(sum: 0, count: 1)]))
    // Lines of one file say less than as many lines of different files.
    let alike = (0..<60).map { Double($0 / 10) }
    let wide = Bootstrap(of: alike, keys: (0..<60).map { "\($0 / 10)" }).interval()
    let narrow = Bootstrap(of: alike).interval()
    #expect(wide.upperBound - wide.lowerBound > 2 * (narrow.upperBound - narrow.lowerBound))
  }

  /// More regressions never help and more fixes never hurt: what early stopping rests on.
  @Test func limitsAreMonotone() {
    let count = 24
    for b in 0...count {
      for c in 0...(count - b) {
        let lower = PairedOutcomes(regressions: b, fixes: c, count: count).lowerLimit(confidence: 0.95)
        let score = PairedOutcomes(regressions: b, fixes: c, count: count).score(difference: -0.1)
        // One problem that was solved by both is lost; one that was solved by neither is won.
        if b + c < count {
          let worse = PairedOutcomes(regressions: b + 1, fixes: c, count: count)
          let better = PairedOutcomes(regressions: b, fixes: c + 1, count: count)
          #expect(worse.lowerLimit(confidence: 0.95) <= lower + 1e-12 && worse.score(difference: -0.1) <= score + 1e-12)
          #expect(
            better.lowerLimit(confidence: 0.95) >= lower - 1e-12 && better.score(difference: -0.1) >= score - 1e-12)
        }
      }
    }
  }
}
