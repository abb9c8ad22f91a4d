import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTokenizer

/// Takes rows of the vocabulary out of embedding and head for good, and their tokens and merges out of the tokenizer.
///
/// Rows without a token go first, then the tokens that the calibration's whole text uses least, each behind all that are
/// merged of it (``Tokenizer/removalOrder(uses:keeping:)``). What is left is numbered anew, so that every row has a token.
/// Every text still becomes tokens and the same text again; a text that held tokens which are gone has more of them.
struct VocabularyPruning: ModelChange {
  let step: PruneStep
  let model: Checkpoint
  let context: ChangeContext

  private struct PrunedVocabulary {
    let model: Checkpoint
    /// Weights that are gone.
    let removed: Int
    /// What is left of the step; nil: nothing.
    let rest: PruneStep?
    /// What an artifact says about it.
    let report: JSON
  }

  static func estimate(_ step: PruneStep, _ spec: ModelSpec) throws -> EstimatedShape {
    try step.checkGroups(of: spec)
    let extent = VocabularyExtent(step, of: spec)
    var result = spec
    result.vocabularySize = extent.left()
    let removed = (extent.rows.count - result.vocabularySize) * extent.rows.weights
    guard let rest = extent.rest(removed: removed) else { return EstimatedShape(spec: result) }
    return try GroupPruning.estimate(rest, result)
  }

  /// Rows of the vocabulary go first, so that everything after is calibrated in the tokens that are left.
  func run() throws -> Changed<PruningReport> {
    guard let settings = context.calibration else { throw FurlError(.defect, "there is no text to count tokens in") }
    context.progress("counting tokens", 0, 1)
    let cut = try removeRows(settings)
    let sample = try CalibrationSample(
      settings, for: cut.model, tokenizer: ModelFile.checkpoint(cut.model).tokenizer())
    var (result, removed) = (cut.model, cut.removed)
    if let rest = cut.rest {
      let groups = GroupPruning(step: rest, model: cut.model, context: context.reading(sample))
      let pruned = try groups.prune()
      (result, removed) = (pruned.model, removed + pruned.removed)
    }
    let report = PruningReport(
      before: model.spec, after: result.spec, removedWeights: removed, more: [.init("vocabulary", cut.report)])
    return Changed(model: result, report: report, sample: sample)
  }

  /// Where other groups go, too, the vocabulary loses the same share as all of them together, or as much of it as it can.
  ///
  /// - Throws: ``FurlError``: of kind `input` at the recipe's line when so much cannot go, and for a checkpoint without a
  ///   tokenizer.
  private func removeRows(_ settings: CalibrationSettings) throws -> PrunedVocabulary {
    let tokenizer = try ModelFile.checkpoint(model).tokenizer()
    let text = try SourceText(
      settings.text, folder: settings.location.folder, checkpointFolder: model.folder, location: settings.location)
    let ids = tokenizer.encode(text.text, bos: .never)
    let order = try self.order(tokenizer, ids)
    let extent = VocabularyExtent(step, of: model.spec)
    let rows = extent.rows
    let kept = try keep(extent, order)
    // Tokens without a row stay behind all others.
    let rowless = Array(rows.count..<max(rows.count, tokenizer.vocabularySize))
    let cut = try tokenizer.keeping(kept.filter { $0 < tokenizer.vocabularySize } + rowless)

    var spec = model.spec
    spec.vocabularySize = kept.count
    let draft = try ModelDraft(model, folder: context.folder)
    for tensor in model.spec.tensors
    where ["embedding", "head", "head.bias"].contains(tensor.name) || tensor.role == .inputTable {
      try draft.gather(tensor.name, rows: kept)
    }
    let numbers = Dictionary(uniqueKeysWithValues: (kept + rowless).enumerated().map { ($1, $0) })
    let ends = tokenizer.ends.renumbered { numbers[$0] }
    let config = TokenReferences(model.config).renumbered(numbers, for: spec)
    let removed = (rows.count - kept.count) * rows.weights
    return PrunedVocabulary(
      model: try draft.finish(spec, vocabulary: (cut.serialized(), config, ends)), removed: removed,
      rest: extent.rest(removed: removed),
      report: [
        "rows_before": .integer(rows.count), "rows": .integer(kept.count), "text": .string(text.name),
        "text_tokens_before": .integer(ids.count),
        "text_tokens": .integer(cut.encode(text.text, bos: .never).count),
      ])
  }

  /// Rows in the order in which they can go.
  private func order(_ tokenizer: Tokenizer, _ ids: [Int]) throws -> [Int] {
    let count = tokenizer.vocabularySize
    let rows = model.spec.vocabularySize
    let named = TokenReferences(model.config).ids.union(tokenizer.ends.ids).union(rows..<max(rows, count))
    let padding = (count..<max(count, rows)).reversed().filter { !named.contains($0) }
    var uses = [Int](repeating: 0, count: count)
    for id in ids { uses[id] += 1 }
    return padding + (try tokenizer.removalOrder(uses: uses, keeping: named))
  }

  /// Rows that stay, ascending.
  private func keep(_ extent: VocabularyExtent, _ order: [Int]) throws -> [Int] {
    let rows = extent.rows
    let least = rows.count - order.count
    let left = extent.left(least: least)
    let removed = (rows.count - left) * rows.weights
    if step.isVocabularyAlone, removed < extent.target {
      let most = Double(removed) / Double(max(1, extent.whole))
      throw step.location.error(
        "sparsity",
        "\(step.sparsity) cannot be reached: \(least) of \(rows.count) rows are bytes, special tokens and others that "
          + "have to stay, so that at most \((most * 1000).rounded(.down) / 1000) can go",
        remedy: "lower it")
    }
    let gone = Set(order.prefix(rows.count - left))
    return (0..<rows.count).filter { !gone.contains($0) }
  }
}
