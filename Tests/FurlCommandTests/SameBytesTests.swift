import FurlBase
import FurlEvaluate
import FurlTensor
import FurlTestSupport
import Testing

/// An artifact does not depend on the CPU that it was made on: whichever kernels compute, the file is the same.
@Suite struct SameBytesTests {
  /// Calibration, training, pruning and choices by measurement, each on little text.
  private static let recipes: KeyValuePairs = [
    "feedback": "  - quantize: {weights: int4, block: 32, method: gptq, search: true, embeddings: int8}",
    "outliers": "  - quantize: {weights: int8, block: 32, embeddings: int8, outliers: {threshold: 3, share: 0.05}}",
    "scaled": "  - quantize: {weights: int3, block: 64, method: awq, embeddings: int8}",
    "coded": "  - quantize: {goal: disk, bits: 4, embedding_bits: 4, method: gptq}",
    "pruned": """
      - prune: {method: group-lasso, sparsity: 0.3, of: blocks, groups: [heads, neurons], fit: reconstruct, multiple: 16}
      - quantize: {weights: int8, block: 32, embeddings: int8}
    """,
    "cut": """
      - truncate: {blocks: 1, choose: angular, heal: linear}
      - quantize: {weights: int8, block: 32, embeddings: int8}
    """,
    "healed": """
      - truncate: {blocks: 1, choose: last}
      - heal: {train: {text: "checkpoint:calibration.txt", steps: 2, batch: 2, length: 32, rate: 1.0e-3}}
      - quantize: {weights: int8, block: 32, embeddings: int8}
    """,
  ]

  @Test(arguments: recipes.map(\.key)) func everyTierWritesTheSame(_ name: String) async throws {
    let steps = try #require(Self.recipes.first { $0.key == name }?.value)
    try await TestData.withTemporaryFolder { folder in
      let recipe = folder + "/recipe.yaml"
      let text = """
        furl: 1
        recipe: \(name)
        steps:
        \(steps)
        \(name == "healed" ? "" : "calibration: {text: \"checkpoint:calibration.txt\", samples: 3, length: 48}")

        """
      try TestData.write(Array(text.utf8), to: recipe)
      var artifacts: [String: [UInt8]] = [:]
      // "scalar" stands for the portable tier here.
      for tier in Kernels.supported where tier != "portable" {
        let path = "\(folder)/\(tier).furl"
        let result = try await Tool.run(
          "compress", TestData.minipy, "--recipe", recipe, "--output", path, "--threads", "2",
          environment: ["FURL_ISA": tier])
        try #require(result.status == 0, "\(result.errors)")
        artifacts[tier] = try TestData.bytes(path)
      }
      #expect(artifacts.count == Kernels.supported.count - 1)
      #expect(Set(artifacts.values).count == 1, "\(artifacts.mapValues { Digest(of: $0).hex })")
    }
  }
}
