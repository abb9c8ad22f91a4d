import Foundation
import FurlBase
import FurlTestSupport
import Testing

@testable import FurlSpec

/// Recipes that are named without a path are the files in `recipes/`.
@Suite struct ShippedRecipeTests {
  /// The recipes that ship in each generated file: the bundled model's own lie in `recipes/` alone.
  private static func names() throws -> (formats: [String], changes: [String]) {
    let all = try FileManager.default.contentsOfDirectory(atPath: TestData.root + "/recipes")
      .filter { $0.hasSuffix(".yaml") && !$0.hasPrefix("minipy-") }.map { String($0.dropLast(5)) }.sorted()
    let starts = ["bf16", "int", "nf4", "fp4", "small4", "gptq4", "llm-int8", "gguf-"]
    let formats = all.filter { name in starts.contains { name.hasPrefix($0) } }
    return (formats, all.filter { !formats.contains($0) })
  }

  private static func text(_ name: String) throws -> String {
    String(decoding: try TestData.bytes(TestData.root + "/recipes/\(name).yaml"), as: UTF8.self)
  }

  private static func source(_ property: String, _ names: [String]) throws -> String {
    var lines = [
      "// Written by a test from recipes/, and held to it: FURL_WRITE_SNAPSHOTS writes it anew.", "",
      "extension ShippedRecipe {", "  static let \(property): [ShippedRecipe] = [",
    ]
    for name in names {
      lines += ["    ShippedRecipe(", "      name: \"\(name)\",", "      text: #\"\"\""]
      lines += try text(name).split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.isEmpty ? "" : "        " + $0 }
      lines.append("        \"\"\"#),")
    }
    return (lines + ["  ]", "}", ""]).joined(separator: "\n")
  }

  @Test func theSourceIsWrittenFromTheFolder() throws {
    let names = try Self.names()
    for (file, property, list) in [("Formats", "formats", names.formats), ("Changes", "changes", names.changes)] {
      let path = TestData.root + "/Sources/FurlSpec/Recipes/Shipped/ShippedRecipe+\(file).swift"
      let wanted = try Self.source(property, list)
      if ProcessInfo.processInfo.environment["FURL_WRITE_SNAPSHOTS"] != nil {
        try TestData.write(Array(wanted.utf8), to: path)
      }
      #expect(String(decoding: try TestData.bytes(path), as: UTF8.self) == wanted, "\(file)")
    }
  }

  @Test func theyAreTheFilesByteForByte() throws {
    let names = try Self.names()
    #expect(ShippedRecipe.all.map(\.name) == (names.formats + names.changes).sorted())
    for shipped in ShippedRecipe.all {
      #expect(shipped.text == (try Self.text(shipped.name)))
      // The same recipe, the same id of an artifact.
      let file = try Recipe(path: TestData.root + "/recipes/\(shipped.name).yaml")
      #expect(try shipped.recipe().digest == file.digest && file.name == shipped.name)
    }
  }

  @Test func aNameIsAFileFirst() throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/int8"
      try TestData.write(Array("furl: 1\nrecipe: mine\nsteps: [{quantize: {weights: int4}}]\n".utf8), to: path)
      #expect(try Recipe(named: path).name == "mine")
      #expect(Recipe.filesRead(named: path) == [path])
    }
    #expect(try Recipe(named: "int8").name == "int8")
    #expect(try Recipe(named: "int8.yaml").name == "int8")
    #expect(Recipe.filesRead(named: "int8").isEmpty)
  }

  @Test(arguments: [
    ("gptq", "did you mean gptq4?"), ("recipes/int9.yaml", "did you mean int4?"), ("x", "furl recipes"),
  ])
  func whatIsNeitherSaysWhatWasMeant(_ name: String, _ words: String) {
    let error = #expect(throws: FurlError.self) { try Recipe(named: name) }
    #expect(error?.kind == .input && error?.problem == "does not exist")
    #expect(error?.remedy?.contains(words) == true, "\(error?.remedy ?? "")")
  }
}
