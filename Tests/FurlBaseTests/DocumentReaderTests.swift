import FurlBase
import FurlTestSupport
import Testing

/// Strict reading: every mistake is named with file, line and key.
@Suite struct DocumentReaderTests {
  static let text = """
    name: x
    count: 12
    share: 0.5
    flag: yes
    words: [a, b]
    bad_words: [a, 1]
    none: null
    inner:
      block: 64
      deep:
        key: 1
    steps:
      - kind: first
      - kind: second
        extra: 1
    """

  static func reader() throws -> DocumentReader { try YAML.read(Array(text.utf8), file: "r.yaml") }

  /// What an error says.
  static func message(_ body: (DocumentReader) throws -> Void) throws -> String {
    let reader = try reader()
    return try #require(throws: FurlError.self) { try body(reader) }.description
  }

  @Test func valuesAreReadByType() throws {
    let reader = try Self.reader()
    #expect(try reader.string("name") == "x" && reader.string("absent") == nil && reader.string("none") == nil)
    #expect(try reader.integer("count", in: 0...12) == 12 && reader.number("count", in: 0...12) == 12)
    #expect(try reader.number("share", in: 0...1) == 0.5 && reader.bool("flag") == true)
    #expect(try reader.strings("words") == ["a", "b"])
    #expect(try reader.required("name") == "x")
    #expect(try reader.word("name", ["x": 1, "y": 2]) == 1 && reader.word("absent", ["x": 1]) == nil)
    // A bare number is the word that it was meant to be.
    let inner = try #require(try reader.reader("inner"))
    #expect(try inner.word("block", ["64": true]) == true)
    #expect(inner.path == "inner" && inner.keys == ["block", "deep"])
    #expect(try reader.readers("steps")?.map(\.path) == ["steps[0]", "steps[1]"])
    #expect(try reader.reader("absent") == nil && reader.readers("absent") == nil && reader.bool("none") == nil)
  }

  @Test func unknownKeysAreNamedWithTheirLine() throws {
    let known = ["name", "count", "share", "flag", "words", "none", "inner", "steps"]
    #expect(
      try Self.message { reader in
        for key in known { _ = reader.optional(key) }
        try reader.finish()
      } == "r.yaml: line 6: bad_words: unknown key (known here: \(known.sorted().joined(separator: ", ")))")
    #expect(
      try Self.message { reader in
        let steps = try #require(try reader.readers("steps"))
        _ = steps[1].optional("kind")
        try steps[1].finish()
      } == "r.yaml: line 15: steps[1].extra: unknown key (known here: kind)")
    let reader = try Self.reader()
    reader.ignoreOthers()
    try reader.finish()
  }

  @Test func mistakesAreNamedWithTheirLine() throws {
    let cases: [(String, (DocumentReader) throws -> Void)] = [
      ("r.yaml: line 2: count: a text is expected, not an integer", { _ = try $0.string("count") }),
      ("r.yaml: line 1: name: an integer is expected, not a text", { _ = try $0.integer("name", in: 0...1) }),
      ("r.yaml: line 3: share: an integer is expected, not a number", { _ = try $0.integer("share", in: 0...1) }),
      ("r.yaml: line 2: count: 12 is out of range (allowed: 0 to 11)", { _ = try $0.integer("count", in: 0...11) }),
      (
        "r.yaml: line 2: count: 12 is out of range (allowed: at least 13)",
        { _ = try $0.integer("count", in: 13...Int.max) }
      ),
      (
        "r.yaml: line 3: share: 0.5 is out of range (allowed: 0.75 to 1.0)",
        { _ = try $0.number("share", in: 0.75...1) }
      ),
      ("r.yaml: line 4: flag: a number is expected, not a boolean", { _ = try $0.number("flag", in: 0...1) }),
      ("r.yaml: line 1: name: true or false is expected, not a text", { _ = try $0.bool("name") }),
      ("r.yaml: line 6: bad_words[1]: a text is expected, not an integer", { _ = try $0.strings("bad_words") }),
      ("r.yaml: line 1: name: a list is expected, not a text", { _ = try $0.strings("name") }),
      ("r.yaml: line 8: inner: a list is expected, not a mapping", { _ = try $0.readers("inner") }),
      ("r.yaml: line 5: words[0]: a mapping is expected, not a text", { _ = try $0.readers("words") }),
      ("r.yaml: line 12: steps: a mapping is expected, not a list", { _ = try $0.reader("steps") }),
      (
        "r.yaml: line 1: name: \"x\" is not a known value (allowed: y, z)",
        { _ = try $0.word("name", ["y": 1, "z": 2]) }
      ),
      (
        "r.yaml: line 1: name: \"x\" is not supported yet (allowed: y)",
        { _ = try $0.word("name", ["y": 1], later: ["x"]) }
      ),
      ("r.yaml: line 2: count: is not supported yet", { try $0.later("absent", "none", "count") }),
      ("r.yaml: absent: is missing", { _ = try $0.required("absent") }),
      (
        "r.yaml: line 11: inner.deep.key: 1 is out of range (allowed: 2 to 3)",
        { _ = try $0.reader("inner")?.reader("deep")?.integer("key", in: 2...3) }
      ),
    ]
    for (expected, body) in cases {
      let said = try Self.message(body)
      #expect(said == expected)
    }
  }

  @Test func documentsWithoutLinesNameThePath() throws {
    let reader = try DocumentReader(["a": ["b": [["c": "x"]]]], file: "c.json")
    let inner = try #require(try reader.reader("a")?.readers("b")?.first)
    let error = try #require(throws: FurlError.self) { try inner.integer("c", in: 0...1) }
    #expect(error.description == "c.json: a.b[0].c: an integer is expected, not a text")
    #expect(inner.location.error(nil, "is odd").description == "c.json: a.b[0]: is odd")
    #expect(throws: FurlError.self) { try DocumentReader([1], file: nil) }
  }
}
