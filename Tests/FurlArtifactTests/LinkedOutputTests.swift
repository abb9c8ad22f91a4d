@testable import FurlArtifact
import FurlBase
import FurlTestSupport
import Foundation
import Testing

/// An output that is a symbolic link is written where the link points.
@Suite struct LinkedOutputTests {
  @Test(arguments: [true, false]) func theLinkStays(_ unnamed: Bool) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      #expect(mkdir(folder + "/real", 0o700) == 0 && symlink("real/a", folder + "/link") == 0)
      // The first time it points to nothing.
      for bytes in [[1, 2], [3]] as [[UInt8]] {
        let output = try OutputFile(path: folder + "/link", unnamed: unnamed)
        try output.write(bytes)
        try output.commit()
        #expect(try TestData.bytes(folder + "/real/a") == bytes)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/link") == "real/a")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/real") == ["a"])
      }
    }
  }

  @Test func aLinkToAFolderThatIsNotThereIsAnError() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      #expect(symlink("none/a", folder + "/link") == 0)
      let error = #expect(throws: FurlError.self) { try OutputFile(path: folder + "/link") }
      #expect(error?.kind == .cannotCreate && error?.file == folder + "/link", "\(error?.description ?? "")")
    }
  }

  @Test(arguments: ["", "/"]) func foldersToo(_ end: String) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      #expect(symlink("real", folder + "/link") == 0)
      let output = try OutputFolder(path: folder + "/link" + end)
      try output.write([5], as: "x")
      try output.commit()
      #expect(try TestData.bytes(folder + "/real/x") == [5])
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["link", "real"])
    }
  }

  /// What a signal would leave behind goes.
  @Test func unfinishedOutputsAreRemoved() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let output = try OutputFolder(path: folder + "/export")
      try output.write([5], as: "x")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 1)
      removeUnfinishedOutputs()
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
      output.abandon()
    }
  }

  /// A file in the place of what a shell has open would be lost to it.
  @Test func whatAProcessHasOpenIsNotReplaced() throws {
    try TestData.withTemporaryFile([1, 2], "open") { (path: String) throws in
      let descriptor = open(path, O_RDWR)
      defer { close(descriptor) }
      let link = path + ".link"
      #expect(symlink("/proc/self/fd/\(descriptor)", link) == 0)
      for name in ["/proc/self/fd/\(descriptor)", "/dev/fd/\(descriptor)", link] {
        let error = #expect(throws: FurlError.self) { try OutputFile(path: name) }
        #expect(error?.kind == .cannotCreate && error?.remedy?.contains("name of a file") == true)
      }
      #expect(try TestData.bytes(path) == [1, 2])
    }
  }
}
