#if os(Linux)

import FurlBase
import SystemPackage

/// A descriptor that is closed when its owner goes, and that no child inherits unless it is handed to it.
struct Descriptor: ~Copyable {
  let raw: Int32

  /// Takes a descriptor over. It is moved out of the way of the numbers that children are given.
  init(owning low: FileDescriptor) throws {
    if low.rawValue >= Descriptor.first {
      raw = low.rawValue
      return
    }
    raw = fcntl(low.rawValue, F_DUPFD_CLOEXEC, Descriptor.first)
    let code = Errno(rawValue: errno)
    try low.close()
    guard raw >= 0 else { throw systemFailure("no descriptor is free", code) }
  }

  deinit { close(raw) }

  private static let first: Int32 = 10

  /// A file without a name that begins with `bytes` and is read from there.
  static func file(_ bytes: [UInt8] = []) throws -> Descriptor {
    var generator = SystemRandomNumberGenerator()
    var failure = Errno.noSuchFileOrDirectory
    // Memory first: these files are small and live for the blink of an eye.
    for folder in ["/dev/shm", "/tmp"] {
      let path = FilePath("\(folder)/furl-\(String(generator.next(), radix: 36))")
      do {
        let opened = try FileDescriptor.open(
          path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec, .noFollow],
          permissions: .ownerReadWrite)
        unlink(path.string)
        let file = try Descriptor(owning: opened)
        try FileDescriptor(rawValue: file.raw).writeAll(bytes)
        try FileDescriptor(rawValue: file.raw).seek(offset: 0, from: .start)
        return file
      } catch let error as Errno {
        failure = error
      }
    }
    throw systemFailure("a temporary file cannot be written", failure)
  }

  static func nowhere() throws -> Descriptor {
    try Descriptor(owning: FileDescriptor.open("/dev/null", .readWrite, options: .closeOnExec))
  }

  /// Bytes that are there, at most so many; none at the end.
  func readSome(_ count: Int = 4096) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: count)
    let count = try buffer.withUnsafeMutableBytes { try FileDescriptor(rawValue: raw).read(into: $0) }
    return Array(buffer[..<count])
  }

  /// Whether something can be read, or the other end is gone, within a time.
  func isReadable(within milliseconds: Int) -> Bool {
    var waiting = [pollfd(fd: raw, events: Int16(POLLIN), revents: 0)]
    return poll(&waiting, 1, Int32(milliseconds)) > 0
  }

  /// Everything from the beginning of a file, at most `limit` bytes.
  func contents(limit: Int) throws -> [UInt8] {
    try FileDescriptor(rawValue: raw).seek(offset: 0, from: .start)
    var bytes: [UInt8] = []
    while bytes.count < limit {
      let some = try readSome(1 << 16)
      if some.isEmpty { break }
      bytes += some
    }
    return bytes
  }
}

/// The two ends of a pipe.
struct Pipe: ~Copyable {
  let read: Descriptor
  let write: Descriptor

  init() throws {
    let ends = try FileDescriptor.pipe(options: .closeOnExec)
    let first: Descriptor
    do {
      first = try Descriptor(owning: ends.readEnd)
    } catch {
      try ends.writeEnd.close()
      throw error
    }
    let second = try Descriptor(owning: ends.writeEnd)
    read = first
    write = second
  }
}

func systemFailure(_ what: String, _ code: Errno) -> FurlError {
  FurlError(.unavailable, "\(what): \(code)", remedy: "close other programs and try again")
}
#endif
