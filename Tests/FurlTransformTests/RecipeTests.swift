import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTestSupport
import FurlTransform
import Foundation
import Testing

/// What a recipe means, and its canonical form.
@Suite struct RecipeTests {
  @Test func defaults() throws {
    let recipe = try Fixtures.recipe("  - truncate: {blocks: 1}\n  - quantize: {weights: int4}")
    #expect(recipe.name == "r" && recipe.summary == nil && recipe.storage == .compact && recipe.gates.isEmpty)
    #expect(
      recipe.json.canonicalText
        == #"{"furl":1,"recipe":"r","steps":[{"truncate":{"blocks":1,"choose":"last","heal":"none"}},"#
        + #"{"quantize":{"block":32,"embeddings":"int4","keep":["norm","bias"],"method":"nearest","scales":"f16","#
        + #""weights":"int4","zero":"symmetric"}}],"storage":"compact"}"#)
  }

  /// Recipes that say the same in other words.
  @Test(arguments: [
    ("  - quantize: {weights: int8}", "  - quantize: {block: 32, weights: int8, keep: [norm, bias], embeddings: int8}"),
    ("  - quantize: {weights: int8, block: '64'}", "  - quantize: {weights: \"int8\", zero: symmetric, block: 64}"),
    ("  - truncate: {blocks: 2}", "  - truncate: {heal: none, choose: last, blocks: 2}"),
    ("  - truncate: {blocks: [4, 2]}", "  - truncate:\n      blocks:\n        - 2\n        - 4"),
    (
      "  - quantize: {weights: int4, zero: minimum, overrides: [{match: mlp.up, weights: int8}]}",
      "  - quantize: {weights: int4, zero: minimum, overrides: [{match: mlp.up, weights: int8, block: 32, zero: symmetric}]}"
    ),
    ("  - quantize: {weights: int8, scales: ~}", "  - quantize: {weights: int8, scales: f16, method: nearest}"),
  ])
  func sameMeaningSameDigest(_ sample: (one: String, other: String)) throws {
    let one = try Fixtures.recipe(sample.one)
    let other = try Fixtures.recipe(sample.other, more: "storage: compact\ngates: []\n")
    #expect(one.json.canonicalText == other.json.canonicalText && one.digest == other.digest)
  }

  @Test func otherMeaningOtherDigest() throws {
    let recipes = [
      "  - quantize: {weights: int8}", "  - quantize: {weights: int4}", "  - quantize: {weights: int8, block: row}",
      "  - quantize: {weights: int4, zero: minimum}", "  - quantize: {weights: int4, embeddings: int8}",
      "  - quantize: {weights: int8, keep: [norm, bias, embedding]}", "  - truncate: {blocks: 2}",
      "  - truncate: {blocks: [2]}", "  - quantize: {weights: int8, overrides: [{match: mlp.up, weights: int4}]}",
      "  - truncate: {blocks: 2}\n  - quantize: {weights: int8}",
      "  - quantize: {weights: int8}\n  - truncate: {blocks: 2}",
    ]
    let digests =
      try recipes.map { try Fixtures.recipe($0).digest } + [
        Fixtures.recipe(recipes[0], more: "storage: mapped").digest,
        Fixtures.recipe(recipes[0], more: "description: text").digest,
        Fixtures.recipe(recipes[0], more: "gates: [{suite: s, metric: pass_at_1, min: 0.5}]").digest,
      ]
    #expect(Set(digests).count == digests.count)
  }

  /// The canonical form is a recipe that plans the same and has the same canonical form.
  @Test(arguments: [
    "  - quantize: {weights: int8, block: row}",
    "  - quantize: {weights: int4, zero: minimum, block: 64, embeddings: int8}",
    "  - quantize: {weights: int8, block: 128, embeddings: int4}",
    "  - quantize: {weights: int4, zero: minimum}",
    """
      - truncate: {blocks: [5, 1]}
      - quantize:
          weights: int4
          zero: minimum
          keep: [norm, bias, positions, "blocks.3.mlp.*"]
          overrides:
            - {match: blocks.0-1.mlp.up, weights: int8}
            - {match: attention.query, weights: int4, zero: symmetric, block: row}
            - {match: embedding, weights: int4, block: 128}
    """,
  ])
  func theCanonicalFormIsARecipe(_ steps: String) throws {
    let spec = try Checkpoint(folder: TestData.minipy).spec
    let recipe = try Fixtures.recipe(
      steps,
      more: """
        description: "with \\"quotes\\", é and: colons"
        storage: mapped
        gates:
          - {suite: s, metric: pass_at_1, min: 0.5, max_drop: 0.25}
          - {suite: l, metric: edit_similarity, max_drop: 0.1, confidence: 0.9}
        """)
    let text = recipe.json.canonicalText
    for read in [
      try Recipe(YAML.read(Array(text.utf8), file: "c")),
      try Recipe(DocumentReader(JSON.parse(Array(text.utf8), file: "c"), file: "c")),
    ] {
      #expect(read.json.canonicalText == text && read.digest == recipe.digest)
      #expect(read.gates == recipe.gates && read.storage == .mapped && read.summary == recipe.summary)
      let plans = try [recipe, read].map { recipe in
        try Plan(recipe, for: spec).tensors.map { "\($0.sourceName) \($0.scheme)" }
      }
      #expect(plans[0] == plans[1])
    }
  }

  @Test func gatesAreRead() throws {
    let recipe = try Fixtures.recipe(
      "  - quantize: {weights: int8}",
      more: "gates: [{suite: a, metric: pass_at_1, min: 0.25}, {suite: b, metric: exact_match, max_drop: 0.4}]")
    #expect(recipe.gates.map(\.suite) == ["a", "b"] && recipe.gates.map(\.min) == [0.25, nil])
    #expect(recipe.gates.map(\.maxDrop) == [nil, 0.4] && recipe.gates.map(\.confidence) == [nil, 0.95])
  }

  @Test func publishedRecipesAreNamedAsTheirFiles() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Fixtures.recipes).filter { $0.hasSuffix(".yaml") }
    #expect(names.count >= 7)
    for name in names {
      let recipe = try Recipe(path: Fixtures.recipes + "/" + name)
      #expect(recipe.name + ".yaml" == name && recipe.summary?.isEmpty == false)
    }
  }
}
