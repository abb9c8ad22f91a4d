import CFurlKernels

/// A lock, and a place for threads to wait until another one says that what it guards has changed.
package final class Condition: @unchecked Sendable {
  // Neither may move once it is used.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let change = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    pthread_mutex_init(mutex, nil)
    #if canImport(Darwin)
    pthread_cond_init(change, nil)
    #else
    // Whoever sets the machine's clock must not make anybody wait.
    let attributes = UnsafeMutablePointer<pthread_condattr_t>.allocate(capacity: 1)
    defer { attributes.deallocate() }
    pthread_condattr_init(attributes)
    pthread_condattr_setclock(attributes, CLOCK_MONOTONIC)
    pthread_cond_init(change, attributes)
    pthread_condattr_destroy(attributes)
    #endif
  }

  deinit {
    pthread_cond_destroy(change)
    pthread_mutex_destroy(mutex)
    change.deallocate()
    mutex.deallocate()
  }

  package func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Lets go of the lock until another thread says that something has changed; it may also end without reason.
  package func wait() { pthread_cond_wait(change, mutex) }

  /// The same until a moment at most.
  ///
  /// - Returns: false when that has come.
  package func wait(until end: ContinuousClock.Instant) -> Bool {
    let left = end - .now
    guard left > .zero else { return false }
    var time = timespec()
    #if canImport(Darwin)
    time.add(left)
    return pthread_cond_timedwait_relative_np(change, mutex, &time) == 0
    #else
    clock_gettime(CLOCK_MONOTONIC, &time)
    time.add(left)
    return pthread_cond_timedwait(change, mutex, &time) == 0
    #endif
  }

  /// Says to one thread that waits that something has changed.
  package func signal() { pthread_cond_signal(change) }

  /// Says so to all of them.
  package func broadcast() { pthread_cond_broadcast(change) }
}

extension timespec {
  fileprivate mutating func add(_ duration: Duration) {
    let parts = duration.components
    let nanoseconds = Int(tv_nsec) + Int(parts.attoseconds / 1_000_000_000)
    tv_sec += time_t(parts.seconds) + time_t(nanoseconds / 1_000_000_000)
    tv_nsec = nanoseconds % 1_000_000_000
  }
}
