import FurlBase
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Texts with the ids that the `tokenizers` package gives.
@Suite struct VectorTests {
  @Test(
    "Published vocabularies",
    .enabled(if: TestData.shared != nil, "needs the shared tokenizer vectors"), arguments: ["gpt-2", "starcoder"])
  func published(name: String) throws {
    let folder = try #require(TestData.shared) + "/fixtures/tokenizers/" + name
    let tokenizer = try Tokenizer(checkpoint: folder)
    let path = folder + "/vectors.jsonl"
    let vectors = try JSON.parseLines(try TestData.bytes(path), file: path)
    #expect(!vectors.isEmpty)
    for vector in vectors {
      let text = try #require(vector["text"]?.string)
      let ids = try #require(vector["ids"]?.array).compactMap(\.integer)
      #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
      #expect(Array(tokenizer.decode(ids).utf8) == Array(text.utf8))
    }
  }

  /// Every configuration of `make_vectors.py`, read from tokenizer.json and again from Furl's own form.
  @Test("Configurations", arguments: try VectorTests.caseNames())
  func configurations(name: String) throws {
    let document = try Sample.fixture("cases.json")
    let texts = try #require(document["texts"]?.array).compactMap(\.string)
    let example = try #require(document["cases"]?.array?.first { $0["name"]?.string == name })
    let direct = try Sample.tokenizer(try Self.document(of: example))
    let again = try Tokenizer(serialized: direct.serialized(), file: nil)
    #expect(again.serialized() == direct.serialized())
    for tokenizer in [direct, again] {
      let lists = try #require(example["ids"]?.array)
      for (text, ids) in zip(texts, lists) {
        #expect(tokenizer.encode(text) == ids.array?.compactMap(\.integer), "\(text.debugDescription)")
      }
      for (text, ids) in zip(texts, try #require(example["with_template"]?.array)) {
        // The reference also adds what a template puts after the text.
        let whole = ids.array?.compactMap(\.integer) ?? []
        let ours = tokenizer.encode(text, bos: .auto)
        #expect(whole.starts(with: ours) && whole.count - ours.count <= 1, "\(text.debugDescription)")
      }
      for decoded in try #require(example["decoded"]?.array) {
        let ids = try #require(decoded["ids"]?.array).compactMap(\.integer)
        #expect(tokenizer.decode(ids).debugDescription == decoded["text"]?.string?.debugDescription)
        #expect(
          tokenizer.decode(ids, skippingSpecial: true).debugDescription == decoded["plain"]?.string?.debugDescription)
      }
    }
  }

  static func caseNames() throws -> [String] {
    try #require(try Sample.fixture("cases.json")["cases"]?.array).compactMap { $0["name"]?.string }
  }

  /// The tokenizer.json of a case.
  static func document(of example: JSON) throws -> JSON {
    let parts = try #require(example["parts"])
    var model = try #require((try parts["model"] ?? Sample.fixture("model.json")).members)
    if parts["ignore_merges"]?.bool == true {
      model.removeAll { $0.key == "ignore_merges" }
      model.append(.init("ignore_merges", true))
    }
    let keys = ["added_tokens", "normalizer", "pre_tokenizer", "post_processor"]
    let members = keys.map { JSON.Member($0, parts[$0] ?? .null) }
    return .object(members + [.init("decoder", Sample.byteLevel), .init("model", .object(model))])
  }
}
