import FurlBase
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Folders whose tokenizer is built by a class of transformers, against transformers: `make_classes.py` of the fixtures.
@Suite struct ClassTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let value: JSON
    var testDescription: String { value["name"]?.string ?? "" }
  }

  private static let fixture = try? Sample.fixture("classes.json")
  static let cases: [Case] = (fixture?["cases"]?.array ?? []).map(Case.init)

  /// - Parameter members: what `tokenizer.json` has otherwise; nil writes `vocab.json` and `merges.txt`.
  private static func tokenizer(_ config: JSON?, _ files: [JSON.Member], _ members: JSON?) throws -> Tokenizer {
    let document = try #require(fixture?["document"])
    return try TestData.withTemporaryFolder { folder in
      func write(_ name: String, _ value: JSON) throws {
        try TestData.write(Array(value.compactText.utf8), to: folder + "/" + name)
      }
      try write("config.json", ["model_type": "gpt2"])
      if let config { try write("tokenizer_config.json", config) }
      for file in files { try write(file.key, file.value) }
      if let members = members?.members {
        let kept = (document.members ?? []).filter { member in !members.contains { $0.key == member.key } }
        try write("tokenizer.json", .object(kept + members))
      } else {
        try write("vocab.json", try #require(document["model"]?["vocab"]))
        try TestData.write(Array("#version: 0.2\na b\n".utf8), to: folder + "/merges.txt")
      }
      return try Tokenizer(checkpoint: folder)
    }
  }

  @Test func thereAreEnoughCases() { #expect(Self.cases.count >= 33) }

  @Test(arguments: cases) func areReadAsTransformersDoes(_ item: Case) throws {
    let value = item.value
    func given(_ key: String) -> JSON? { [value[key]].compactMap { $0 }.first { $0 != .null } }
    let tokenizer = try Self.tokenizer(given("config"), value["files"]?.members ?? [], given("members"))
    let texts = try #require(Self.fixture?["texts"]?.array).compactMap(\.string)
    let stored = try Tokenizer(serialized: tokenizer.serialized(), file: nil)
    for (text, ids) in zip(texts, try #require(value["ids"]?.array)) {
      #expect(tokenizer.encode(text) == ids.array?.compactMap(\.integer), "\(text)")
      #expect(stored.encode(text) == tokenizer.encode(text))
    }
    #expect(tokenizer.vocabularySize == value["count"]?.integer)
    #expect(tokenizer.bosID == value["bos"]?.integer && tokenizer.eosID == value["eos"]?.integer)
    let special = (0..<tokenizer.vocabularySize).filter(tokenizer.isSpecial)
    #expect(Set(special).isSuperset(of: try #require(value["special"]?.array).compactMap(\.integer)))
  }

  // MARK: Contradictions

  private static let level: JSON = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true]
  private static let digits: JSON = [
    "pre_tokenizer": [
      "type": "Sequence", "pretokenizers": [["type": "Digits", "individual_digits": true], level],
    ]
  ]

  static let refused: [(JSON, JSON, String)] = [
    (["tokenizer_class": "GPT2Tokenizer", "add_prefix_space": true], [:], "tokenizer_config.json: add_prefix_space"),
    (
      ["tokenizer_class": "CodeGenTokenizer", "add_prefix_space": true], [:], "tokenizer_config.json: add_prefix_space"
    ),
    (["tokenizer_class": "GPT2TokenizerFast"], digits, "tokenizer.json: pre_tokenizer"),
    (["tokenizer_class": "CodeGenTokenizer"], digits, "tokenizer.json: pre_tokenizer"),
    (["tokenizer_class": "Qwen2Tokenizer"], [:], "tokenizer.json: normalizer"),
    (["tokenizer_class": "Qwen2Tokenizer"], ["normalizer": ["type": "NFC"]], "tokenizer.json: pre_tokenizer"),
    (["tokenizer_class": "GPT2Tokenizer"], ["normalizer": ["type": "NFC"]], "tokenizer.json: normalizer"),
    (["tokenizer_class": "CodeLlamaTokenizer"], [:], "tokenizer.json: pre_tokenizer"),
    (
      ["tokenizer_class": "GPT2Tokenizer"],
      ["pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": true, "use_regex": true]],
      "tokenizer.json: pre_tokenizer"
    ),
    (["tokenizer_class": "GPT2Tokenizer", "split_special_tokens": true], [:], "split_special_tokens"),
  ]

  @Test(arguments: refused.indices) func whatAClassWouldDoOtherwiseIsRefused(_ index: Int) {
    let (config, members, problem) = Self.refused[index]
    let error = #expect(throws: FurlError.self) { try Self.tokenizer(config, [], members) }
    #expect(error?.kind == .input && "\(error.map(String.init(describing:)) ?? "")".contains(problem))
  }

  @Test func theOlderFormRefusesSplitTokens() {
    let error = #expect(throws: FurlError.self) {
      try Self.tokenizer(["tokenizer_class": "GPT2Tokenizer", "split_special_tokens": true], [], nil)
    }
    #expect(error?.place == "split_special_tokens")
  }

  /// StarCoder2 and SmolLM2 were trained with digits one by one, which their files say and their class does not.
  @Test(arguments: ["starcoder2", "llama"]) func publishedModelsAreReadByTheirFiles(_ model: String) throws {
    let tokenizer = try Self.tokenizer(
      ["tokenizer_class": "GPT2Tokenizer", "add_prefix_space": false],
      [.init("config.json", ["model_type": .string(model)])], Self.digits)
    #expect(tokenizer.encode("ab12") == [257, 49, 50] && tokenizer.eosID == 256)
  }

  /// Llama 3 names llama's class beside a vocabulary of bytes; transformers goes by the file, too.
  @Test func llamasClassLeavesBytesToTheFile() throws {
    let tokenizer = try Self.tokenizer(
      ["tokenizer_class": "LlamaTokenizerFast", "add_prefix_space": true],
      [.init("config.json", ["model_type": "llama"])], Self.digits)
    #expect(tokenizer.encode("ab12") == [257, 49, 50] && tokenizer.eosID == nil && tokenizer.vocabularySize == 258)
  }

  // MARK: Llama's

  private static func marked(_ config: JSON, normalizer: JSON = nil, pre: JSON = nil, class name: String) throws
    -> Tokenizer
  {
    let mark = "\u{2581}"
    let pieces = ["<unk>", "<s>", "</s>", mark, "a", "b", "ab"]
    var vocabulary = pieces.enumerated().map { JSON.Member($1, .integer($0)) }
    for byte in 0..<256 {
      let hex = String(byte, radix: 16, uppercase: true)
      vocabulary.append(.init("<0x\(hex.count < 2 ? "0" : "")\(hex)>", .integer(7 + byte)))
    }
    let members: JSON = [
      "added_tokens": [Sample.added(0, "<unk>"), Sample.added(1, "<s>"), Sample.added(2, "</s>")],
      "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": nil,
      "decoder": Sample.markedDecoder,
      "model": [
        "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": .object(vocabulary),
        "merges": [["a", "b"]],
      ],
    ]
    let rest = (config.members ?? []) + [.init("tokenizer_class", .string(name))]
    return try tokenizer(.object(rest), [.init("config.json", ["model_type": "llama"])], members)
  }

  private static let older: JSON = [
    "type": "Sequence",
    "normalizers": [
      ["type": "Prepend", "prepend": "\u{2581}"],
      ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"],
    ],
  ]

  @Test(arguments: ["LlamaTokenizer", "CodeLlamaTokenizerFast"]) func llamasFilesAreRead(_ name: String) throws {
    let space: JSON = ["type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "first", "split": false]
    for tokenizer in [
      try Self.marked(["add_prefix_space": true], normalizer: Self.older, class: name),
      try Self.marked([:], normalizer: Self.older, class: name), try Self.marked([:], pre: space, class: name),
    ] {
      #expect(tokenizer.encode("ab a") == [3, 6, 3, 4] && tokenizer.bosID == 1 && tokenizer.eosID == 2)
    }
    for (config, normalizer, pre) in [
      (["add_prefix_space": false], Self.older, nil),
      ([:], nil, ["type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "never", "split": false]),
      ([:], nil, ["type": "Sequence", "pretokenizers": [["type": "Digits", "individual_digits": true], space]]),
    ] as [(JSON, JSON, JSON)] {
      let error = #expect(throws: FurlError.self) {
        try Self.marked(config, normalizer: normalizer, pre: pre, class: name)
      }
      #expect(["add_prefix_space", "pre_tokenizer"].contains(error?.place), "\(error?.description ?? "")")
    }
  }

  /// Thousands of tokens beside take no more than a moment.
  @Test func manyTokensBesideAreReadQuickly() throws {
    let tokens = (0..<20_000).map { JSON.Member("<t\($0)>", .integer(258 + $0)) }
    let start = ContinuousClock.now
    let tokenizer = try Self.tokenizer(nil, [.init("added_tokens.json", .object(tokens))], nil)
    #expect(tokenizer.vocabularySize == 20_258 && ContinuousClock.now - start < .seconds(30))
  }
}
