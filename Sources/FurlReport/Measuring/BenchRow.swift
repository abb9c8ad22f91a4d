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
  public let speed: SpeedMeasurement
  public var quality: [EvaluationReport]
  public let threads: Int

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
    return [
      "path": .string(path), "name": .string(name), "model": .string(digest.hex), "disk_bytes": .integer(diskBytes),
      "bits_per_weight": .number(bitsPerWeight), "weight_bytes": .integer(weightBytes),
      "peak_rss_bytes": .optional(speed.peakBytes), "loaded_rss_bytes": .optional(speed.loadedBytes),
      "parameters": parameters.json, "load_seconds": .optional(load.median),
      "prefill_tokens_per_second": .optional(prefill.median), "decode_tokens_per_second": .optional(decode.median),
      "batched_tokens_per_second": .optional(batched.median), "samples_per_second": .optional(samplesPerSecond),
      "samples": [
        "load_seconds": load.json, "prefill_tokens_per_second": prefill.json, "decode_tokens_per_second": decode.json,
        "batched_tokens_per_second": batched.json,
        "samples_per_second": .array(
          quality.filter { $0.seconds > 0 }.map { .number(Double($0.results.ids.count) / $0.seconds) }),
      ],
      "energy": speed.energy.json, "threads": .integer(threads), "kernels": .string(speed.kernels),
      "competing_cpu_share": .optional(speed.competingLoad), "quality": .array(quality.map(\.json)),
    ]
  }
}
