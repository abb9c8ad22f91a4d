import Foundation
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Testing

@testable import FurlReport
@testable import FurlSpec

/// Documents that are judged without a model, explained, and drafted.
@Suite struct DocumentCheckTests {
  @Test(
    arguments: [
      ("recipes/minipy-int8.yaml", "recipe", "minipy-int8", "1 step, 2 gates"),
      ("gates/minipy.yaml", "gates", nil, "2 gates"),
      ("checkpoints/minipy/lines.yaml", "suite", "lines", "1000 problems of lines"),
      ("checkpoints/minipy/validation.yaml", "suite", "validation", "a text"),
      ("sweeps/cuts.yaml", "sweep", "cuts", nil),
    ] as [(String, String, String?, String?)])
  func shippedDocumentsAreRight(_ path: String, _ form: String, _ name: String?, _ contents: String?) throws {
    let check = try DocumentCheck(path: TestData.root + "/" + path)
    #expect(check.form.rawValue == form && check.name == name)
    if let contents { #expect(check.contents == contents) }
  }

  @Test(arguments: [
    ("furl: 1\nrecipee: x\nsteps: []\n", "did you mean recipe?"), ("furl: 1\n", "one of these keys"),
    ("furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: int8, blok: 32}\n", "did you mean block?"),
    ("furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: int8, keep: [nrom]}\n", "did you mean norm?"),
    ("furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: it8}\n", "did you mean int8?"),
    ("furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: fp8}\n", "allowed: int8, "),
    ("furl: 1\ngates:\n  - {suite: a, metric: pass_at_1, max_dorp: 0.1}\n", "did you mean max_drop?"),
  ])
  func mistakesSayWhatWasMeant(_ text: String, _ words: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(text.utf8), to: folder + "/x.yaml")
      let error = #expect(throws: FurlError.self) { try DocumentCheck(path: folder + "/x.yaml") }
      #expect(error?.kind == .input && error?.remedy?.contains(words) == true, "\(error.map { "\($0)" } ?? "")")
    }
  }

  @Test func everyKeyOfARecipeIsExplained() throws {
    for shipped in ShippedRecipe.all {
      let recipe = try shipped.recipe()
      let lines = DocumentExplanation.lines(recipe.json, of: Recipe.declaration.outline)
      func count(_ value: JSON) -> Int {
        switch value {
        case .object(let members): members.reduce(0) { $0 + ($1.value == .null ? 0 : 1 + count($1.value)) }
        case .array(let elements): elements.reduce(0) { $0 + count($1) }
        default: 0
        }
      }
      #expect(lines.count == count(recipe.json), "\(shipped.name): \(lines)")
      #expect(lines.allSatisfy { $0.contains(":") && $0.contains("  # ") && !$0.hasSuffix("# ") })
    }
  }

  @Test func aDraftFitsItsCheckpoint() throws {
    for name in ["minipy", "minimoe"] {
      let checkpoint = try Checkpoint(path: TestData.root + "/checkpoints/" + name)
      let draft = try RecipeDraft(checkpoint, name: "x")
      try TestData.withTemporaryFolder { folder in
        try TestData.write(Array(draft.recipe.utf8), to: folder + "/recipe.yaml")
        try TestData.write(Array(draft.gates.utf8), to: folder + "/gates.yaml")
        #expect(try DocumentCheck(path: folder + "/recipe.yaml").name == "x")
        // The file's size, and the three suites beside the checkpoint.
        #expect(try DocumentCheck(path: folder + "/gates.yaml").contents == "4 gates")
      }
      #expect(draft.recipe.contains("method: gptq") == (name == "minimoe"))
      // Someone who begins has every line explained.
      #expect(draft.recipe.split(separator: "\n").count { $0.contains("#") } >= 5)
    }
  }

  @Test(arguments: [
    ("checkpoints/minipy", "minipy"), ("a/Qwen3 Coder (30B)/", "Qwen3-Coder--30B-"), ("x/model.gguf", "model"),
    ("/", "model"), ("...", "model"), ("é", "model"),
  ])
  func namesFollowFromPaths(_ path: String, _ name: String) { #expect(RecipeDraft.name(for: path) == name) }
}
