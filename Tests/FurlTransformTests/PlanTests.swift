import FurlSpec
import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlTestSupport
@testable import FurlTransform
import Testing

@Suite struct PlanTests {
  private let checkpoint: Checkpoint

  init() throws { checkpoint = try Checkpoint(folder: TestData.minipy) }

  private func schemes(_ steps: String) throws -> [String: String] {
    let plan = try Plan(Fixtures.recipe(steps), for: checkpoint.spec)
    return Dictionary(uniqueKeysWithValues: plan.tensors.map { ($0.spec.name, $0.scheme.name) })
  }

  @Test func rolesDecideTheSchemes() throws {
    let schemes = try schemes("  - quantize: {weights: int4, block: 64, embeddings: int8}")
    #expect(schemes.count == 100)
    for (name, scheme) in schemes {
      let isVector = name.hasSuffix("norm") || name.hasSuffix(".bias")
      let isTop = ["embedding", "positions"].contains(name)
      #expect(scheme == (isVector ? "float32" : isTop ? "int8:64" : "int4:64"), "\(name)")
    }
  }

  @Test(arguments: [
    ("int8", "int8:32", "int8:32"), ("int8, block: row", "int8:row", "int8:row"),
    ("int4, zero: minimum, block: 128", "int4-minimum:128", "int4-minimum:128"),
    ("int4, zero: minimum, embeddings: int8", "int4-minimum:32", "int8:32"),
    ("int4, zero: symmetric, embeddings: int4", "int4:32", "int4:32"),
    ("int8, embeddings: int4, block: 64", "int8:64", "int4:64"),
  ])
  func settingsDecideTheScheme(_ sample: (keys: String, linear: String, embedding: String)) throws {
    let schemes = try schemes("  - quantize: {weights: \(sample.keys)}")
    #expect(schemes["blocks.3.mlp.up"] == sample.linear && schemes["embedding"] == sample.embedding)
    #expect(schemes["positions"] == sample.embedding && schemes["norm"] == "float32")
  }

  @Test func overridesByRangeRoleGlobAndName() throws {
    let schemes = try schemes(
      """
        - quantize:
            weights: int4
            keep: [norm, bias, positions, blocks.5.attention.output]
            overrides:
              - {match: blocks.0-1.mlp.down, weights: int8}
              - {match: blocks.4.mlp.down, weights: int8, block: row}
              - {match: "blocks.?.attention.v*e", weights: int4, zero: minimum}
              - {match: mlp.up, weights: int8, block: 128}
              - {match: embedding, weights: int8}
              - {match: "*.2.*.key", weights: int8, block: 64}
      """)
    for block in 0..<6 {
      let name = "blocks.\(block)."
      #expect(schemes[name + "mlp.down"] == (block < 2 ? "int8:32" : block == 4 ? "int8:row" : "int4:32"))
      #expect(schemes[name + "attention.value"] == "int4-minimum:32")
      #expect(schemes[name + "mlp.up"] == "int8:128")
      #expect(schemes[name + "attention.key"] == (block == 2 ? "int8:64" : "int4:32"))
      #expect(schemes[name + "attention.output"] == (block == 5 ? "float32" : "int4:32"))
    }
    #expect(schemes["embedding"] == "int8:32" && schemes["positions"] == "float32")
  }

  @Test(arguments: [
    (
      "overrides: [{match: blocks.6.mlp.up, weights: int8}]",
      "overrides[0].match: \"blocks.6.mlp.up\" names blocks that there are not (the model has 6"
    ),
    ("overrides: [{match: head, weights: int8}]", "\"head\" matches no tensor"),
    ("overrides: [{match: \"blocks.*.mlp.gate\", weights: int8}]", "matches no tensor"),
    ("overrides: [{match: \"*norm\", weights: int8}]", "norm is a vector, which stays in FP32"),
    ("overrides: [{match: bias, weights: int8}]", "is a vector"),
    ("overrides: [{match: \"*\", weights: int8}]", "is a vector"),
    ("keep: [norm, bias, head]", "keep: \"head\" matches no tensor"),
    ("keep: [norm, bias, \"x*\"]", "keep: \"x*\" matches no tensor"),
    (
      "overrides: [{match: mlp.up, weights: int8}, {match: \"blocks.0.mlp.up\", weights: int8}]",
      "overrides[0].match: blocks.0.mlp.up is claimed twice"
    ),
    ("keep: [norm, bias, mlp.up], overrides: [{match: mlp.up, weights: int8}]", "blocks.0.mlp.up is claimed twice"),
  ])
  func selectorsThatCannotHold(_ sample: (keys: String, words: String)) throws {
    let recipe = try Fixtures.recipe("  - quantize: {weights: int4, \(sample.keys)}")
    expectError(.input, "r.yaml: line 4: steps[0].quantize", sample.words) {
      _ = try Plan(recipe, for: checkpoint.spec)
    }
  }

