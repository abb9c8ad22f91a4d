import FurlBase
package import FurlSpec

extension Gate {
  /// Holds a report to the gate: one check for each bound.
  ///
  /// A fall is judged as a test of non-inferiority: it passes when the lower one-sided limit of the difference
  /// lies above `-max_drop`, fails when the upper one lies below, and is inconclusive otherwise. Shares use
  /// Tango's score limits, edit similarity the paired bootstrap, a text the bootstrap of its windows.
  ///
  /// - Throws: ``FurlError`` of kind `usage` when the baseline is missing, `input` when a report is of another
  ///   suite, or the baseline's suite, protocol or problems are not the same.
  package func check(_ report: EvaluationReport, baseline: EvaluationReport? = nil) throws -> [GateCheck] {
    guard report.suite.kind.type.figure(metric) != nil else {
      throw FurlError.input(
        nil, "suite \(report.suite.name)",
        "is of kind \(report.suite.kind.rawValue), which has no \(metric.rawValue)")
    }
    if maxDrop != nil || maxRise != nil {
      guard let baseline else {
        throw FurlError(
          .usage, "the gate on \(metric.rawValue) of suite \(suite) needs a baseline", remedy: "give --baseline PATH")
      }
      try comparable(report, baseline)
    }
    return try report.results.found.check(self, in: report, baseline: baseline)
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

  // MARK: Exact bounds

  /// Judges the size of the artifact's file.
  func check(diskBytes: Int) -> [GateCheck] { max.map { [atMost(Double(diskBytes), $0, interval95: nil)] } ?? [] }

  /// Holds a value to an exact bound.
  func atMost(_ value: Double, _ bound: Double, interval95: ClosedRange<Double>?) -> GateCheck {
    let holds = value <= bound
    func text(_ value: Double) -> String { metric == .diskBytes ? "\(Int(value)) bytes" : "\(value)" }
    return GateCheck(
      suite: suite, metric: metric, bound: .max(bound, confidence: nil), value: value, interval95: interval95,
      verdict: holds ? .pass : .fail, reason: "\(text(value)) is \(holds ? "at most" : "above") \(text(bound))")
  }

  // MARK: Problems

  /// Judges scores of problems.
  ///
  /// - Parameter limit: how many of the suite's problems were put, when it was to be no more.
  func check(_ scores: ProblemScores, baseline: ProblemScores?, limit: Int? = nil) throws -> [GateCheck] {
    var checks: [GateCheck] = []
    if let min { checks.append(check(scores, min: min, limit: limit)) }
    if let maxDrop, let baseline { checks.append(check(scores, baseline, maxDrop: maxDrop, limit: limit)) }
    return checks
  }

  private func check(_ scores: ProblemScores, min: Double, limit: Int?) -> GateCheck {
    let holds = scores.share?.isAtLeast(min) ?? (scores.mean >= min)
    var verdict: Verdict = holds ? .pass : .fail
    let solved = scores.share.map { "\($0.successes) of \($0.count)" } ?? "\(scores.mean)"
    var reason = "\(solved) is \(holds ? "at least" : "below") \(min)"
    if let limit {
      // What was not put could still be all right or all wrong.
      let best = (scores.sum + Double(scores.suiteCount - limit)) / Double(scores.suiteCount)
      verdict = best < min ? .fail : .inconclusive
      reason = "only \(limit) of \(scores.suiteCount) problems were put: \(solved)"
    }
    return GateCheck(
      suite: suite, metric: metric, bound: .min(min), value: scores.mean, interval95: scores.interval95,
      comparison: nil, verdict: verdict, reason: reason)
  }

  private func check(_ scores: ProblemScores, _ base: ProblemScores, maxDrop: Double, limit: Int?) -> GateCheck {
    let confidence = confidence ?? Gate.usualConfidence
    let comparison = compare(scores, base, maxDrop: maxDrop, confidence: confidence)
    var verdict: Verdict = .inconclusive
    if comparison.lowerLimit > -maxDrop { verdict = .pass }
    if comparison.upperLimit < -maxDrop { verdict = .fail }
    var reason = reason(comparison, maxDrop: maxDrop, confidence: confidence, verdict)
    if let limit {
      // The first problems of a suite are no random draw from it.
      verdict = verdict == .pass ? .inconclusive : verdict
      reason = "only \(limit) of \(scores.suiteCount) problems were put: " + reason
    }
    return GateCheck(
      suite: suite, metric: metric, bound: .maxDrop(maxDrop, confidence: confidence), value: scores.mean,
      interval95: scores.interval95, comparison: comparison, verdict: verdict, reason: reason)
  }

  private func reason(
    _ comparison: GateCheck.MeasuredComparison, maxDrop: Double, confidence: Double, _ verdict: Verdict
  ) -> String {
    let (lower, upper) = (GateCheck.short(comparison.lowerLimit), GateCheck.short(comparison.upperLimit))
    switch verdict {
    case .pass: return "the lower limit of the difference, \(lower), is above -\(maxDrop)"
    case .fail: return "the upper limit of the difference, \(upper), is below -\(maxDrop)"
    case .inconclusive, .notPut: break
    }
    let limits = "the limits of the difference, \(lower) and \(upper), lie on both sides of -\(maxDrop)"
    guard comparison.p != nil, maxDrop > 0 else { return limits }
    let count = comparison.count
    let unchanged = PairedOutcomes(regressions: 0, fixes: 0, count: count).shownMargin(confidence: confidence)
    if unchanged >= maxDrop {
      let needed = PairedOutcomes.problemsNeeded(margin: maxDrop, flips: 0, confidence: confidence)
      return "\(count) problems are too few to show a drop of at most \(Gate.points(maxDrop)): even with no "
        + "change at all they show \(Gate.points(unchanged))"
        + (needed.map { ", and it takes \($0) problems to show \(Gate.points(maxDrop))" } ?? "") + "; \(limits)"
    }
    let shown = "\(count) problems with \(comparison.regressed.count) regressions and \(comparison.fixed.count) fixes "
    return shown
      + "show a drop of at most \(Gate.points(comparison.shownMargin)), not \(Gate.points(maxDrop))"
      + (comparison.problemsNeeded.map { ", which about \($0) would show if gains and losses evened out" } ?? "")
      + "; \(limits)"
  }

  private func compare(
    _ scores: ProblemScores, _ base: ProblemScores, maxDrop: Double, confidence: Double
  ) -> GateCheck.MeasuredComparison {
    let pairs = zip(scores.values, base.values)
    let regressed = zip(scores.ids, pairs).filter { $0.1.0 < $0.1.1 }.map(\.0)
    let fixed = zip(scores.ids, pairs).filter { $0.1.0 > $0.1.1 }.map(\.0)
    let count = scores.values.count
    guard let share = base.share else {
      let bootstrap = Bootstrap(of: pairs.map { $0 - $1 }, keys: scores.clusters)
      let lower = bootstrap.quantile(1 - confidence)
      let pHolds = bootstrap.tail(atLeast: -maxDrop)
      return GateCheck.MeasuredComparison(
        baseline: base.mean, difference: scores.mean - base.mean, interval95: bootstrap.interval(),
        lowerLimit: lower, upperLimit: bootstrap.quantile(confidence), regressed: regressed, fixed: fixed, p: nil,
        pBroken: bootstrap.tail(atMost: -maxDrop), pHolds: pHolds, pHoldsCorrected: pHolds,
        shownMargin: Swift.max(0, -lower), problemsNeeded: nil, count: count)
    }
    let paired = PairedOutcomes(regressions: regressed.count, fixes: fixed.count, count: count)
    let score = paired.score(difference: -maxDrop)
    let pHolds = Normal.probability(upTo: score)
    return GateCheck.MeasuredComparison(
      baseline: share.value, difference: paired.difference, interval95: paired.interval(),
      newcombe95: paired.newcombeInterval(baseline: share.successes),
      lowerLimit: paired.lowerLimit(confidence: confidence), upperLimit: paired.upperLimit(confidence: confidence),
      regressed: regressed, fixed: fixed, p: paired.exactP, pBroken: Normal.probability(upTo: -score), pHolds: pHolds,
      pHoldsCorrected: pHolds, shownMargin: paired.shownMargin(confidence: confidence),
      problemsNeeded: PairedOutcomes.problemsNeeded(margin: maxDrop, flips: paired.flips, confidence: confidence),
      count: count)
  }
}

/// What a gate's metric gives for every problem.
struct ProblemScores {
  var ids: [ProblemID]
  /// From 0 to 1; of a share 0 or 1.
  var values: [Double]
  /// What problems have in common, such as the file that lines were taken from.
  var clusters: [String?]
  var isShare: Bool
  /// The problems of the whole suite.
  var suiteCount: Int
}

extension ProblemScores {
  /// - Throws: ``FurlError`` of kind `usage` when there are none.
  init(_ gate: Gate, _ report: EvaluationReport) throws {
    let found = report.results.found
    self.init(
      ids: found.ids, values: found.scores(gate.metric), clusters: found.clusters,
      isShare: gate.metric.figure?.basis == .outcomes, suiteCount: report.suite.count)
    guard !values.isEmpty else { throw FurlError(.usage, "suite \(report.suite.name) has no results to verify") }
  }

  /// A suite's problems without scores.
  init(_ gate: Gate, problems: Problems) {
    self.init(
      ids: problems.ids, values: [Double](repeating: 0, count: problems.count), clusters: problems.content.clusters,
      isShare: gate.metric.figure?.basis == .outcomes, suiteCount: problems.count)
  }

  var sum: Double { values.reduce(0, +) }

  var mean: Double { share?.value ?? sum / Double(values.count) }

  /// Nil for a figure that is no share.
  var share: Proportion? {
    isShare ? Proportion(successes: values.count { $0 == 1 }, count: values.count) : nil
  }

  var interval95: ClosedRange<Double> { share?.interval() ?? Bootstrap(of: values, keys: clusters).interval() }
}
