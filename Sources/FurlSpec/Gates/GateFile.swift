import FurlBase

/// A file of gates that several artifacts are held to.
package struct GateFile: DeclaredDocument {
  var summary: String?
  var gates: [Gate] = []

  package init() {}

  package static let declaration = Declaration<GateFile>("gates", "Bounds that artifacts are held to.") {
    Field.version(of: "gate file")
    Field("description", \.summary, .text, "What the gates are for.")
    Field("gates", \.gates, .gates, "The bounds; at most one entry for each figure of a suite.")
  }
}

extension Gate {
  package init() { self.init(suite: "", metric: .passAt1) }

  package static let declaration = Declaration<Gate>("gate", "A bound on a figure of a report.") {
    Field(
      "metric", \.metric, .word(later: ["memory", "speed", "energy"]), "The figure that is bounded.",
      absent: .refused(remedy: "allowed: \(Metric.allCases.map(\.rawValue).joined(separator: ", "))"))
    Field("suite", \.suite, .suiteName, "The suite that gives it, by the name of its card.", absent: .refused())
      .only("not with disk_bytes", if: { $0.metric.kind != nil }) {
        ("means nothing for \($0.metric.rawValue)", "remove it")
      }
    bound("min", \.min, .number(in: 0...1), "The least value on this fixed set of problems.")
    bound(
      "max_drop", \.maxDrop, .number(in: 0...1), "How far the figure may lie below the baseline's: 0.02 is 2 points.")
    bound("max", \.max, .largest(from: 0), "The largest value: a perplexity, nats a token, or bytes, as 7.5 MB.") {
      $0.metric == .diskBytes ? .largest(from: 0) : .number(in: ($0.metric == .perplexity ? 1 : 0)...1e18)
    }
    bound(
      "max_rise", \.maxRise, .number(in: 0...1e18),
      "By which part the perplexity may lie above the baseline's: 0.02 allows 2 % more.")
    Field.check { gate, reader in
      guard gate.min == nil, gate.maxDrop == nil, gate.max == nil, gate.maxRise == nil else { return }
      let keys = gate.metric.bounds
      throw reader.error(
        keys[0], "is missing",
        remedy: "a gate on \(gate.metric.rawValue) needs \(keys.joined(separator: ", "))"
          + (keys.count == 1 ? "" : " or both"))
    }
    Field(
      "confidence", \.confidence, .confidence, "Of the one-sided limit by which a fall or a rise is judged.",
      absent: .derived("\(usualConfidence) for max_drop and max_rise; a max without it is exact") {
        $0.maxDrop == nil && $0.maxRise == nil ? nil : usualConfidence
      }
    ).only(
      if: { $0.maxDrop != nil || $0.maxRise != nil || $0.metric == .klDivergence },
      else: "belongs to max_drop, max_rise and the max of kl_divergence",
      "other bounds are exact on the fixed set and need none")
    Field("loose", \.isLoose, .truth, "Says that a bound which lets nearly everything through is meant.")
      .written { $0.isLoose }
  }

  private static func bound(
    _ key: String, _ path: any WritableKeyPath<Gate, Double?> & Sendable, _ codec: ValueCodec<Double>, _ line: String,
    reading: (@Sendable (Gate) -> ValueCodec<Double>)? = nil
  ) -> Field {
    let metrics = Metric.allCases.filter { $0.bounds.contains(key) }.map(\.rawValue).joined(separator: ", ")
    return Field(key, path, codec, line, reading: reading).only(
      "for \(metrics)", if: { $0.metric.bounds.contains(key) }
    ) {
      ("means nothing for \($0.metric.rawValue)", "it is bounded by \($0.metric.bounds.joined(separator: ", "))")
    }
  }

  package mutating func settle(_ reader: DocumentReader) throws {
    try refuseWeakness { reader.error($0, $1, remedy: $2) }
  }
}

extension ValueCodec<Double> {
  fileprivate static func largest(from least: Double) -> ValueCodec {
    .size(.number(in: least...1e18), "is no size", remedy: "write bytes, or a number with kB, MB or GB") { $0 }
  }

  fileprivate static var confidence: ValueCodec {
    .number(in: 0.5...1).checked { level, reader, key in
      if level == 1 { throw reader.error(key, "no finite sample gives certainty", remedy: "0.95 is usual") }
    }
  }
}

extension ValueCodec<[Gate]> {
  /// No two of them on the same figure.
  static var gates: ValueCodec {
    .documents().checked { gates, reader, key in
      for (index, gate) in gates.enumerated()
      where gates[..<index].contains(where: { $0.suite == gate.suite && $0.metric == gate.metric }) {
        let owner = gate.suite.isEmpty ? "the artifact" : "suite \(gate.suite)"
        throw reader.error(
          "\(key)[\(index)].metric", "\(owner) already has a gate on \(gate.metric.rawValue)",
          remedy: "put all bounds into one gate")
      }
    }
  }
}
