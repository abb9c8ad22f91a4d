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
import Testing

/// Which blocks go, and what stands in for them.
@Suite struct TruncationTests {
  private static let calibration = "calibration: {text: \"checkpoint:calibration.txt\", samples: 12, length: 96}\n"
  private let math: DenseMath
  private var pool: WorkerPool { math.pool }

  init() throws { math = DenseMath(pool: WorkerPool(threads: 2), kernels: try Kernels.forTransforms()) }

  /// Against Hugging Face transformers: families with learned and rotary positions, sequential and parallel residuals.
  @Test func angularDistancesAreThoseOfTransformers() throws {
    let path = TestData.root + "/Tests/Fixtures/pruning/angles.json"
    for reference in try #require(JSON.parse(MappedFile(path: path).readAll(limit: 1 << 20), file: path).array) {
      let name = try #require(reference["model"]?.string)
      let checkpoint = try Checkpoint(folder: TestData.root + "/Tests/Fixtures/families/" + name)
      let sequences = try #require(reference["sequences"]?.array).map { $0.array?.compactMap(\.integer) ?? [] }
      for length in [1, 2] {
        let expected = try #require(reference["distances"]?["\(length)"]?.array).map { try #require($0.number) }
        let own = try AngularDistances(
          checkpoint, length: length,
          ChangeContext(sequences: sequences, probes: [], math: math, folder: "", progress: { _, _, _ in })
        ).values
        #expect(own.count == expected.count)
        for (own, other) in zip(own, expected) { #expect(abs(own - other) < 2e-5, "\(name): \(own), \(other)") }
      }
    }
  }

  private func compress(_ step: String, _ path: String) throws -> (spec: ModelSpec, changes: [JSON]) {
    let isMeasured = step.contains("linear") || step.contains("angular") || step.contains("kl")
    let recipe = try Fixtures.recipe(
      "  - truncate: {\(step)}\n", more: isMeasured ? TruncationTests.calibration : "")
    let result = try Compressor(Checkpoint(folder: TestData.minipy), recipe: recipe).write(to: path, pool: pool)
    return (try ModelFile(path: path).spec, result.changes)
  }

  private func divergence(_ path: String) throws -> Double {
    let checkpoint = try Checkpoint(folder: TestData.minipy)
    let text = String(
      decoding: try MappedFile(path: TestData.minipy + "/validation.txt").readAll(limit: 1 << 22), as: UTF8.self)
    let ids = Array(try ModelFile.checkpoint(checkpoint).tokenizer().encode(text, bos: .never).prefix(240))
    let context = ComputeContext(pool: pool, kernels: try Kernels())
    let whole = try Session(LanguageModel(checkpoint, pool: pool), context: context)
    let cut = try Session(ModelFile(path: path).load(pool: pool), context: context, format: .float32)
    var sum = 0.0
    try Likelihood(cut, whole).forEachPosition(ids) { _, logits, row in
      sum += Likelihood.divergence(
        of: Likelihood.logProbabilities(logits[1], row: row), from: Likelihood.logProbabilities(logits[0], row: row))
    }
    return sum / Double(ids.count)
  }

  @Test func choicesAndMaps() throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/m.furl"
      let (plain, none) = try compress("blocks: 2, choose: last", path)
      #expect(plain.blocks.count == 4 && none.isEmpty && plain.patches.isEmpty)
      let last = try divergence(path)

      let (healed, changes) = try compress("blocks: 2, choose: last, heal: linear", path)
      #expect(healed.patches == [4] && healed.tensors.contains { $0.name == "patch" && $0.role == .patch })
      let map = try #require(changes.first?["linear"]?.array?.first)
      #expect(map["first"] == 4 && map["last"] == 5 && map["folded"] == false)
      #expect(try divergence(path) < 0.5 * last)

      let (angular, table) = try compress("blocks: 2, choose: angular", path)
      #expect(angular.blocks.count == 4 && angular.patches.isEmpty)
      #expect(table.first?["importance"]?.array?.count == 5)
      let turned = try divergence(path)
      _ = try compress("blocks: 2, choose: angular, heal: linear", path)
      #expect(try divergence(path) < turned)

      let (predicted, rounds) = try compress("blocks: 2, choose: kl", path)
      #expect(predicted.blocks.count == 4)
      let importance = try #require(rounds.first?["importance"]?.array)
      #expect(importance.map { $0.array?.count } == [6, 5])
      #expect(try divergence(path) <= turned * 1.2)

