import FurlBase
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Tokens in files beside `tokenizer.json`, against transformers: `make_beside.py` of the fixtures.
@Suite struct BesideTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let value: JSON
    let base: JSON
    var testDescription: String { "\(value["name"]?.string ?? ""), \(value["base"]?.string ?? "")" }
  }

  private static let fixture = try? Sample.fixture("beside.json")

  static let cases: [Case] = (fixture?["cases"]?.array ?? []).compactMap { value in
    value["base"]?.string.flatMap { fixture?["bases"]?[$0] }.map { Case(value: value, base: $0) }
  }

  private static func write(_ item: Case, to folder: String) throws {
    var tokenizer = item.base.members ?? []
    tokenizer.removeAll { $0.key == "added_tokens" }
    let added = try #require(item.value["added_tokens"])
    tokenizer.append(JSON.Member("added_tokens", added))
    var files = item.value["files"]?.members ?? []
    files.append(JSON.Member("tokenizer.json", .object(tokenizer)))
    for file in files { try TestData.write(Array(file.value.compactText.utf8), to: folder + "/" + file.key) }
  }

  @Test func thereAreEnoughCases() { #expect(Self.cases.count >= 50) }

  @Test(arguments: cases) func areMergedAsTransformersDoes(_ item: Case) throws {
    try TestData.withTemporaryFolder { folder in
      try Self.write(item, to: folder)
      let tokenizer = try Tokenizer(checkpoint: folder)
      let texts = try #require(Self.fixture?["texts"]?.array).compactMap(\.string)
      let expected = try #require(item.value["ids"]?.array)
      for (text, ids) in zip(texts, expected) {
        #expect(tokenizer.encode(text) == ids.array?.compactMap(\.integer), "\(text)")
      }
      #expect(tokenizer.vocabularySize == item.value["count"]?.integer)
      #expect(tokenizer.bosID == item.value["bos"]?.integer && tokenizer.eosID == item.value["eos"]?.integer)
      let special = (0..<tokenizer.vocabularySize).filter(tokenizer.isSpecial)
      let wanted = try #require(item.value["special"]?.array).compactMap(\.integer)
      // One that was special and is listed again as none is still left out of texts, as in the reference.
      #expect(Set(special).isSuperset(of: wanted))
      // What is beside counts, too, where the file itself is named, and in Furl's own form.
      let file = try Tokenizer(file: folder + "/tokenizer.json")
      let stored = try Tokenizer(serialized: tokenizer.serialized(), file: nil)
      for text in texts {
        #expect(file.encode(text) == tokenizer.encode(text) && stored.encode(text) == tokenizer.encode(text))
      }
    }
  }

  static let refused: [(JSON, String)] = [
    (["split_special_tokens": true], "tokenizer_config.json: split_special_tokens"),
    (["additional_special_tokens": "<a>"], "tokenizer_config.json: additional_special_tokens: a list"),
    (["additional_special_tokens": [5]], "tokenizer_config.json: additional_special_tokens[0]"),
    (["added_tokens_decoder": ["x": ["content": "<a>"]]], "tokenizer_config.json: added_tokens_decoder.x"),
    (["added_tokens_decoder": []], "tokenizer_config.json: added_tokens_decoder: a mapping"),
    (["eos_token": 5], "tokenizer_config.json: eos_token"),
    (["extra_special_tokens": ["a": 5]], "tokenizer_config.json: extra_special_tokens.a"),
  ]

  @Test(arguments: refused) func whatIsNoTokenIsRefused(_ config: JSON, _ problem: String) {
    #expect(Sample.refusal(Sample.document(), config: config)?.contains(problem) == true)
  }

  // MARK: What begins a text

  private static func template(_ token: String, _ id: Int) -> JSON {
    [
      "type": "TemplateProcessing",
      "single": [["SpecialToken": ["id": .string(token), "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]]],
      "pair": [],
      "special_tokens": .object([
        JSON.Member(token, ["id": .string(token), "ids": [.integer(id)], "tokens": [.string(token)]])
      ]),
    ]
  }

  /// The rule: `add_bos_token` decides where it is, else the template; the template's token goes before `bos_token`.
  static let beginnings: [(String?, Bool?, Int?, String)] = [
    (nil, nil, nil, "post_processor"), (nil, true, 6, "add_bos_token"), (nil, false, nil, "add_bos_token"),
    ("<s>", nil, 6, "post_processor"), ("<s>", true, 6, "add_bos_token"), ("<s>", false, nil, "add_bos_token"),
    ("<x>", nil, 7, "post_processor"), ("<x>", true, 7, "add_bos_token"), ("<x>", false, nil, "add_bos_token"),
  ]

  @Test(arguments: beginnings) func oneRuleSaysWhatBegins(
    _ template: String?, _ says: Bool?, _ begin: Int?, _ by: String
  ) throws {
    var config: [JSON.Member] = [JSON.Member("bos_token", "<s>")]
    if let says { config.append(JSON.Member("add_bos_token", .bool(says))) }
    let tokenizer = try Sample.tokenizer(
      Sample.document([
        "added_tokens": [Sample.added(6, "<s>"), Sample.added(7, "<x>")],
        "post_processor": template.map { Self.template($0, $0 == "<s>" ? 6 : 7) } ?? nil,
      ]), config: .object(config))
    #expect(tokenizer.encode("ab", bos: .auto) == (begin.map { [$0] } ?? []) + [4])
    #expect(tokenizer.addsBOS == (begin != nil) && tokenizer.beginsBy?.contains(by) == true)
    if begin == nil { #expect(tokenizer.bosID == 6) }
  }

  // MARK: Tokens without a row

  @Test func aTokenWithoutARowIsNamed() throws {
    let tokenizer = try Sample.tokenizer(Sample.document(["added_tokens": [Sample.added(6, "<s>")]]))
    try tokenizer.check([0, 5], rows: 6, file: nil)
    try tokenizer.check([0, 6], rows: 7, file: nil)
    let error = #expect(throws: FurlError.self) { try tokenizer.check([0, 6], rows: 6, file: "m") }
    #expect(error?.kind == .input && error.map { "\($0)".contains("6, \"<s>\"") } == true)
  }
}
