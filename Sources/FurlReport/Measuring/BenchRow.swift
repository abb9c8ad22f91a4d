import FurlArtifact
package import FurlBase
package import FurlEvaluate
import FurlModel
import FurlSpec
package import FurlTensor

/// Everything that `bench` and a sweep's cell say about one model.
package struct BenchRow: Sendable {
  package let path: String
  package let name: String
  package let diskBytes: Int
  package let bitsPerWeight: Double
  package let parameters: ParameterCount
  package let weightBytes: Int
  package let digest: Digest
  /// The checkpoint that it is or was made from.
  package let source: Digest
  /// The name of the recipe that it was made by; nil for a checkpoint.
  package let recipe: String?
  package let architecture: String
  package let layers: Int
  /// Nil where it was not to be measured.
  package let speed: SpeedMeasurement?
  package var quality: [EvaluationReport]
  package let threads: Int
  /// How the completions of each suite ended.
  package var completions: [CompletionSummary] = []
  /// What each suite took.
  package var costs: [TaskCost] = []
  package var extras = EnergyExtras()

  /// - Throws: ``FurlError`` when the model cannot be opened.
  package init(
    path: String, speed: SpeedMeasurement?, quality: [EvaluationReport] = [], threads: Int, pool: WorkerPool
  ) throws {
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
  package var samplesPerSecond: Double? {
    let seconds = quality.reduce(0) { $0 + $1.seconds }
    return seconds > 0 ? Double(quality.reduce(0) { $0 + $1.results.ids.count }) / seconds : nil
  }

  /// The row's document. Where speed was not to be measured it holds only what is the same on every machine and at every
  /// time.
  package var json: JSON {
    guard let speed else {
      let reports = quality.map { JSON.object(($0.json.members ?? []).filter { $0.key != "seconds" }) }
      return .object(
        identity + [
          .init("parameters", parameters.json), .init("quality", .array(reports)),
          .init("completions", .array(completions.map(\.json))),
          .init("energy", ["method": "none", "reason": "the sweep asked for no measurements"]),
        ])
    }
    return .object([.init("path", .string(path)), .init("name", .string(name))] + identity + measured(speed))
  }

  /// What the model is.
  private var identity: [JSON.Member] {
    [
      .init("model", .string(digest.hex)), .init("source", .string(source.hex)), .init("recipe", .optional(recipe)),
      .init("architecture", .string(architecture)), .init("layers", .integer(layers)),
      .init("disk_bytes", .integer(diskBytes)), .init("bits_per_weight", .number(bitsPerWeight)),
      .init("weight_bytes", .integer(weightBytes)),
    ]
  }

  /// What was measured of it.
  private func measured(_ speed: SpeedMeasurement) -> [JSON.Member] {
    let prefill = Rate(speed.prefill)
    let decode = Rate(speed.decode)
    let batched = Rate(speed.batched)
    let load = Rate(speed.loadSeconds)
    let cpu = Rate(speed.cpuSecondsPerToken)
    let json: JSON = [
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
      "energy": energy(speed.energy, cpu), "counters": speed.counters?.json ?? .null, "threads": .integer(threads),
      "kernels": .string(speed.kernels),
      "competing_cpu_share": .optional(speed.competingLoad), "quality": .array(quality.map(\.json)),
      "completions": .array(completions.map(\.json)),
    ]
    return json.members ?? []
  }

  private func energy(_ reading: EnergyReading, _ cpu: Rate) -> JSON {
    .object(
      (reading.json.members ?? [])
        + extras.members(reading, cpuSecondsPerToken: cpu.median, cores: WorkerPool.availableCores)
        + (costs.isEmpty ? [] : [.init("suites", .array(costs.map(\.json)))]))
  }
}
