import FurlBase
@testable import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Which experts a row goes through, and with which weights.
@Suite struct ExpertTests {
  @Test(arguments: 0..<40)
  func choicesAreThoseOfPlainLoops(_ seed: Int) throws {
    var specs = SpecDraws(seed: UInt64(seed))
    var draws = SplitMix64(seed: UInt64(seed))
    var compared = 0
    for _ in 0..<50 {
      let experts = specs.experts()
      let bias = experts.routerHasChoiceBias ? draws.floats(experts.count) : nil
      let logits = draws.floats(experts.count, scale: 4)
      let routing = ExpertRouting(experts, choiceBias: bias ?? [])
      let actual = routing.choose(logits)
      let expected = NaiveRouting(spec: experts, choiceBias: bias?.map(Double.init)).choose(logits.map(Double.init))
      guard expected.gap > 1e-9 else { continue }
      compared += 1
      #expect(actual.map(\.expert) == expected.weights.keys.sorted(), "\(experts), \(logits)")
      for choice in actual {
        let right = expected.weights[choice.expert] ?? .nan
        #expect(abs(Double(choice.weight) - right) <= 1e-6 * right, "\(experts), \(logits)")
      }
    }
    #expect(compared > 40)
  }

  /// The plain loops and the forward pass both choose as the routers of the families do.
  @Test func choicesAreThoseOfTransformers() throws {
    let path = TestData.root + "/Tests/Fixtures/routing/routing.json"
    let cases = try #require(JSON.parse(TestData.bytes(path), file: path)["cases"]?.array)
    #expect(cases.count == 10)
    for item in cases {
      let spec = try Self.spec(try #require(item["router"]))
      func numbers(_ json: JSON?) throws -> [Double] { try #require(json?.array).compactMap(\.number) }
      let bias = try item["choice_bias"].map { try numbers($0) }
      let routing = ExpertRouting(spec, choiceBias: bias?.map { Float($0) } ?? [])
      for row in try #require(item["rows"]?.array) {
        let (logits, weights) = (try numbers(row["logits"]), try numbers(row["weights"]))
        let experts = try #require(row["experts"]?.array).compactMap(\.integer)
        let naive = NaiveRouting(spec: spec, choiceBias: bias).choose(logits).weights
        let actual = routing.choose(logits.map { Float($0) })
        #expect(actual.map(\.expert) == experts && naive.keys.sorted() == experts, "\(spec), \(logits)")
        for (choice, right) in zip(actual, weights) {
          #expect(abs(Double(choice.weight) - right) <= 1e-6 * right, "\(spec), \(logits)")
          #expect(abs((naive[choice.expert] ?? .nan) - right) <= 1e-6 * right, "\(spec), \(logits)")
        }
      }
    }
  }

  private static func spec(_ json: JSON) throws -> ExpertsSpec {
    func size(_ json: JSON?, _ key: String) throws -> Int { try #require(json?[key]?.integer, "\(key)") }
    var spec = ExpertsSpec(
      count: try size(json, "count"), active: try size(json, "active"),
      expert: .init(size: 1, isGated: true, activation: .silu),
      scoring: try #require(json["scoring"]?.string.flatMap(ExpertsSpec.Scoring.init)),
      normalizesWeights: json["normalizes"] == true, weightFactor: json["factor"]?.number ?? 1)
    spec.routerHasChoiceBias = json["choice_bias"]?.bool ?? false
    spec.jitter = json["jitter"]?.number ?? 0
    if let groups = json["groups"] {
      spec.groups = .init(
        count: try size(groups, "count"), active: try size(groups, "active"), best: try size(groups, "best"))
    }
    return spec
  }

  /// Of equals the first is chosen, and what is no number never before a number.
  @Test func equalsAndWhatIsNoNumber() {
    let expert = FeedForwardSpec(size: 1, isGated: true, activation: .silu)
    for scoring in [ExpertsSpec.Scoring.softmax, .sigmoid] {
      let spec = ExpertsSpec(count: 4, active: 2, expert: expert, scoring: scoring)
      let routing = ExpertRouting(spec, choiceBias: [])
      #expect(routing.choose([1, 1, 1, 1]) == [.init(expert: 0, weight: 0.5), .init(expert: 1, weight: 0.5)])
      #expect(routing.choose([-1, 3, -1, 3]).map(\.expert) == [1, 3])
      #expect(routing.choose([.nan, 1, .nan, 2]).count == 2 && routing.choose([.nan, .nan, .nan, .nan]).count == 2)
    }
    let sigmoid = ExpertRouting(ExpertsSpec(count: 4, active: 2, expert: expert, scoring: .sigmoid), choiceBias: [])
    #expect(sigmoid.choose([.nan, 1, .nan, 2]).map(\.expert) == [1, 3])
  }

  /// Scores that are far too large or small for powers of them still give weights that are numbers.
  @Test func weightsOfExtremeScoresAreNumbers() {
    let expert = FeedForwardSpec(size: 1, isGated: true, activation: .silu)
    for scoring in ExpertsSpec.Scoring.allCases {
      for logits: [Float] in [[3e4, -3e4, 3e4, 0], [-3e4, -3e4, -3e4, -3e4], [1e-30, 0, -1e-30, 0]] {
        var spec = ExpertsSpec(count: 4, active: 2, expert: expert, scoring: scoring)
        spec.jitter = 0.01
        let choices = ExpertRouting(spec, choiceBias: []).choose(logits)
        #expect(choices.count == 2 && choices.allSatisfy { $0.weight.isFinite && $0.weight >= 0 }, "\(spec) \(logits)")
      }
    }
  }
}