      // Not neighbours: a map each. A list is taken as it is.
      let (listed, _) = try compress("blocks: [1, 3], heal: linear", path)
      #expect(listed.patches == [1, 2] && listed.blocks.count == 4)
    }
  }

  /// What a survey measures of a model with maps, before a block and behind the last one, is what its sessions say.
  @Test(arguments: [0, 1, 2])
  func probesApplyMaps(_ cut: Int) throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(3)
      try sample.write(to: folder + "/source")
      var draws = SplitMix64(seed: 2)
      let sequences = (0..<4).map { _ in (0..<40).map { _ in Int(draws.next() % 8192) } }
      let context = ChangeContext(
        sequences: sequences, probes: sequences, math: math, folder: folder, progress: { _, _, _ in })
      let model = try LinearHealing(model: Checkpoint(folder: folder + "/source"), context: context).cut([cut]).model
      try #require(model.spec.patches == [cut])
      let name = "blocks.1.mlp.down"
      let down = try model.floats(name)
      let other = try Matrix(down.values.map { $0 / 2 }, rows: down.rows, columns: down.columns)

      var (matrices, vectors): ([String: PackedMatrix], [String: FloatVector]) = ([:], [:])
      for tensor in model.spec.tensors {
        if tensor.shape.count == 2 {
          matrices[tensor.name] = try model.matrix(tensor, pool: pool)
        } else {
          vectors[tensor.name] = try model.vector(tensor)
        }
      }
      let compute = ComputeContext(pool: pool, kernels: try Kernels())
      let probe = try SensitivityProbe(
        model.spec, matrices: matrices, vectors: vectors, sequences: sequences, context: compute)
      #expect(try probe.divergence(replacing: [:]) == 0)
      let measured = try probe.divergence(replacing: [name: other.packed(on: pool)])

      let draft = try ModelDraft(model, folder: folder)
      try draft.set(name, other)
      let models = try [model, draft.finish(model.spec)].map {
        try Session(LanguageModel($0, pool: pool), context: compute, format: .float16)
      }
      var sum = 0.0
      for sequence in sequences {
        models.forEach { $0.truncate(slot: 0) }
        try Likelihood(models[0], models[1]).forEachPosition(sequence) { _, logits, row in
          let rows = logits.map { Likelihood.logProbabilities($0, row: row) }
          sum += Likelihood.divergence(of: rows[0], from: rows[1])
        }
      }
      let expected = sum / Double(sequences.count * sequences[0].count)
      #expect(expected > 0.001 && abs(measured / expected - 1) < 1e-3, "\(measured) \(expected)")
    }
  }

  /// Cut, prune, quantize with errors fed back through the map, all in one recipe; bytes do not depend on threads.
  @Test func everythingInOneRecipe() throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try Fixtures.recipe(
        """
          - truncate: {blocks: 1, choose: angular, heal: linear}
          - prune: {sparsity: 0.3}
          - quantize: {weights: int8, method: gptq}

        """, more: TruncationTests.calibration)
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(3)
      try sample.write(to: folder + "/source")
      var ids: Set<Digest> = []
      for threads in [1, 2] {
        let result = try Compressor(Checkpoint(folder: folder + "/source"), recipe: recipe)
          .write(to: folder + "/m.furl", pool: WorkerPool(threads: threads))
        ids.insert(result.artifactID)
        #expect(result.changes.map { $0["step"]?.string } == ["truncate", "prune"])
      }
      #expect(ids.count == 1)
      let spec = try ModelFile(path: folder + "/m.furl").spec
      #expect(spec.blocks.count == 2 && spec.patches.count == 1)
      #expect(try divergence(folder + "/m.furl").isFinite)
    }
  }

  /// A map before the first block goes into a separate embedding, and the model computes the same.
  @Test func mapsFoldIntoASeparateEmbedding() throws {
    try TestData.withTemporaryFolder { folder in
      let checkpoint = try Checkpoint(folder: TestData.root + "/Tests/Fixtures/families/phi-quarter")
      try #require(!checkpoint.spec.tiedEmbeddings)
      var draws = SplitMix64(seed: 1)
      let sequences = (0..<12).map { _ in (0..<20).map { _ in Int(draws.next() % 32) } }
      func heal(_ checkpoint: Checkpoint) throws -> Checkpoint {
        let context = ChangeContext(
          sequences: sequences, probes: [], math: math, folder: folder, progress: { _, _, _ in })
        return try LinearHealing(model: checkpoint, context: context).cut([0]).model
      }
      let folded = try heal(checkpoint)
      #expect(folded.spec.patches.isEmpty && folded.spec.blocks.count == 1)
      // The same model with its head tied off: what a map does when it stays.
      var spec = checkpoint.spec
      spec.blocks.removeFirst()
      spec.patches = [0]
      let walk = try ModelWalk(checkpoint, sequences, on: math)
      var states: [[Float]] = []
      try walk.run(blocks: 1) { _ in
        var state: [Float] = []
        walk.walk.visitHidden { rows, count, _ in for row in 0..<count { state += rows[row] } }
        states.append(state)
      }
      let map = try LinearMap(columns: spec.hiddenSize)
      try map.add(states[0], states[1], on: math)
      let solved = try map.solve(on: math)
      let draft = try ModelDraft(checkpoint, folder: folder)
      for tensor in spec.tensors where tensor.block == 0 && !tensor.name.contains("patch") {
        try draft.keep("blocks.1." + tensor.name.dropFirst("blocks.0.".count), as: tensor.name)
      }
      try draft.set("blocks.0.patch", solved.weight)
      try draft.set("blocks.0.patch.bias", solved.bias, shape: [spec.hiddenSize])
      let kept = try draft.finish(spec)
      let context = ComputeContext(pool: pool, kernels: try Kernels())
      func logits(_ model: Checkpoint) throws -> [Float] {
        let session = try Session(LanguageModel(model, pool: pool), context: context)
        let rows = try session.forward([.init(slot: 0, ids: sequences[0], logits: .all)])
        return rows[0].flatMap { session.logits[$0] }
      }
      for (a, b) in zip(try logits(folded), try logits(kept)) { #expect(abs(a - b) < 1e-3) }
    }
  }
}
