import FurlSpec
import FurlTensor

extension SpeedMeasurement {
  /// What a measuring process hands to the one that started it.
  public var json: JSON {
    [
      "load_seconds": .array(loadSeconds.map(JSON.number)),
      "loaded_rss_bytes": .optional(loadedBytes),
      "peak_rss_bytes": .optional(peakBytes),
      "prefill_tokens_per_second": .array(prefill.map(JSON.number)),
      "decode_tokens_per_second": .array(decode.map(JSON.number)),
      "batched_tokens_per_second": .array(batched.map(JSON.number)),
      "energy": [
        "joules": .optional(energy.joules), "tokens": .integer(energy.tokens), "reason": .optional(energy.reason),
      ],
      "competing_cpu_share": .optional(competingLoad),
      "kernels": .string(kernels),
    ]
  }

  /// - Throws: ``FurlError`` of kind `defect` when the document is not one that ``json`` makes.
  public init(_ json: JSON) throws {
    func numbers(_ key: String) -> [Double]? { json[key]?.array?.compactMap(\.number) }
    guard let load = numbers("load_seconds"), let prefill = numbers("prefill_tokens_per_second"),
      let decode = numbers("decode_tokens_per_second"), let kernels = json["kernels"]?.string,
      let energy = json["energy"], let tokens = energy["tokens"]?.integer
    else { throw FurlError(.defect, "a measuring process gave an unreadable answer") }
    self.loadSeconds = load
    self.prefill = prefill
    self.decode = decode
    batched = numbers("batched_tokens_per_second") ?? []
    self.kernels = kernels
    self.energy = EnergyReading(joules: energy["joules"]?.number, tokens: tokens, reason: energy["reason"]?.string)
    loadedBytes = json["loaded_rss_bytes"]?.integer
    peakBytes = json["peak_rss_bytes"]?.integer
    competingLoad = json["competing_cpu_share"]?.number
  }

  /// Puts the rounds of one model together: all samples, the highest memory, the sum of the energy.
  public static func merging(_ rounds: [SpeedMeasurement]) -> SpeedMeasurement? {
    guard var result = rounds.first else { return nil }
    for round in rounds.dropFirst() {
      result.loadSeconds += round.loadSeconds
      result.prefill += round.prefill
      result.decode += round.decode
      result.batched += round.batched
      result.loadedBytes = [result.loadedBytes, round.loadedBytes].compactMap { $0 }.max()
      result.peakBytes = [result.peakBytes, round.peakBytes].compactMap { $0 }.max()
      result.competingLoad = [result.competingLoad, round.competingLoad].compactMap { $0 }.max()
      let joules = result.energy.joules.flatMap { one in round.energy.joules.map { one + $0 } }
      result.energy = EnergyReading(
        joules: joules, tokens: result.energy.tokens + round.energy.tokens,
        reason: result.energy.reason ?? round.energy.reason)
    }
    return result
  }
}

/// Several measurements of one rate.
public struct Rate: Sendable, Hashable {
  public let samples: [Double]

  public init(_ samples: [Double]) { self.samples = samples.sorted() }

  /// The middle one, or the mean of the two in the middle; nil without samples.
  public var median: Double? {
    guard !samples.isEmpty else { return nil }
    let middle = samples.count / 2
    return samples.count % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2
  }

  /// The median and what it is the median of.
  var json: JSON {
    [
      "median": .optional(median), "min": .optional(samples.first), "max": .optional(samples.last),
      "samples": .array(samples.map(JSON.number)),
    ]
  }
}
