import FurlTensor

/// One bound of a gate, held against what was measured.
public struct GateCheck: Sendable, Hashable {
  /// What was demanded.
  public enum Bound: Sendable, Hashable {
    /// At least this, on this fixed set of problems.
    case min(Double)
    /// At most this much below the baseline, by a one-sided limit.
    case maxDrop(Double, confidence: Double)
  }

  /// The paired comparison with a baseline.
  public struct Comparison: Sendable, Hashable {
    /// The baseline's value.
    public var baseline: Double
    /// The candidate's value less the baseline's.
    public var difference: Double
    /// The two-sided 95 % interval of the difference.
    public var interval95: ClosedRange<Double>
    /// The one-sided limits at the gate's confidence.
    public var lowerLimit: Double
    public var upperLimit: Double
    /// Problems that became worse and better, in the suite's order.
    public var regressed: [ProblemID]
    public var fixed: [ProblemID]
    /// McNemar's exact two-sided p-value; nil for a figure that is no share.
    public var p: Double?
    /// How many problems were compared.
    public var count: Int
    /// The share of problems that changed.
    public var flips: Double { Double(regressed.count + fixed.count) / Double(count) }
  }

  public var suite: String
  public var metric: Gate.Metric
  public var bound: Bound
  /// The candidate's value, from 0 to 1.
  public var value: Double
  /// The 95 % interval of the value for problems like these.
  public var interval95: ClosedRange<Double>
  public var comparison: Comparison?
  public var verdict: Verdict
  /// Why, as a sentence.
  public var reason: String
}

extension Gate {
  /// Holds a report to the gate: one check for each bound.
  ///
  /// A fall is judged as a test of non-inferiority: it passes when the lower one-sided limit of the difference
  /// lies above `-max_drop`, fails when the upper one lies below, and is inconclusive otherwise. Shares use
  /// Tango's score limits, edit similarity the paired bootstrap.
  ///
  /// - Throws: ``FurlError`` of kind `usage` when the baseline is missing, `input` when a report is of another
  ///   suite, or the baseline's suite, protocol or problems are not the same.
  public func check(_ report: EvaluationReport, baseline: EvaluationReport? = nil) throws -> [GateCheck] {
    let values = try Values(self, report)
    var checks: [GateCheck] = []
    if let min { checks.append(check(report, values, min: min)) }
    if let maxDrop {
      guard let baseline else {
        throw FurlError(
          .usage, "the gate on \(metric.rawValue) of suite \(suite) needs a baseline", remedy: "give --baseline PATH")
      }
      try comparable(report, baseline)
      checks.append(check(report, values, try Values(self, baseline), maxDrop: maxDrop))
    }
    return checks
  }

  /// A metric's value of every problem.
  private struct Values {
    var ids: [ProblemID]
    /// 1 or 0 for shares.
    var values: [Double]
    var mean: Double
    /// Nil for a figure that is no share.
    var share: Proportion?

    init(_ gate: Gate, _ report: EvaluationReport) throws {
      guard report.suite.kind == gate.metric.kind else {
        throw FurlError.input(
          nil, "suite \(report.suite.name)",
          "is of kind \(report.suite.kind.rawValue), which has no \(gate.metric.rawValue)")
      }
      ids = report.results.ids
      switch (gate.metric, report.results) {
      case (.passAt1, .programs(let items)): values = items.map { $0.passed ? 1 : 0 }
      case (.exactMatch, .lines(let items)): values = items.map { $0.exact ? 1 : 0 }
      case (.editSimilarity, .lines(let items)): values = items.map(\.editSimilarity)
      default: values = []
      }
      guard !values.isEmpty else { throw FurlError(.usage, "suite \(report.suite.name) has no results to verify") }
      mean = values.reduce(0, +) / Double(values.count)
      let isShare = gate.metric != .editSimilarity
      share = isShare ? Proportion(successes: values.count { $0 == 1 }, count: values.count) : nil
    }

    var interval95: ClosedRange<Double> { share?.interval() ?? Bootstrap(of: values).interval() }
  }

