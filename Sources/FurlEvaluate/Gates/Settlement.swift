import FurlSpec

/// What can be said of a gate before every problem was put, exactly: whatever the others give.
///
/// The figures are means of scores from 0 to 1, and every verdict gets no worse when a score rises (more regressions never
/// raise Tango's limits, more fixes never lower them; every mean of a resample rises with each score). So the verdict is
/// settled when it is the same with all unknown scores at 0 and all at 1.
struct Settlement {
  var checks: [GateCheck]
  /// Whether every bound of the gate has the verdict that it would have in the end.
  var isSettled: Bool
  /// Whether one of them is broken, whatever comes.
  var hasFailed: Bool

  /// - Parameters:
  ///   - known: the scores of the suite's problems, nil for those that are not known.
  ///   - template: the suite's problems; its scores are not used.
  ///   - baseline: the baseline's scores of all of them, for a gate that compares.
  ///   - comparisons: how many bounds compare with a baseline in the whole verification. A failure counts as settled
  ///     only if Holm's correction for so many cannot take it back.
  init(_ gate: Gate, known: [Double?], template: ProblemScores, baseline: ProblemScores?, comparisons: Int) throws {
    var (worst, best) = (template, template)
    worst.values = known.map { $0 ?? 0 }
    best.values = known.map { $0 ?? 1 }
    let pairs = zip(
      try gate.check(worst, baseline: baseline), try gate.check(best, baseline: baseline))
    let put = known.count { $0 != nil }
    let isComplete = put == known.count
    var settled: [Bool] = []
    var failed: [Bool] = []
    checks = pairs.map { worst, best in
      var isSettled = isComplete || worst.verdict == best.verdict
      // With all others at their best it is broken by the worst of corrections.
      let isBorneOut = best.bound.level.map { (best.comparison?.pHolds ?? 1) * Double(comparisons) < $0 } ?? true
      if best.verdict == .fail, !isBorneOut, !isComplete { isSettled = false }
      settled.append(isSettled)
      failed.append(best.verdict == .fail && isBorneOut)
      if isComplete { return worst }
      return Settlement.merge(worst, best, put: put, known: known, ids: template.ids, isSettled: isSettled)
    }
    isSettled = settled.allSatisfy { $0 }
    hasFailed = failed.contains(true)
  }

  private static func merge(
    _ worst: GateCheck, _ best: GateCheck, put: Int, known: [Double?], ids: [ProblemID], isSettled: Bool
  ) -> GateCheck {
    var check = isSettled && worst.verdict == .pass ? worst : best
    check.verdict = isSettled ? worst.verdict : put == 0 ? .notPut : .inconclusive
    check.partial = .init(put: put, count: known.count, range: worst.value...best.value)
    // Of what one end of a range gives there is no interval.
    check.interval95 = nil
    if var comparison = check.comparison, let low = worst.comparison, let high = best.comparison {
      var isKnown: Set<ProblemID> = []
      for (id, score) in zip(ids, known) where score != nil { isKnown.insert(id) }
      comparison.regressed = low.regressed.filter { isKnown.contains($0) }
      comparison.fixed = high.fixed.filter { isKnown.contains($0) }
      (comparison.interval95, comparison.newcombe95) = (nil, nil)
      (comparison.lowerLimit, comparison.upperLimit) = (low.lowerLimit, high.upperLimit)
      (comparison.pBroken, comparison.pHolds) = (low.pBroken, high.pHolds)
      comparison.pHoldsCorrected = high.pHolds
      comparison.shownMargin = low.shownMargin
      (comparison.p, comparison.problemsNeeded) = (nil, nil)
      check.comparison = comparison
    }
    check.reason =
      isSettled
      ? "settled after \(put) of \(known.count) problems, with the others all "
        + "\(check.verdict == .pass ? "wrong" : "right"): \(check.reason)"
      : "only \(put) of \(known.count) problems were put, because another gate had failed"
    return check
  }
}

extension Gate {
  /// The checks of a gate that nothing was measured for.
  func notPut(_ suite: Suite?, because reason: String) -> [GateCheck] {
    let bounds: [GateCheck.Bound?] = [
      min.map { .min($0) }, maxDrop.map { .maxDrop($0, confidence: confidence ?? Gate.usualConfidence) },
      max.map { .max($0, confidence: confidence) },
      maxRise.map { .maxRise($0, confidence: confidence ?? Gate.usualConfidence) },
    ]
    return bounds.compactMap { $0 }.map { bound in
      GateCheck(
        suite: self.suite, metric: metric, bound: bound, value: .nan, interval95: nil,
        partial: .init(put: 0, count: suite?.count ?? 1, range: nil), verdict: .notPut, reason: reason)
    }
  }

  /// How many of its bounds are judged against a baseline, or by limits.
  var comparisonCount: Int {
    (maxDrop == nil ? 0 : 1) + (maxRise == nil ? 0 : 1) + (max != nil && confidence != nil && maxRise == nil ? 1 : 0)
  }
}
