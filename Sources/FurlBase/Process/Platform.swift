import CFurlKernels

// Files import this module, and neither of Foundation's: where there is the part of it that works without ICU, whose tables
// take 39 MB of every process, that is all that is taken. Apple's systems have the whole in memory anyway.
#if canImport(FoundationEssentials)
@_exported import FoundationEssentials
#else
@_exported import Foundation
#endif

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
package func releaseFreedMemory() {
  furl_release_free_memory()
}

/// Makes all threads share one heap. A command does this first: it computes in buffers of its own, so its threads
/// hardly allocate, and heaps of their own would only keep what loading needed for a moment.
package func shareHeap() {
  furl_share_heap()
}

/// From now on, a mapped file that becomes shorter while it is used ends the process with one line on stderr and the
/// status of a wrong input, not with a signal. For commands; a library's user may want to decide otherwise.
package func reportLostFiles() {
  furl_report_lost_mappings(FurlError.input(nil, "").exitStatus)
}

/// What is wrong with a mapped file that became shorter, as ``reportLostFiles()`` says it.
package func lostFile(_ path: String) -> FurlError {
  .input(
    path, "has become shorter while it was in use, or its disk cannot be read",
    remedy: "leave the file alone while Furl uses it, and start again")
}
