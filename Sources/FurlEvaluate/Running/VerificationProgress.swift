import FurlModel
import FurlSpec

/// What a verification has found so far, and what comes next.
struct VerificationProgress {
  /// The suites, what is cheap first. The order does not depend on what was measured before, so a result that was kept
  /// changes no verdict.
  let order: [Suite]
  var savings = GateReport.Savings()
  var evidence = GateReport.Evidence()
  /// Whether a gate is broken, so that nothing more is to be found out.
  private(set) var hasFailed = false
  private var checks: [GateCheck] = []
  private let comparisons: Int
  private let isComplete: Bool

  init(_ gates: [Gate], suites: [String: Suite], isComplete: Bool) {
    self.isComplete = isComplete
    comparisons = gates.reduce(0) { $0 + $1.comparisonCount }
    order = suites.values.sorted {
      let costs = [$0, $1].map { VerificationProgress.cost($0, gates) }
      return (costs[0], $0.name) < (costs[1], $1.name)
    }
    savings.total = order.reduce(0) { $0 + $1.problems.ids.count }
  }

  /// Tokens that a suite generates at most; a token that is only read costs about an eighth. A baseline is in FP32 and
  /// costs twice as much as the artifact.
  private static func cost(_ suite: Suite, _ gates: [Gate]) -> Int {
    let compares = gates.contains { $0.suite == suite.name && $0.needsBaseline }
    return suite.problems.content.cost(suite.protocol) * (compares ? 3 : 1)
  }

  /// Takes in checks of which all problems were put.
  mutating func add(_ found: [GateCheck]) {
    add(
      found,
      hasFailed: found.contains { check in
        guard check.verdict == .fail else { return false }
        return check.bound.level.map { (check.comparison?.pHolds ?? 1) * Double(comparisons) < $0 } ?? true
      })
  }

  mutating func add(_ found: [GateCheck], hasFailed: Bool) {
    checks += found
    if hasFailed, !isComplete { self.hasFailed = true }
  }

  /// Leaves a suite out.
  mutating func skip(_ suite: Suite, _ gates: [Gate]) {
    checks += gates.flatMap { $0.notPut(suite, because: "not put, because another gate had failed") }
  }

  /// What ends a suite's run early; nil when it is to be put whole, or only a part of it is put anyway, or of each problem
  /// several completions are drawn, of which one ends nothing.
  func curtailment(
    _ suite: Suite, _ gates: [Gate], baseline: EvaluationReport?, limit: Int?
  ) throws -> Curtailment? {
    guard !isComplete, limit == nil, suite.protocol.draws == 1,
      gates.allSatisfy({ suite.kind.type.figure($0.metric) != nil })
    else { return nil }
    return try Curtailment(
      gates, suite: suite, baseline: baseline, comparisons: comparisons, endsAtFailure: true)
  }

  /// The checks in the order in which the gates are written.
  func inOrder(of gates: [Gate]) -> [GateCheck] {
    gates.flatMap { gate in
      checks.filter { $0.suite == gate.suite && $0.metric == gate.metric }.map { check in
        var check = check
        check.isLoose = gate.isLoose
        return check
      }
    }
  }
}

extension GateReport.Savings {
  mutating func add(_ found: Baseline.FoundBaseline, _ suite: Suite) {
    guard case .cached(let entry) = found else { return }
    cachedBaselines.append(suite.name)
    cachedSeconds += entry.report.seconds
  }

  mutating func add(_ outcome: Evaluator.EvaluationOutcome, begun: Int?) {
    let count = outcome.report.results.ids.count
    put += count
    self.begun += begun ?? count
    drafted.guessed += outcome.speculation.guessed
    drafted.accepted += outcome.speculation.accepted
  }
}
