/// How many tokens are drafted: as long as one more is worth what it costs.
///
/// What passes take and what becomes of drafts is measured while text is generated; the text does not depend on it. With `r`
/// the tokens in a second so far, a draft that is right with probability `p` pays when p > r * its seconds (the rule of
/// renewal processes: the best rate is the one at which nothing pays any more).
struct DraftPace: Sendable {
  /// Seconds of a pass that verifies, by its rows; 0: not known.
  private var passes: [Double]
  /// Seconds of a token's draft; 0: not known.
  private var step = 0.0
  /// Of drafts by how probable their model takes them to be: how many, and how many were right.
  private var drafted: [Double]
  private var right: [Double]
  /// Tokens and seconds of late.
  private var recent = (tokens: 0.0, seconds: 0.0)
  /// Passes since the last draft.
  private var idle = 0

  private static let bins = 10
  /// What a bin is taken to know before anything is.
  private static let prior = 4.0
  /// A bin forgets what is further back than so many drafts.
  private static let memory = 200.0
  /// The weight of the last measurement.
  private static let share = 0.2
  /// What a row more costs as long as that is not known.
  private static let rowShare = 0.04
  private static let stepShare = 0.55
  /// After so many passes without a draft there is one to learn from.
  private static let patience = 16
  /// What a draft's probability is thought to be before there is one.
  private static let start = 0.8

  /// - Parameter limit: the most tokens of a draft.
  init(limit: Int) {
    passes = Array(repeating: 0, count: limit + 2)
    right = (0..<DraftPace.bins).map { DraftPace.prior * (Double($0) + 0.5) / Double(DraftPace.bins) }
    drafted = Array(repeating: DraftPace.prior, count: DraftPace.bins)
  }

  private static func bin(_ probability: Double) -> Int {
    min(max(0, Int(probability * Double(bins))), bins - 1)
  }

  /// How often drafts that are taken to be so probable have been right.
  func acceptance(_ probability: Double) -> Double {
    let bin = DraftPace.bin(probability)
    return right[bin] / drafted[bin]
  }

  /// The same of any draft.
  private var meanAcceptance: Double {
    let all = drafted.reduce(0, +) - DraftPace.prior * Double(DraftPace.bins)
    guard all >= 4 else { return DraftPace.start }
    let known = right.reduce(0, +) - DraftPace.prior * Double(DraftPace.bins) / 2
    return min(max(known / all, 0), 1)
  }

  private func seconds(rows: Int) -> Double {
    let rows = min(max(1, rows), passes.count - 1)
    if passes[rows] > 0 { return passes[rows] }
    let below = (1..<rows).last { passes[$0] > 0 } ?? 0
    guard below > 0 else { return 0 }
    return passes[below] * (1 + DraftPace.rowShare * Double(rows - below))
  }

  private var rate: Double {
    if recent.seconds > 0 { return recent.tokens / recent.seconds }
    return passes[1] > 0 ? 1 / passes[1] : 0
  }

  private var stepSeconds: Double { step > 0 ? step : DraftPace.stepShare * seconds(rows: 1) }

  /// Whether one more draft pays behind so many that are all right with a probability.
  func continues(behind count: Int, all probability: Double) -> Bool {
    if count == 0, idle >= DraftPace.patience { return true }
    let cost = stepSeconds + max(0, seconds(rows: count + 2) - seconds(rows: count + 1))
    return probability * meanAcceptance > rate * cost
  }

  /// Whether the last of so many drafts, all right with a probability, is worth being verified.
  func verifies(_ count: Int, all probability: Double) -> Bool {
    if count == 1, idle >= DraftPace.patience { return true }
    return probability > rate * max(0, seconds(rows: count + 1) - seconds(rows: count))
  }

  // MARK: Learning

  mutating func note(stepSeconds seconds: Double) { mix(&step, seconds) }

  /// A pass that has verified: its rows, and how many tokens it has given.
  ///
  /// - Parameter draftSeconds: of what was drafted for it.
  mutating func note(rows: Int, seconds: Double, tokens: Int, draftSeconds: Double) {
    guard rows > 0, rows < passes.count else { return }
    mix(&passes[rows], seconds)
    idle = rows == 1 && draftSeconds == 0 ? idle + 1 : 0
    recent.tokens = 0.95 * recent.tokens + Double(tokens)
    recent.seconds = 0.95 * recent.seconds + seconds + draftSeconds
  }

  /// What became of drafts that were taken to be so probable: those behind the first wrong one say nothing.
  mutating func learn(_ probabilities: ArraySlice<Double>, accepted: Int) {
    for (index, probability) in probabilities.prefix(accepted + 1).enumerated() {
      let bin = DraftPace.bin(probability)
      let kept = min(1, DraftPace.memory / (drafted[bin] + 1))
      drafted[bin] = kept * (drafted[bin] + 1)
      right[bin] = kept * (right[bin] + (index < accepted ? 1 : 0))
    }
  }

  /// One that was interrupted counts as twice the usual.
  private func mix(_ known: inout Double, _ seconds: Double) {
    known = known == 0 ? seconds : known + DraftPace.share * (min(seconds, 2 * known) - known)
  }
}
