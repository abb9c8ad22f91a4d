@testable import FurlBase
import FurlTestSupport
import Foundation
import Synchronization
import Testing

/// Files that are hashed while others map and unmap their pages.
@Suite struct PageWindowTests {
  private static let step = 4 << 20
  private static let bytes = 160 << 20 + 12_345

  /// Bytes of a file that are in this process; nil where the system does not say.
  private func residentBytes(of path: String) -> Int? {
    // A file of no size: it has to be read to its end.
    guard let file = FileHandle(forReadingAtPath: "/proc/self/smaps"), let bytes = try? file.readToEnd() else {
      return nil
    }
    let text = String(decoding: bytes, as: UTF8.self)
    // The folder for temporary files may have a slash at its end.
    let name = path.split(separator: "/").suffix(2).joined(separator: "/")
    var (isOurs, total) = (false, 0)
    for line in text.split(separator: "\n") {
      if line.contains("-"), line.contains("p ") { isOurs = line.hasSuffix(name) }
      if isOurs, line.hasPrefix("Rss:") { total += Int(line.split(separator: " ")[1])! << 10 }
    }
    return total
  }

  /// A file of zeros that take no room on the disk, with something at the end.
  private func withFile(_ body: (String, MappedFile) throws -> Void) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/weights"
      try TestData.write([], to: path)
      #expect(truncate(path, off_t(PageWindowTests.bytes - 3)) == 0)
      let handle = try #require(FileHandle(forWritingAtPath: path))
      try handle.seekToEnd()
      try handle.write(contentsOf: [1, 2, 3])
      try handle.close()
      // Everything is in the system's cache, so that pages can be mapped ahead.
      _ = try Data(contentsOf: URL(fileURLWithPath: path))
      try body(path, MappedFile(path: path))
    }
  }

  private enum Help: CaseIterable { case never, always, rarely, atOnce }

  /// However others help, the digest is the same and the pages of the file are few.
  @Test(arguments: Help.allCases) private func theWindowIsBounded(_ help: Help) throws {
    try withFile { path, file in
      let hasher = FileHasher(file, isHelped: true)
      let isOver = Atomic(false)
      let hasStopped = Atomic(false)
      let helper = Thread {
        while !isOver.load(ordering: .acquiring) { hasher.help() }
        hasStopped.store(true, ordering: .releasing)
      }
      if help == .atOnce { helper.start() }
      var (largest, steps, asked) = (0, 0, 0)
      while !hasher.isDone {
        _ = try hasher.advance(by: PageWindowTests.step)
        steps += 1
        if hasher.asksForHelp() {
          asked += 1
          if help != .atOnce { #expect(!hasher.asksForHelp(), "asked for twice") }
          if help == .always || (help == .rarely && steps % 7 == 0) { hasher.help() }
        } else if help == .rarely, steps % 7 == 0 {
          hasher.help()
        }
        largest = max(largest, residentBytes(of: path) ?? 0)
      }
      if help == .atOnce {
        isOver.store(true, ordering: .releasing)
        while !hasStopped.load(ordering: .acquiring) { usleep(1000) }
      }
      #expect(hasher.digest == Digest(of: try Data(contentsOf: URL(fileURLWithPath: path))))
      // The range that is being read, and what is mapped beside a fault.
      let bound = PageWindow.ahead + PageWindow.behind + 2 * PageWindow.piece + PageWindowTests.step
      #expect(largest <= bound, "\(largest >> 20) MiB")
      #expect(asked > 0 || help == .atOnce)
    }
  }

  /// Pages are there before they are read.
  @Test func whatComesNextIsMapped() throws {
    try withFile { path, file in
      let hasher = FileHasher(file, isHelped: true)
      #expect(hasher.asksForHelp())
      hasher.help()
      if let resident = residentBytes(of: path) {
        // The system leaves some pages out where it reads ahead.
        #expect(
          resident >= PageWindow.ahead / 4 * 3 && resident <= PageWindow.ahead + PageWindow.piece, "\(resident) bytes")
      }
      // A hasher that nobody helps does not ask, and keeps nothing.
      let alone = FileHasher(file)
      while !alone.isDone {
        _ = try alone.advance(by: PageWindowTests.step)
        #expect(!alone.asksForHelp())
      }
      #expect(alone.digest == Digest(of: file))
    }
  }

  /// Mapping ahead of a file that becomes shorter is no error, hashing it is.
  @Test func aFileThatBecomesShorterIsAnError() throws {
    try withFile { path, file in
      let hasher = FileHasher(file, isHelped: true)
      _ = try hasher.advance(by: PageWindowTests.step)
      #expect(truncate(path, off_t(PageWindowTests.step + 8192)) == 0)
      hasher.help()
      file.map(0..<PageWindowTests.bytes)
      let error = #expect(throws: FurlError.self) {
        while !hasher.isDone {
          _ = try hasher.advance(by: PageWindowTests.step)
          hasher.help()
        }
      }
      #expect(error?.kind == .input && error?.problem.contains("has become shorter") == true)
    }
  }
}
