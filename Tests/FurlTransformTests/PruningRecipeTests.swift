import FurlTokenizer
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Foundation
import Testing

/// Groups that are removed for good, from recipe to artifact.
@Suite struct PruningRecipeTests {
  private static let families = [
    "families/gpt2-relu", "families/llama-linear", "families/llama-scaled", "families/phi-quarter",
    "families/qwen2-some-windows", "families/starcoder2-plain",
  ]

  private static func logits(_ model: LanguageModel, pieces: [Int]) throws -> [[Float]] {
    let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
    let session = try Session(model, context: context)
    var draws = SplitMix64(seed: 2)
    let count = min(24, model.spec.contextLength)
    var ids = (0..<count).map { _ in Int(draws.next() % UInt64(model.spec.vocabularySize)) }[...]
    var result: [[Float]] = []
    var index = 0
    while !ids.isEmpty {
      let piece = Array(ids.prefix(pieces[min(index, pieces.count - 1)]))
      ids = ids.dropFirst(piece.count)
      index += 1
      let rows = try session.forward([.init(slot: 0, ids: piece, logits: .all)])
      result += rows[0].map { session.logits[$0] }
    }
    return result
  }

  /// Different groups of every block.
  private static func kept(_ spec: ModelSpec) -> [KeptGroups] {
    spec.blocks.enumerated().map { index, block in
      let removable = RemovableGroups(block, of: spec)
      return KeptGroups(
        heads: (0..<removable.count(.heads)).filter { $0 != index || removable.count(.heads) == 1 },
        neurons: (0..<block.widths.mlpSize).filter { $0 % (index + 3) != 1 })
    }
  }

  /// What reads the groups that go is set to zero; then they go, and every logit stays what it was.
  @Test(arguments: families)
  func removingZerosChangesNothing(_ family: String) throws {
    try TestData.withTemporaryFolder { folder in
      let pool = WorkerPool(threads: 2)
      let source = try Checkpoint(folder: TestData.root + "/Tests/Fixtures/" + family)
      let kept = PruningRecipeTests.kept(source.spec)
      let draft = try ModelDraft(source, folder: folder)
      for (index, block) in source.spec.blocks.enumerated() {
        for kind in [GroupKind.heads, .neurons] {
          let name = "blocks.\(index)." + GroupRemoval.reader(of: kind.group).rawValue
          let stay = try #require(kept[index][kind]?.first)
          let columns = RemovableGroups(block, of: source.spec).columns(kind, kept: stay)
          let weight = try source.floats(name)
          try draft.set(name, weight.gather(columns: columns).scattered(to: columns, of: weight.columns))
        }
      }
      let zeroed = try draft.finish(source.spec)
      let removed = try GroupRemoval(model: zeroed).remove(keeping: kept, folder: folder)
      #expect(Set(removed.spec.blocks.map(\.widths.mlpSize)).count == 2)
      #expect(removed.spec.parameterCount < source.spec.parameterCount)
      let model = try LanguageModel(removed, pool: pool)
      let (own, expected) = (
        try PruningRecipeTests.logits(model, pieces: [64]),
        try PruningRecipeTests.logits(LanguageModel(zeroed, pool: pool), pieces: [64])
      )
      var worst = Worst()
      for (row, other) in zip(own, expected) {
        for (a, b) in zip(row, other) { worst.add(Double(a), Double(b), bound: 1e-4, "a logit") }
      }
      #expect(own.count == expected.count && worst.share <= 1, "\(worst.place)")
      // Token by token is as good as all at once.
      #expect(try PruningRecipeTests.logits(model, pieces: [1]) == own)
      #expect(try PruningRecipeTests.logits(model, pieces: [5, 1, 7, 3]) == own)
    }
  }

  private static let pruning = """
      - prune: {sparsity: 0.4, multiple: 16}
      - quantize: {weights: int4, method: gptq, embeddings: int8}

    """
  /// The bundled model's first blocks.
  private static func model(blocks: Int, in folder: String) throws -> Checkpoint {
    var sample = try SampleCheckpoint(folder: TestData.minipy)
    sample.keepBlocks(blocks)
    try sample.write(to: folder + "/source")
    return try Checkpoint(folder: folder + "/source")
  }

