import FurlBase
import FurlTestSupport
import Testing

/// The parser against RFC 8259.
@Suite struct JSONParserTests {
  static func parse(_ text: String) throws -> JSON { try JSON.parse(Array(text.utf8), file: "a.json") }

  struct Valid: Sendable {
    let text: String
    let value: JSON
    init(_ text: String, _ value: JSON) { (self.text, self.value) = (text, value) }
  }

  @Test(arguments: [
    Valid("null", .null), Valid(" true\n", .bool(true)), Valid("\t\r\nfalse", .bool(false)), Valid("0", .integer(0)),
    Valid("-0", .integer(0)), Valid("-12", .integer(-12)), Valid("9223372036854775807", .integer(.max)),
    Valid("-9223372036854775808", .integer(.min)), Valid("9223372036854775808", .number(9_223_372_036_854_775_808)),
    Valid("0.0", .number(0)), Valid("1.5e3", .number(1500)), Valid("1E+2", .number(100)), Valid("1e-2", .number(0.01)),
    Valid("1e5", .number(100_000)), Valid("5e-324", .number(.leastNonzeroMagnitude)), Valid("1e-5000", .number(0)),
    Valid("1.7976931348623157e308", .number(.greatestFiniteMagnitude)), Valid("0.1", .number(0.1)),
    Valid("123456789012345678901234567890", .number(0x1.8ee90ff6c373ep+96)),
    Valid("\"\"", .string("")), Valid(#""a\"\\\/\b\f\n\r\tz""#, .string("a\"\\/\u{8}\u{C}\n\r\tz")),
    Valid(#""\u0041\u00e9\u20AC""#, .string("Aé€")), Valid(#""\ud83d\uDE00""#, .string("😀")),
    Valid(#""\u0000""#, .string("\u{0}")), Valid("\"é漢😀\u{7F}\u{2028}\"", .string("é漢😀\u{7F}\u{2028}")),
    Valid(#""\uDBFF\uDFFF""#, .string("\u{10FFFF}")), Valid("[]", []), Valid("[ ]", []), Valid("{}", .object([])),
    Valid("{ }", .object([])), Valid("[1,[2],{\"a\":3}]", [1, [2], ["a": 3]]),
    Valid(" { \"b\" : 1 , \"a\" : [ null , 1.0 ] } ", ["b": 1, "a": [nil, 1.0]]), Valid("{\"\":{}}", ["": .object([])]),
  ])
  func readsWhatIsValid(_ valid: Valid) throws {
    #expect(try Self.parse(valid.text) == valid.value)
  }

  /// A mark that some editors put before a text is none of it; lines may have it before the first.
  @Test func aByteOrderMarkIsPassedOver() throws {
    #expect(try Self.parse("\u{FEFF}{\"a\": 1}") == ["a": 1])
    #expect(try JSON.parseLines(Array("\u{FEFF}1\n2\n".utf8), file: nil) == [1, 2])
    #expect(try JSON.parseLines(Array("\u{FEFF}\n2\n".utf8), file: nil) == [2])
    #expect(throws: FurlError.self) { try JSON.parseLines(Array("1\n\u{FEFF}2\n".utf8), file: nil) }
  }

  /// Python writes numbers that JSON does not have (json.dumps of nan and inf in CPython 3.13).
  @Test func whatPythonWritesForOtherNumbersIsRead() throws {
    func parse(_ text: String) throws -> JSON { try JSON.parse(Array(text.utf8), file: "a.json", dialect: .nonFinite) }
    let value = try parse("{\"a\": [NaN, Infinity, -Infinity, -1, 2.5], \"b\": Infinity}")
    let list = value["a"]?.array?.compactMap(\.number) ?? []
    #expect(list.count == 5 && list[0].isNaN && list[1] == .infinity && list[2] == -.infinity && list[3] == -1)
    for text in [
      "nan", "NAN", "Nan", "infinity", "+Infinity", "-NaN", "Inf", "--Infinity", "-I", "N", "NaNN", "[NaN NaN]",
    ] {
      #expect(throws: FurlError.self, "\(text)") { try parse(text) }
    }
    let reader = try DocumentReader(value, file: "a.json")
    let error = try #require(throws: FurlError.self) { try reader.number("b", in: 0...1) }
    #expect(error.place == "b")
  }

  @Test(arguments: [
    "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "+1", "-", "01", "-01", "00", "1.", ".5", "1.e1",
    "1e", "1e+", "0x10", "1_000", "1 2", "1,", "١", "\"", "\"a", "\"\\\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12G4\"",
    "\"\\u+123\"", "\"\\u-123\"", "\"\\u-000\"", "\"\\u 123\"", "\"\\U0041\"", "\"\\", "\"\\u", "\"\\u004",
    "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\ud800\\n\"", "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"a\nb\"", "\"\t\"",
    "\"\u{0}\"", "'a'", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1;2]", "{", "}", "{\"a\"", "{\"a\":",
    "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{a:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{1:2}", "{null:1}",
    "{\"a\":1}}", "[1]]", "[1] x", "// c\n1", "1 /* c */", "1\u{FEFF}", "\u{FEFF}\u{FEFF}1", "[\u{FEFF}1]", "\u{A0}1",
    "1e400", "-1e400", "\u{B}1",
    "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":2}", "[}", "{]",
  ])
  func refusesWhatIsNot(_ text: String) throws {
    let error = try #require(throws: FurlError.self) { try Self.parse(text) }
    #expect(error.kind == .input && error.file == "a.json" && error.problem.hasPrefix("not valid JSON: "))
  }

  @Test(
    arguments: [
      [0x80], [0xFF], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98],
    ] as [[UInt8]])
  func refusesMalformedUTF8(_ bytes: [UInt8]) {
    for (before, after) in [("\"", "\""), ("\"\\n", "x\""), ("{\"", "\":1}"), ("", "1")] {
      #expect(throws: FurlError.self) { try JSON.parse(Array(before.utf8) + bytes + Array(after.utf8), file: nil) }
    }
  }

  @Test func depthIsBounded() throws {
    func nested(_ levels: Int) -> String {
      String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
    }
    _ = try Self.parse(nested(128))
    #expect(throws: FurlError.self) { try Self.parse(nested(129)) }
    #expect(throws: FurlError.self) { try Self.parse(String(repeating: "[", count: 1_000_000)) }
    #expect(throws: FurlError.self) { try Self.parse(String(repeating: "{\"a\":", count: 1_000_000)) }
    // Siblings are not levels.
    _ = try Self.parse("[" + Array(repeating: "[[]]", count: 500).joined(separator: ",") + "]")
  }

  /// RFC 8259, section 8.3: names are compared code unit by code unit. Vocabularies hold both forms of a letter.
  @Test func keysThatOnlyLookAlikeAreTwo() throws {
    let value = try Self.parse(#"{"\u00e9": 1, "e\u0301": 2}"#)
    #expect(value.members?.count == 2)
    #expect(value["\u{E9}"] == 1)
    #expect(value["e\u{301}"] == 2)
    #expect(throws: FurlError.self) { try Self.parse(#"{"e\u0301": 1, "é": 3, "e\u0301": 2}"#) }
  }

  @Test func errorsSayTheLine() throws {
    for (text, line) in [("[1,\n2,\n x]", 3), ("x", 1), ("\n\n{\"a\": \n1,,}", 4), ("{\n\"a\": 1,\n\"a\": 2}", 3)] {
      let error = try #require(throws: FurlError.self) { try Self.parse(text) }
      #expect(error.place == "line \(line)")
    }
  }

  @Test func linesAreReadOneByOne() throws {
    let lines = try JSON.parseLines(Array("{\"a\":1}\n\n  \r\n[2]\r\n3".utf8), file: nil)
    #expect(lines == [["a": 1], [2], 3])
    #expect(try JSON.parseLines([], file: nil) == [])
    let error = try #require(throws: FurlError.self) {
      try JSON.parseLines(Array("1\n\n{\"a\":}\n".utf8), file: "b.jsonl")
    }
    #expect(error.place == "line 3" && error.file == "b.jsonl")
  }

  static let sample = Array(
    #"{"a": [1, -2.5e3, true, false, null], "é\ud83d\ude00\n": {"b": "\u00e9", "": []}, "c": "漢\\"}"#.utf8)

  /// Every beginning but the whole is refused.
  @Test func everyTruncationIsRefused() throws {
    _ = try JSON.parse(Self.sample, file: nil)
    for count in 0..<Self.sample.count {
      #expect(throws: FurlError.self) { try JSON.parse(Array(Self.sample.prefix(count)), file: nil) }
    }
  }

  /// Every byte changed to every other: an error or a value that writes and reads back.
  @Test func noChangedByteCrashes() throws {
    for index in Self.sample.indices {
      for byte in UInt8.min...UInt8.max {
        var bytes = Self.sample
        bytes[index] = byte
        guard let value = try? JSON.parse(bytes, file: nil) else { continue }
        if try JSON.parse(Array(value.compactText.utf8), file: nil) != value {
          Issue.record("byte \(index) changed to \(byte)")
        }
      }
    }
  }

  /// Counted with Python's json module.
  @Test(.enabled(if: TestData.shared != nil, "needs the shared fixtures (FURL_SHARED)"))
  func aRealTokenizerIsRead() throws {
    let path = try #require(TestData.shared) + "/fixtures/tokenizers/starcoder/tokenizer.json"
    let model = try #require(try JSON.parse(TestData.bytes(path), file: path)["model"])
    #expect(model["vocab"]?.members?.count == 49_152 && model["merges"]?.array?.count == 48_872)
  }

  @Test func accessorsTakeTheirKindOnly() {
    let values: [JSON] = [nil, true, 1, 1.5, "a", [1], ["a": 1]]
    #expect(values.map(\.string) == [nil, nil, nil, nil, "a", nil, nil])
    #expect(values.map(\.integer) == [nil, nil, 1, nil, nil, nil, nil])
    #expect(values.map(\.number) == [nil, nil, 1, 1.5, nil, nil, nil])
    #expect(values.map(\.bool) == [nil, true, nil, nil, nil, nil, nil])
    #expect(values.map { $0.array?.count } == [nil, nil, nil, nil, nil, 1, nil])
    #expect(values.map { $0.members?.count } == [nil, nil, nil, nil, nil, nil, 1])
    #expect(
      values[5][0] == 1 && values[5][1] == nil && values[5][-1] == nil && values[6]["b"] == nil && values[0][0] == nil)
    #expect(Set(values.map(\.kindName)).count == 7)
  }
}
