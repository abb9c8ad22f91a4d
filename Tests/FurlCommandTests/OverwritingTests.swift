import Foundation
import Furl
import FurlTestSupport
import Testing

/// No command writes over what it reads, whatever the name.
@Suite struct OverwritingTests {
  private func expectRefusal(_ arguments: [String], keeps file: String) async throws {
    let before = try TestData.bytes(file)
    let result = try await Tool.run(arguments)
    #expect(result.status == 64, "\(arguments): \(result)")
    #expect(
      result.errors.contains("which this command reads") && result.errors.split(separator: "\n").count == 1,
      "\(result.errors)")
    #expect(try TestData.bytes(file) == before)
  }

  @Test func outputsAreNoInputs() async throws {
    try await TestData.withTemporaryFolder { folder in
      let lines = folder + "/l.jsonl"
      let given = folder + "/c.jsonl"
      try TestData.write(Array("{\"id\": 0, \"input\": \"a\", \"gt\": \"b\"}\n".utf8), to: lines)
      try TestData.write(Array("{\"id\": 0, \"completion\": \"b\"}\n".utf8), to: given)
      let manager = FileManager.default
      try manager.createSymbolicLink(atPath: folder + "/soft", withDestinationPath: given)
      try manager.linkItem(atPath: lines, toPath: folder + "/hard")
      let eval = ["eval", "--suite", lines, "--completions", given, "--samples"]
      for output in [given, folder + "/./c.jsonl", folder + "/soft"] {
        try await expectRefusal(eval + [output], keeps: given)
      }
      for output in [lines, folder + "/hard"] { try await expectRefusal(eval + [output], keeps: lines) }
      #expect(try await Tool.run(eval + [folder + "/new"]).status == 0)
      #expect(try await Tool.run(eval + [folder + "/new"]).status == 0)
      let card = folder + "/card.yaml"
      let sha = try MappedFile(path: lines)
      try TestData.write(
        Array("furl: 1\nsuite: l\nfile: l.jsonl\nsha256: \(Digest(of: sha).hex)\nkind: lines\n".utf8), to: card)
      try await expectRefusal(["eval", "--suite", card, "--completions", given, "--samples", lines], keeps: lines)

      let report = folder + "/r.json"
      try TestData.write(
        Array(try await Tool.run(["eval", "--suite", lines, "--completions", given, "--json"]).output.utf8), to: report)
      try await expectRefusal(["report", report, "--html", report], keeps: report)
      try await expectRefusal(
        ["report", report, "--markdown", folder + "/../" + (folder as NSString).lastPathComponent + "/r.json"],
        keeps: report)

      let recipe = folder + "/int8.yaml"
      try TestData.write(
        Array("furl: 1\nrecipe: r\nsteps:\n  - quantize: {weights: int8, block: 32}\n".utf8), to: recipe)
      try await expectRefusal(["compress", TestData.minipy, "--recipe", recipe, "--output", recipe], keeps: recipe)
      let weights = TestData.minipy + "/config.json"
      try manager.createSymbolicLink(atPath: folder + "/config", withDestinationPath: weights)
      try await expectRefusal(
        ["compress", TestData.minipy, "--recipe", recipe, "--output", folder + "/config"], keeps: weights)
      try await expectRefusal(
        ["export", TestData.minipy, "--format", "gguf", "--output", folder + "/config"], keeps: weights)
      try await expectRefusal(["verify", recipe, "--gates", card, "--junit", card], keeps: card)
    }
  }
}
