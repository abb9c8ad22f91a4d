import FurlBase
import FurlTestSupport
import Foundation
import Testing

/// What is kept is believed only where nobody else can have written it.
@Suite struct PrivateFolderTests {
  private func withKept(_ body: (_ root: String, _ file: String) throws -> Void) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let root = folder + "/cache"
      guard case .here(let place) = PrivateFolder.open("kept", in: root, makes: true) else {
        Issue.record("a folder that is missing is made")
        return
      }
      place.write("a", [1, 2, 3])
      try body(root, root + "/kept/a")
    }
  }

  /// The bytes, `missing`, or why they are not believed.
  private func read(_ root: String) -> String {
    switch PrivateFolder.open("kept", in: root) {
    case .missing: return "missing"
    case .foreign(_, let reason): return reason
    case .here(let place):
      switch place.read("a", limit: 100) {
      case .missing: return "missing"
      case .foreign(_, let reason): return reason
      case .here(let bytes): return "\(bytes)"
      }
    }
  }

  @Test func whatThisUserWroteIsRead() throws {
    try withKept { (root: String, file: String) throws in
      #expect(read(root) == "[1, 2, 3]")
      for (path, mode) in [(root, 0o700), (root + "/kept", 0o700), (file, 0o600)] as [(String, mode_t)] {
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == mode)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: root + "/kept") == ["a"])
      guard case .here(let place) = PrivateFolder.open("kept", in: root) else { return }
      guard case .missing = place.read("a", limit: 2), case .missing = place.read("b", limit: 9) else {
        Issue.record("too large, or not there")
        return
      }
    }
    #expect(read("/nowhere/at/all") == "missing")
  }

  @Test(arguments: [
    ("", mode_t(0o770)), ("", 0o702), ("/kept", 0o720), ("/kept", 0o777), ("/kept/a", 0o620), ("/kept/a", 0o602),
    ("/kept/a", 0o666),
  ])
  func whatOthersMayWriteIsNot(_ path: String, _ mode: mode_t) throws {
    try withKept { (root: String, _: String) throws in
      #expect(chmod(root + path, mode) == 0)
      #expect(read(root) == "can be written to by others")
    }
  }

  @Test func linksAreNot() throws {
    try withKept { (root: String, file: String) throws in
      #expect(link(file, root + "/other") == 0)
      #expect(read(root) == "has another name elsewhere")
      #expect(unlink(file) == 0 && symlink(root + "/other", file) == 0)
      #expect(read(root) == "is a symbolic link")
    }
    try withKept { (root: String, _: String) throws in
      #expect(rename(root + "/kept", root + "/real") == 0 && symlink("real", root + "/kept") == 0)
      #expect(read(root).contains("symbolic link"))
    }
    try withKept { (root: String, _: String) throws in
      #expect(rename(root, root + "2") == 0 && symlink(root + "2", root) == 0)
      #expect(read(root).contains("symbolic link"))
    }
    try withKept { (root: String, file: String) throws in
      #expect(unlink(file) == 0 && mkfifo(file, 0o600) == 0)
      #expect(read(root) == "is no regular file")
    }
  }

  @Test(.enabled(if: geteuid() == 0, "needs root"), arguments: ["", "/kept", "/kept/a"])
  func whatBelongsToSomebodyElseIsNot(_ path: String) throws {
    try withKept { (root: String, _: String) throws in
      #expect(chown(root + path, 65_534, 65_534) == 0)
      #expect(read(root) == "belongs to another user")
    }
  }

  /// A file that is not believed is replaced, not written to.
  @Test func whatIsReplacedIsThisUsersAgain() throws {
    try withKept { (root: String, file: String) throws in
      #expect(chmod(file, 0o666) == 0)
      guard case .here(let place) = PrivateFolder.open("kept", in: root) else { return }
      place.write("a", [7])
      #expect(read(root) == "[7]")
    }
  }
}
