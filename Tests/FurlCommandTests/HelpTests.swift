import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

/// What a person reads first. The texts are files, so that a change of a help text is seen in a review; set
/// FURL_WRITE_SNAPSHOTS to write them anew.
@Suite struct HelpTests {
  @Test(arguments: [
    "", "compress", "inspect", "run", "eval", "bench", "verify", "report", "sweep", "data", "synth", "export",
    "tokenize", "logits", "families",
  ])
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
  }
}
