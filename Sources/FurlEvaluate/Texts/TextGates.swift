import FurlBase
package import FurlSpec

extension EvaluationReport.TextFigures {
  package func check(
    _ gate: Gate, in report: EvaluationReport, baseline: EvaluationReport?
  ) throws -> [GateCheck] {
    try gate.check(self, baseline)
  }
}

/// Gates on a text.
extension Gate {
  /// Judges the figures of a text.
  fileprivate func check(_ figures: EvaluationReport.TextFigures, _ baseline: EvaluationReport?) throws -> [GateCheck] {
    switch metric {
    case .perplexity:
      var checks: [GateCheck] = []
      if let max { checks.append(atMost(figures.perplexity, max, interval95: figures.interval95)) }
      if let maxRise { checks.append(try check(figures, baseline, maxRise: maxRise)) }
      return checks
    case .klDivergence:
      guard let value = figures.klDivergence, let interval = figures.comparison?.divergenceInterval95, let max else {
        throw lockstepError
      }
      guard let confidence else { return [atMost(value, max, interval95: interval)] }
      return [check(figures.chunks, value, max: max, confidence: confidence, interval95: interval)]
    case .sameTop:
      guard let share = figures.comparison?.sameTop, let min else { throw lockstepError }
      let holds = share.isAtLeast(min)
      return [
        GateCheck(
          suite: suite, metric: metric, bound: .min(min), value: share.value, interval95: share.interval(),
          verdict: holds ? .pass : .fail,
          reason: "\(share.successes) of \(share.count) tokens is \(holds ? "at least" : "below") \(min)")
      ]
    default: throw FurlError(.defect, "a gate on \(metric.rawValue) does not judge a text")
    }
  }

  var lockstepError: FurlError {
    FurlError(
      .usage, "the gate on \(title) needs the baseline's weights, because both models read the text in lockstep",
      remedy: "give --baseline with the checkpoint itself, not a report on it")
  }

  /// A divergence judged by one-sided limits, for texts like this one.
  private func check(
    _ chunks: [EvaluationReport.TextChunk], _ value: Double, max: Double, confidence: Double,
    interval95: ClosedRange<Double>
  ) -> GateCheck {
    let bootstrap = Bootstrap(clusters: chunks.map { .init(sum: $0.divergence ?? 0, count: $0.tokens) })
    let (lower, upper) = (bootstrap.quantile(1 - confidence), bootstrap.quantile(confidence))
    let verdict: Verdict = upper < max ? .pass : lower > max ? .fail : .inconclusive
    let pHolds = bootstrap.tail(atMost: max)
    return GateCheck(
      suite: suite, metric: metric, bound: .max(max, confidence: confidence), value: value, interval95: interval95,
      comparison: GateCheck.MeasuredComparison(
        baseline: 0, difference: value, interval95: interval95, lowerLimit: lower, upperLimit: upper,
        pBroken: bootstrap.tail(atLeast: max), pHolds: pHolds, pHoldsCorrected: pHolds, shownMargin: upper,
        count: chunks.count),
      verdict: verdict, reason: reason(verdict, lower, upper, max, "divergence"))
  }

  /// The ratio of the perplexities, by the bootstrap of the windows' paired losses.
  private func check(
    _ figures: EvaluationReport.TextFigures, _ baseline: EvaluationReport?, maxRise: Double
  ) throws -> GateCheck {
    let confidence = confidence ?? Gate.usualConfidence
    guard let before = baseline?.results.text, before.chunks.count == figures.chunks.count,
      !figures.chunks.isEmpty, zip(before.chunks, figures.chunks).allSatisfy({ $0.tokens == $1.tokens }),
      // Another vocabulary cuts the same text elsewhere.
      before.bytes == nil || figures.bytes == nil || before.bytes == figures.bytes
    else {
      throw FurlError.input(
        baseline.map { "baseline \($0.model.path)" }, "suite \(suite)", "was not scored over the same windows",
        remedy: "evaluate the baseline again with this version of Furl; of a model with another vocabulary no "
          + "perplexities for each token compare")
    }
    let bootstrap = Bootstrap(
      clusters: zip(figures.chunks, before.chunks).map { .init(sum: $0.loss - $1.loss, count: $0.tokens) })
    func rise(_ share: Double) -> Double { exp(bootstrap.quantile(share)) - 1 }
    let (lower, upper) = (rise(1 - confidence), rise(confidence))
    let verdict: Verdict = upper < maxRise ? .pass : lower > maxRise ? .fail : .inconclusive
    let pHolds = bootstrap.tail(atMost: log(1 + maxRise))
    return GateCheck(
      suite: suite, metric: metric, bound: .maxRise(maxRise, confidence: confidence), value: figures.perplexity,
      interval95: figures.interval95,
      comparison: GateCheck.MeasuredComparison(
        baseline: before.perplexity, difference: figures.perplexity / before.perplexity - 1,
        interval95: rise(0.025)...rise(0.975), lowerLimit: lower, upperLimit: upper,
        pBroken: bootstrap.tail(atLeast: log(1 + maxRise)), pHolds: pHolds, pHoldsCorrected: pHolds,
        shownMargin: Swift.max(0, upper), count: figures.chunks.count),
      verdict: verdict, reason: reason(verdict, lower, upper, maxRise, "rise"))
  }

  private func reason(
    _ verdict: Verdict, _ lower: Double, _ upper: Double, _ bound: Double, _ what: String
  ) -> String {
    func short(_ value: Double) -> String { "\((value * 1e6).rounded() / 1e6)" }
    switch verdict {
    case .pass: return "the upper limit of the \(what), \(short(upper)), is below \(bound)"
    case .fail: return "the lower limit of the \(what), \(short(lower)), is above \(bound)"
    case .inconclusive, .notPut:
      return "the limits of the \(what), \(short(lower)) and \(short(upper)), lie on both sides of \(bound): this text "
        + "shows no less than \(short(upper))"
    }
  }
}
