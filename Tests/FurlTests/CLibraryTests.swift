import Foundation
import Furl
import FurlTestSupport
import Testing

/// The library for other languages, loaded by Python as anybody would.
@Suite struct CLibraryTests {
  #if os(Linux)
  private static let library: String? = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    while folder.path != "/" {
      let path = folder.appendingPathComponent("libFurlC.so").path
      if FileManager.default.fileExists(atPath: path) { return path }
      folder.deleteLastPathComponent()
    }
    return nil
  }()

  private func python(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments = [TestData.root + "/Examples/python/complete.py"] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(["FURL_LIBRARY": Self.library ?? ""]) { $1 }
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let wrong = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, said, wrong)
  }

  @Test func pythonGetsTheSameText() async throws {
    try #require(Self.library != nil, "libFurlC.so is built with the tests")
    let text = try await Model(contentsOf: TestData.minipy).complete("def add(a, b):", maxTokens: 24).text
    let result = try python([TestData.minipy, "def add(a, b):", "24"])
    #expect(result.status == 0 && result.output == text + "\n", "\(result.output)\(result.errors)")
    let one = try python([TestData.minipy, "def add(a, b):", "1"])
    #expect(one.status == 0 && one.output.count < result.output.count)
  }

  @Test func errorsComeWithTheirStatus() throws {
    try #require(Self.library != nil)
    let missing = try python(["/nowhere", "x", "8"])
    #expect(missing.status == 65 && missing.errors == "/nowhere: does not exist\n", "\(missing.errors)")
    // A prompt that does not fit is refused when it is read.
    let long = try python([TestData.minipy, String(repeating: "def f(a):\n", count: 400), "8"])
    #expect(long.status == 64 && long.errors.contains("the context holds 512"), "\(long.errors)")
  }

  /// The header is C, and C++.
  @Test(arguments: ["c", "c++"])
  func theHeaderCompiles(_ language: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "clang", "-x", language, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", TestData.root + "/Sources/FurlC/furl.h",
    ]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }
  #endif
}
