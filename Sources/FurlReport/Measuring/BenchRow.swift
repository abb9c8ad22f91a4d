import FurlArtifact
import FurlBase
import FurlEvaluate
import FurlModel
import FurlSpec
import FurlTensor

/// Everything that `bench` says about one model.
public struct BenchRow: Sendable {
  public let path: String
  public let name: String
  public let diskBytes: Int
  public let bitsPerWeight: Double
  public let parameters: ParameterCount
  public let weightBytes: Int
  public let digest: Digest
  /// The checkpoint that it is or was made from.
  public let source: Digest
  /// The name of the recipe that it was made by; nil for a checkpoint.
  public let recipe: String?
  public let architecture: String
  public let layers: Int
  public let speed: SpeedMeasurement
  public var quality: [EvaluationReport]
  public let threads: Int
  /// How the completions of each suite ended.
  public var completions: [CompletionSummary] = []
  /// What each suite took.
  public var costs: [TaskCost] = []
  public var extras = EnergyExtras()

  /// - Throws: ``FurlError`` when the model cannot be opened.
  public init(path: String, speed: SpeedMeasurement, quality: [EvaluationReport], threads: Int, pool: WorkerPool) throws
  {
    let file = try ModelFile(path: path)
    self.path = path
    name = file.name
    diskBytes = file.diskBytes
    bitsPerWeight = file.bitsPerWeight
    parameters = try ParameterCount(file, pool: pool)
    weightBytes = try file.weightBytes
    digest = try file.digest()
    source = try file.sourceDigest()
    recipe = if case .artifact(let weights) = file { weights.artifact.description.recipe.name } else { nil }
    architecture = file.spec.architecture
    layers = file.spec.blocks.count
    self.speed = speed
    self.quality = quality
    self.threads = threads
  }

  /// Problems that a suite's run got through in a second, over all suites.
  public var samplesPerSecond: Double? {
    let seconds = quality.reduce(0) { $0 + $1.seconds }
    return seconds > 0 ? Double(quality.reduce(0) { $0 + $1.results.ids.count }) / seconds : nil
  }

  public var json: JSON {
    let prefill = Rate(speed.prefill)
    let decode = Rate(speed.decode)
    let batched = Rate(speed.batched)
    let load = Rate(speed.loadSeconds)
    let cpu = Rate(speed.cpuSecondsPerToken)
    return [
      "path": .string(path), "name": .string(name), "model": .string(digest.hex),
      "source": .string(source.hex), "recipe": .optional(recipe), "architecture": .string(architecture),
      "layers": .integer(layers), "disk_bytes": .integer(diskBytes),
      "bits_per_weight": .number(bitsPerWeight), "weight_bytes": .integer(weightBytes),
      "peak_rss_bytes": .optional(speed.peakBytes), "loaded_rss_bytes": .optional(speed.loadedBytes),
      "parameters": parameters.json, "load_seconds": .optional(load.median),
      "prefill_tokens_per_second": .optional(prefill.median), "decode_tokens_per_second": .optional(decode.median),
      "batched_tokens_per_second": .optional(batched.median), "samples_per_second": .optional(samplesPerSecond),
      "samples": [
        "load_seconds": load.json, "prefill_tokens_per_second": prefill.json, "decode_tokens_per_second": decode.json,
        "batched_tokens_per_second": batched.json, "cpu_seconds_per_token": cpu.json,
        "samples_per_second": .array(
          quality.filter { $0.seconds > 0 }.map { .number(Double($0.results.ids.count) / $0.seconds) }),
      ],
      "energy": energy(cpu), "counters": speed.counters?.json ?? .null, "threads": .integer(threads),
      "kernels": .string(speed.kernels),
      "competing_cpu_share": .optional(speed.competingLoad), "quality": .array(quality.map(\.json)),
      "completions": .array(completions.map(\.json)),
    ]
  }

  private func energy(_ cpu: Rate) -> JSON {
    .object(
      (speed.energy.json.members ?? [])
        + extras.members(speed.energy, cpuSecondsPerToken: cpu.median, cores: WorkerPool.availableCores)
        + (costs.isEmpty ? [] : [.init("suites", .array(costs.map(\.json)))]))
  }
}

extension BenchRow {
  /// Runs a suite on the row's model and adds what it gave and what it took.
  ///
  /// - Parameter baseline: of a text, what the KL divergence is measured from.
  /// - Returns: the completions; none of a text.
  @discardableResult
  public mutating func measure(
    _ suite: Suite, on subject: LoadedModel, by evaluator: Evaluator, baseline: LoadedModel? = nil
  ) async throws -> Evaluator.Outcome {
    let watch = TaskCost.Watch()
    let outcome = try await evaluator.run(suite, on: subject, baseline: baseline)
    let report = outcome.report
    quality.append(report)
    costs.append(watch.cost(suite: suite.name, samples: report.results.ids.count, solved: report.results.found.solved))
    if let summary = CompletionSummary(suite: suite.name, outcome.completions) { completions.append(summary) }
    return outcome
  }
}
