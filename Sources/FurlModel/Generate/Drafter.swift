import FurlBase
import FurlSpec
import FurlTensor

/// Where drafts come from that a model verifies: several of its positions are computed for little more than what one costs, as
/// long as weights come from memory (speculative decoding: Leviathan et al. 2023, Chen et al. 2023).
package enum DraftSource {
  /// The same model with other weights, which its session has (``Session/hasDrafts``).
  case own
  /// Another model with the same tokens, in a session with as many slots.
  case other(Session)
}

/// Drafts the next tokens of a sequence with a cheaper model.
///
/// A token is drafted as the verifying model will choose it, with the same draws (Daliri et al. 2024, "Coupling without
/// communication and drafter-invariant speculative decoding"): it is accepted when that model chooses it. So the text is the
/// one without drafts, sampled or not, and has its distribution.
final class Drafter {
  private let session: Session
  private let isOwn: Bool
  /// Tokens that the verifying model has.
  private let vocabularySize: Int
  /// The tokens that each slot of a session of its own holds.
  private var held: [[Int]]
  private(set) var pace: DraftPace
  /// Seconds of the last draft.
  private(set) var seconds = 0.0
  /// How probable its tokens were taken to be.
  private(set) var probabilities: [Double] = []

  /// - Parameter session: the one that verifies.
  init(_ source: DraftSource, session: Session, limit: Int) {
    switch source {
    case .own: (self.session, isOwn) = (session, true)
    case .other(let own): (self.session, isOwn) = (own, false)
    }
    vocabularySize = session.model.spec.vocabularySize
    held = Array(repeating: [], count: self.session.slots)
    pace = DraftPace(limit: limit)
  }

  /// What may follow a sequence, of which a slot of the verifying session holds all but the last token.
  ///
  /// - Parameters:
  ///   - limit: the most tokens.
  ///   - ends: tokens behind which there are none.
  ///   - sampler: draws as the one that verifies will.
  func propose(slot: Int, ids: [Int], limit: Int, ends: Set<Int>, sampler: Sampler) throws -> [Int] {
    (seconds, probabilities) = (0, [])
    guard limit > 0, pace.continues(behind: 0, all: 1) else { return [] }
    let start = ContinuousClock.now
    defer { seconds = (ContinuousClock.now - start).inSeconds }
    var sampler = sampler
    var tokens: [Int] = []
    var (all, last) = (1.0, 1.0)
    var feed = try prepare(slot: slot, ids: ids)
    let length = session.lengths[slot]
    repeat {
      let began = ContinuousClock.now
      guard session.lengths[slot] + feed.count <= session.contextLength else { break }
      let rows = try session.forward(
        [.init(slot: slot, ids: feed, logits: .last, isGenerated: true)], drafting: isOwn)
      let row = rows[0].lowerBound
      // What is no number is left to the model that verifies.
      guard let best = session.logits.argmax(row: row, session.context.kernels) else { break }
      let id = try sampler.next(session.logits, row: row, best: best)
      let temperature = sampler.sampling.temperature
      let probability = session.logits.probability(
        of: id, row: row, temperature: temperature > 0 ? temperature : 1, session.context.kernels)
      if feed.count == 1 { pace.note(stepSeconds: (ContinuousClock.now - began).inSeconds) }
      guard id < vocabularySize else { break }
      last = all
      all *= pace.acceptance(probability)
      tokens.append(id)
      probabilities.append(probability)
      feed = [id]
      if ends.contains(id) { break }
    } while tokens.count < limit && pace.continues(behind: tokens.count, all: all)
    if !tokens.isEmpty, !pace.verifies(tokens.count, all: all) {
      tokens.removeLast()
      probabilities.removeLast()
      all = last
    }
    try finish(slot: slot, ids: ids, length: length, tokens: tokens)
    return tokens
  }

  /// Learns what the model has chosen: what the last pass took, and how many of its drafts were right.
  func learn(rows: Int, duration: Duration, tokens: Int, accepted: Int) {
    pace.note(rows: rows, seconds: duration.inSeconds, tokens: tokens, draftSeconds: seconds)
    pace.learn(probabilities[...], accepted: accepted)
    (seconds, probabilities) = (0, [])
  }

  /// The tokens of a sequence that the session has not seen: it goes on where they begin.
  private func prepare(slot: Int, ids: [Int]) throws -> [Int] {
    guard !isOwn else { return Array(ids.suffix(1)) }
    var common = zip(held[slot], ids.dropLast()).prefix { $0 == $1 }.count
    if common < session.lengths[slot], (try? session.truncate(slot: slot, to: common)) == nil {
      session.truncate(slot: slot)
      common = 0
    }
    held[slot] = Array(ids.prefix(common))
    let rest = Array(ids.dropFirst(common))
    var next = 0
    while rest.count - next > session.rowLimit, held[slot].count + session.rowLimit <= session.contextLength {
      let piece = Array(rest[next..<next + session.rowLimit])
      try session.forward([.init(slot: slot, ids: piece, logits: .none)])
      held[slot] += piece
      next += session.rowLimit
    }
    return Array(rest[next...])
  }

  /// Forgets what the verifying model computes again.
  private func finish(slot: Int, ids: [Int], length: Int, tokens: [Int]) throws {
    if isOwn {
      try session.truncate(slot: slot, to: length)
    } else if session.lengths[slot] > length {
      held[slot] = Array((ids + tokens).prefix(session.lengths[slot]))
    }
  }
}

extension Duration {
  fileprivate var inSeconds: Double { Double(components.seconds) + 1e-18 * Double(components.attoseconds) }
}
