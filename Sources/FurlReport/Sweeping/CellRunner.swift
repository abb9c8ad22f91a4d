import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlModel
import FurlSpec
import FurlTensor
import FurlTransform

/// Runs one cell in this process: compress, measure, put every suite, keep the result.
struct CellRunner {
  let plan: SweepPlan
  let folder: SweepFolder
  /// The `furl` executable, for measuring processes.
  let executable: String

  /// The result's members; errors are the caller's.
  func run(_ cell: SweepCell) async throws -> [JSON.Member] {
    let checkpoint = folder.checkpoint(cell.subject)
    let threads = plan.threads ?? WorkerPool.availableCores
    let context = ComputeContext(
      pool: try CommandProcess.pool(threads: threads), kernels: try Kernels.fromEnvironment())
    var path = checkpoint
    if let recipe = cell.step.recipe {
      path = folder.artifact(cell)
      try compress(checkpoint, recipe.recipe(seed: cell.seed), to: path, context)
    }
    var measurement = ModelMeasurement(
      speed: plan.speed.map { speed in
        let settings = SpeedMeasurement.SpeedSettings(
          threads: threads, promptTokens: speed.promptTokens, decodeTokens: speed.decodeTokens, repeats: speed.repeats)
        return BenchRunner(executable: executable, settings: settings, rounds: 1)
      }, suites: try plan.suites(of: cell.subject, at: checkpoint), threads: threads)
    measurement.baseline = cell.step.recipe.map { _ in checkpoint }
    var samples: [JSON.Member] = []
    let rows = try await measurement.rows(of: [path]) {
      context
    } evaluator: { _ in
      Evaluator(.init(limit: plan.limit))
    } onOutcome: { suite, outcome in
      guard !outcome.completions.isEmpty else { return }
      let text = try Samples.text(outcome.report.results, outcome.completions)
      try folder.write(text, to: folder.samples(cell, suite: suite.name))
      samples.append(.init(suite.name, .string(Digest(of: text.utf8).hex)))
    }
    var members: [JSON.Member] = [
      .init("state", "done"), .init("samples", .object(samples)), .init("result", rows[0].json),
    ]
    if plan.speed != nil { members.append(.init("machine", MachineFacts().json)) }
    return members
  }

  /// Makes an artifact where there is no whole one: what an earlier run left may be damaged.
  private func compress(_ checkpoint: String, _ recipe: Recipe, to path: String, _ context: ComputeContext) throws {
    if (try? Artifact(path: path).check(parallelFor: context.pool.forEach)) != nil { return }
    let place = URL(fileURLWithPath: path).deletingLastPathComponent()
    do {
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    } catch {
      throw FurlError.creating(place.path, systemCode(of: error) ?? EIO)
    }
    _ = try Compressor(Checkpoint(path: checkpoint), recipe: recipe).write(to: path, pool: context.pool)
  }
}
