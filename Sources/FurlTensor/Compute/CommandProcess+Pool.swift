package import FurlBase

extension CommandProcess {
  /// Threads that compute, where the machine grants them.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable`.
  package static func pool(threads: Int) throws -> WorkerPool {
    try checkThreads(threads)
    return WorkerPool(threads: threads)
  }
}
