import FurlTensor

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Log-probabilities of given texts, for perplexity and KL divergence.
public final class Likelihood {
  private let session: Session

  /// - Parameter session: its first slot is used.
  public init(session: Session) { self.session = session }

  /// Calls `body` with the logits after each of some tokens.
  ///
  /// - Parameters:
  ///   - ids: at most the context's length.
  ///   - body: (position, the session's logits, their row).
  public func forEachPosition(_ ids: [Int], _ body: (Int, Activations, Int) throws -> Void) throws {
    session.truncate(slot: 0)
    var start = 0
    while start < ids.count {
      let piece = Array(ids[start..<min(start + Session.rowLimit, ids.count)])
      let rows = try session.forward([.init(slot: 0, ids: piece, logits: .all)])
      for (offset, row) in rows[0].enumerated() { try body(start + offset, session.logits, row) }
      start += piece.count
    }
  }

  /// log p of every token of a row of logits, in nats, computed in double precision.
  public static func logProbabilities(_ logits: Activations, row: Int) -> [Double] {
    logits.withRow(row) { row in
      var largest = -Double.infinity
      for index in row.indices { largest = max(largest, Double(row[index])) }
      var sum = 0.0
      for index in row.indices { sum += exp(Double(row[index]) - largest) }
      let offset = largest + log(sum)
      return row.indices.map { Double(row[$0]) - offset }
    }
  }

  /// -log p of one token of a row of logits, in nats.
  public static func negativeLogLikelihood(_ logits: Activations, row: Int, of id: Int) -> Double {
    -logProbabilities(logits, row: row)[id]
  }
}
