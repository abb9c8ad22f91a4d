import FurlBase
import FurlSpec
import FurlTestSupport
import Testing

/// Frequencies of rotary positions against those of Hugging Face transformers.
@Suite struct RotaryFrequencyTests {
  @Test func frequenciesAreThoseOfTransformers() throws {
    let path = TestData.root + "/Tests/Fixtures/rotary/frequencies.json"
    let document = try JSON.parse(TestData.bytes(path), file: path)
    let cases = try #require(document["cases"]?.array)
    #expect(cases.count == 25)
    for item in cases {
      let rotary = try Self.rotary(try #require(item["rotary"]))
      let expected = try #require(item["frequencies"]?.array).compactMap(\.number)
      let context = item["context"]?.integer
      let actual = context.map { rotary.frequencies(context: $0) } ?? rotary.frequencies
      #expect(actual.count == expected.count && expected.count == rotary.dimensions / 2)
      for (index, (value, right)) in zip(actual, expected).enumerated() {
        // transformers computes in FP32.
        #expect(abs(value - right) <= 1e-6 * right, "\(rotary), \(context ?? 1) positions, frequency \(index)")
      }
    }
  }

  /// Kinds that look at no context are the same in every one.
  @Test func onlySomeDependOnTheContext() {
    let kinds: [(scaling: ModelSpec.Rotary.Scaling, depends: Bool)] = [
      (.none, false), (.linear(factor: 2), false),
      (.llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 64), false),
      (.yarn(factor: 4, slowTurns: 1, fastTurns: 32, originalContext: 64, truncates: true), false),
      (.dynamic(factor: 4, originalContext: 64), true),
      (.longRoPE(short: [1, 1, 1, 1], long: [1, 2, 3, 4], originalContext: 64), true),
    ]
    for kind in kinds {
      let rotary = ModelSpec.Rotary(theta: 10_000, dimensions: 8, scaling: kind.scaling)
      #expect(rotary.frequencies(context: 64) == rotary.frequencies, "\(kind)")
      #expect((rotary.frequencies(context: 65) != rotary.frequencies) == kind.depends, "\(kind)")
    }
  }

  private static func rotary(_ json: JSON) throws -> ModelSpec.Rotary {
    func number(_ json: JSON, _ key: String) throws -> Double { try #require(json[key]?.number, "\(key)") }
    func context(_ json: JSON) throws -> Int { try #require(json["original_context"]?.integer) }
    func list(_ json: JSON, _ key: String) throws -> [Double] {
      try #require(json[key]?.array, "\(key)").compactMap(\.number)
    }
    var rotary = ModelSpec.Rotary(
      theta: try number(json, "theta"), dimensions: try #require(json["dimensions"]?.integer))
    guard let scaling = json["scaling"] else { return rotary }
    switch scaling["kind"]?.string {
    case "linear": rotary.scaling = .linear(factor: try number(scaling, "factor"))
    case "llama3":
      rotary.scaling = .llama3(
        factor: try number(scaling, "factor"), lowFrequencyFactor: try number(scaling, "low_frequency_factor"),
        highFrequencyFactor: try number(scaling, "high_frequency_factor"), originalContext: try context(scaling))
    case "yarn":
      rotary.scaling = .yarn(
        factor: try number(scaling, "factor"), slowTurns: try number(scaling, "slow_turns"),
        fastTurns: try number(scaling, "fast_turns"), originalContext: try context(scaling),
        truncates: scaling["truncates"] == true)
    case "dynamic":
      rotary.scaling = .dynamic(factor: try number(scaling, "factor"), originalContext: try context(scaling))
    case "longrope":
      rotary.scaling = .longRoPE(
        short: try list(scaling, "short"), long: try list(scaling, "long"), originalContext: try context(scaling))
    case let kind: Issue.record("\(kind ?? "nothing") is no kind of scaling")
    }
    return rotary
  }
}