  @Test(arguments: [
    (
      "  - quantize: {weights: int4}\n  - quantize: {weights: int8}",
      "line 5: steps[1].quantize: embedding is already quantized"
    ),
    ("  - truncate: {blocks: 6}", "line 4: steps[0].truncate.blocks: 6 of 6 blocks would leave none"),
    ("  - truncate: {blocks: 9223372036854775807}", "would leave none"),
    ("  - truncate: {blocks: [6]}", "line 4: steps[0].truncate.blocks: there is no block 6"),
    ("  - truncate: {blocks: [0, 1, 2, 3, 4, 5]}", "no block would be left"),
    ("  - truncate: {blocks: 3}\n  - truncate: {blocks: 3}", "line 5: steps[1].truncate.blocks: 3 of 3"),
    ("  - truncate: {blocks: 3}\n  - truncate: {blocks: [4]}", "line 5: steps[1].truncate.blocks: there is no block 4"),
    (
      "  - truncate: {blocks: 2}\n  - quantize: {weights: int8, overrides: [{match: blocks.4-5.mlp.up, weights: int4}]}",
      "the model has 4 blocks"
    ),
  ])
  func stepsThatDoNotFit(_ sample: (steps: String, words: String)) throws {
    let recipe = try Fixtures.recipe(sample.steps)
    expectError(.input, "r.yaml: line", sample.words) { _ = try Plan(recipe, for: checkpoint.spec) }
  }

  @Test func twoStepsMayShareTheTensors() throws {
    let schemes = try schemes(
      """
        - quantize: {weights: int8, keep: [norm, bias, "blocks.*"]}
        - quantize: {weights: int4, keep: [norm, bias, embedding, positions]}
      """)
    #expect(schemes["embedding"] == "int8:32" && schemes["blocks.0.mlp.up"] == "int4:32")
  }

  @Test func truncationRenumbersBlocksAndSchemes() throws {
    let plan = try Plan(
      Fixtures.recipe(
        """
          - quantize: {weights: int4, keep: [norm, bias, mlp.up], overrides: [{match: blocks.4.mlp.down, weights: int8}]}
          - truncate: {blocks: [3, 0]}
          - truncate: {blocks: 1}
          - quantize: {weights: int8, block: row, keep: [norm, bias, embedding, positions, attention.*, mlp.down]}
        """.replacing("attention.*", with: "\"*.attention.*\"").replacing(", mlp.down]}", with: ", \"*.down\"]}")),
      for: checkpoint.spec)
    // 1, 2, 4, 5 are left of the first truncation, 1, 2, 4 of the second.
    #expect(plan.spec.blocks.count == 3)
    for (new, old) in [1, 2, 4].enumerated() {
      let tensors = plan.tensors.filter { $0.spec.block == new }
      #expect(tensors.count == 16)
      for tensor in tensors {
        let rest = tensor.spec.name.dropFirst("blocks.\(new).".count)
        #expect(tensor.spec.name.hasPrefix("blocks.\(new).") && tensor.sourceName == "blocks.\(old)." + rest)
      }
      let down = tensors.first { $0.spec.role == .down }
      #expect(down?.scheme.name == (old == 4 ? "int8:32" : "int4:32"))
      #expect(tensors.first { $0.spec.role == .up }?.scheme.name == "int8:row")
    }
  }

  /// Counted from the shapes by hand: 256 columns; 8192 + 512 embeddings; six blocks of 12 x 256 x 256; an int8 block
  /// of 32 takes 34 bytes, an int4 one 18, a row of int8 its codes and 2.
  @Test func rawBytesAreThoseOfTheSchemes() throws {
    let vectors = 4 * (6 * (4 * 256 + 3 * 256 + 256 + 1024 + 256) + 512)
    let linear = 6 * 12 * 256 * 256
    let embeddings = (8192 + 512) * 256
    func raw(_ keys: String) throws -> Int {
      try Plan(Fixtures.recipe("  - quantize: {weights: \(keys)}"), for: checkpoint.spec).rawBytes
    }
    #expect(try raw("int8") == (linear + embeddings) / 32 * 34 + vectors)
    #expect(try raw("int4, embeddings: int8") == linear / 32 * 18 + embeddings / 32 * 34 + vectors)
    #expect(try raw("int4, zero: minimum") == (linear + embeddings) / 32 * 20 + vectors)
    // Rows of 256, but of 1024 in mlp.down.
    let rows = 6 * (9 * 256 + 256) + 8192 + 512
    let half = 6 * 8 * 256 + 6 * 256 + 8192 + 512
    #expect(rows - half == 6 * 256 && half == 6 * 9 * 256 + 8704)
    #expect(try raw("int8, block: row") == linear + embeddings + 2 * half + vectors)
    let plan = try Plan(Fixtures.recipe("  - truncate: {blocks: 1}"), for: checkpoint.spec)
    #expect(plan.rawBytes == 4 * (6_967_296 - 12 * 256 * 256 - 13 * 256))
    #expect(plan.bitsPerWeight == 32)
    #expect(plan.keyValueBytes == 5 * 2 * 2 * 256 * 512)
  }

  @Test func thePlansDocument() throws {
    let recipe = try Fixtures.recipe(
      "  - truncate: {blocks: [0]}\n  - quantize: {weights: int8}", more: "storage: mapped\n")
    let json = try Plan(recipe, for: checkpoint.spec).json(fileUpperBound: 7)
    #expect(
      json["layers"]?.integer == 5 && json["storage"]?.string == "mapped" && json["disk_bytes_at_most"]?.integer == 7)
    #expect(json["recipe"]?.string == "r" && json["recipe_sha256"]?.string == recipe.digest.hex)
    let tensor = json["tensors"]?.array?.first { $0["name"]?.string == "blocks.0.mlp.up" }
    #expect(tensor?["source"]?.string == "blocks.1.mlp.up" && tensor?["scheme"]?.string == "int8:32")
    #expect(tensor?["weight_bytes"]?.integer == 1024 * 256 / 32 * 34 && tensor?["shape"] == [1024, 256])
  }
}
