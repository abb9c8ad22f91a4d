package import FurlBase
package import FurlSpec

extension TextSuite {
  package typealias Results = EvaluationReport.TextFigures
}

extension EvaluationReport.TextFigures: SuiteResults {
  package var ids: [ProblemID] { [] }
  package var solved: Int? { nil }
  package var json: [JSON] { [] }
  package var samples: [[JSON.Member]] { [] }

  package func scores(_ metric: Gate.Metric) -> [Double] { [] }

  package func value(_ metric: Gate.Metric) -> Double? {
    switch metric {
    case .perplexity: perplexity
    case .klDivergence: klDivergence
    case .sameTop: comparison?.sameTop.value
    default: nil
    }
  }

  package var ofBaseline: EvaluationReport.TextFigures? {
    comparison.map {
      EvaluationReport.TextFigures(
        perplexity: $0.baselinePerplexity, klDivergence: nil, interval95: nil, tokens: tokens, bytes: bytes,
        chunks: chunks.map { .init(tokens: $0.tokens, loss: $0.baselineLoss ?? 0) })
    }
  }

  // MARK: Words

  package func lines(name: String, interval: String, _ settings: SuiteProtocol) -> [String] {
    var text = "\(name)  perplexity \(Figures.significant(perplexity))\(interval)"
    if let bits = bitsPerByte { text += ", \(Figures.significant(bits)) bits per byte" }
    if let divergence = klDivergence { text += ", KL divergence \(Figures.significant(divergence)) nats" }
    return [text + ", \(tokens) tokens scored"] + (comparison?.lines ?? [])
  }
}

extension EvaluationReport.TextComparison {
  fileprivate var lines: [String] {
    func range(_ interval: ClosedRange<Double>) -> String {
      "95 %: \(Figures.significant(interval.lowerBound)) to \(Figures.significant(interval.upperBound))"
    }
    let percentiles = ["50", "95", "99", "99.9", "max"].map {
      "\($0): \(Figures.significant(divergences[$0] ?? .nan))"
    }
    return [
      "  perplexity \(Figures.significant(ratio)) times the baseline's "
        + "\(Figures.significant(baselinePerplexity)) (\(range(ratioInterval95)))",
      "  KL divergence \(range(divergenceInterval95)); percentiles " + percentiles.joined(separator: ", "),
      "  same likeliest token \(Figures.percent(sameTop.value, digits: 2)); the true token's probability "
        + "changed by \(Figures.percent(deltaMean, digits: 2)) on average, "
        + "\(Figures.percent(deltaRMS, digits: 2)) RMS",
    ]
  }
}
