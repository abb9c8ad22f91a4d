import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTransform
import Testing

/// Steps on a model whose last blocks take keys and values from earlier ones.
@Suite struct SharedKeyPlanTests {
  private static func spec() throws -> ModelSpec {
    try Checkpoint(folder: TestData.root + "/Tests/Fixtures/families/gemma4-shared").spec
  }

  /// Blocks may go as long as one is left that makes what others take.
  @Test func keysMustComeFromSomewhere() throws {
    let spec = try Self.spec()
    let plan = try Plan(Fixtures.recipe("  - truncate: {blocks: [2, 4]}\n"), for: spec)
    #expect(plan.spec.keyBlocks == [0, 1, 2, 2])
    expectError(.input, "r.yaml", "keys and values") {
      _ = try Plan(Fixtures.recipe("  - truncate: {blocks: [0, 2]}\n"), for: spec)
    }
  }

  /// Heads go from all blocks that see the same keys and values; tables are embeddings to a recipe.
  @Test func rolesAreWhatRecipesCallThem() throws {
    let spec = try Self.spec()
    let text = TestData.root + "/Tests/Fixtures/families/gemma4-shared/config.json"
    let pruned = try Plan(
      Fixtures.recipe(
        "  - prune: {groups: [heads], sparsity: 0.5, of: groups, multiple: 1}\n",
        more: "calibration: {text: \(text), samples: 1, length: 8}"),
      for: spec
    ).spec
    #expect(pruned.blocks.map { $0.widths.kvHeads } == Array(repeating: 1, count: 6))
    #expect(pruned.keyBlocks == spec.keyBlocks)
    let plan = try Plan(
      Fixtures.recipe("  - quantize: {weights: int4, block: 32, embeddings: int8}\n"), for: spec)
    func scheme(_ name: String) -> Scheme? { plan.tensors.first { $0.spec.name == name }?.scheme }
    #expect(scheme("blocks.5.input.table") == scheme("embedding"))
    #expect(scheme("blocks.5.input.context") == scheme("blocks.5.attention.query"))
    #expect(scheme("blocks.5.scale") == .float32)
  }
}
