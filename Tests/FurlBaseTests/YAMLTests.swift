import FurlBase
import FurlTestSupport
import Testing

/// The YAML reader: values, lines and hostile input.
@Suite struct YAMLTests {
  static func read(_ text: String) throws -> DocumentReader { try YAML.read(Array(text.utf8), file: "r.yaml") }

  @Test func plainValuesHaveTheirTypes() throws {
    let reader = try Self.read(
      "i: 12\nn: -3.5e-2\nb: true\nt: text\nq: \"12\"\ns: 'true'\ne: ''\nz: null\nl: [1, a]\nm: {k: v}\nf: |\n  x\n  y\n"
    )
    #expect(reader.optional("i") == 12 && reader.optional("n") == -0.035 && reader.optional("b") == true)
    #expect(reader.optional("t") == "text" && reader.optional("q") == "12" && reader.optional("s") == "true")
    #expect(reader.optional("e") == "" && reader.optional("z") == nil && reader.optional("l") == [1, "a"])
    #expect(reader.optional("m") == ["k": "v"] && reader.optional("f") == "x\ny\n")
    #expect(reader.keys == ["i", "n", "b", "t", "q", "s", "e", "z", "l", "m", "f"])
    try reader.finish()
  }

  @Test func aFileIsRead() throws {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array("a: 1\n".utf8), to: folder + "/r.yaml")
      #expect(try YAML.read(path: folder + "/r.yaml").integer("a", in: 0...1) == 1)
      try TestData.write([UInt8](repeating: 0x23, count: (1 << 20) + 1), to: folder + "/large.yaml")
      #expect(throws: FurlError.self) { try YAML.read(path: folder + "/large.yaml") }
      #expect(throws: FurlError.self) { try YAML.read(path: folder + "/absent.yaml") }
    }
  }

  @Test(arguments: [
    "", "# nothing\n", "a", "- a\n", "a: [1", "a: {", "\"", "a: b: c", "a: 1\na: 2", "\ta: 1", "a: *x", "a: &x [*x]",
    "a: 1\n---\nb: 2\n", "[a, b]: 1", "{a: 1}: 2", "a: .inf", "a: .nan", "a: 1e999", "a: 'x", "a: \"\\q\"",
    "%YAML 9.9\n---\na: 1", "a: !!binary x\nb: *c", "1: a\n\"1\": b", "a: 1\n'a': 2", "\u{0}", "a: \u{7}",
  ])
  func whatIsWrongIsRefused(_ text: String) throws {
    let error = try #require(throws: FurlError.self) { try Self.read(text) }
    #expect(error.kind == .input && error.file == "r.yaml")
    #expect(!error.description.contains("\n"))
  }

  /// What is 8 to one reader is 10 to another, and a text to a third.
  @Test(arguments: [
    "010", "-010", "+07", "00", "0o10", "0O17", "0x1F", "0b101", "1_000", "0_1", "1_000.5", "08", "09", "00.5", "010.5",
    "01e3", "0xFFFFFFFFFFFFFFFFFF", "0b1111111111111111111111111111111",
  ])
  func numbersThatReadersDisagreeOnAreRefused(_ number: String) throws {
    let error = try #require(throws: FurlError.self) { try Self.read("a: 1\nb:\n  c: \(number)\n") }
    #expect(error.kind == .input && error.place == "line 3: b.c", "\(error)")
    #expect(error.problem.contains(number) && error.remedy?.contains("quotes") == true)
    let quoted = try Self.read("c: \"\(number)\"\nd: '\(number)'")
    #expect(quoted.optional("c") == .string(number) && quoted.optional("d") == .string(number))
  }

  /// Sixties are texts, so that no number is read from them; so are digests and dates.
  @Test func whatOnlyLooksLikeANumberIsNot() throws {
    let reader = try Self.read(
      "a: 0\nb: -0.5\nc: 1e3\nd: +5\ne: .5\nf: 1:30\ng: 2026-01-02\nh: 0b3f9a\ni: 1.2.3\nj: 0123abc\nk: 0.001\nl: -0.0")
    #expect(reader.optional("a") == 0 && reader.optional("b") == -0.5 && reader.optional("d") == 5)
    #expect(reader.optional("e") == 0.5 && reader.optional("k") == 0.001 && reader.optional("l")?.number == 0)
    for (key, text) in [("f", "1:30"), ("g", "2026-01-02"), ("h", "0b3f9a"), ("i", "1.2.3"), ("j", "0123abc")] {
      #expect(reader.optional(key) == .string(text), "\(key)")
    }
    #expect(throws: FurlError.self) { try reader.number("f", in: 0...100) }
  }

  @Test func malformedUTF8IsRefused() {
    #expect(throws: FurlError.self) { try YAML.read([0x61, 0x3A, 0x20, 0xC3, 0x28], file: nil) }
  }

  @Test func mistakesOfTheSyntaxSayTheLine() throws {
    let error = try #require(throws: FurlError.self) { try Self.read("a: 1\nb: 2\nc: [1, 2\nd: 3\n") }
    #expect(error.description.contains("line 4") || error.description.contains("line 3"))
  }

  /// Twelve lines that stand for 10^12 values; as a value and as a key.
  @Test(arguments: [
    "last: *a11\n", "? *a11\n: 1\n", "? {x: *a11}\n: 1\n? {x: *a11}\n: 2\n", "last: {? *a11 : 1, ? *a10 : 2}\n",
  ])
  func aliasesThatGrowAreRefused(_ end: String) {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...11 {
      let alias = "*a\(level - 1)"
      text += "a\(level): &a\(level) [\(Array(repeating: alias, count: 10).joined(separator: ", "))]\n"
    }
    let clock = ContinuousClock()
    let time = clock.measure { #expect(throws: FurlError.self) { try Self.read(text + end) } }
    #expect(time < .seconds(5))
  }

  @Test(arguments: [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")])
  func deepNestingIsRefused(_ open: String, _ close: String) {
    func text(_ levels: Int) -> String {
      "a: \n " + String(repeating: open, count: levels) + "1" + String(repeating: close, count: levels)
    }
    #expect(throws: FurlError.self) { try Self.read(text(100_000)) }
    // Near the limit of the library below, whichever it decides.
    for levels in [900, 990, 999, 1000, 1001, 1010] { _ = try? Self.read(text(levels)) }
  }

  @Test func numbersBeyondAnIntegerAreNumbers() throws {
    let reader = try Self.read("a: 99999999999999999999\nc: 9223372036854775807\nd: -9223372036854775808\n")
    #expect(reader.optional("a") == 1e20)
    #expect(reader.optional("c") == .integer(.max) && reader.optional("d") == .integer(.min))
  }

  /// YAML 1.1 counts in sixties; whatever it makes of these, it must not trap.
  @Test(arguments: [
    "9223372036854775807:59", "-9223372036854775808:00", "99:99:99:99:99:99:99:99:99:99:99:99", "1:60", "0x", "0b",
    "0o9", "--1", "_", "+",
  ])
  func oddNumbersDoNotCrash(_ text: String) {
    #expect(throws: Never.self) { try Self.read("a: \(text)\n") }
  }

  static let sample = Array(
    "furl: 1\nsteps:\n  - quantize: &q {weights: int4, block: 32}\n  - other: *q\n    \"k\": [1.5, ~, |x]\nt: >\n  é\n"
      .utf8)

  @Test func noCutAndNoChangedByteCrashes() {
    for count in Self.sample.indices { _ = try? YAML.read(Array(Self.sample.prefix(count)), file: nil) }
    for index in Self.sample.indices {
      for byte: UInt8 in [0, 9, 10, 33, 34, 38, 39, 42, 45, 58, 63, 91, 93, 123, 124, 125, 128, 195, 255] {
        var bytes = Self.sample
        bytes[index] = byte
        _ = try? YAML.read(bytes, file: nil)
      }
    }
  }
}
