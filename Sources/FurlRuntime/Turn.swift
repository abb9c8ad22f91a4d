import FurlBase
import Synchronization

/// Work that takes long, one piece at a time, on threads of its own: Swift's own pool of threads is not for waiting.
final class Turn: Sendable {
  private let lock = Mutex<Void>(())

  /// Does work when it is its turn.
  ///
  /// - Throws: what the work throws; ``FurlError`` of kind `unavailable` where the system has no thread left.
  func take<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
      begin({ continuation.resume(with: $0) }, work)
    }
  }

  /// The same for a caller who does not wait.
  func begin<Value: Sendable>(
    _ end: @escaping @Sendable (Result<Value, any Error>) -> Void, _ work: @escaping @Sendable () throws -> Value
  ) {
    let begun = beginThread { end(self.lock.withLock { _ in Result { try work() } }) }
    if !begun {
      end(
        .failure(
          FurlError(.unavailable, "the system has no thread left", remedy: "end other programs, or allow more threads"))
      )
    }
  }
}
