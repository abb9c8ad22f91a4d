/// What the system says of a file without a look at its bytes: whoever changes them changes one of these.
package struct FileIdentity: Equatable, Sendable {
  /// The file system and the file's number in it.
  package let device: UInt64
  package let number: UInt64
  package let bytes: Int
  /// Nanoseconds since 1970 of the last change of the bytes, and of the last change of anything; nobody can set the
  /// latter short of setting the machine's clock.
  package let modified: Int64
  package let changed: Int64

  package init(_ status: stat) {
    device = UInt64(truncatingIfNeeded: status.st_dev)
    number = UInt64(truncatingIfNeeded: status.st_ino)
    bytes = Int(status.st_size)
    #if canImport(Darwin)
    modified = FileIdentity.nanoseconds(status.st_mtimespec)
    changed = FileIdentity.nanoseconds(status.st_ctimespec)
    #else
    modified = FileIdentity.nanoseconds(status.st_mtim)
    changed = FileIdentity.nanoseconds(status.st_ctim)
    #endif
  }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// The time of the system's clock, in the same units.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return nanoseconds(time)
  }
}
