@testable import FurlBase
import FurlTestSupport
import Testing

/// What another library's reader (Yams 6.2.2) made of some hundred texts, where PyYAML agreed: see
/// Tests/Fixtures/yaml/make_cases.py.
@Suite struct YAMLCaseTests {
  @Test func textsAreReadAsTheyWereByAnotherLibrary() throws {
    let file = TestData.root + "/Tests/Fixtures/yaml/cases.json"
    let cases = try #require(try JSON.parse(TestData.bytes(file), file: file).array)
    #expect(cases.count > 600)
    for example in cases {
      let text = try #require(example["text"]?.string)
      do {
        let (tree, lines) = try YAML.tree(Array(text.utf8), file: nil)
        #expect(Self.same(tree, example["tree"]), "\(text)")
        let expected = example["lines"]?.members ?? []
        #expect(lines.lines.count == expected.count, "\(text)")
        for place in expected { #expect(lines.lines[place.key] == place.value.integer, "\(text): \(place.key)") }
      } catch {
        #expect(example["refused"] != nil && (error as? FurlError)?.kind == .input, "\(text): \(error)")
      }
    }
  }

  /// Equal, and integers apart from other numbers.
  private static func same(_ one: JSON, _ other: JSON?) -> Bool {
    switch (one, other) {
    case (.number(let a), .number(let b)): a == b && a.sign == b.sign
    case (.array(let a), .array(let b)): a.count == b.count && zip(a, b).allSatisfy { same($0, $1) }
    case (.object(let a), .object(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.key.utf8.elementsEqual($1.key.utf8) && same($0.value, $1.value) }
    default: one == other
    }
  }

  @Test(arguments: [
    ("a: 1\nb: !!str 2\n", "line 2", "!!str"), ("a: !x {b: 1}", "line 1", "!x"),
    ("a:\n  - !<tag:x> b", "line 2", "tag:x"),
    ("!!str a: 1", "line 1", "!!str"),
  ])
  func tagsAreRefused(_ text: String, _ line: String, _ tag: String) throws {
    let error = try #require(throws: FurlError.self) { try YAML.read(Array(text.utf8), file: "r.yaml") }
    #expect(error.kind == .input && error.place == line && error.problem.contains(tag))
  }

  @Test(arguments: [
    ("a: 1\nb: 2\na: 3", "line 3: a"), ("a:\n  - b: 1\n    c: 2\n    b: 3", "line 4: a[0].b"),
    ("1: a\n\"1\": b", "line 2: 1"),
  ])
  func keysThatAppearTwiceAreRefusedWithTheirLine(_ text: String, _ place: String) throws {
    let error = try #require(throws: FurlError.self) { try YAML.read(Array(text.utf8), file: "r.yaml") }
    #expect(error.place == place && error.problem.contains("appears twice"))
  }

  @Test func whatCannotBeReadAtAllIsRefusedWithItsLine() throws {
    let error = try #require(throws: FurlError.self) { try YAML.read(Array("a: 1\nb: \u{7}\n".utf8), file: nil) }
    #expect(error.problem == "not valid YAML: line 2: control characters are not allowed")
  }

  /// Anchors within anchors do not get deeper than a text may be.
  @Test func aliasesDoNotNestDeeperThanTexts() throws {
    func text(_ outer: Int) -> [UInt8] {
      let (deep, shallow) = (String(repeating: "[", count: 600), String(repeating: "[", count: outer))
      return Array(
        "a: &x \(deep)\(deep.map { _ in "]" }.joined())\nb: \(shallow)*x\(shallow.map { _ in "]" }.joined())".utf8)
    }
    _ = try YAML.read(text(399), file: nil)
    let error = try #require(throws: FurlError.self) { try YAML.read(text(400), file: nil) }
    #expect(error.problem == "not valid YAML: line 2: more than 1000 levels")
  }
}
