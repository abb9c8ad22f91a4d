import Foundation
import FurlBase
import FurlTestSupport
import Subprocess
import SystemPackage
import Testing

/// The built command, run the way a person runs it.
enum Tool {
  struct Result: Sendable {
    let status: Int32
    let output: String
    let errors: String

    /// The one JSON document on standard output.
    var json: JSON {
      get throws { try JSON.parse(Array(output.utf8), file: "stdout") }
    }
  }

  /// `furl`, which the package manager puts beside the tests.
  static let path: String = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    while folder.path != "/" {
      let candidate = folder.appendingPathComponent("furl").path
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      folder.deleteLastPathComponent()
    }
    return TestData.root + "/.build-tests/release/furl"
  }()

  static func run(
    _ arguments: String..., input: String = "", environment: [String: String] = [:]
  ) async throws -> Result {
    try await run(arguments, input: input, environment: environment)
  }

  static func run(
    _ arguments: [String], input: String = "", environment: [String: String] = [:]
  ) async throws -> Result {
    var changes: [Environment.Key: String?] = ["COLUMNS": "100"]
    for (key, value) in environment { changes[Environment.Key(stringLiteral: key)] = value }
    let outcome = try await Subprocess.run(
      .path(FilePath(path)), arguments: Arguments(arguments), environment: .inherit.updating(changes),
      workingDirectory: FilePath(TestData.root), input: .string(input), output: .string(limit: 64 << 20),
      error: .string(limit: 1 << 20))
    let status: Int32 =
      switch outcome.terminationStatus {
      case .exited(let code): code
      case .signaled(let signal): 1000 + signal
      }
    return Result(status: status, output: outcome.standardOutput, errors: outcome.standardError)
  }

  /// Compresses minipy into a folder.
  static func compress(_ recipe: String, into folder: String) async throws -> String {
    let path = "\(folder)/\(recipe).furl"
    let result = try await run("compress", TestData.minipy, "--recipe", "recipes/\(recipe).yaml", "--output", path)
    try #require(result.status == 0, "\(result.errors)")
    return path
  }
}

/// An error is one line on standard error, with nothing on standard output.
func expectOneLine(
  _ result: Tool.Result, status: Int32, containing words: String..., sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(result.status == status, "\(result.errors)", sourceLocation: sourceLocation)
  #expect(result.output.isEmpty, sourceLocation: sourceLocation)
  #expect(result.errors.hasPrefix("furl: "), sourceLocation: sourceLocation)
  #expect(result.errors.count { $0 == "\n" } == 1, "\(result.errors)", sourceLocation: sourceLocation)
  for word in words { #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: sourceLocation) }
}
