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
    #expect(cases.count == 9)
    for item in cases {
      let rotary = try Self.rotary(try #require(item["rotary"]))
      let expected = try #require(item["frequencies"]?.array).compactMap(\.number)
      let actual = rotary.frequencies
      #expect(actual.count == expected.count && expected.count == rotary.dimensions / 2)
      for (index, (value, right)) in zip(actual, expected).enumerated() {
        // transformers computes in FP32.
        #expect(abs(value - right) <= 1e-6 * right, "\(rotary), frequency \(index)")
      }
    }
  }

  private static func rotary(_ json: JSON) throws -> ModelSpec.Rotary {
    func number(_ json: JSON, _ key: String) throws -> Double { try #require(json[key]?.number, "\(key)") }
    var rotary = ModelSpec.Rotary(
      theta: try number(json, "theta"), dimensions: try #require(json["dimensions"]?.integer))
    guard let scaling = json["scaling"] else { return rotary }
    let factor = try number(scaling, "factor")
    rotary.scaling =
      try scaling["kind"] == "linear"
      ? .linear(factor: factor)
      : .llama3(
        factor: factor, lowFrequencyFactor: number(scaling, "low_frequency_factor"),
        highFrequencyFactor: number(scaling, "high_frequency_factor"),
        originalContext: #require(scaling["original_context"]?.integer))
    return rotary
  }
}
