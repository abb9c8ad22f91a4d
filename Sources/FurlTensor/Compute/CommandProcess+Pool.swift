package import FurlBase

extension CommandProcess {
  /// Threads that compute, where the machine grants them.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable`.
  package static func pool(threads: Int) throws -> WorkerPool {
    try checkThreads(threads)
    return WorkerPool(threads: threads)
  }

  /// The same for a number that a person or a program chose; nil: one for each core that the process may use.
  ///
  /// - Throws: ``FurlError`` of kind `usage` for a number outside 1 to 1024, and of kind `unavailable`.
  package static func pool(chosen threads: Int?) throws -> WorkerPool {
    let count = threads ?? WorkerPool.availableCores
    guard (1...1024).contains(count) else {
      throw FurlError(.usage, "\(count) threads are asked for", remedy: "ask for 1 to 1024")
    }
    return try pool(threads: count)
  }
}
