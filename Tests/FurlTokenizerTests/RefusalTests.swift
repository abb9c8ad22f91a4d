import FurlBase
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// What cannot be run exactly, or is damaged, is refused by its key.
@Suite struct RefusalTests {
  private static func step(_ step: JSON) -> JSON { ["type": "Sequence", "pretokenizers": [step, Sample.byteLevel]] }

  private static func split(_ pattern: JSON, _ behavior: JSON = "Isolated") -> JSON {
    step(["type": "Split", "pattern": pattern, "behavior": behavior, "invert": false])
  }

  private static func template(_ id: JSON, _ token: JSON) -> JSON {
    [
      "type": "TemplateProcessing",
      "single": [["SpecialToken": ["id": "<s>"]], ["Sequence": ["id": "A"]]],
      "special_tokens": ["<s>": ["id": "<s>", "ids": [id], "tokens": [token]]],
    ]
  }

  /// A key, its value, and what the error says.
  static let refusals: [(String, JSON, String)] = [
    ("type", "Unigram", "model.type: \"Unigram\" is not supported yet"),
    ("type", 3, "model.type: a text is expected"),
    ("dropout", 0.1, "model.dropout: is not supported"),
    ("byte_fallback", true, "model.byte_fallback: together with ByteLevel is not supported yet"),
    ("continuing_subword_prefix", "##", "model.continuing_subword_prefix: is not supported yet"),
    ("end_of_word_suffix", "</w>", "model.end_of_word_suffix: is not supported yet"),
    ("unk_token", "a", "model.unk_token: \"a\" for bytes without a piece"),
    ("vocab", ["a": 0, "b": 0], "the id 0 is also that of \"a\""),
    ("vocab", ["a": -1], "model.vocab[\"a\"]: the id -1 is out of range"),
    ("vocab", ["a": 4_000_000_000], "the id 4000000000 is out of range"),
    ("vocab", ["a": 70_000], "the id 70000 is out of range"),
    ("vocab", ["a": 0.5], "an id is expected, not a number"),
    ("vocab", ["a": "0"], "an id is expected, not a text"),
    ("vocab", ["a"], "model.vocab: a mapping is expected"),
    ("vocab", nil, "model.vocab: is missing"),
    ("merges", nil, "model.merges: is missing"),
    ("merges", "a b", "model.merges: a list is expected"),
    ("merges", ["a z"], "model.merges[0]: the piece \"z\" is not in the vocabulary"),
    ("merges", ["a b", "b a"], "model.merges[1]: the piece \"ba\" is not in the vocabulary"),
    ("merges", ["a b c"], "model.merges[0]: two pieces are expected"),
    ("merges", [["a"]], "model.merges[0]: two pieces are expected"),
    ("merges", [["a", 1]], "model.merges[0]: two pieces are expected"),
    ("merges", [" b"], "model.merges[0]: two pieces are expected"),
    ("merges", [7], "model.merges[0]: two pieces are expected, not an integer"),
    ("added_tokens", [Sample.added(4_000_000_000, "<s>")], "added_tokens[0].id: 4000000000 is out of range"),
    ("added_tokens", [Sample.added(-1, "<s>")], "added_tokens[0].id: -1 is out of range"),
    ("added_tokens", [["content": "<s>"]], "added_tokens[0]: an added token needs an id and a content"),
    ("added_tokens", [["id": 6, "content": "x", "colour": 1]], "added_tokens[0].colour: unknown key"),
    ("added_tokens", 5, "added_tokens: a list is expected"),
    ("normalizer", ["type": "Lowercase"], "normalizer.type: \"Lowercase\" is not supported yet"),
    (
      "normalizer", ["type": "Sequence", "normalizers": [["type": "NFKC"]]], "normalizer.normalizers[0].type: \"NFKC\""
    ),
    ("pre_tokenizer", nil, "pre_tokenizer: is missing"),
    ("pre_tokenizer", ["type": "Whitespace"], "pre_tokenizer.type: \"Whitespace\" is not supported yet"),
    ("pre_tokenizer", ["type": "Digits"], "pre_tokenizer: only tokenizers with a ByteLevel step"),
    ("pre_tokenizer", step(["type": "Punctuation"]), "pre_tokenizer.pretokenizers[0].type: \"Punctuation\""),
    ("pre_tokenizer", step(Sample.byteLevel), "pretokenizers[1]: \"ByteLevel\" after ByteLevel is not supported yet"),
    ("pre_tokenizer", split(["Regex": "(?<=a)b"]), "pretokenizers[0].pattern: \"(?<\" at character 2"),
    ("pre_tokenizer", split(["Regex": "a*"]), "pretokenizers[0].pattern: a pattern that matches the empty text"),
    ("pre_tokenizer", split(["String": ""]), "pretokenizers[0].pattern: a pattern that matches the empty text"),
    ("pre_tokenizer", split(["Other": "a"]), "pretokenizers[0].pattern: a \"Regex\" or a \"String\" is expected"),
    ("pre_tokenizer", split(["Regex": "a"], "Sideways"), "pretokenizers[0].behavior: one of Isolated"),
    ("normalizer", ["type": "Prepend", "prepend": "\u{2581}"], "normalizer: \"Prepend\" without \"Replace\""),
    ("normalizer", ["type": "Prepend", "prepend": "x"], "normalizer.prepend: anything but one \"\u{2581}\""),
    (
      "normalizer", ["type": "Replace", "pattern": ["Regex": " +"], "content": "\u{2581}"],
      "normalizer: anything but \" \" replaced by"
    ),
    (
      "normalizer", ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"],
      "pre_tokenizer: ByteLevel together with marks for spaces is not supported yet"
    ),
    ("pre_tokenizer", ["type": "Metaspace", "replacement": "_"], "pre_tokenizer.replacement: anything but"),
    ("pre_tokenizer", ["type": "Metaspace", "prepend_scheme": "last"], "pre_tokenizer.prepend_scheme: one of always"),
    ("pre_tokenizer", ["type": "Metaspace"], "decoder.type: \"ByteLevel\" is not supported yet"),
    ("pre_tokenizer", step(["type": "Metaspace"]), "pre_tokenizer: ByteLevel together with marks"),
    ("decoder", nil, "decoder: is missing"),
    ("decoder", ["type": "Metaspace"], "decoder.type: \"Metaspace\" is not supported yet"),
    (
      "post_processor", ["type": "RobertaProcessing"], "post_processor.type: \"RobertaProcessing\" is not supported yet"
    ),
    ("post_processor", template(4, "<s>"), "post_processor.special_tokens.<s>.ids: 4 is not the id of \"<s>\""),
    ("post_processor", template(99, "<s>"), "99 is not the id of \"<s>\""),
    ("post_processor", template("x", "<s>"), "anything but one id is not supported yet"),
  ]

