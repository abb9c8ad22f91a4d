import FurlNumerics
package import FurlTensor

/// Log-probabilities of given texts, for perplexity and KL divergence.
package final class Likelihood {
  private let sessions: [Session]

  /// - Parameter sessions: read the same tokens in lockstep; the first slot of each is used.
  package init(_ sessions: Session...) { self.sessions = sessions }

  /// Calls `body` with the logits after each of some tokens.
  ///
  /// - Parameters:
  ///   - ids: at most the context's length.
  ///   - body: (position, the logits of each session, their row).
  package func forEachPosition(_ ids: [Int], _ body: (Int, [Activations], Int) throws -> Void) throws {
    for session in sessions { session.truncate(slot: 0) }
    let rows = sessions.map(\.rowLimit).min() ?? 1
    for start in stride(from: 0, to: ids.count, by: rows) {
      let piece = Array(ids[start..<min(start + rows, ids.count)])
      for session in sessions { try session.forward([.init(slot: 0, ids: piece, logits: .all)]) }
      for row in piece.indices { try body(start + row, sessions.map(\.logits), row) }
    }
  }

  /// log p of every token of a row of logits, in nats, computed in double precision.
  package static func logProbabilities(_ logits: Activations, row: Int) -> [Double] {
    logits.withRow(row) { LogSoftmax.double($0) }
  }

  /// The KL divergence of a distribution from another one, in nats: the sum of p (log p - log q). Terms below
  /// e^-16 are left out, as llama.cpp does; numbers that are no numbers are not.
  package static func divergence(of p: [Double], from q: [Double]) -> Double {
    zip(p, q).reduce(0) { $0 + ($1.0 <= -16 ? 0 : Elementary.exp($1.0) * ($1.0 - $1.1)) }
  }

  /// The first of the likeliest tokens.
  package static func top(_ logProbabilities: [Double]) -> Int {
    var best = 0
    for index in logProbabilities.indices where logProbabilities[index] > logProbabilities[best] { best = index }
    return best
  }
}
