import Synchronization

/// The first, in the order of the work, of the errors that several threads meet.
package final class FirstFailure: Sendable {
  private let found = Mutex<(place: Int, error: any Error)?>(nil)

  package init() {}

  /// - Parameter place: of the failed part in the order of the work.
  package func add(_ error: any Error, at place: Int) {
    found.withLock { if $0.map({ place < $0.place }) ?? true { $0 = (place, error) } }
  }

  /// Whether work at a place is in vain, because something before it has failed.
  package func precedes(_ place: Int) -> Bool { found.withLock { $0.map { $0.place < place } ?? false } }

  package var isEmpty: Bool { found.withLock { $0 == nil } }

  /// - Throws: the first error, if there is one.
  package func rethrow() throws {
    if let error = found.withLock({ $0?.error }) { throw error }
  }
}
