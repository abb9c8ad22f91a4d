import FurlTokenizer
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTransform
import Testing

/// Recipes with a budget: what they say, and that what comes out keeps it.
@Suite struct BudgetTests {
  private static let calibration = "calibration: {text: 'checkpoint:calibration.txt', samples: 12, length: 128}"
  private static let coded = "{goal: disk, method: gptq}"
  private static let fixed =
    "{weights: int4, block: 64, method: gptq, choices: [{weights: int4, block: 32}, {weights: int8, block: row}]}"

  private static func recipe(_ step: String, _ budget: String) throws -> Recipe {
    try Fixtures.recipe("  - quantize: \(step)", more: "\(calibration)\nbudget: \(budget)")
  }

  /// The bundled model's first blocks.
  private static func withModel(blocks: Int, _ body: (_ folder: String) throws -> Void) throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(blocks)
      try sample.write(to: folder + "/source")
      try body(folder)
    }
  }

  @discardableResult
  private static func write(_ recipe: Recipe, _ folder: String, _ name: String, threads: Int = 2) throws
    -> CompressionResult
  {
    try Compressor(Checkpoint(folder: folder + "/source"), recipe: recipe)
      .write(to: folder + "/" + name, pool: WorkerPool(threads: threads))
  }

  /// The KL divergence from the checkpoint on text that no calibration has seen.
  private static func divergence(_ folder: String, _ name: String) throws -> Double {
    let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
    let source = try LoadedModel(path: folder + "/source", context: context)
    let artifact = try LoadedModel(path: folder + "/" + name, context: context)
    let text = String(decoding: try TestData.bytes(TestData.minipy + "/validation.txt").prefix(6000), as: UTF8.self)
    let ids = Array(source.tokenizer.encode(text, bos: .never).prefix(512))
    var sum = 0.0
    try Likelihood(source.session(), artifact.session()).forEachPosition(ids) { _, logits, row in
      let (p, q) = (Likelihood.logProbabilities(logits[0], row: row), Likelihood.logProbabilities(logits[1], row: row))
      sum += Likelihood.divergence(of: p, from: q)
    }
    return sum / Double(ids.count)
  }

  // MARK: The recipe

  @Test(arguments: [
    (coded, "{disk: 90MB}", #""budget":{"disk":90000000}"#),
    (coded, "{disk: 1.5 GB}", #""budget":{"disk":1500000000}"#),
    (coded, "{disk: 12345}", #""budget":{"disk":12345}"#),
    (coded, "{bits_per_weight: 4.25}", #""budget":{"bits_per_weight":4.25}"#),
    (fixed, "{memory: 60kB}", #""budget":{"memory":60000}"#),
    (fixed, "{kl_divergence: 0.01}", #""budget":{"kl_divergence":0.01}"#),
    ("{goal: disk, least_bits: 3, most_bits: 5, embedding_bits: 6}", "{disk: 1MB}", #""most_bits":5"#),
  ])
  func theCanonicalFormIsTheSameRecipe(_ sample: (step: String, budget: String, text: String)) throws {
    let recipe = try Self.recipe(sample.step, sample.budget)
    #expect(recipe.json.canonicalText.contains(sample.text), "\(recipe.json.canonicalText)")
    let again = try Recipe(DocumentReader(recipe.json, file: "again"))
    #expect(again.json == recipe.json && again.digest == recipe.digest)
  }

  @Test(arguments: [
    (coded, "{}", ["budget", "nothing is given"]), (coded, "{disk: 1MB, memory: 1MB}", ["budget", "one goal"]),
    (coded, "{disk: much}", ["budget.disk", "is not a size"]), (coded, "{disk: 0}", ["budget.disk", "out of range"]),
    (coded, "{disk: -1MB}", ["budget.disk", "is not a size"]), (coded, "{speed: 3}", ["budget.speed", "unknown key"]),
    (coded, "{kl_divergence: 0}", ["budget.kl_divergence", "out of range"]),
    (coded, "{memory: 1MB}", ["budget.memory", "does not depend on coded bits"]),
    ("{goal: disk, bits: 3}", "{disk: 1MB}", ["bits", "are chosen by the budget"]),
    ("{goal: disk, least_bits: 5, most_bits: 4}", "{disk: 1MB}", ["most_bits", "not more than least_bits"]),
    ("{goal: disk, choices: [{weights: int8}]}", "{disk: 1MB}", ["choices", "no meaning with goal: disk"]),
    ("{weights: int4}", "{disk: 1MB}", ["budget", "has nothing to choose"]),
    ("{weights: int4, least_bits: 3}", "{disk: 1MB}", ["least_bits", "no meaning with goal: memory"]),
    ("{weights: int4, choices: [{weights: int4}]}", "{disk: 1MB}", ["choices", "twice"]),
    ("{weights: int4, choices: [{block: 32}]}", "{disk: 1MB}", ["choices[0].weights", "is missing"]),
    ("{weights: int4, choices: [{weights: int8, speed: 1}]}", "{disk: 1MB}", ["choices[0].speed", "unknown key"]),
  ])
  func mistakesAreNamed(_ sample: (step: String, budget: String, words: [String])) {
    let error = #expect(throws: FurlError.self) { _ = try Self.recipe(sample.step, sample.budget) }
    for word in ["r.yaml"] + sample.words {
      #expect(error?.description.contains(word) == true, "\(String(describing: error))")
    }
  }

  @Test func whatOnlyABudgetGivesAMeaning() {
    for step in ["{goal: disk, bits: 3, least_bits: 2}", "{weights: int4, choices: [{weights: int8}]}"] {
      let error = #expect(throws: FurlError.self) { _ = try Fixtures.recipe("  - quantize: \(step)") }
      #expect(error?.description.contains("no meaning without a budget") == true, "\(String(describing: error))")
    }
    let error = #expect(throws: FurlError.self) {
      _ = try Fixtures.recipe("  - quantize: \(Self.coded)", more: "budget: {disk: 1MB}")
    }
    #expect(error?.description.contains("calibration") == true, "\(String(describing: error))")
  }

  // MARK: What comes out

  /// Nearly all of the budget is used, never more, the model is better than with the same bits everywhere, the same
  /// bytes come out whatever the threads, and the artifact says what was measured.
  @Test func aFileOfThatSize() throws {
    try Self.withModel(blocks: 2) { folder in
      try Self.write(
        Fixtures.recipe("  - quantize: {goal: disk, bits: 4, embedding_bits: 4, method: gptq}", more: Self.calibration),
        folder, "even.furl")
      let size = try TestData.bytes(folder + "/even.furl").count
      let recipe = try Self.recipe(Self.coded, "{disk: \(size)}")
      let result = try Self.write(recipe, folder, "budget.furl")
      #expect(
        result.diskBytes <= size && Double(result.diskBytes) >= 0.99 * Double(size), "\(result.diskBytes) of \(size)")
      try Self.write(recipe, folder, "one.furl", threads: 1)
      #expect(try TestData.bytes(folder + "/one.furl") == TestData.bytes(folder + "/budget.furl"))
      let (even, chosen) = (try Self.divergence(folder, "even.furl"), try Self.divergence(folder, "budget.furl"))
      print("budget: KL divergence \(chosen) in the bytes in which 4 bits everywhere have \(even)")
      #expect(chosen < 0.8 * even)
      let details = try Artifact(path: folder + "/budget.furl").description.recipe.details["budget"]
      #expect(details?["goal"]?["disk"]?.integer == size)
      let tensors = try #require(details?["tensors"]?.array)
      #expect(tensors.count == 14)
      for tensor in tensors {
        let measured = (tensor["measured"]?.array ?? []).compactMap { $0["kl_divergence"]?.number }
        #expect(measured.count == 4 && measured[0] > measured[3], "\(tensor.compactText)")
      }
    }
  }

  @Test func weightsOfThatSize() throws {
    try Self.withModel(blocks: 2) { folder in
      let recipe = try Self.recipe(Self.fixed, "{memory: 2900kB}")
      let result = try Self.write(recipe, folder, "a.furl")
      #expect(result.weightBytes <= 2_900_000 && result.weightBytes >= 2_871_000, "\(result.weightBytes)")
      let schemes = Set(try Artifact(path: folder + "/a.furl").tensors.map(\.scheme.name)).subtracting(["float32"])
      #expect(schemes.count > 1 && schemes.isSubset(of: ["int4:64", "int4:32", "int8:row"]))
    }
  }

  @Test func modelsAsNearAsThat() throws {
    try Self.withModel(blocks: 1) { folder in
      var sizes: [Int] = []
      for nats in [0.02, 0.005] {
        sizes.append(try Self.write(Self.recipe(Self.coded, "{kl_divergence: \(nats)}"), folder, "a.furl").diskBytes)
        let found = try Self.divergence(folder, "a.furl")
        print("budget: KL divergence \(found) on other text where \(nats) was asked for")
        #expect((nats / 2...nats * 2).contains(found), "\(found)")
      }
      #expect(sizes[0] < sizes[1])
    }
  }

  @Test func whatCannotBe() throws {
    try Self.withModel(blocks: 1) { folder in
      for (step, budget) in [(Self.coded, "{disk: 100kB}"), (Self.fixed, "{memory: 1MB}")] {
        let error = #expect(throws: FurlError.self) {
          try Self.write(Self.recipe(step, budget), folder, "a.furl")
        }
        #expect(error?.description.contains("the least that the steps allow") == true, "\(String(describing: error))")
      }
    }
  }
}
