@testable import FurlCheckpoint
import FurlSpec
import FurlBase
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// The tokenizer of synthetic checkpoints against the `tokenizers` package (Tests/Fixtures/synth/make.py).
@Suite struct SyntheticTokenizerTests {
  @Test func givesTheIdsOfTheReference() throws {
    let model = try #require(PublishedModel(name: "codegpt"))
    let files = SyntheticTokenizer.files(
      count: model.tokenizerCount, special: model.special, begin: model.begin, end: model.end, contextLength: 1024)
    let path = TestData.root + "/Tests/Fixtures/synth/vectors.json"
    let fixture = try JSON.parse(TestData.bytes(path), file: path)
    // The reference read these very bytes.
    #expect(Digest(of: Array((files.tokenizer + "\n").utf8)).hex == fixture["tokenizer_sha256"]?.string)
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(files.tokenizer.utf8), to: folder + "/tokenizer.json")
      try TestData.write(Array(files.config.utf8), to: folder + "/tokenizer_config.json")
      let tokenizer = try Tokenizer(checkpoint: folder)
      #expect(tokenizer.vocabularySize == 50001)
      let vectors = try #require(fixture["vectors"]?.array)
      #expect(vectors.count == 9)
      for vector in vectors {
        let text = try #require(vector["text"]?.string)
        let ids = try #require(vector["ids"]?.array).compactMap(\.integer)
        #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
        #expect(Array(tokenizer.decode(ids).utf8) == Array(text.utf8))
      }
    }
  }

  /// A tokenizer that its model could not hold would be refused on opening.
  @Test(arguments: PublishedModel.all.map(\.name))
  func fitsItsModel(_ name: String) throws {
    let model = try #require(PublishedModel(name: name))
    let files = SyntheticTokenizer.files(
      count: model.tokenizerCount, special: model.special, begin: model.begin, end: model.end, contextLength: 1024)
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(files.tokenizer.utf8), to: folder + "/tokenizer.json")
      try TestData.write(Array(files.config.utf8), to: folder + "/tokenizer_config.json")
      let tokenizer = try Tokenizer(checkpoint: folder)
      #expect(tokenizer.vocabularySize == model.tokenizerCount)
      #expect(try tokenizer.vocabularySize <= SyntheticCheckpoint(model).spec.vocabularySize)
      let config = try JSON.parse(model.config, file: nil)
      #expect(tokenizer.eosID == config["eos_token_id"]?.integer)
      // Not every model has one.
      if let begin = config["bos_token_id"] { #expect(tokenizer.bosID == begin.integer) }
    }
  }
}
