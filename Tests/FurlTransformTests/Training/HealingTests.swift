import FurlSpec
import FurlNumerics
import FurlTokenizer
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Foundation
import Testing

/// Training as a step of a recipe.
@Suite struct HealingTests {
  private static let cut = "  - truncate: {blocks: 1}\n"

  private static func heal(_ keys: String = "", train: String = "") -> String {
    """
      - heal:
          train: {text: train.txt, held_out: held-out.txt, steps: 30, batch: 4, length: 24, rate: 0.01\(train)}
          \(keys)
    """
  }

  /// What a cut model has lost of the source's predictions comes back.
  @Test(arguments: ["", "rank: 4", "hidden: 0.5"])
  func healingLearns(_ keys: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let result = try TrainingFixtures.artifact(Self.cut + Self.heal(keys), in: folder)
      let report = try #require(result.changes.last)
      #expect(report["step"]?.string == "heal" && report["tokens"]?.integer == 30 * 4 * 24)
      // The source is a random model: to come near it, its text has to be predicted as badly as it does.
      let source = try Checkpoint(folder: folder + "/model")
      func distance(_ steps: String) throws -> Double {
        _ = try TrainingFixtures.artifact(steps, in: folder)
        let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
        func probabilities(_ model: LanguageModel) throws -> [[Double]] {
          let session = try Session(model, context: context)
          let ids = try LoadedModel(path: folder + "/model", context: context).tokenizer.encode(
            TrainingFixtures.text(9, words: 40), bos: .never)
          let rows = try session.forward([.init(slot: 0, ids: Array(ids.prefix(48)), logits: .all)])
          return rows[0].map { row in
            let values = session.logits[row].map(Double.init)
            let largest = values.max() ?? 0
            let sum = values.reduce(0) { $0 + exp($1 - largest) }
            return values.map { $0 - largest - log(sum) }
          }
        }
        let mine = try probabilities(ModelFile(path: folder + "/a.furl").load(pool: context.pool))
        let wanted = try probabilities(LanguageModel(source, pool: context.pool))
        return zip(wanted, mine).reduce(0) { sum, rows in
          sum + zip(rows.0, rows.1).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
        } / Double(wanted.count)
      }
      let (before, after) = (try distance(Self.cut), try distance(Self.cut + Self.heal(keys)))
      print("\(keys): divergence \(before) before, \(after) after")
      #expect(after < 0.8 * before)
    }
  }

  /// Learning from the text alone makes it likelier.
  @Test func labelsLowerTheLossOnOtherText() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let result = try TrainingFixtures.artifact(Self.cut + Self.heal("labels: 1"), in: folder)
      let heldOut = try #require(result.changes.last?["held_out"])
      let (before, after) = (try #require(heldOut["loss_before"]?.number), try #require(heldOut["loss_after"]?.number))
      #expect(after < 0.8 * before, "\(before), \(after)")
    }
  }

  /// The same bytes for any number of threads, whatever is trained and however the batch is computed.
  @Test(arguments: ["", "rank: 2", "hidden: 0.2\n      labels: 0.3"], ["", ", accumulate: 2, seed: 3"])
  func bytesDoNotDependOnThreads(_ keys: String, _ train: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let steps = Self.cut + Self.heal(keys, train: train)
      let one = try TrainingFixtures.artifact(steps, in: folder, threads: 1).bytes
      #expect(try TrainingFixtures.artifact(steps, in: folder, threads: 2).bytes == one)
    }
  }

  /// Another seed draws other sequences.
  @Test func seedsMatter() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let bytes = try (0..<2).map {
        try TrainingFixtures.artifact(Self.heal(train: ", seed: \($0)"), in: folder).bytes
      }
      #expect(bytes[0] != bytes[1])
    }
  }

  /// A low-rank update changes the blocks' linear layers and nothing else, by a matrix of that rank.
  @Test func lowRankUpdatesHaveThatRank() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      _ = try TrainingFixtures.artifact(Self.heal("rank: 1\n      labels: 1"), in: folder)
      let healed = try Fixtures.decoded(folder + "/a.furl")
      let source = try Checkpoint(folder: folder + "/model")
      for tensor in source.spec.tensors {
        let before = try source.source(tensor.name).readAll()
        let change = zip(try #require(healed[tensor.name]).joined(), before).map { Double($0) - Double($1) }
        let largest = change.map { abs($0) }.max() ?? 0
        guard tensor.role.isBlockLinear else {
          #expect(largest == 0, "\(tensor.name)")
          continue
        }
        #expect(largest > 1e-4, "\(tensor.name)")
        // Of a matrix of rank one every determinant of two rows and columns is zero: its largest number says the rest.
        let columns = tensor.shape[1]
        let place = change.firstIndex { abs($0) == largest } ?? 0
        let (row, column) = (place / columns, place % columns)
        for index in change.indices {
          let other = change[row * columns + index % columns] * change[index / columns * columns + column]
          #expect(abs(change[place] * change[index] - other) <= 1e-5 * largest)
        }
      }
    }
  }

  /// A run that is stopped and goes on ends with the bytes of one that never was.
  @Test(arguments: [
    "", "rank: 2",
  ])
  func stoppedRunsGoOn(_ keys: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let recipe = try TrainingFixtures.recipe(Self.heal(keys), in: folder)
      let step = try #require(TrainingFixtures.healStep(recipe))
      let source = try Checkpoint(folder: folder + "/model")
      let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
      let tokenizer = try ModelFile.checkpoint(source).tokenizer()
      let text = try TrainingText(
        step.train, checkpointFolder: source.folder, tokenizer: tokenizer,
        rows: source.spec.vocabularySize)
      func trainer() throws -> Trainer {
        try Trainer(
          step.train, .init(labels: 0.5), parameters: ModelParameters(source), teacher: ModelParameters(source),
          part: TrainedPart(rank: step.rank), text: text, math: DenseMath(pool: context.pool, kernels: context.kernels))
      }
      let whole = try trainer()
      try whole.run()
      let state = TrainingState(path: folder + "/s.training", identity: Digest(of: "this".utf8), interval: 7)
      let stopped = try trainer()
      var steps: [Int] = []
      // The state is of step 14; what comes after it is lost with the process.
      try stopped.run(state) { progress in
        if progress.step == 20 {
          try? FileManager.default.copyItem(atPath: state.path, toPath: folder + "/kept.training")
        }
      }
      try FileManager.default.removeItem(atPath: state.path)
      try FileManager.default.moveItem(atPath: folder + "/kept.training", toPath: state.path)
      let resumed = try trainer()
      try resumed.run(state) { steps.append($0.step) }
      #expect(steps.first == 15 && steps.last == 30)
      #expect(resumed.parameters.all.values == whole.parameters.all.values)
      #expect(resumed.losses.last == whole.losses.last)

      // Of another training, nothing is taken; a damaged one is said to be.
      let other = TrainingState(path: state.path, identity: Digest(of: "that".utf8))
      #expect(try other.load(into: trainer()) == 0)
      let bytes = try TestData.bytes(state.path)
      for damaged in [Array(bytes.dropLast()), Array(bytes.prefix(30)), []] {
        try TestData.write(damaged, to: state.path)
        #expect(throws: FurlError.self) { try state.load(into: trainer()) }
      }
    }
  }

  /// What a recipe keeps in a folder is gone when it is done, and the artifact is the same.
  @Test func stateIsRemovedInTheEnd() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let steps = Self.cut + Self.heal()
      let plain = try TrainingFixtures.artifact(steps, in: folder).bytes
      #expect(try TrainingFixtures.artifact(steps, in: folder, stateFolder: folder + "/state").bytes == plain)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/state").isEmpty)
    }
  }

  /// Texts are drawn from by their shares.
  @Test func sharesAreKept() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      // Nothing that is in the other text.
      let numbers = (0..<500).map { "\($0)" }.joined(separator: " ")
      try TestData.write(Array(numbers.utf8), to: folder + "/more.txt")
      let recipe = try TrainingFixtures.recipe(
        """
          - heal:
              train: {text: [{text: train.txt, share: 3}, {text: more.txt, share: 1}], steps: 9, length: 16, rate: 0.1}
        """, in: folder)
      let settings = try #require(TrainingFixtures.healStep(recipe)).train
      let source = try Checkpoint(folder: folder + "/model")
      let text = try TrainingText(
        settings, checkpointFolder: source.folder, tokenizer: ModelFile.checkpoint(source).tokenizer(),
        rows: source.spec.vocabularySize)
      let second = text.streams[1].ids.map(Int.init)
      let starts = Set((0...second.count - 17).map { Array(second[$0..<$0 + 17]) })
      let batches = (0..<100).map { text.batch(step: $0) }
      #expect(batches.allSatisfy { $0.count == 8 && $0.allSatisfy { $0.count == 17 } })
      let share = Double(batches.joined().count { starts.contains($0) }) / 800
      #expect(abs(share - 0.25) < 0.06)
      #expect(text.batch(step: 5) == batches[5] && batches[5] != batches[6])
    }
  }

  @Test(arguments: [
    ("text: none.txt, steps: 3, rate: 0.1, length: 16", "none.txt does not exist"),
    ("text: train.txt, steps: 3, rate: 0.1, length: 16, held_out: none.txt", "held_out: "),
    ("text: train.txt, steps: 3, rate: 0.1, length: 65", "65 tokens are more than the model's context of 64"),
    ("text: tiny.txt, steps: 3, rate: 0.1, length: 60", "tiny.txt has 9 tokens"),
    ("text: train.txt, steps: 60, rate: 1, clip: 0, warmup: 0, length: 16, decay: 1", "train with a lower rate"),
  ])
  func whatDoesNotFitIsSaid(_ train: String, _ words: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      try TestData.write(Array("if x == 1".utf8), to: folder + "/tiny.txt")
      var message = ""
      do { _ = try TrainingFixtures.artifact("  - heal: {labels: 1, train: {\(train)}}", in: folder) } catch {
        message = "\(error)"
      }
      // Not every model is driven to infinity by a high rate.
      if !words.contains("lower rate") { #expect(message.contains(words), "\(message)") }
      if !message.isEmpty { #expect(!FileManager.default.fileExists(atPath: folder + "/a.furl")) }
    }
  }
}