  private static let calibration = "calibration: {text: \"checkpoint:calibration.txt\", samples: 6, length: 96}\n"

  /// Prune, quantize what is left by what it computes, store: widths are multiples, the share is what was asked for,
  /// the artifact opens and runs, and threads change no byte.
  @Test func pruneThenQuantize() throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try Fixtures.recipe(PruningRecipeTests.pruning, more: PruningRecipeTests.calibration)
      let checkpoint = try Self.model(blocks: 2, in: folder)
      var bytes: [[UInt8]] = []
      for threads in [1, 2] {
        let path = folder + "/\(threads).furl"
        let result = try Compressor(checkpoint, recipe: recipe).write(to: path, pool: WorkerPool(threads: threads))
        bytes.append(try MappedFile(path: path).readAll(limit: 1 << 26))
        #expect(result.changes.count == 1)
      }
      #expect(bytes[0] == bytes[1])
      let file = try ModelFile(path: folder + "/1.furl")
      let (own, source) = (file.spec, checkpoint.spec)
      let share = 1 - Double(own.blockLinearCount) / Double(source.blockLinearCount)
      #expect(share >= 0.4 && share < 0.42, "\(share)")
      let widths = own.blocks.map(\.widths)
      #expect(widths.allSatisfy { $0.mlpSize % 16 == 0 && $0.mlpSize >= 16 && $0.heads == $0.kvHeads })
      #expect(Set(own.blocks.map(\.widths.mlpSize)).count > 1)
      guard case .artifact(let weights) = file else { throw FurlError(.defect, "not an artifact") }
      let change = try #require(weights.artifact.description.recipe.details["changes"]?.array?.first)
      let blocks = try #require(change["sparsity"]?["blocks"]?.number)
      let model = try #require(change["sparsity"]?["model"]?.number)
      #expect(abs(blocks - share) < 1e-9)
      #expect(abs(model - 1 + Double(own.parameterCount) / Double(source.parameterCount)) < 1e-9)
      let loaded = try file.load(pool: WorkerPool(threads: 2))
      #expect(try PruningRecipeTests.logits(loaded, pieces: [24]).joined().allSatisfy(\.isFinite))
      // The plan says about what comes out, and a bound that holds.
      let compressor = try Compressor(checkpoint, recipe: recipe)
      #expect(try compressor.fileUpperBound() >= bytes[0].count)
      #expect(abs(Double(compressor.plan.spec.blockLinearCount) / Double(own.blockLinearCount) - 1) < 0.1)
    }
  }

  /// A refit is nearer to the model than a bias alone, and a choice than chance.
  @Test func refitsLowerTheDivergence() throws {
    try TestData.withTemporaryFolder { folder in
      let pool = WorkerPool(threads: 2)
      let checkpoint = try Self.model(blocks: 2, in: folder)
      let ids = Array(
        try ModelFile.checkpoint(checkpoint).tokenizer().encode(
          String(
            decoding: MappedFile(path: TestData.minipy + "/validation.txt").readAll(limit: 1 << 22), as: UTF8.self),
          bos: .never
        ).prefix(240))
      let context = ComputeContext(pool: pool, kernels: try Kernels())
      let whole = try Session(LanguageModel(checkpoint, pool: pool), context: context)
      func divergence(_ settings: String) throws -> Double {
        let recipe = try Fixtures.recipe(
          "  - prune: {sparsity: 0.3, groups: [neurons], of: groups, \(settings)}\n",
          more: PruningRecipeTests.calibration)
        let path = folder + "/m.furl"
        _ = try Compressor(checkpoint, recipe: recipe).write(to: path, pool: pool)
        let pruned = try Session(ModelFile(path: path).load(pool: pool), context: context, format: .float32)
        var sum = 0.0
        try Likelihood(pruned, whole).forEachPosition(ids) { _, logits, row in
          sum += Likelihood.divergence(
            of: Likelihood.logProbabilities(logits[1], row: row), from: Likelihood.logProbabilities(logits[0], row: row)
          )
        }
        return sum / Double(ids.count)
      }
      let (squares, bias, none) = (
        try divergence("refit: squares"), try divergence("refit: bias"), try divergence("refit: none")
      )
      let random = try divergence("choose: random, seed: 3, refit: none")
      #expect(squares < bias && none < random, "\(squares) \(bias) \(none) \(random)")
      let (uniform, measured) = (
        try divergence("choose: variance, allocation: uniform"),
        try divergence("choose: variance, allocation: measured")
      )
      #expect(measured < uniform, "\(measured) \(uniform)")
    }
  }

  /// What a layer's loss does to predictions decides how much it loses, whatever its importances are: the last layer is
  /// made to matter a hundred times less.
  @Test func layersLoseByWhatIsMeasured() throws {
    try TestData.withTemporaryFolder { folder in
      let checkpoint = try Self.model(blocks: 2, in: folder)
      let draft = try ModelDraft(checkpoint, folder: folder)
      let down = try checkpoint.floats("blocks.1.mlp.down")
      try draft.set(
        "blocks.1.mlp.down", Matrix(down.values.map { $0 / 100 }, rows: down.rows, columns: down.columns))
      let model = try draft.finish(checkpoint.spec)
      let widths = try [1, 2].map { threads in
        let recipe = try Fixtures.recipe(
          "  - prune: {sparsity: 0.3, groups: [neurons], of: groups, choose: random, allocation: measured}\n",
          more: PruningRecipeTests.calibration)
        let sample = try CalibrationSample(
          #require(recipe.calibration), for: checkpoint, tokenizer: ModelFile.checkpoint(checkpoint).tokenizer())
        guard case .prune(let step) = recipe.steps[0] else { throw FurlError(.defect, "no step") }
        let context = ChangeContext(
          sequences: sample.sequences, probes: sample.probes,
          math: DenseMath(pool: WorkerPool(threads: threads), kernels: try Kernels.forTransforms()), folder: folder
        ) { _, _, _ in }
        return try GroupPruning(step: step, model: model, context: context).run().model.spec.blocks.map(
          \.widths.mlpSize)
      }
      let whole = checkpoint.spec.blocks.map(\.widths.mlpSize)
      #expect(widths[0] == widths[1])
      // The limit is 0.4, a third more than the same share of both.
      #expect(whole[1] - widths[0][1] == whole[1] * 2 / 5 / 16 * 16, "\(whole) \(widths)")
      #expect(whole[0] - widths[0][0] < whole[0] * 3 / 10)
    }
  }

  /// The published recipes, on the small checkpoint of the family that they are for: as much goes as they say.
  @Test(arguments: PublishedRecipe.all.filter(\.isPruned))
  func published(_ expected: PublishedRecipe) throws {
    guard case .pruned(let least, let ofAll) = expected.kind else { return }
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/m.furl"
      let checkpoint = try Self.model(blocks: 1, in: folder)
      let recipe = try Recipe(path: Fixtures.recipes + "/\(expected.name).yaml")
      // Of all parameters, embeddings counted, so many go only where there are more blocks than here.
      guard !ofAll else {
        #expect(try Compressor(checkpoint, recipe: recipe).plan.spec.parameterCount < checkpoint.spec.parameterCount)
        return
      }
      let result = try Compressor(checkpoint, recipe: recipe).write(to: path, pool: WorkerPool(threads: 2))
      let artifact = try Artifact(path: path)
      try artifact.check()
      let share = try #require(result.changes.first?["sparsity"]?["blocks"]?.number)
      #expect(share >= least && share < least + 0.05, "\(share)")
      for tensor in artifact.tensors {
        let role = try #require(TensorRole(rawValue: tensor.role))
        #expect(expected.schemes(of: role).contains(tensor.scheme), "\(tensor.name): \(tensor.scheme)")
      }
      // Sizes without what a file of a small model has beside its weights.
      let (whole, own) = (checkpoint.spec.parameterCount * 4, artifact.weightBytes)
      print(
        "\(expected.name): \(Double(own) / Double(whole)) of the FP32 weights, file \(Double(result.diskBytes) / Double(checkpoint.diskBytes))"
      )
    }
  }

  /// Single weights: so many are zero, in 8 bits as well, and no width has changed.
  @Test(arguments: ["wanda", "sparsegpt"])
  func singleWeights(_ method: String) throws {
    try TestData.withTemporaryFolder { folder in
      let checkpoint = try Checkpoint(folder: TestData.minipy)
      let recipe = try Fixtures.recipe(
        "  - prune: {method: \(method), sparsity: 0.5}\n  - quantize: {weights: int8}\n",
        more: PruningRecipeTests.calibration)
      var ids: Set<Digest> = []
      for threads in [1, 2] {
        ids.insert(
          try Compressor(checkpoint, recipe: recipe).write(to: folder + "/m.furl", pool: WorkerPool(threads: threads))
            .artifactID)
      }
      #expect(ids.count == 1)
      let decoded = try Fixtures.decoded(folder + "/m.furl")
      let spec = try ModelFile(path: folder + "/m.furl").spec
      #expect(spec == checkpoint.spec)
      for tensor in spec.tensors where tensor.role.isBlockLinear {
        let zeros = try #require(decoded[tensor.name]).joined().count { $0 == 0 }
        let share = Double(zeros) / Double(tensor.elementCount)
        // Some of what is left is nearest to zero in 8 bits.
        #expect(share >= 0.495 && share < 0.53, "\(tensor.name): \(share)")
      }
    }
  }

  /// Other runtimes get a model as wide as its checkpoint, with zeros; it computes the same, and is a checkpoint that
  /// opens.
  @Test(arguments: ["families/llama-linear", "families/starcoder2-plain", "families/gpt2-relu"])
  func exportsArePaddedWithZeros(_ family: String) throws {
    try TestData.withTemporaryFolder { folder in
      let pool = WorkerPool(threads: 2)
      let source = try Checkpoint(folder: TestData.root + "/Tests/Fixtures/" + family)
      let removal = GroupRemoval(model: source)
      var kept = PruningRecipeTests.kept(source.spec)
      if source.spec.blocks[0].widths.heads == 1 { kept.indices.forEach { kept[$0].heads = nil } }
      let pruned = try removal.remove(keeping: kept, folder: folder)
      let result = try SafetensorsExport(numbers: .f32, shardBytes: .max)
        .write(ExportedModel(.checkpoint(pruned)), to: folder + "/x", pool: pool)
      #expect(result.notes.contains { $0.contains("padded with zeros") })
      let copy = try Checkpoint(folder: folder + "/x")
      #expect(copy.spec == source.spec)
      let (own, expected) = (
        try PruningRecipeTests.logits(LanguageModel(copy, pool: pool), pieces: [64]),
        try PruningRecipeTests.logits(LanguageModel(pruned, pool: pool), pieces: [64])
      )
      for (a, b) in zip(own.joined(), expected.joined()) { #expect(abs(a - b) < 1e-4) }
    }
  }

  @Test func exportsThatCannotBe() throws {
    try TestData.withTemporaryFolder { folder in
      let pool = WorkerPool(threads: 2)
      let recipe = try Fixtures.recipe(PruningRecipeTests.pruning, more: PruningRecipeTests.calibration)
      let checkpoint = try Self.model(blocks: 2, in: folder)
      _ = try Compressor(checkpoint, recipe: recipe).write(to: folder + "/p.furl", pool: pool)
      let model = ExportedModel(try ModelFile(path: folder + "/p.furl"))
      // Codes with zeros around them are no codes any more: only what is asked for is encoded anew.
      expectError(.input, "padded with zeros", "--dtype") {
        _ = try GGUFExport(numbers: nil).write(model, to: folder + "/x.gguf", pool: pool)
      }
      let result = try GGUFExport(numbers: .q4_0).write(model, to: folder + "/x.gguf", pool: pool)
      #expect(result.notes.contains { $0.contains("padded with zeros") } && !result.encodedAnew.isEmpty)
      #expect(try Checkpoint(path: folder + "/x.gguf").spec.blocks == checkpoint.spec.blocks)

      let cut = try Fixtures.recipe("  - truncate: {blocks: 1, heal: linear}\n", more: PruningRecipeTests.calibration)
      _ = try Compressor(checkpoint, recipe: cut).write(to: folder + "/t.furl", pool: pool)
      let healed = ExportedModel(try ModelFile(path: folder + "/t.furl"))
      expectError(.input, "linear map", "heal: none") {
        _ = try GGUFExport(numbers: nil).write(healed, to: folder + "/y.gguf", pool: pool)
      }
      expectError(.input, "linear map") {
        _ = try SafetensorsExport(numbers: .f32, shardBytes: .max).write(healed, to: folder + "/y", pool: pool)
      }
    }
  }

  @Test func errors() throws {
    func refused(_ step: String, _ words: String..., more: String = PruningRecipeTests.calibration) {
      let error = #expect(throws: FurlError.self) { _ = try Fixtures.recipe(step, more: more) }
      for word in words { #expect(error?.description.contains(word) ?? false, "\(error?.description ?? "")") }
    }
    refused("  - prune: {}\n", "line 4", "sparsity", "missing")
    refused("  - prune: {sparsity: 1.2}\n", "line 4", "out of range")
    refused("  - prune: {sparsity: 0.5, groups: [tails]}\n", "tails", "heads, neurons")
    refused("  - prune: {sparsity: 0.5, groups: [heads, heads]}\n", "different")
    refused("  - prune: {sparsity: 0.5, shape: round}\n", "unknown key")
    refused("  - prune: {sparsity: 0.5, seed: 1}\n", "choose: random")
    refused("  - prune: {sparsity: 0.5}\n", "calibration", more: "")
    refused("  - truncate: {blocks: 1, choose: angular}\n", "calibration", more: "")
    refused("  - quantize: {weights: int8}\n  - prune: {sparsity: 0.5}\n", "line 5", "behind quantize")
    refused("  - prune: {method: wanda, sparsity: 0.5, multiple: 16}\n", "multiple", "single weights")
    refused("  - prune: {method: wanda, sparsity: 0.5, of: model}\n", "of")
    refused(
      "  - prune: {method: wanda, sparsity: 0.5}\n  - quantize: {weights: int4, method: gptq}\n", "line 5", "nearest")
    refused("  - truncate: {blocks: 1, choose: first}\n", "choose")
    try TestData.withTemporaryFolder { folder in
      let recipe = try Fixtures.recipe(
        "  - prune: {sparsity: 0.9, limit: 0.5, choose: variance}\n", more: PruningRecipeTests.calibration)
      expectError(.input, "line 4", "cannot be reached", "limit") {
        _ = try Compressor(Checkpoint(folder: TestData.minipy), recipe: recipe)
          .write(to: folder + "/m.furl", pool: WorkerPool(threads: 2))
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func allocationsKeepMultiplesAndLimits() {
    func layer(_ block: Int, _ importances: [Double], chunk: Int, least: Int) -> GroupAllocation.AllocatedLayer {
      .init(block: block, kind: .neurons, importances: importances, weights: 10, chunk: chunk, least: least)
    }
    let allocation = GroupAllocation(layers: [
      layer(0, [9, 1, 8, 2, 7, 3, 6, 4, 5], chunk: 2, least: 4),
      layer(1, (0..<8).map { 0.1 + Double($0) / 100 }, chunk: 4, least: 4),
    ])
    #expect(allocation.most == 90)
    // The cheap layer gives its chunk of four first, then the dear one what is beyond a multiple of two.
    let (kept, removed) = allocation.remove(weights: 45)
    #expect(kept == [[0, 2, 3, 4, 5, 6, 7, 8], [4, 5, 6, 7]] && removed == 50)
    #expect(allocation.remove(weights: 1000).removed == 90)
    #expect(allocation.removeEvenly(share: 0.5).kept.map(\.count) == [4, 4])
  }

  /// Pools lose as many groups as each other, each those that are worth least to it.
  @Test func poolsLoseAsMany() {
    let pools = GroupPools(importances: [[4, 1, 3, 2], [10, 40, 20, 30]])
    #expect(pools.steps == [11, 22, 33, 44])
    #expect(pools.kept([2, 3]) == [[0, 2], [1, 3]])
    #expect(pools.kept([0, 1, 2, 3]) == [[0, 1, 2, 3], [0, 1, 2, 3]])
    let one = GroupPools(importances: [[4, 1, 3, 2]])
    #expect(one.steps == [4, 1, 3, 2] && one.kept([0, 2]) == [[0, 2]])
    // Of equals the first goes first.
    #expect(GroupPools(importances: [[1, 1, 1], [5, 0, 5]]).kept([1, 2]) == [[1, 2], [0, 2]])
  }
}
