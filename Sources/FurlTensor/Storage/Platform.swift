import CFurlKernels

#if canImport(Glibc)
@_exported @preconcurrency import Glibc
#elseif canImport(Musl)
@_exported @preconcurrency import Musl
#elseif canImport(Darwin)
@_exported @preconcurrency import Darwin
#endif

/// The system's words for `errno`.
package func systemMessage(_ code: Int32 = errno) -> String {
  String(cString: strerror(code))
}

/// Gives heap memory that is free back to the system, so that what a load needed for a moment does not count in
/// the resident size afterwards.
public func releaseFreedMemory() {
  furl_release_free_memory()
}

/// Makes all threads share one heap. A command does this first: it computes in buffers of its own, so its threads
/// hardly allocate, and heaps of their own would only keep what loading needed for a moment.
public func shareHeap() {
  furl_share_heap()
}

/// Asks the system to begin to put a range of a file on the disk.
package func startFlushing(_ descriptor: Int32, from offset: Int, count: Int) {
  furl_start_flushing(descriptor, Int64(offset), Int64(count))
}
