import FurlBase
package import FurlEvaluate
import FurlModel
import FurlSpec
package import FurlTensor

/// Measures models: speed and memory in processes of their own, then what every suite gives in this one. `bench` does it for
/// several models, a sweep's cell for one.
package struct ModelMeasurement {
  /// How speed is measured; nil where it is not.
  package var speed: BenchRunner?
  package var suites: [Suite]
  package var threads: Int
  /// Of the cache of keys and values; nil for the model's usual one.
  package var format: KeyValueCache.CacheFormat?
  package var extras = EnergyExtras()
  /// The checkpoint that texts are read beside; nil for none.
  package var baseline: String?

  package init(speed: BenchRunner?, suites: [Suite], threads: Int) {
    self.speed = speed
    self.suites = suites
    self.threads = threads
  }

  /// Measures each of the models.
  ///
  /// - Parameters:
  ///   - context: what suites are computed with; asked for when speed has been measured, which its threads would disturb.
  ///   - evaluator: makes the evaluator of a run from its label.
  ///   - progress: measurements of speed that are done, and how many there are.
  ///   - onOutcome: called with what each suite gave.
  /// - Throws: ``FurlError``.
  package func rows(
    of paths: [String], context: () throws -> ComputeContext, evaluator: (String) -> Evaluator,
    progress: (Int, Int) -> Void = { _, _ in },
    onOutcome: (Suite, Evaluator.EvaluationOutcome) throws -> Void = { _, _ in }
  ) async throws -> [BenchRow] {
    let speeds: [SpeedMeasurement?] = try await speed?.run(paths, progress: progress) ?? paths.map { _ in nil }
    let context = try context()
    var rows: [BenchRow] = []
    for (path, speed) in zip(paths, speeds) {
      var row = try BenchRow(path: path, speed: speed, threads: threads, pool: context.pool)
      row.extras = extras
      if !suites.isEmpty {
        let subject = try LoadedModel(path: path, context: context, format: format)
        let partner = try partner(of: subject, context)
        for suite in suites {
          let outcome = try await row.measure(
            suite, on: subject, by: evaluator("\(subject.file.name) \(suite.name)"),
            baseline: suite.kind.type.readsBaseline ? partner : nil)
          try onOutcome(suite, outcome)
        }
      }
      rows.append(row)
    }
    return rows
  }

  /// The baseline in memory, where a suite asks for one. Models of different tokens compare by bits per byte alone.
  private func partner(of subject: LoadedModel, _ context: ComputeContext) throws -> LoadedModel? {
    guard let baseline, suites.contains(where: { $0.kind.type.readsBaseline }) else { return nil }
    let whole = try LoadedModel(path: baseline, context: context)
    return whole.hasTokens(of: subject) ? whole : nil
  }
}

extension BenchRow {
  /// Runs a suite on the row's model and adds what it gave and what it took.
  ///
  /// - Parameter baseline: of a text, what the KL divergence is measured from.
  fileprivate mutating func measure(
    _ suite: Suite, on subject: LoadedModel, by evaluator: Evaluator, baseline: LoadedModel?
  ) async throws -> Evaluator.EvaluationOutcome {
    let watch = TaskCost.Watch()
    let outcome = try await evaluator.run(suite, on: subject, baseline: baseline)
    let report = outcome.report
    quality.append(report)
    costs.append(
      watch.cost(suite: suite.name, samples: report.results.ids.count, solved: report.results.found.solved))
    if let summary = CompletionSummary(suite: suite.name, outcome.completions) { completions.append(summary) }
    return outcome
  }
}
