import FurlBase
import FurlSpec
import Synchronization

/// Ends the run of a suite as soon as its gates are settled, exactly: see ``Settlement``.
///
/// Verdicts rest on the completions in the order in which they ended, up to the first at which everything is settled. That
/// order does not depend on how long programs take, so neither does what is reported.
final class Curtailment: Sendable {
  /// Ends generating; never seen by a caller.
  struct Settled: Error {}

  private struct CurtailmentState {
    /// The places of the problems whose completions ended, in that order.
    var ended: [Int] = []
    /// What each problem gave to each of the gates.
    var scores: [Int: [Double]] = [:]
    /// How many of ``ended`` were looked at.
    var seen = 0
    /// How many of ``ended`` the verdicts rest on, once they are settled.
    var settledAfter: Int?
    var begun = 0
  }

  /// The problems that the baseline solves: where losses are possible, they are what settles a gate.
  let first: Set<ProblemID>
  private let suite: Suite
  private let gates: [Gate]
  private let templates: [ProblemScores]
  private let baselines: [ProblemScores?]
  private let comparisons: Int
  private let endsAtFailure: Bool
  private let places: [ProblemID: Int]
  /// Gates are looked at after so many problems.
  private let stride: Int
  private let state = Mutex(CurtailmentState())

  /// - Parameters:
  ///   - gates: those on the suite, of which each needs a kind that has problems.
  ///   - baseline: the whole report on the baseline, for gates that compare.
  ///   - comparisons: bounds that compare with a baseline in the whole verification.
  ///   - endsAtFailure: whether one broken gate is enough.
  /// - Throws: ``FurlError`` of kind `input` for a baseline that was not measured on the whole suite.
  init(
    _ gates: [Gate], suite: Suite, baseline: EvaluationReport?, comparisons: Int, endsAtFailure: Bool
  ) throws {
    self.suite = suite
    self.gates = gates
    self.comparisons = comparisons
    self.endsAtFailure = endsAtFailure
    let ids = suite.problems.ids
    if let baseline, baseline.results.ids != ids {
      throw FurlError.input(
        "baseline \(baseline.model.path)", "suite \(suite.name)", "was measured on other problems",
        remedy: "evaluate the baseline again with the same suite and options")
    }
    places = Dictionary(uniqueKeysWithValues: zip(ids, 0...))
    templates = gates.map { ProblemScores($0, problems: suite.problems) }
    baselines = try gates.map { gate in try baseline.map { try ProblemScores(gate, $0) } }
    var solved: Set<ProblemID> = []
    for (gate, scores) in zip(gates, baselines) where gate.maxDrop != nil {
      guard let scores else { continue }
      for (id, value) in zip(scores.ids, scores.values) where value == 1 { solved.insert(id) }
    }
    first = solved
    // Resampling takes its time.
    let resamples = templates.contains { !$0.isShare }
    stride = max(1, ids.count / (resamples ? 16 : 512))
  }

  // MARK: While the suite runs

  /// A completion has ended; what it is worth may come later, from any thread.
  func ended(_ id: ProblemID) {
    guard let place = places[id] else { return }
    state.withLock { $0.ended.append(place) }
  }

  /// What a problem gave to a figure, from 0 to 1.
  func found(_ id: ProblemID, _ score: (Gate.Metric) -> Double) {
    guard let place = places[id] else { return }
    let scores = gates.map { score($0.metric) }
    state.withLock { $0.scores[place] = scores }
  }

  /// Generating ended while so many problems were begun.
  func stopped(begun: Int) { state.withLock { $0.begun = begun } }

  /// Looks at what has come in; whether nothing more is needed.
  func isSettled() throws -> Bool {
    try state.withLock { state in
      while state.settledAfter == nil, state.seen < state.ended.count,
        state.scores[state.ended[state.seen]] != nil
      {
        state.seen += 1
        guard state.seen % stride == 0 || state.seen == places.count else { continue }
        let settlements = try settlements(state.ended.prefix(state.seen), state.scores)
        let isDone =
          settlements.allSatisfy(\.isSettled) || (endsAtFailure && settlements.contains(where: \.hasFailed))
        if isDone { state.settledAfter = state.seen }
      }
      return state.settledAfter != nil
    }
  }

  // MARK: Afterwards

  /// The problems that the verdicts rest on; nil when every problem was put.
  var kept: Set<ProblemID>? {
    let ids = suite.problems.ids
    return state.withLock { state in
      guard let count = state.settledAfter, count < places.count else { return nil }
      return Set(state.ended.prefix(count).map { ids[$0] })
    }
  }

  /// How many problems were begun.
  var begun: Int { state.withLock { max($0.begun, $0.ended.count) } }

  /// The checks of all gates, and whether one of them has failed whatever comes.
  func verdicts() throws -> (checks: [GateCheck], hasFailed: Bool) {
    try state.withLock { state in
      let settlements = try settlements(
        state.ended.prefix(state.settledAfter ?? state.ended.count), state.scores)
      return (settlements.flatMap(\.checks), settlements.contains(where: \.hasFailed))
    }
  }

  private func settlements(_ ended: ArraySlice<Int>, _ scores: [Int: [Double]]) throws -> [Settlement] {
    try gates.indices.map { index in
      var known = [Double?](repeating: nil, count: places.count)
      for place in ended { known[place] = scores[place]?[index] }
      return try Settlement(
        gates[index], known: known, template: templates[index], baseline: baselines[index], comparisons: comparisons)
    }
  }
}
