import FurlBase
import FurlTestSupport
import Testing

/// A tiny checkpoint of a family in `Tests/Fixtures/families`, with the logits that Hugging Face transformers gives.
struct FamilyFixture {
  let folder: String
  let ids: [Int]
  /// After each of the tokens: [ids][vocabulary], one row behind the other.
  let logits: [Double]

  static func folder(_ name: String) -> String { TestData.root + "/Tests/Fixtures/families/" + name }

  init(_ name: String) throws {
    folder = FamilyFixture.folder(name)
    let document = try JSON.parse(TestData.bytes(folder + "/expected.json"), file: nil)
    ids = try #require(document["input_ids"]?.array).compactMap(\.integer)
    logits = try #require(document["logits"]?.array).compactMap(\.number)
  }

  /// The largest difference; infinite where there are not as many numbers.
  func difference(_ rows: [[Float]]) -> Double {
    let actual = rows.joined().map(Double.init)
    guard actual.count == logits.count else { return .infinity }
    return zip(actual, logits).map { abs($0 - $1) }.max() ?? .infinity
  }
}
