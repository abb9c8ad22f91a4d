import FurlBase
import Testing

/// Documents whose keys are declared: read, written and described by one list.
@Suite struct DeclarationTests {
  enum Colour: String, CaseIterable, Sendable { case red, green }

  struct Part: DeclaredDocument, Sendable, Equatable {
    var size = 1
    var colour: Colour?

    static let declaration = Declaration<Part>("part", "A part.") {
      Field("size", \.size, .integer(in: 1...9, unit: "cm"), "How large it is.")
      keys
    }

    @DeclarationBuilder<Part> static var keys: [Field] {
      Field("colour", \.colour, .word(later: ["blue"]), "Its colour.")
    }
  }

  struct Sample: DeclaredDocument, Sendable {
    var name = ""
    var count = 4
    var half = 2
    var share: Double?
    var block = 32
    var parts: [Part] = []
    var inner = Part()
    var hasSettled = false

    static let declaration = Declaration<Sample>("sample", "A sample.") {
      Field.version(of: "sample")
      Field("name", \.name, .text, "What it is called.", absent: .refused(remedy: "give one"))
      Field("count", \.count, .integer(in: 1...Int.max), "How many.")
      Field(
        "half", \.half, .integer(in: 0...100), "Half of them.", absent: .derived("half of `count`") { $0.count / 2 },
        reading: { .integer(in: 0...$0.count) })
      Field("share", \.share, .number(in: 0...1), "How much.", absent: .means("all"))
        .only(if: { $0.count > 1 }, else: "has no meaning for one", "leave it out")
      Field("block", \.block, .words(["32": 32, "row": 0]), "How long a block is.").written { $0.block != 32 }
      Field("parts", \.parts, .documents(orElse: "a part is expected"), "What it consists of.")
      Part.keys.map { $0.lifted(to: \.inner) }.map { $0.known("with count: 7") { $0.count == 7 } }
      Field.rule("half", "is odd", "give an even number") { $0.half % 2 == 0 }
    }

    mutating func settle(_ reader: DocumentReader) throws { hasSettled = true }
  }

  private static let head = "furl: 1\nname: x\nparts: [{size: 2}]\n"

  private func read(_ text: String) throws -> Sample {
    try Sample(declared: YAML.read(Array(text.utf8), file: "s.yaml"))
  }

  @Test func whatIsNotGivenHasItsDefault() throws {
    let sample = try read(Self.head)
    #expect(sample.name == "x" && sample.count == 4 && sample.half == 2 && sample.share == nil && sample.hasSettled)
    #expect(sample.parts.map(\.size) == [2])
    let odd = try read(Self.head + "count: 9\nblock: row\nshare: ~\n")
    #expect(odd.half == 4 && odd.block == 0)
  }

  @Test func whatIsWrittenIsRead() throws {
    let sample = try read(Self.head + "count: 7\nhalf: 4\nshare: 1\nblock: row\ncolour: green\n")
    #expect(
      sample.declaredJSON.compactText
        == #"{"furl":1,"name":"x","count":7,"half":4,"share":1.0,"block":"row","parts":[{"size":2}],"colour":"green"}"#)
    let again = try Sample(declared: DocumentReader(sample.declaredJSON, file: nil))
    #expect(again.declaredJSON == sample.declaredJSON && again.inner.colour == .green)
    #expect(
      try read(Self.head).declaredJSON.compactText == #"{"furl":1,"name":"x","count":4,"half":2,"parts":[{"size":2}]}"#)
  }

  @Test(arguments: [
    ("furl: 1\nparts: [{}]", "s.yaml: name: is missing (give one)"),
    ("furl: 1\nname: x", "s.yaml: parts: a part is expected"),
    ("furl: 1\nname: x\nparts: []", "s.yaml: line 3: parts: a part is expected"),
    ("furl: 2\nname: x", "s.yaml: line 1: furl: version 2 is not known (this Furl reads furl: 1)"),
    (head + "half: 5", "s.yaml: line 4: half: 5 is out of range (allowed: 0 to 4)"),
    (head + "half: 3", "s.yaml: line 4: half: is odd (give an even number)"),
    (head + "count: 1\nhalf: 0\nshare: 0.5", "s.yaml: line 6: share: has no meaning for one (leave it out)"),
    (head + "block: 64", "s.yaml: line 4: block: \"64\" is not a known value (allowed: 32, row)"),
    (
      head + "colour: red",
      "s.yaml: line 4: colour: unknown key (known here: block, count, furl, half, name, parts, share)"
    ),
    (
      head + "count: 7\nhalf: 2\ncolour: blue",
      "s.yaml: line 6: colour: \"blue\" is not supported yet (allowed: red, green)"
    ),
    (
      "furl: 1\nname: x\nparts: [{size: 10}]", "s.yaml: line 3: parts[0].size: 10 is out of range (allowed: 1 to 9)"
    ),
    (
      "furl: 1\nname: x\nparts: [{sise: 1}]",
      "s.yaml: line 3: parts[0].sise: unknown key (did you mean size? known here: colour, size)"
    ),
  ])
  func mistakesAreNamed(_ text: String, _ message: String) {
    let error = #expect(throws: FurlError.self) { try read(text) }
    #expect(error?.description == message)
  }

  @Test func whatIsDeclaredIsDescribed() throws {
    let outline = Sample.declaration.outline
    #expect(outline.keys.map(\.key) == ["furl", "name", "count", "half", "share", "block", "parts", "colour"])
    #expect(outline.keys.map(\.isRequired) == [true, true, false, false, false, false, true, false])
    #expect(outline.keys[2].standard == 4 && outline.keys[3].standardWords == "half of `count`")
    #expect(outline.keys[4].conditions == ["It has no meaning for one."])
    #expect(outline.keys[7].conditions == ["Only with count: 7."])
    #expect(outline.rules == ["`half`: is odd (give an even number)."])
    #expect(outline.all.map(\.name) == ["sample", "part"])
    #expect(Sample.declaration.field(at: \Sample.count)?.outline.key == "count")
    let schema = outline.schema(file: "s.json")
    #expect(schema["required"] == ["furl", "name", "parts"] && schema["additionalProperties"] == false)
    #expect(
      schema["properties"]?["count"]?.compactText
        == #"{"description":"How many.","type":"integer","minimum":1,"default":4}"#)
    #expect(schema["properties"]?["block"]?["enum"] == [32, "row"])
    #expect(schema["properties"]?["parts"]?["items"]?["$ref"] == "#/$defs/part")
    #expect(schema["$defs"]?["part"]?["properties"]?["size"]?["maximum"] == 9)
  }

  @Test(arguments: [
    ("60MB", 60e6), ("1.5 GB", 1.5e9), ("4096", 4096), ("7kB", 7e3), ("7 KB", 7e3), ("2 tb", 2e12), ("5B", 5),
    (".5MB", 5e5),
  ])
  func sizesHaveOneGrammar(_ text: String, _ bytes: Double) { #expect(ByteSize.bytes(text) == bytes) }

  @Test(arguments: ["", "MB", "5 MiB", "-5MB", "0MB", "much", "nanB", "infMB", "5 MB more", "1e400"])
  func whatIsNoSize(_ text: String) { #expect(ByteSize.bytes(text) == nil) }
}
