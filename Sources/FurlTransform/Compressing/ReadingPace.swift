import FurlBase
import Synchronization

/// Keeps the two readers of a checkpoint together.
///
/// Files are hashed from front to back, which is all that SHA-256 allows, while tensors are encoded in the order of
/// the artifact, which is another one (names are sorted in most checkpoints, and `10` comes before `2`). Both get the
/// bytes through the system's page cache. Neither runs further ahead of the other than ``window``, so that a byte is
/// still there when it is wanted for the second time: a file is read from the disk once, unless what its own order
/// puts between two blocks (a third of it, with sorted names) does not fit in memory.
final class ReadingPace: Sendable {
  /// Bytes that are to be encoded, and bytes of the files that are to be hashed.
  private let encodedTotal: Int
  private let hashedTotal: Int
  /// Bytes of all files.
  let total: Int
  private let done = Mutex((encoded: 0, hashed: 0))

  /// The most bytes that one may be ahead of the other.
  private static let window = Double(max(256 << 20, Int(ProcessInfo.processInfo.physicalMemory / 8)))

  init(encodedTotal: Int, hashedTotal: Int, total: Int) {
    self.encodedTotal = encodedTotal
    self.hashedTotal = hashedTotal
    self.total = total
  }

  func encode(_ bytes: Int) { done.withLock { $0.encoded += bytes } }
  func hash(_ bytes: Int) { done.withLock { $0.hashed += bytes } }

  private func share(_ bytes: Int, of total: Int) -> Double { total == 0 ? 1 : Double(bytes) / Double(total) }

  /// Bytes of the files by which encoding is ahead of hashing.
  private func lead(_ done: (encoded: Int, hashed: Int)) -> Double {
    (share(done.encoded, of: encodedTotal) - share(done.hashed, of: hashedTotal)) * Double(hashedTotal)
  }

  var mayEncode: Bool { done.withLock { lead($0) <= ReadingPace.window || $0.hashed == hashedTotal } }
  var mayHash: Bool { done.withLock { -lead($0) <= ReadingPace.window || $0.encoded == encodedTotal } }

  /// Bytes of the files that both are done with, on average.
  var bytesDone: Int {
    let (encoded, hashed) = done.withLock { $0 }
    return Int(share(encoded + hashed, of: encodedTotal + hashedTotal) * Double(total))
  }
}
