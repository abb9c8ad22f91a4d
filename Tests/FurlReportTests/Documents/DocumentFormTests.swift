import FurlBase
@testable import FurlEvaluate
import FurlReport
import FurlSpec
import FurlTestSupport
import Testing

/// What is published of documents is what their readers declare: schemas and reference pages are files, so that a change is
/// seen in a review; set FURL_WRITE_SNAPSHOTS to write them anew.
@Suite struct DocumentFormTests {
  struct Form: Sendable, CustomTestStringConvertible {
    let name: String
    let title: String
    let outline: DeclarationOutline
    /// Where documents of the form are shipped.
    let folders: [String]
    let read: @Sendable (DocumentReader) throws -> Void

    var testDescription: String { name }
  }

  static let forms: [Form] = [
    Form(
      name: "recipe", title: "Recipes", outline: Recipe.declaration.outline,
      folders: ["recipes", "Tests/Fixtures/documents"]
    ) { _ = try Recipe($0) },
    Form(
      name: "suite-card", title: "Suite cards", outline: SuiteCard.declaration.outline,
      folders: ["suites", "checkpoints/minipy", "checkpoints/smollm2"]
    ) {
      let card = try SuiteCard(declared: $0)
      _ = try SuiteProtocol(card.settings, kind: card.kind)
    },
    Form(name: "gates", title: "Gate files", outline: GateFile.declaration.outline, folders: ["gates"]) {
      _ = try GateFile(declared: $0)
    },
    Form(name: "sweep", title: "Sweeps", outline: SweepPlan.declaration.outline, folders: ["sweeps"]) {
      _ = try SweepPlan(declared: $0)
    },
  ]

  /// Holds a file to a text, or writes it.
  private func expect(_ path: String, _ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let file = TestData.root + "/" + path
    if ProcessInfo.processInfo.environment["FURL_WRITE_SNAPSHOTS"] != nil {
      try TestData.write(Array(text.utf8), to: file)
    }
    let found = String(decoding: (try? TestData.bytes(file)) ?? [], as: UTF8.self)
    #expect(found == text, "\(path): FURL_WRITE_SNAPSHOTS=1 make test writes it anew", sourceLocation: sourceLocation)
  }

  private static func example(_ form: Form) throws -> String {
    String(
      decoding: try TestData.bytes(TestData.root + "/Tests/Fixtures/documents/examples/\(form.name).yaml"),
      as: UTF8.self)
  }

  @Test(arguments: forms)
  func schemasAreThoseOfTheDeclarations(_ form: Form) throws {
    let file = "\(form.name).schema.json"
    try expect("schemas/" + file, form.outline.schema(file: file).prettyText + "\n")
  }

  @Test(arguments: forms)
  func pagesAreThoseOfTheDeclarations(_ form: Form) throws {
    let page = ReferencePage(form.title, example: try Self.example(form), form.outline)
    try expect("docs/reference/\(form.name).md", page.text)
  }

  /// What a page opens with is read.
  @Test(arguments: forms)
  func examplesAreRead(_ form: Form) throws {
    let page = String(decoding: try TestData.bytes(TestData.root + "/docs/reference/\(form.name).md"), as: UTF8.self)
    let parts = page.split(separator: "```", maxSplits: 2)
    try #require(parts.count == 3 && parts[1].hasPrefix("yaml\n"))
    let reader = try YAML.read(
      Array(parts[1].dropFirst(5).utf8), file: TestData.root + "/\(form.folders[0])/example.yaml")
    let value = reader.value
    try form.read(reader)
    let problems = try JSONSchema(form.name).problems(value)
    #expect(problems.isEmpty, "\(problems)")
    // It shows what there is.
    let rare: Set = form.name == "recipe" ? ["budget", "codes"] : []
    #expect(Set(form.outline.keys.map(\.key)).subtracting(value.members?.map(\.key) ?? []) == rare)
  }

  @Test(arguments: forms)
  func shippedDocumentsFitTheirSchemas(_ form: Form) throws {
    let schema = try JSONSchema(form.name)
    var count = 0
    for folder in form.folders.map({ TestData.root + "/" + $0 }) {
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix(".yaml") {
        let value = try YAML.read(path: folder + "/" + name).value
        // Null is what is not there.
        let given = JSON.object((value.members ?? []).filter { $0.value != .null })
        let problems = schema.problems(given)
        #expect(problems.isEmpty, "\(name): \(problems.prefix(4))")
        count += 1
        guard form.name == "recipe" else { continue }
        let canonical = schema.problems(try Recipe(path: folder + "/" + name).json)
        #expect(canonical.isEmpty, "\(name), canonical: \(canonical.prefix(4))")
      }
    }
    #expect(count > 0)
  }

  /// A schema that lets everything through would be no test.
  @Test func wrongDocumentsDoNotFitTheirSchemas() throws {
    for (name, text) in [
      ("recipe", "furl: 2\nrecipe: r\nsteps: []"), ("recipe", "furl: 1\nsteps: []"),
      ("recipe", "furl: 1\nrecipe: a/b\nsteps: []"), ("recipe", "furl: 1\nrecipe: r\nsteps: []\nstore: compact"),
      ("recipe", "furl: 1\nrecipe: r\nsteps: [{quantize: {weights: int9}}]"),
      ("recipe", "furl: 1\nrecipe: r\nsteps: [{prune: {sparsity: 0.99}}]"),
      ("recipe", "furl: 1\nrecipe: r\nsteps: [{quantize: {weights: int8, block: 33}}]"),
      ("recipe", "furl: 1\nrecipe: r\nsteps: [{heal: {train: {text: a, steps: 5}}}]"),
      ("recipe", "furl: 1\nrecipe: r\nsteps: []\nbudget: {disk: much}"),
      ("gates", "furl: 1\ngates: [{suite: a, metric: bleu}]"), ("gates", "furl: 1\ngates: [{suite: a}]"),
      ("gates", "furl: 1\ngates: [{suite: a b, metric: pass_at_1, min: 0.5}]"),
      ("suite-card", "furl: 1\nsuite: s\nkind: words"), ("suite-card", "furl: 1\nsuite: s\nkind: text\nsha256: x"),
      ("suite-card", "furl: 1\nsuite: s\nkind: text\nprotocol: {max_tokens: 0}"),
      ("sweep", "furl: 1\nsweep: s\nrecipes: [{recipes: original}]"), ("sweep", "furl: 1\nsweep: s"),
      ("sweep", "furl: 1\nsweep: s\nrecipes: []\nmeasure: never"),
    ] {
      let value = try YAML.read(Array(text.utf8), file: nil).value
      #expect(try !JSONSchema(name).problems(value).isEmpty, "\(text)")
    }
  }

  /// Every key is explained in one line, which is a sentence.
  @Test(arguments: forms)
  func everyKeyIsExplained(_ form: Form) {
    for mapping in form.outline.all {
      #expect(Set(mapping.keys.map(\.key)).count == mapping.keys.count)
      for key in mapping.keys {
        #expect(key.line.hasSuffix(".") && !key.line.contains("\n") && key.line.count > 8, "\(mapping.name) \(key.key)")
      }
    }
  }
}
