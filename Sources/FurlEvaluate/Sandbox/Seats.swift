import FurlBase
import Synchronization

/// Lets in many beside each other, or one alone.
final class Seats: Sendable {
  private struct SeatState {
    var inside = 0
    var isTaken = false
    /// Those that want to be alone: nobody comes in before them.
    var wanting = 0
  }

  private let state = Mutex(SeatState())

  func beside<Value>(_ body: () throws -> Value) rethrows -> Value {
    enter { state in
      guard !state.isTaken, state.wanting == 0 else { return false }
      state.inside += 1
      return true
    }
    defer { state.withLock { $0.inside -= 1 } }
    return try body()
  }

  func alone<Value>(_ body: () throws -> Value) rethrows -> Value {
    state.withLock { $0.wanting += 1 }
    enter { state in
      guard !state.isTaken, state.inside == 0 else { return false }
      state.isTaken = true
      state.wanting -= 1
      return true
    }
    defer { state.withLock { $0.isTaken = false } }
    return try body()
  }

  /// Waiting is seldom and long, so that looking every few milliseconds is good enough.
  private func enter(_ isLetIn: (inout SeatState) -> Bool) {
    while !state.withLock({ isLetIn(&$0) }) { usleep(2000) }
  }
}
