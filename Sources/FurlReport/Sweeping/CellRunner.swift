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
      // One that an earlier run left may be damaged.
      let isWhole = (try? Artifact(path: path).check(parallelFor: context.pool.forEach)) != nil
      if !isWhole {
        let place = URL(fileURLWithPath: path).deletingLastPathComponent()
        do {
          try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        } catch {
          throw FurlError.creating(place.path, systemCode(of: error) ?? EIO)
        }
        let compressor = try Compressor(Checkpoint(path: checkpoint), recipe: recipe.recipe(seed: cell.seed))
        _ = try compressor.write(to: path, pool: context.pool)
      }
    }
    var measurement = SpeedMeasurement.none
    if let speed = plan.speed {
      let settings = SpeedMeasurement.Settings(
        threads: threads, promptTokens: speed.promptTokens, decodeTokens: speed.decodeTokens, repeats: speed.repeats)
      let found = try await BenchRunner(executable: executable, settings: settings, rounds: 1).run([path]) { _, _ in }
      measurement = found.first ?? measurement
    }
    var row = try BenchRow(path: path, speed: measurement, quality: [], threads: threads, pool: context.pool)
    let suites = try plan.suites(of: checkpoint)
    var samples: [JSON.Member] = []
    if !suites.isEmpty {
      let subject = try LoadedModel(path: path, context: context)
      let needsBaseline = cell.step.recipe != nil && suites.contains { $0.kind.type.readsBaseline }
      // Models of different tokens compare by bits per byte alone.
      let whole = needsBaseline ? try LoadedModel(path: checkpoint, context: context) : nil
      let baseline = whole.flatMap { $0.hasTokens(of: subject) ? $0 : nil }
      for suite in suites {
        let outcome = try await row.measure(
          suite, on: subject, by: Evaluator(.init(limit: plan.limit)),
          baseline: suite.kind.type.readsBaseline ? baseline : nil)
        if !outcome.completions.isEmpty {
          let text = try Samples.text(outcome.report.results, outcome.completions)
          try folder.write(text, to: folder.samples(cell, suite: suite.name))
          samples.append(.init(suite.name, .string(Digest(of: text.utf8).hex)))
        }
      }
    }
    let json = plan.speed == nil ? CellRunner.withoutMeasurements(row.json) : row.json
    var members: [JSON.Member] = [
      .init("state", "done"), .init("samples", .object(samples)), .init("result", json),
    ]
    if plan.speed != nil { members.append(.init("machine", MachineFacts().json)) }
    return members
  }

  /// What is the same on every machine and at every time.
  static func withoutMeasurements(_ row: JSON) -> JSON {
    let kept = [
      "model", "source", "recipe", "architecture", "layers", "disk_bytes", "bits_per_weight", "weight_bytes",
      "parameters", "quality", "completions",
    ]
    let members = (row.members ?? []).filter { kept.contains($0.key) }.map { member -> JSON.Member in
      guard member.key == "quality", let reports = member.value.array else { return member }
      return .init("quality", .array(reports.map { .object(($0.members ?? []).filter { $0.key != "seconds" }) }))
    }
    return .object(members + [.init("energy", ["method": "none", "reason": "the sweep asked for no measurements"])])
  }
}

extension SpeedMeasurement {
  /// Nothing measured.
  static var none: SpeedMeasurement {
    SpeedMeasurement(nothingBecause: "the sweep asked for no measurements")
  }
}
