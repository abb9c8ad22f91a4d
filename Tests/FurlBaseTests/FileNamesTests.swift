import FurlBase
import FurlTestSupport
import Foundation
import Synchronization
import Testing

/// Names in the file system, and threads that wait for one another.
@Suite struct FileNamesTests {
  /// Of some of these, `NSString.deletingLastPathComponent` traps.
  @Test(arguments: [
    ("a/b", "b", "a", ""), ("a/b.c", "b.c", "a", "c"), ("/a", "a", "/", ""), ("/a/b/", "b", "/a", ""),
    ("a", "a", ".", ""),
    ("a/", "a", ".", ""), ("/", "/", "/", ""), ("//a//b//", "b", "//a", ""), ("a//b", "b", "a", ""),
    (".a", ".a", ".", ""),
    ("a.b.c", "a.b.c", ".", "c"), ("a.", "a.", ".", ""), ("./b.c", "b.c", ".", "c"), ("a b/c.d", "c.d", "a b", "d"),
    ("é/ü.x", "ü.x", "é", "x"), ("", "", ".", ""),
  ])
  func namesOfPaths(_ path: String, _ name: String, _ folder: String, _ ending: String) {
    #expect(path.lastName == name && path.folderPath == folder && path.ending == ending)
  }

  @Test func textsAreTrimmedAndFound() {
    for text in ["", " ", "\t a b\n\r\n", "a", "\u{2003}é\u{85}", "a\u{2028}"] {
      #expect(text.trimmed == text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    for text in ["", "-of-", "a-of-b-of-c", "-of-of-", "of", "é-of-é"] {
      #expect(text.lastRange(of: "-of-") == text.range(of: "-of-", options: .backwards))
    }
  }

  @Test func whatLiesBelowAFolder() throws {
    try TestData.withTemporaryFolder { folder in
      let manager = FileManager.default
      try manager.createDirectory(atPath: folder + "/b/c", withIntermediateDirectories: true)
      for name in ["/z", "/b/y", "/b/c/x", "/.h"] { try TestData.write([1, 2, 3], to: folder + name) }
      try manager.createSymbolicLink(atPath: folder + "/b/l", withDestinationPath: folder)
      try manager.createSymbolicLink(atPath: folder + "/gone", withDestinationPath: "nowhere")
      let entries = try #require(FileNames.entries(below: folder))
      #expect(entries.map(\.path) == [".h", "b", "b/c", "b/c/x", "b/l", "b/y", "gone", "z"])
      #expect(entries.filter(\.isFile).map(\.path) == [".h", "b/c/x", "b/y", "z"])
      let theirs = manager.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
      #expect(Set(theirs) == Set(entries.map(\.path)))
      #expect(FileNames.entries(below: folder + "/z") == nil && FileNames.entries(below: folder + "/none") == nil)
      #expect(FileNames.isFolder(folder) == true && FileNames.isFolder(folder + "/b/l") == true)
      #expect(FileNames.isFolder(folder + "/z") == false && FileNames.isFolder(folder + "/gone") == nil)
      #expect(FileNames.bytes(folder + "/z") == 3 && FileNames.bytes(folder + "/none") == nil)
    }
  }

  @Test func theExecutableIsFound() { #expect(ownExecutable == Bundle.main.executablePath) }

  @Test func errorsOfLibrariesHaveTheSystemsCode() {
    func code(_ body: () throws -> Void) -> Int32? {
      do { try body() } catch { return systemCode(of: error) }
      return nil
    }
    let manager = FileManager.default
    #expect(code { _ = try manager.contentsOfDirectory(atPath: "/nowhere") } == ENOENT)
    #expect(code { try manager.createDirectory(atPath: "/dev/null/x", withIntermediateDirectories: true) } == ENOTDIR)
    #expect(code { try manager.createDirectory(atPath: "/dev/null", withIntermediateDirectories: false) } == EEXIST)
    #expect(code { throw POSIXError(.ENOSPC) } == ENOSPC && code { throw CocoaError(.fileWriteOutOfSpace) } == ENOSPC)
    #expect(code { throw CancellationError() } == nil)
  }

  @Test func threadsWaitForOneAnother() {
    let condition = Condition()
    let count = Mutex(0)
    for _ in 0..<20 {
      #expect(
        beginThread {
          condition.withLock {
            count.withLock { $0 += 1 }
            condition.broadcast()
          }
        })
    }
    condition.withLock { while count.withLock({ $0 }) < 20 { condition.wait() } }
    #expect(count.withLock { $0 } == 20)
  }

  @Test func waitingEndsWhenItsTimeIsUp() {
    let condition = Condition()
    let begin = ContinuousClock.now
    condition.withLock { while condition.wait(until: begin + .milliseconds(50)) {} }
    #expect(ContinuousClock.now - begin >= .milliseconds(50))
    #expect(condition.withLock { condition.wait(until: begin) } == false)
  }
}
