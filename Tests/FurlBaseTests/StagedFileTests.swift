import FurlBase
import FurlTestSupport
import Foundation
import Testing

/// What was appended is what the file has, through the cache, past it, and in pieces of any size.
@Suite struct StagedFileTests {
  private func withFile(_ body: (String, Int32) throws -> Void) throws {
    try TestData.withTemporaryFolder { folder in
      let descriptor = open(folder + "/x", O_RDWR | O_CREAT | O_TRUNC, 0o600)
      defer { close(descriptor) }
      try body(folder + "/x", descriptor)
    }
  }

  private func pattern(_ count: Int) -> [UInt8] {
    var draws = SplitMix64(seed: UInt64(count))
    return [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, initialized in
      for offset in stride(from: 0, to: count, by: 8) {
        UnsafeMutableRawBufferPointer(buffer).storeBytes(of: draws.next(), toByteOffset: offset, as: UInt64.self)
      }
      initialized = count
    }
  }

  @Test(arguments: [0, 1, 4095, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 36 << 20, 75_000_001])
  func wholeFiles(_ count: Int) throws {
    try withFile { path, descriptor in
      let file = StagedFile(descriptor: descriptor)
      let bytes = pattern(count)
      var done = 0
      var draws = SplitMix64(seed: 5)
      while done < count {
        let step = min(count - done, 1 + Int(draws.next() % (done % 2 == 0 ? 100_000 : 9_000_000)))
        #expect(try file.append(Array(bytes[done..<done + step])) == 0)
        done += step
      }
      #expect(file.finish() == 0)
      let written = try TestData.bytes(path)
      #expect(written == bytes)
    }
  }

  @Test func storagesAndArraysFollowEachOther() throws {
    try withFile { path, descriptor in
      let file = StagedFile(descriptor: descriptor)
      let storage = try ByteStorage(zeroed: 5_000_000)
      #expect(try file.append([1, 2, 3]) == 0)
      #expect(try file.append(storage) == 0)
      #expect(try file.append([4]) == 0)
      #expect(file.finish() == 0)
      let bytes = try TestData.bytes(path)
      #expect(bytes == [1, 2, 3] + storage.bytes + [4])
    }
  }

  /// A write that fails behind the back of who appends is told, and nobody waits forever.
  @Test(
    .enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"),
    arguments: [1, 100_000_000])
  func aFullDisk(_ count: Int) throws {
    let descriptor = open("/dev/full", O_WRONLY)
    defer { close(descriptor) }
    let file = StagedFile(descriptor: descriptor)
    for _ in 0..<10 { _ = try file.append([UInt8](repeating: 7, count: count / 10 + 1)) }
    #expect(file.finish() == ENOSPC)
  }

  @Test func aFileThatIsLetGo() throws {
    try withFile { path, descriptor in
      let file = StagedFile(descriptor: descriptor)
      _ = try file.append([UInt8](repeating: 7, count: 40_000_000))
      file.stop()
      let count = try TestData.bytes(path).count
      #expect(count <= 40_000_000 && count % (4 << 20) == 0)
    }
  }
}
