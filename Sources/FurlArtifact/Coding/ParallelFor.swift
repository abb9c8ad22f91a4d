import FurlBase
import Synchronization

/// Calls a body once for every index below a count, on as many threads as it likes, and returns when all are done.
package typealias ParallelFor = (_ count: Int, _ body: @Sendable (Int) -> Void) -> Void

/// A ``ParallelFor`` of one thread.
package func serialFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
  for index in 0..<count { body(index) }
}

/// The results of a body for every index, in order.
///
/// - Throws: the error of the lowest index that failed, whatever the threads.
func collect<Value: Sendable>(
  _ count: Int, _ parallelFor: ParallelFor, _ body: @escaping @Sendable (Int) throws -> Value
) throws -> [Value] {
  let results = Mutex<[Result<Value, any Error>?]>(Array(repeating: nil, count: count))
  parallelFor(count) { index in
    let result = Result { try body(index) }
    results.withLock { $0[index] = result }
  }
  return try results.withLock { results in
    try results.map { result in
      guard let result else { throw FurlError(.defect, "a part of a parallel job was not done") }
      return try result.get()
    }
  }
}

/// Objects that jobs borrow for a moment, so that each thread reuses the same buffers.
final class Lender<Object: Sendable>: Sendable {
  private let idle = Mutex<[Object]>([])
  private let make: @Sendable () throws -> Object

  init(_ make: @escaping @Sendable () throws -> Object) { self.make = make }

  func lend<Value>(_ body: (Object) throws -> Value) throws -> Value {
    let object = try idle.withLock { $0.popLast() } ?? make()
    defer { idle.withLock { $0.append(object) } }
    return try body(object)
  }
}
