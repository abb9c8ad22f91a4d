import Foundation
import FurlTestSupport
import Testing

/// The examples of the public names compile, and there is one for every name.
@Suite struct ExampleTests {
  /// The pages and sources that have examples.
  private static func texts() throws -> [(path: String, text: String)] {
    let root = TestData.root
    let folders = [
      "Sources/Furl", "Sources/FurlRuntime", "Sources/FurlModel/Generate", "Sources/FurlBase/Errors",
      "Sources/FurlArtifact/Reading", "Sources/FurlTransform/Compressing",
    ]
    let files = folders.flatMap { folder in
      (FileManager.default.enumerator(atPath: root + "/" + folder)?.compactMap { $0 as? String } ?? [])
        .filter { $0.hasSuffix(".swift") || $0.hasSuffix(".md") }.map { folder + "/" + $0 }
    }
    return try (files.sorted() + ["README.md", "docs/library.md"]).map {
      ($0, String(decoding: try TestData.bytes(root + "/" + $0), as: UTF8.self))
    }
  }

  /// The blocks of Swift in a page, or in the comments of a source.
  private static func examples(_ text: String) -> [String] {
    var blocks: [String] = []
    var open: [String]?
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let start = line.drop { $0 == " " }
      let words =
        start.hasPrefix("///")
        ? String(start.dropFirst(3).drop { $0 == " " }.count > 0 ? start.dropFirst(4) : "") : String(line)
      let trimmed = words.trimmingCharacters(in: .whitespaces)
      if open != nil {
        if trimmed == "```" {
          blocks.append(open?.joined(separator: "\n") ?? "")
          open = nil
        } else {
          open?.append(words)
        }
      } else if trimmed == "```swift" {
        open = []
      }
    }
    return blocks
  }

  private static func allExamples() throws -> [String] {
    // A manifest is no code that uses the library.
    try texts().flatMap { examples($0.text) }.filter { !$0.contains("PackageDescription") }
  }

  @Test func everyPublicNameIsUsedInOne() throws {
    let examples = try Self.allExamples().joined(separator: "\n")
    let words = Set(examples.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.map(String.init))
    var names: Set<String> = []
    let declaration = /^\s*public (?:final |static |convenience |mutating )*(?:struct|class|enum|func|var|let) (\w+)/
    for folder in try FileManager.default.contentsOfDirectory(atPath: TestData.root + "/Sources") {
      // What C calls has a header of its own.
      guard folder.hasPrefix("Furl"), folder != "FurlC" else { continue }
      let path = TestData.root + "/Sources/" + folder
      for case let file as String in FileManager.default.enumerator(atPath: path) ?? .init()
      where file.hasSuffix(".swift") {
        let text = String(decoding: try TestData.bytes(path + "/" + file), as: UTF8.self)
        for line in text.split(separator: "\n") {
          if let match = line.firstMatch(of: declaration) { names.insert(String(match.1)) }
        }
      }
    }
    #expect(names.count > 50, "\(names.count)")
    // FurlError.input is a shorthand of its initializer.
    #expect(names.subtracting(words).subtracting(["input"]).isEmpty, "\(names.subtracting(words))")
  }

  #if os(Linux)
  @Test func theyCompile() throws {
    let examples = try Self.allExamples()
    #expect(examples.count >= 12)
    var source = "import Furl\n"
    for (number, example) in examples.enumerated() {
      let lines = example.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("import ") }
      source += "func example\(number)() async throws {\n\(lines.joined(separator: "\n"))\n}\n"
    }
    // The modules lie where the tests were built.
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    while folder.path != "/", !FileManager.default.fileExists(atPath: folder.path + "/Modules/Furl.swiftmodule") {
      folder.deleteLastPathComponent()
    }
    try #require(folder.path != "/")
    try TestData.withTemporaryFolder { temporary in
      try TestData.write(Array(source.utf8), to: temporary + "/examples.swift")
      let root = TestData.root + "/Sources"
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [
        "swiftc", "-typecheck", "-swift-version", "6", "-warnings-as-errors", "-I", folder.path + "/Modules",
        "-Xcc", "-I\(root)/CFurlKernels/include", "-Xcc", "-fmodule-map-file=\(root)/CYaml/module.modulemap",
        "-Xcc", "-fmodule-map-file=\(root)/CZstd/module.modulemap",
        "-Xcc", "-fmodule-map-file=\(folder.path)/CFurlKernels.build/module.modulemap",
        "-module-cache-path", temporary + "/cache", temporary + "/examples.swift",
      ]
      let pipe = Pipe()
      process.standardError = pipe
      try process.run()
      let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 0, "\(said)")
    }
  }
  #endif
}
