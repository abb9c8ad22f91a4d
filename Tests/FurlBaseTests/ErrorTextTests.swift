import FurlBase
import FurlTestSupport
import Foundation
import Testing

/// One wording for what the system says, and nothing in a message that nobody reads.
@Suite struct ErrorTextTests {
  @Test func longNumbersAreCut() {
    let digits = String(repeating: "1234567890", count: 100)
    let error = FurlError.input("a.yaml", "line 3: x", "\(digits) is out of range", remedy: "at most \(digits)")
    #expect(error.description.hasPrefix("a.yaml: line 3: x: 12345678901234567890... (1000 digits) is out of range"))
    #expect(error.description.utf8.count < 250)
    // What a digest or a number of the system has stays.
    let fine = FurlError.input(nil, "9223372036854775807 of 340282366920938463463374607431768211455")
    #expect(fine.description == "9223372036854775807 of 340282366920938463463374607431768211455")
  }

  @Test func longTextsAreCut() {
    let text = String(repeating: "a long word ", count: 10_000)
    let error = FurlError.input("a.json", text, text, remedy: text)
    #expect(error.description.utf8.count < 2_500 && error.description.contains(" ... "))
    #expect(!error.description.contains("\n"))
    #expect(FurlError.input("a", String(repeating: "é", count: 600)).description.count == 603)
  }

  @Test func whatIsNotThereHasOneWording() throws {
    let error = try #require(throws: FurlError.self) { try MappedFile(path: "/nowhere/x") }
    #expect(error.kind == .input && error.description == "/nowhere/x: does not exist")
    #expect(
      FurlError.creating("/a/b", ENOENT).description.hasPrefix("/a/b: cannot be created: its folder does not exist"))
    #expect(FurlError.writing("/a/b", ENOSPC).kind == .cannotWrite)
    for code in [EMFILE, ENFILE, ENOMEM, EAGAIN] {
      #expect(FurlError.reading("a", code).kind == .unavailable && FurlError.creating("a", code).kind == .unavailable)
    }
  }

  /// Foundation's own texts reach nobody.
  @Test func errorsOfLibrariesHaveTheSystemsWords() throws {
    func words(_ body: () throws -> Void) -> String {
      do {
        try body()
        return ""
      } catch { return systemWords(for: error) }
    }
    let missing = words { _ = try Data(contentsOf: URL(fileURLWithPath: "/nowhere/x")) }
    #expect(missing == systemMessage(ENOENT))
    try TestData.withTemporaryFolder { (folder: String) throws in
      try TestData.write([1], to: folder + "/f")
      let there = words {
        try FileManager.default.createDirectory(atPath: folder + "/f", withIntermediateDirectories: false)
      }
      #expect(there == systemMessage(EEXIST))
    }
    #expect(systemWords(for: CancellationError()) == "the system does not say why")
  }

  @Test func linksAreFollowedToWhatIsWritten() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      #expect(try linkTarget(folder + "/none") == folder + "/none")
      #expect(symlink("sub/../b", folder + "/a") == 0 && symlink(folder + "/c", folder + "/b") == 0)
      #expect(mkdir(folder + "/sub", 0o700) == 0)
      #expect(try linkTarget(folder + "/a") == folder + "/c")
      #expect(symlink("x", folder + "/y") == 0 && symlink("y", folder + "/x") == 0)
      let error = #expect(throws: FurlError.self) { try linkTarget(folder + "/x") }
      #expect(error?.kind == .cannotCreate)
      #expect(try linkTarget("/dev/null") == "/dev/null")
    }
  }
}
