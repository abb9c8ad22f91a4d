import Foundation

/// Keeps the two readers of a checkpoint together.
///
/// Files are hashed from front to back, which is all that SHA-256 allows, while tensors are encoded in the order of
/// the artifact, which is another one (names are sorted in most checkpoints, and `10` comes before `2`). Both get the
/// bytes through the system's page cache. Neither runs further ahead of the other than ``window``, so that a byte is
/// still there when it is wanted for the second time: a file is read from the disk once, unless what its own order
/// puts between two blocks (a third of it, with sorted names) does not fit in memory.
struct ReadingPace {
  /// Bytes that are to be encoded, and bytes of all files.
  let encodedTotal: Int
  let hashedTotal: Int
  private(set) var encoded = 0
  private(set) var hashed = 0

  /// The most bytes that one may be ahead of the other.
  private static let window = Double(max(256 << 20, Int(ProcessInfo.processInfo.physicalMemory / 8)))

  init(encodedTotal: Int, hashedTotal: Int) {
    self.encodedTotal = encodedTotal
    self.hashedTotal = hashedTotal
  }

  mutating func encode(_ bytes: Int) { encoded += bytes }
  mutating func hash(_ bytes: Int) { hashed += bytes }

  private var encodedShare: Double { Double(encoded) / Double(max(1, encodedTotal)) }
  private var hashedShare: Double { Double(hashed) / Double(max(1, hashedTotal)) }
  /// Bytes of the files by which encoding is ahead of hashing.
  private var lead: Double { (encodedShare - hashedShare) * Double(hashedTotal) }

  var mayEncode: Bool { lead <= ReadingPace.window || hashed == hashedTotal }
  var mayHash: Bool { -lead <= ReadingPace.window || encoded == encodedTotal }

  /// Bytes of the files that both are done with, on average.
  var done: Int { Int((encodedShare + hashedShare) / 2 * Double(hashedTotal)) }
}
