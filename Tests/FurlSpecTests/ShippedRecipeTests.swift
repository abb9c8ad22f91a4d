import Foundation
import FurlBase
import FurlTestSupport
import Testing

@testable import FurlSpec

/// Recipes that are named without a path are the files in `recipes/`.
@Suite struct ShippedRecipeTests {
  /// All but the bundled model's own.
  @Test func theyAreTheFilesByteForByte() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: TestData.root + "/recipes")
      .filter { $0.hasSuffix(".yaml") && !$0.hasPrefix("minipy-") }.map { String($0.dropLast(5)) }.sorted()
    #expect(names.count > 30 && ShippedRecipe.all.map(\.name) == names)
    for shipped in ShippedRecipe.all {
      let path = TestData.root + "/recipes/\(shipped.name).yaml"
      #expect(shipped.text == String(decoding: try TestData.bytes(path), as: UTF8.self))
      // The same recipe, the same id of an artifact.
      let file = try Recipe(path: path)
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
