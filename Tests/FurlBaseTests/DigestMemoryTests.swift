@testable import FurlBase
import FurlTestSupport
import Foundation
import Testing

/// A digest is recalled for the very file that it was remembered of, and for nothing else.
@Suite struct DigestMemoryTests {
  private static let rules = DigestMemory.Rules(leastBytes: 1, settleTime: 0, mostRecords: 20)

  /// A memory, and a file in another folder that has lain there for a moment.
  private func withFile(
    rules: DigestMemory.Rules = Self.rules, _ body: (DigestMemory, _ path: String, _ folder: String) throws -> Void
  ) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/weights"
      try Data("some weights".utf8).write(to: URL(fileURLWithPath: path))
      settle()
      try body(try #require(DigestMemory(root: folder + "/a/cache", rules: rules)), path, folder + "/a/cache/digests")
    }
  }

  /// Longer than a tick of the clock that file systems use.
  private func settle() { usleep(20_000) }

  private func remember(_ memory: DigestMemory, _ path: String) throws -> Digest {
    let file = try MappedFile(path: path)
    let digest = Digest(of: file)
    memory.remember(file, digest)
    return digest
  }

  private func recall(_ memory: DigestMemory, _ path: String) throws -> Digest? {
    memory.recall(try MappedFile(path: path))
  }

  @Test func unchangedFiles() throws {
    try withFile { memory, path, _ in
      #expect(try recall(memory, path) == nil)
      let digest = try remember(memory, path)
      #expect(try recall(memory, path) == digest)
      // Another name of the same file is the same file.
      try FileManager.default.linkItem(atPath: path, toPath: path + "2")
      settle()
      #expect(try recall(memory, path + "2") == nil)  // A new link changes the file's record.
      #expect(try remember(memory, path + "2") == digest)
      #expect(try recall(memory, path) == digest)
    }
  }

  @Test func aFileThatWasWrittenIsAnotherOneWhateverItsTimesSay() throws {
    try withFile { memory, path, _ in
      _ = try remember(memory, path)
      var status = stat()
      #expect(stat(path, &status) == 0)
      settle()
      let handle = try #require(FileHandle(forWritingAtPath: path))
      try handle.write(contentsOf: Data("SOME".utf8))
      try handle.close()
      #if os(Linux)
      let times = [status.st_atim, status.st_mtim]
      #expect(utimensat(AT_FDCWD, path, times, 0) == 0)
      #endif
      #expect(try recall(memory, path) == nil)
    }
  }

  @Test func aFileInThePlaceOfAnotherIsNotThatOne() throws {
    try withFile { memory, path, _ in
      _ = try remember(memory, path)
      try Data("some weights".utf8).write(to: URL(fileURLWithPath: path + "2"))
      #expect(rename(path + "2", path) == 0)
      #expect(try recall(memory, path) == nil)
    }
  }

  @Test(arguments: ["", "/digests", "/digests/*"]) func whatOthersCouldHaveWrittenIsNotBelieved(_ place: String) throws
  {
    final class Notices: @unchecked Sendable { var found: [String] = [] }
    try TestData.withTemporaryFolder { (folder: String) throws in
      let (path, root, notices) = (folder + "/weights", folder + "/cache", Notices())
      try Data("some weights".utf8).write(to: URL(fileURLWithPath: path))
      settle()
      let memory = try #require(DigestMemory(root: root, rules: Self.rules) { notices.found.append($0) })
      let digest = try remember(memory, path)
      #expect(try recall(memory, path) == digest)
      let name = try #require(FileManager.default.contentsOfDirectory(atPath: root + "/digests").first)
      let harmed = root + place.replacing("*", with: name)
      var status = stat()
      #expect(stat(harmed, &status) == 0 && chmod(harmed, status.st_mode & 0o777 | 0o022) == 0)
      #expect(try recall(memory, path) == nil)
      #expect(notices.found.count == 1 && notices.found[0].hasPrefix(harmed + " can be written to by others"))
      #expect(chmod(harmed, status.st_mode & 0o777) == 0)
      #expect(try recall(memory, path) == digest)
      // Another name elsewhere is a way in, too.
      #expect(link(root + "/digests/" + name, folder + "/other") == 0)
      #expect(try recall(memory, path) == nil)
    }
  }

  @Test func recentFilesAreNotRemembered() throws {
    try withFile(rules: .init(leastBytes: 1)) { memory, path, folder in
      _ = try remember(memory, path)
      #expect(!FileManager.default.fileExists(atPath: folder))
    }
  }

  @Test func filesThatChangeMeanwhileAreNotRemembered() throws {
    try withFile { memory, path, folder in
      let file = try MappedFile(path: path)
      settle()
      try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
      memory.remember(file, Digest(of: file))
      #expect(!FileManager.default.fileExists(atPath: folder))
    }
  }

  @Test func smallFilesAreNotLookedUp() throws {
    try withFile(rules: .init(leastBytes: 13, settleTime: 0)) { memory, path, folder in
      _ = try remember(memory, path)
      #expect(!FileManager.default.fileExists(atPath: folder))
    }
  }

  @Test func whoAsksForItReadsAnew() throws {
    try withFile { memory, path, folder in
      let digest = try remember(memory, path)
      let root = (folder as NSString).deletingLastPathComponent
      let fresh = try #require(DigestMemory(root: root, recalls: false, rules: Self.rules))
      #expect(try recall(fresh, path) == nil)
      #expect(try recall(memory, path) == digest)
    }
  }

  /// Whatever was changed in a record, it is not believed.
  @Test func damagedRecords() throws {
    try withFile { memory, path, folder in
      let digest = try remember(memory, path)
      let record = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
      let place = folder + "/" + record
      let whole = try TestData.bytes(place)
      for index in whole.indices where index < whole.count - 66 {
        var bytes = whole
        bytes[index] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: place))
        #expect(try recall(memory, path) == nil)
      }
      for length in whole.indices {
        try Data(whole.prefix(length)).write(to: URL(fileURLWithPath: place))
        #expect(try recall(memory, path) == nil)
      }
      try Data(whole).write(to: URL(fileURLWithPath: place))
      #expect(try recall(memory, path) == digest)
      #expect(chmod(place, 0o622) == 0)
      #expect(try recall(memory, path) == nil)
      #expect(rename(place, place + "x") == 0 && chmod(place + "x", 0o600) == 0)
      #expect(symlink(place + "x", place) == 0)
      #expect(try recall(memory, path) == nil)
    }
  }

  @Test func recordsDoNotPileUp() throws {
    try withFile { memory, path, folder in
      for index in 0..<50 {
        let copy = "\(path)-\(index)"
        try Data("weights \(index)".utf8).write(to: URL(fileURLWithPath: copy))
      }
      settle()
      for index in 0..<50 { _ = try remember(memory, "\(path)-\(index)") }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count <= 20)
      #expect(try recall(memory, "\(path)-49") != nil)
    }
  }

  @Test func foldersOfOthersAreNotUsed() throws {
    try TestData.withTemporaryFolder { folder in
      #expect(mkdir(folder + "/digests", 0o777) == 0 && chmod(folder + "/digests", 0o777) == 0)
      #expect(DigestMemory(root: folder) == nil)
      #expect(DigestMemory(root: nil) == nil)
      try Data().write(to: URL(fileURLWithPath: folder + "/file"))
      #expect(DigestMemory(root: folder + "/file") == nil)
    }
  }

  @Test func whereTheCacheIs() {
    func path(_ environment: [String: String]) -> String? { CacheFolder.path { environment[$0] } }
    #expect(path(["FURL_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"]) == "/c")
    // What opens a folder and follows no link would follow one with a slash behind it.
    for end in ["/", "//", "/.", "/./", "/.//."] { #expect(path(["FURL_CACHE": "/x/link" + end]) == "/x/link") }
    #expect(path(["FURL_CACHE": "/"]) == "/" && path(["FURL_CACHE": "./"]) == "." && path(["FURL_CACHE": "a."]) == "a.")
    #expect(path(["FURL_CACHE": "off", "XDG_CACHE_HOME": "/x", "HOME": "/h"]) == nil)
    #expect(path(["FURL_CACHE": "", "XDG_CACHE_HOME": "/x", "HOME": "/h"]) == "/x/furl")
    #expect(path(["XDG_CACHE_HOME": "x", "HOME": "/h"])?.hasPrefix("/h/") == true)
    #expect(path(["HOME": "h"]) == nil)
    #expect(path([:]) == nil)
  }
}