  private func check(_ report: EvaluationReport, _ values: Values, min: Double) -> GateCheck {
    let value = values.share?.value ?? values.mean
    let holds = values.share?.isAtLeast(min) ?? (value >= min)
    var verdict: Verdict = holds ? .pass : .fail
    let solved = values.share.map { "\($0.successes) of \($0.count)" } ?? "\(value)"
    var reason = "\(solved) is \(holds ? "at least" : "below") \(min)"
    if let limit = report.limit {
      // What was not put could still be all right or all wrong.
      let best = (values.values.reduce(0, +) + Double(report.suite.count - limit)) / Double(report.suite.count)
      verdict = best < min ? .fail : .inconclusive
      reason = "only \(limit) of \(report.suite.count) problems were put: \(solved)"
    }
    return GateCheck(
      suite: suite, metric: metric, bound: .min(min), value: value, interval95: values.interval95, comparison: nil,
      verdict: verdict, reason: reason)
  }

  private func check(
    _ report: EvaluationReport, _ values: Values, _ base: Values, maxDrop: Double
  ) -> GateCheck {
    let comparison = compare(values, base)
    var verdict: Verdict = .inconclusive
    if comparison.lowerLimit > -maxDrop { verdict = .pass }
    if comparison.upperLimit < -maxDrop { verdict = .fail }
    var reason =
      switch verdict {
      case .pass: "the lower limit of the difference, \(short(comparison.lowerLimit)), is above -\(maxDrop)"
      case .fail: "the upper limit of the difference, \(short(comparison.upperLimit)), is below -\(maxDrop)"
      case .inconclusive:
        "the limits of the difference, \(short(comparison.lowerLimit)) and \(short(comparison.upperLimit)), "
          + "lie on both sides of -\(maxDrop)"
      }
    if let limit = report.limit {
      // The first problems of a suite are no random draw from it.
      verdict = verdict == .pass ? .inconclusive : verdict
      reason = "only \(limit) of \(report.suite.count) problems were put: " + reason
    }
    return GateCheck(
      suite: suite, metric: metric, bound: .maxDrop(maxDrop, confidence: confidence),
      value: values.share?.value ?? values.mean, interval95: values.interval95, comparison: comparison,
      verdict: verdict, reason: reason)
  }

  private func compare(_ values: Values, _ base: Values) -> GateCheck.Comparison {
    let pairs = zip(values.values, base.values)
    let regressed = zip(values.ids, pairs).filter { $1.0 < $1.1 }.map(\.0)
    let fixed = zip(values.ids, pairs).filter { $1.0 > $1.1 }.map(\.0)
    let count = values.values.count
    if metric == .editSimilarity {
      let bootstrap = Bootstrap(of: pairs.map { $0 - $1 })
      return GateCheck.Comparison(
        baseline: base.mean, difference: values.mean - base.mean, interval95: bootstrap.interval(),
        lowerLimit: bootstrap.quantile(1 - confidence), upperLimit: bootstrap.quantile(confidence),
        regressed: regressed, fixed: fixed, p: nil, count: count)
    }
    let paired = PairedOutcomes(regressions: regressed.count, fixes: fixed.count, count: count)
    return GateCheck.Comparison(
      baseline: base.share?.value ?? base.mean, difference: paired.difference, interval95: paired.interval(),
      lowerLimit: paired.lowerLimit(confidence: confidence), upperLimit: paired.upperLimit(confidence: confidence),
      regressed: regressed, fixed: fixed, p: paired.exactP, count: count)
  }

  private func comparable(_ report: EvaluationReport, _ baseline: EvaluationReport) throws {
    func refuse(_ problem: String) -> FurlError {
      .input(
        "baseline \(baseline.model.path)", "suite \(suite)", problem,
        remedy: "evaluate the baseline again with the same suite and options")
    }
    guard baseline.suite.sha256 == report.suite.sha256 else { throw refuse("was measured on another problem file") }
    guard baseline.protocol == report.protocol else { throw refuse("was measured by another protocol") }
    guard baseline.results.ids == report.results.ids else { throw refuse("was measured on other problems") }
  }

  /// Four decimals, which is finer than any suite resolves.
  private func short(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }
}
