import FurlBase
import CFurlKernels
import Synchronization

/// The threads that compute. There is one pool in a process, and it is passed on explicitly.
///
/// `run` splits a job into as many parts as there are threads and returns when all are done. Jobs are short
/// (down to microseconds), which is why this is neither Dispatch nor a task group.
package final class WorkerPool: @unchecked Sendable {
  /// The threads that work on a job, the caller being one of them.
  package let threads: Int
  private let pool: OpaquePointer?

  /// - Parameter threads: 1 and more. Where the system grants fewer, the pool has fewer.
  package init(threads: Int) {
    precondition(threads > 0)
    pool = threads == 1 ? nil : furl_pool_create(threads)
    self.threads = pool.map { furl_pool_threads($0) } ?? 1
  }

  deinit { if let pool { furl_pool_destroy(pool) } }

  /// Cores that this process may run on.
  package static var availableCores: Int { CommandProcess.availableCores }

  /// Calls `body(part, parts)` once for every part, each on its own thread. One caller at a time.
  package func run(_ body: (_ part: Int, _ parts: Int) -> Void) {
    guard let pool else { return body(0, 1) }
    withoutActuallyEscaping(body) { escaping in
      var task = Task(body: escaping)
      withUnsafeMutablePointer(to: &task) { pointer in
        furl_pool_run(
          pool,
          { context, part, parts in
            context.assumingMemoryBound(to: Task.self).pointee.body(part, parts)
          }, pointer)
      }
    }
  }

  private struct Task {
    let body: (Int, Int) -> Void
  }

  /// Calls `body` for every index, split evenly and in order over the threads.
  package func forEach(_ count: Int, _ body: (Int) -> Void) {
    run { part, parts in
      for index in WorkerPool.share(count, part, parts) { body(index) }
    }
  }

  /// Calls `body` for every index; a free thread takes the next one, for work that is uneven or long.
  package func forEachAsTaken(_ count: Int, _ body: (Int) -> Void) {
    let next = Atomic(0)
    run { _, _ in
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < count else { return }
        body(index)
      }
    }
  }

  /// The part of 0..<count that falls to one thread.
  package static func share(_ count: Int, _ part: Int, _ parts: Int) -> Range<Int> {
    count * part / parts..<count * (part + 1) / parts
  }
}
