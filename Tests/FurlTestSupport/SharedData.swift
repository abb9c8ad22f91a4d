import FurlBase
import Foundation

/// Where the tests find their files.
package enum TestData {
  /// The project's root folder.
  package static let root: String = {
    var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast(3)
    return parts.joined(separator: "/")
  }()

  /// Data that is not part of the project (HumanEval, tokenizer vectors): `FURL_SHARED`, or `../shared`.
  /// Nil where it is absent; tests that need it are skipped with a sentence.
  package static let shared: String? = {
    let folder = ProcessInfo.processInfo.environment["FURL_SHARED"] ?? root + "/../shared"
    return FileManager.default.fileExists(atPath: folder) ? folder : nil
  }()

  /// Whether tests also go through all that only repeats what they go through anyway: where `FURL_THOROUGH` is set.
  package static let isThorough = ProcessInfo.processInfo.environment["FURL_THOROUGH"] != nil

  /// The tiny code model that is bundled with the project.
  package static let minipy = root + "/checkpoints/minipy"

  /// The tiny code model with experts that is bundled with the project.
  package static let minimoe = root + "/checkpoints/minimoe"

  /// A new empty folder for one test, removed when `body` returns.
  package static func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = try makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
  }

  /// A new empty folder for one test, removed when `body` returns.
  package static func withTemporaryFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let folder = try makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await body(folder)
  }

  private static func makeTemporaryFolder() throws -> String {
    let folder = NSTemporaryDirectory() + "/furl-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return folder
  }

  /// A file of some bytes, removed when `body` returns. It has no folder of its own, which tests that open thousands of
  /// files would spend their time on.
  ///
  /// - Parameter name: how its name ends.
  package static func withTemporaryFile<Result>(
    _ bytes: [UInt8], _ name: String, _ body: (String) throws -> Result
  ) throws -> Result {
    let path = NSTemporaryDirectory() + "/furl-test-\(UUID().uuidString)-\(name)"
    defer { unlink(path) }
    try write(bytes, to: path)
    return try body(path)
  }

  /// The bytes of a file.
  package static func bytes(_ path: String) throws -> [UInt8] { try MappedFile(path: path).readAll(limit: .max) }

  /// Writes a file. Unlike Foundation it does not wait for the disk, which tests that damage a file byte by byte
  /// would spend their time on.
  package static func write(_ bytes: [UInt8], to path: String) throws {
    guard let file = fopen(path, "wb") else { throw FurlError(.cannotCreate, file: path, "cannot be created") }
    let written = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, written == bytes.count else {
      throw FurlError(.cannotWrite, file: path, "cannot be written")
    }
  }
}
