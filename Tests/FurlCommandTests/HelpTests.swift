import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

/// What a person reads first. The texts are files, so that a change of a help text is seen in a review; set
/// FURL_WRITE_SNAPSHOTS to write them anew.
@Suite struct HelpTests {
  private static let commands = [
    "compress", "inspect", "run", "eval", "bench", "verify", "report", "sweep", "data", "synth", "export",
    "tokenize", "logits", "families", "recipes", "check", "init", "doctor", "cache",
  ]

  @Test(arguments: [""] + commands)
  func isWhatItWas(_ command: String) async throws {
    let result = command.isEmpty ? try await Tool.run("--help") : try await Tool.run(command, "--help")
    #expect(result.status == 0)
    #expect(result.errors.isEmpty)
    let file = TestData.root + "/Tests/FurlCommandTests/Snapshots/\(command.isEmpty ? "furl" : command).txt"
    if ProcessInfo.processInfo.environment["FURL_WRITE_SNAPSHOTS"] != nil {
      try TestData.write(Array(result.output.utf8), to: file)
    }
    #expect(result.output == String(decoding: try TestData.bytes(file), as: UTF8.self))
  }

  @Test func versionIsOneLine() async throws {
    let result = try await Tool.run("--version")
    #expect(result.status == 0)
    #expect(result.output.split(separator: "\n").count == 1)
    #expect(result.output == "0.2.0 (development build)\n")
  }

  /// Every command but data, whose only one has its own, begins with an example; none is cut by a terminal of 80 columns,
  /// and its options are those of the command, so that it can be pasted.
  @Test(arguments: commands.filter { $0 != "data" } + ["data lines"])
  func examplesCanBePasted(_ command: String) async throws {
    let words = command.split(separator: " ").map(String.init)
    let help = try await Tool.run(words + ["--help"], environment: ["COLUMNS": "80"])
    let lines = help.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let behind = try #require(lines.firstIndex { $0.hasPrefix("USAGE") })
    var examples: [String] = []
    var isOpen = false
    for line in lines[..<behind] {
      let text = line.trimmingCharacters(in: .whitespaces)
      if isOpen {
        examples[examples.count - 1] += " " + text
      } else if text.hasPrefix("furl ") {
        examples.append(text)
      } else {
        continue
      }
      isOpen = text.hasSuffix("\\")
      #expect(line.count <= 80, "\(line)")
    }
    #expect(!examples.isEmpty && !isOpen, "\(command)")
    for example in examples where example.hasPrefix("furl \(command) ") {
      let options = example.split(separator: " ").map(String.init).filter { $0.hasPrefix("--") }
      for option in options { #expect(help.output.contains(option), "\(example): \(option)") }
    }
  }
}
