import Foundation
import FurlBase
import FurlEvaluate
import FurlTensor
import FurlTestSupport
import Testing

/// What build servers act on: the exit status, and one line that says what is wrong.
@Suite struct ExitStatusTests {
  @Test func wrongUsageIs64() async throws {
    #expect(try await Tool.run("compress").status == 64)
    #expect(try await Tool.run("nonsense").status == 64)
    #expect(try await Tool.run("run", TestData.minipy, "--prompt", "x", "--top-p", "7").status == 64)
    #expect(try await Tool.run("bench", TestData.minipy, "--threads", "0").status == 64)
    expectOneLine(
      try await Tool.run("logits", TestData.minipy, "--ids", "1,x"), status: 64, containing: "--ids", "\"x\"")
    expectOneLine(
      try await Tool.run("logits", TestData.minipy, "--ids", "1", environment: ["FURL_ISA": "magic"]), status: 64,
      containing: "FURL_ISA", "magic")
  }

  @Test func wrongInputIs65() async throws {
    expectOneLine(try await Tool.run("inspect", "/nowhere"), status: 65, containing: "/nowhere", "does not exist")
    expectOneLine(try await Tool.run("inspect", TestData.root + "/recipes"), status: 65, containing: "config.json")
    expectOneLine(
      try await Tool.run("logits", TestData.minipy, "--ids", "8192"), status: 65, containing: "8192")
    try await TestData.withTemporaryFolder { folder in
      let recipe = folder + "/wrong.yaml"
      try TestData.write(
        Array("furl: 1\nrecipe: x\nsteps:\n  - quantize:\n      weights: int8\n      blok: 32\n".utf8), to: recipe)
      expectOneLine(
        try await Tool.run("compress", TestData.minipy, "--recipe", recipe, "--output", folder + "/x.furl"), status: 65,
        containing: recipe, "line 6", "steps[0].quantize.blok", "unknown key")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["wrong.yaml"])
    }
  }

  @Test func missingAbilityIs69() async throws {
    guard !Kernels.supported.contains("neon") else { return }
    expectOneLine(
      try await Tool.run("logits", TestData.minipy, "--ids", "1", environment: ["FURL_ISA": "neon"]), status: 69,
      containing: "neon")
  }

  @Test func outputThatCannotBeCreatedIs73() async throws {
    let result = try await Tool.run(
      "compress", TestData.minipy, "--recipe", "recipes/minipy-int8.yaml", "--output", "/nowhere/x.furl")
    expectOneLine(result, status: 73, containing: "/nowhere")
  }

  @Test func verdictsAreExitStatuses() async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("minipy-int8", into: folder)
      // A few problems are enough to tell the verdicts apart.
      let few = folder + "/lines.jsonl"
      let all = try TestData.bytes(TestData.minipy + "/lines.jsonl")
      try TestData.write(Array(all.split(separator: 10).prefix(40).joined(separator: [10])), to: few)
      func verify(_ gates: String, _ extra: String...) async throws -> Tool.Result {
        let path = folder + "/gates.yaml"
        try TestData.write(Array("furl: 1\ngates:\n\(gates)".utf8), to: path)
        var arguments = [
          "verify", artifact, "--gates", path, "--baseline", TestData.minipy, "--suite", "lines=\(few)", "--no-cache",
        ]
        arguments += extra
        return try await Tool.run(arguments)
      }
      let modest = "  - {suite: lines, metric: exact_match, min: 0.05}\n"
      let bold = "  - {suite: lines, metric: exact_match, min: 0.99}\n"
      let narrow = "  - {suite: lines, metric: exact_match, max_drop: 0.001}\n"
      // 40 problems cannot show a drop of at most 0.1 %, and a part of a suite cannot pass a gate.
      let pass = try await verify("  - {suite: lines, metric: exact_match, max_drop: 0.45}\n")
      #expect(pass.status == 0, "\(pass.output)\(pass.errors)")
      let partial = try await verify(modest, "--limit", "30", "--json")
      #expect(partial.status == 2)
      #expect(try partial.json["verdict"]?.string == "inconclusive")
      #expect(try await verify(modest, "--limit", "30", "--allow-inconclusive").status == 0)
      #expect(try await verify(narrow).status == 2)
      let xml = folder + "/gates.xml"
      let failed = try await verify(bold, "--junit", xml)
      #expect(failed.status == 1)
      #expect(failed.output.contains("fail"))
      #expect(String(decoding: try TestData.bytes(xml), as: UTF8.self).contains("<failure"))
      expectOneLine(
        try await Tool.run("verify", artifact, "--gates", folder + "/gates.yaml"), status: 64, containing: "lines")
    }
  }

  @Test func nothingToVerifyIs64() async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("int8-rows", into: folder)
      expectOneLine(try await Tool.run("verify", artifact), status: 64, containing: "no gates")
      expectOneLine(try await Tool.run("verify", TestData.minipy), status: 64, containing: "not an artifact")
    }
  }
}
