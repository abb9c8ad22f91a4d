import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor

/// Chooses blocks one after the other: of all that are left the one without which the predictions stay nearest to the
/// whole model's, by the mean KL divergence over the calibration's positions.
struct PredictionChoice {
  private let model: LanguageModel
  private let context: ComputeContext
  private let sequences: [[Int]]
  private let progress: (String, Int, Int) -> Void
  /// log p of every token at every position, by the whole model.
  private let expected: [[Float]]

  /// Positions that are looked at: each block costs a pass over them.
  private static let positionLimit = 2048
  /// Numbers of the whole model's predictions that are kept.
  private static let memoryLimit = 1 << 28

  init(_ checkpoint: Checkpoint, _ change: ChangeContext) throws {
    let (sequences, pool) = (change.sequences, change.pool)
    model = try LanguageModel(checkpoint, pool: pool)
    context = ComputeContext(pool: pool, kernels: try Kernels.forTransforms())
    progress = change.progress
    let limit = min(
      PredictionChoice.positionLimit, max(1, PredictionChoice.memoryLimit / checkpoint.spec.vocabularySize))
    var some: [[Int]] = []
    var left = limit
    for sequence in sequences where left > 0 {
      some.append(Array(sequence.prefix(left)))
      left -= some[some.count - 1].count
    }
    self.sequences = some
    var expected: [[Float]] = []
    try PredictionChoice.forEach(some, model, context) { expected.append($0.map(Float.init)) }
    self.expected = expected
  }

  private static func forEach(
    _ sequences: [[Int]], _ model: LanguageModel, _ context: ComputeContext, _ body: ([Double]) -> Void
  ) throws {
    let session = try Session(model, context: context, contextLength: sequences.map(\.count).max() ?? 1)
    let likelihood = Likelihood(session)
    for sequence in sequences {
      try likelihood.forEachPosition(sequence) { _, logits, row in
        body(Likelihood.logProbabilities(logits[0], row: row))
      }
    }
  }

  /// - Returns: the blocks that go, in this order; and for every round the divergence without each block that was left.
  func remove(_ count: Int) throws -> (removed: [Int], rounds: [[Int: Double]]) {
    var left = Array(model.spec.blocks.indices)
    var removed: [Int] = []
    var rounds: [[Int: Double]] = []
    for round in 0..<count {
      var divergences: [Int: Double] = [:]
      for (place, block) in left.enumerated() {
        progress("trying without block", round * left.count + place, count * left.count)
        let others = left.filter { $0 != block }
        if canKeep(others) { divergences[block] = try divergence(keeping: others) }
      }
      guard let best = divergences.min(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key else { break }
      rounds.append(divergences)
      removed.append(best)
      left.removeAll { $0 == best }
    }
    return (removed, rounds)
  }

  /// Whether blocks compute without the others: some need keys and values of an earlier one.
  private func canKeep(_ blocks: [Int]) -> Bool {
    var spec = model.spec
    spec.blocks = blocks.map { spec.blocks[$0] }
    return (try? spec.validate(file: nil)) != nil
  }

  private func divergence(keeping blocks: [Int]) throws -> Double {
    let cut = model.keeping(blocks: blocks)
    var sum = 0.0
    var index = 0
    try PredictionChoice.forEach(sequences, cut, context) { own in
      sum += Likelihood.divergence(of: expected[index].map(Double.init), from: own)
      index += 1
    }
    guard sum.isFinite else {
      // A model without this block computes nothing: it is the last to go.
      return .greatestFiniteMagnitude
    }
    return sum / Double(max(1, index))
  }
}