  @Test(arguments: refusals.indices)
  func documentsAreRefusedByKey(index: Int) throws {
    let (key, value, problem) = Self.refusals[index]
    let line = try #require(Sample.refusal(Sample.document([key: value])), "\(key) is read without an error")
    #expect(line.contains("tokenizer.json: ") && line.contains(problem), "\(line)")
  }

  /// The ids of added tokens say no more than their order, as in `tokenizers`; a place that a gap has left to a piece of the
  /// model is refused.
  @Test(arguments: [0, 6, 9, 1_000_000]) func addedTokensGetTheNextId(_ id: Int) throws {
    let added: JSON = [Sample.added(.integer(id), "<s>")]
    #expect(try Sample.tokenizer(Sample.document(["added_tokens": added])).encode("<s>a") == [6, 0])
    let gap = Sample.document(["vocab": ["a": 0, "b": 2], "merges": [], "added_tokens": added])
    #expect(Sample.refusal(gap)?.contains("added_tokens[0]: the id 2 is also that of \"b\"") == true)
  }

  @Test func theSampleItselfIsRead() throws {
    #expect(try Sample.tokenizer(Sample.document()).encode("abcab a") == [5, 4, 3, 0])
  }

  @Test(arguments: ["", "{", "[]", "null", "{\"model\": 3}", "{}", "\u{0}"])
  func textsThatAreNoTokenizer(text: String) throws {
    try TestData.withTemporaryFolder { folder in
      #expect(throws: FurlError.self) { try Tokenizer(checkpoint: folder) }
      try TestData.write(Array(text.utf8), to: folder + "/tokenizer.json")
      #expect(throws: FurlError.self) { try Tokenizer(checkpoint: folder) }
    }
  }

  /// Patterns that are not run; each error says where.
  @Test(arguments: [
    "a++", "a+?", "a{2}+", "^a", "a$", "a.b", #"\bword"#, #"\w+"#, #"\x41"#, "[[:alpha:]]", "[a&&b]", "(ab)+", "(?=a)",
    "(?!ab)c", "(?>a)", "(?i)a", "(?i:[a-z])", "(?i:ß)", "(?i:ss)", #"\p{Greek}"#, #"\pL"#, "[z-a]", "[a", "(a", "a)",
    "a|", "", "{3}", "a{,3}", "a{0}", "a{3,2}", "a{9999999999}", "*", "[]", "[^]", #"[\p{L}-z]"#, #"a\"#, #"\p{L"#,
    String(repeating: "(", count: 10_000), String(repeating: "a|", count: 40) + "a", "(?!\\s)",
    (0..<40).map { "[\($0)x]" }.joined(),
  ])
  func patternsAreRefused(pattern: String) {
    #expect(throws: PatternError.self) { try Pattern(pattern) }
  }
}
