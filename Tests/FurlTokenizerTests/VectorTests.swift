import FurlSpec
import FurlTestSupport
import Testing

@testable import FurlTokenizer

/// Texts with the ids that the `tokenizers` package gives, for published vocabularies.
@Suite struct PublishedVectorTests {
  @Test(
    .enabled(if: TestData.shared != nil, "needs the shared tokenizer vectors"), arguments: ["gpt-2", "starcoder"])
  func idsEqualTheReference(name: String) throws {
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
}
