package import FurlBase

extension SpeedMeasurement {
  /// What a measuring process hands to the one that started it.
  package var json: JSON {
    [
      "load_seconds": .array(loadSeconds.map(JSON.number)),
      "loaded_rss_bytes": .optional(loadedBytes),
      "peak_rss_bytes": .optional(peakBytes),
      "prefill_tokens_per_second": .array(prefill.map(JSON.number)),
      "decode_tokens_per_second": .array(decode.map(JSON.number)),
      "batched_tokens_per_second": .array(batched.map(JSON.number)),
      "cpu_seconds_per_token": .array(cpuSecondsPerToken.map(JSON.number)),
      "counters": counters?.transfer ?? .null,
      "energy": energy.transfer,
      "competing_cpu_share": .optional(competingLoad),
      "kernels": .string(kernels),
    ]
  }

  /// - Throws: ``FurlError`` of kind `defect` when the document is not one that ``json`` makes.
  package init(_ json: JSON) throws {
    func numbers(_ key: String) -> [Double]? { json[key]?.array?.compactMap(\.number) }
    guard let load = numbers("load_seconds"), let prefill = numbers("prefill_tokens_per_second"),
      let decode = numbers("decode_tokens_per_second"), let kernels = json["kernels"]?.string,
      let energy = json["energy"].flatMap({ EnergyReading($0) })
    else { throw FurlError(.defect, "a measuring process gave an unreadable answer") }
    self.loadSeconds = load
    self.prefill = prefill
    self.decode = decode
    batched = numbers("batched_tokens_per_second") ?? []
    self.kernels = kernels
    self.energy = energy
    cpuSecondsPerToken = numbers("cpu_seconds_per_token") ?? []
    counters = CounterReading(json["counters"])
    loadedBytes = json["loaded_rss_bytes"]?.integer
    peakBytes = json["peak_rss_bytes"]?.integer
    competingLoad = json["competing_cpu_share"]?.number
  }

  /// Puts the rounds of one model together: all samples, the highest memory, the sum of the energy.
  package static func merging(_ rounds: [SpeedMeasurement]) -> SpeedMeasurement? {
    guard var result = rounds.first else { return nil }
    for round in rounds.dropFirst() {
      result.loadSeconds += round.loadSeconds
      result.prefill += round.prefill
      result.decode += round.decode
      result.batched += round.batched
      result.loadedBytes = [result.loadedBytes, round.loadedBytes].compactMap { $0 }.max()
      result.peakBytes = [result.peakBytes, round.peakBytes].compactMap { $0 }.max()
      result.competingLoad = [result.competingLoad, round.competingLoad].compactMap { $0 }.max()
      result.cpuSecondsPerToken += round.cpuSecondsPerToken
      result.counters = result.counters.flatMap { one in round.counters.map { one.merging($0) } }
      result.energy = result.energy.merging(round.energy)
    }
    return result
  }
}

/// Several measurements of one rate.
package struct Rate: Sendable, Hashable {
  package let samples: [Double]

  package init(_ samples: [Double]) { self.samples = samples.sorted() }

  /// The middle one, or the mean of the two in the middle; nil without samples.
  package var median: Double? {
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
