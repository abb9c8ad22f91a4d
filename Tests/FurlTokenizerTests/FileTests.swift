import FurlBase
import FurlTensor
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// The forms of tokenizers without a tokenizer.json: what is refused, and by which file and place.
@Suite struct FileTests {
  /// Reads a tokenizer from files with these texts.
  private static func tokenizer(_ files: [String: String]) throws -> Tokenizer {
    try TestData.withTemporaryFolder { folder in
      for (name, text) in files { try TestData.write(Array(text.utf8), to: folder + "/" + name) }
      return try Tokenizer(checkpoint: folder)
    }
  }

  private static let vocabulary = #"{"a":0,"b":1,"Ġ":2,"ab":3,"<|endoftext|>":4}"#

  private static func refusal(_ changes: [String: String]) -> String? {
    do {
      let files = ["vocab.json": vocabulary, "merges.txt": "#version: 0.2\na b\n"].merging(changes) { $1 }
      _ = try tokenizer(files)
      return nil
    } catch {
      return "\(error)"
    }
  }

  static let refusals: [(String, String, String)] = [
    ("vocab.json", "[]", "vocab.json: a mapping is expected, not a list"),
    ("vocab.json", "{", "vocab.json"),
    ("vocab.json", #"{"a":0,"b":0}"#, "vocab.json: vocab[\"b\"]: the id 0 is also that of \"a\""),
    ("vocab.json", #"{"a":-1}"#, "vocab.json: vocab[\"a\"]: the id -1 is out of range"),
    ("vocab.json", #"{"a":9999999}"#, "the id 9999999 is out of range"),
    ("merges.txt", "a b c", "merges.txt: line 1: two pieces are expected"),
    ("merges.txt", "a b\n\nb a", "merges.txt: line 2: two pieces are expected"),
    ("merges.txt", "#version: 0.2\na z\n", "merges.txt: line 2: the piece \"z\" is not in the vocabulary"),
    ("merges.txt", "b a", "merges.txt: line 1: the piece \"ba\" is not in the vocabulary"),
    (
      "tokenizer_config.json", #"{"tokenizer_class":"T5Tokenizer"}"#,
      "tokenizer_config.json: tokenizer_class: \"T5Tokenizer\" is not supported without a tokenizer.json"
    ),
    ("tokenizer_config.json", #"{"added_tokens_decoder":{"x":{"content":"c"}}}"#, "added_tokens_decoder.x: an id with"),
    ("tokenizer_config.json", #"{"added_tokens_decoder":{"5":{"content":"c","odd":1}}}"#, "5.odd: unknown key"),
    ("tokenizer_config.json", #"{"bos_token":7}"#, "tokenizer_config.json: bos_token: a text or a mapping"),
    ("special_tokens_map.json", #"{"eos_token":[]}"#, "special_tokens_map.json: eos_token: a text or a mapping"),
    ("added_tokens.json", #"{"x":"y"}"#, "added_tokens.json: x: an id is expected, not a text"),
  ]

  @Test(arguments: refusals.indices)
  func filesAreRefusedByPlace(index: Int) throws {
    let (name, text, problem) = Self.refusals[index]
    let line = try #require(Self.refusal([name: text]), "\(name) is read without an error")
    #expect(line.contains(problem), "\(line)")
  }

  @Test func theSampleItselfIsRead() throws {
    #expect(Self.refusal([:]) == nil)
    let files = ["vocab.json": Self.vocabulary, "merges.txt": "#version: 0.2\r\na b\r\n\n"]
    let tokenizer = try Self.tokenizer(files)
    #expect(tokenizer.encode("ab a<|endoftext|>") == [3, 2, 0, 4])
    #expect(tokenizer.bosID == 4 && tokenizer.eosID == 4 && !tokenizer.addsBOS && tokenizer.isSpecial(4))
    // A special token that nothing has gets the next id, as in transformers.
    let grown = try Self.tokenizer(
      files.merging(["special_tokens_map.json": #"{"pad_token":"<pad>"}"#]) { $1 })
    #expect(grown.id(of: "<pad>") == 5 && grown.vocabularySize == 6)
  }

  /// Ids that files give to tokens say in which order these come, as in transformers; of two with one id the last counts.
  @Test(arguments: [
    ("tokenizer_config.json", #"{"added_tokens_decoder":{"0":{"content":"c"}}}"#, "c", 5),
    ("tokenizer_config.json", #"{"added_tokens_decoder":{"500000":{"content":"c"}}}"#, "c", 5),
    ("added_tokens.json", #"{"x":5,"y":5}"#, "y", 5), ("added_tokens.json", #"{"ab":7}"#, "ab", 3),
  ])
  func idsOfFilesAreNotKept(_ name: String, _ text: String, _ token: String, _ id: Int) throws {
    let tokenizer = try Self.tokenizer(["vocab.json": Self.vocabulary, "merges.txt": "a b\n", name: text])
    #expect(tokenizer.encode("b" + token) == [1, id])
  }

  @Test func aFolderWithoutATokenizerIsToldWhatIsNeeded() throws {
    let line = try TestData.withTemporaryFolder { folder in
      do {
        _ = try Tokenizer(checkpoint: folder)
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    #expect(line.contains("has no tokenizer (put tokenizer.json there, or vocab.json with merges.txt"), "\(line)")
  }
}

/// SentencePiece models (`make_sentencepiece.py`).
@Suite struct SentencePieceTests {
  private static func tokenizer(_ model: [UInt8], config: JSON? = nil) throws -> Tokenizer {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(model, to: folder + "/tokenizer.model")
      if let config { try TestData.write(Array(config.compactText.utf8), to: folder + "/tokenizer_config.json") }
      return try Tokenizer(checkpoint: folder)
    }
  }

  private static func model() throws -> [UInt8] { try TestData.bytes(Sample.fixtures + "sentencepiece.model") }

  @Test("Ids are those of sentencepiece and transformers", arguments: ["plain", "llama"])
  func vectors(key: String) throws {
    let fixture = try Sample.fixture("sentencepiece.json")
    let isPlain = key == "plain"
    let direct = try Self.tokenizer(try Self.model(), config: isPlain ? nil : fixture["config"])
    let again = try Tokenizer(serialized: direct.serialized(), file: nil)
    let texts = try #require(fixture["texts"]?.array).compactMap(\.string)
    for tokenizer in [direct, again] {
      #expect(tokenizer.bosID == 1 && tokenizer.eosID == 2 && tokenizer.addsBOS)
      for (text, ids) in zip(texts, try #require(fixture[key]?.array)) {
        // sentencepiece takes the names of special tokens in a text for text.
        if isPlain, ["<s>", "</s>", "<unk>"].contains(where: { text.contains($0) }) { continue }
        #expect(tokenizer.encode(text) == ids.array?.compactMap(\.integer), "\(text.debugDescription)")
      }
      for decoded in try #require(fixture["decoded"]?.array) {
        let ids = try #require(decoded["ids"]?.array).compactMap(\.integer)
        #expect(tokenizer.decode(ids).debugDescription == decoded["text"]?.string?.debugDescription)
        #expect(
          tokenizer.decode(ids, skippingSpecial: true).debugDescription == decoded["plain"]?.string?.debugDescription)
      }
    }
  }

  @Test("Damaged models give an error or a tokenizer that works")
  func damaged() throws {
    let model = try Self.model()
    var random = SplitMix64(seed: 41)
    for round in 0..<400 {
      var damaged = model
      if round % 4 == 0 {
        damaged.removeLast(Int.random(in: 1...damaged.count, using: &random))
      } else {
        for _ in 0..<3 {
          damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
      }
      do {
        let tokenizer = try Self.tokenizer(damaged)
        _ = tokenizer.decode(tokenizer.encode("def add(a, b): é\n日"))
      } catch let error as FurlError {
        #expect(error.kind == .input)
      }
    }
  }

  /// Other kinds of models share the file's form.
  @Test(
    arguments: [
      ([0x12, 0x02, 0x18, 0x01], "trainer_spec.model_type: another model than BPE"),
      ([0x12, 0x02, 0x18, 0x02, 0x1A, 0x02, 0x20, 0x01], "remove_extra_whitespaces: true is not supported yet"),
      (
        [0x12, 0x02, 0x18, 0x02, 0x1A, 0x05, 0x12, 0x01, 0x00, 0x20, 0x00], "precompiled_charsmap: a map of characters"
      ),
      ([0x12, 0x02, 0x18, 0x02, 0x1A, 0x02, 0x20, 0x00], "tokens: is empty"), ([0x0A, 0x7F], "byte 2"),
      ([0x12, 0x02, 0x18, 0x02, 0x1A, 0x04, 0x20, 0x00, 0x28, 0x00], "escape_whitespaces: false is not supported yet"),
    ] as [([UInt8], String)])
  func refused(bytes: [UInt8], problem: String) throws {
    do {
      _ = try Self.tokenizer(bytes)
      Issue.record("no error")
    } catch {
      #expect("\(error)".contains(problem), "\(error)")
    }
  }
}
