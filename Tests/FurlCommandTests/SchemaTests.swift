import Foundation
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

/// What commands print is what the published schemas say.
@Suite struct SchemaTests {
  private func expect(_ schema: String, _ json: JSON, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let problems = try JSONSchema(schema).problems(json)
    #expect(problems.isEmpty, "\(problems.prefix(8).joined(separator: "; "))", sourceLocation: sourceLocation)
  }

  @Test func documentsFitTheirSchemas() async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("minipy-int8", into: folder)
      try expect(
        "inspect", try await Tool.run("inspect", artifact, "--check", "--diff", TestData.minipy, "--json").json)
      try expect("inspect", try await Tool.run("inspect", TestData.minipy, "--json").json)
      let code = folder + "/code.txt"
      try TestData.write(Array(TestData.bytes(TestData.minipy + "/validation.txt").prefix(1200)), to: code)
      let effects = try await Tool.run("inspect", artifact, "--diff", TestData.minipy, "--text", code, "--json").json
      #expect(effects["effects"]?["tensors"]?.array?.count == 38)
      try expect("inspect", effects)
      let shown = try await Tool.run("inspect", artifact, "--diff", TestData.minipy, "--text", code).output
      #expect(shown.contains("predicted KL") && shown.contains("on 256 tokens"))
      let lines = TestData.minipy + "/lines.yaml"
      let eval = try await Tool.run("eval", artifact, "--suite", lines, "--limit", "12", "--json").json
      try expect("eval", eval)
      try expect("report", eval)
      let text = folder + "/text.txt"
      let part = try TestData.bytes(TestData.minipy + "/validation.txt").prefix(6000)
      try TestData.write(Array(part), to: text)
      let compared = try await Tool.run(
        "eval", artifact, "--suite", text, "--context", "64", "--baseline", TestData.minipy, "--json"
      ).json
      try expect("eval", compared)
      #expect(compared["comparison"]?["same_top"]?.number ?? 0 > 0.9)
      let bench = try await Tool.run(
        "bench", artifact, "--rounds", "1", "--repeats", "2", "--prompt-tokens", "16", "--decode-tokens", "8",
        "--suite",
        lines, "--limit", "5", "--json"
      ).json
      try expect("bench", bench)
      try expect("report", bench)
      let gates = """
        furl: 1
        gates:
          - {metric: disk_bytes, max: 8 MB}
          - {suite: text, metric: perplexity, max: 4, max_rise: 0.1}
          - {suite: text, metric: kl_divergence, max: 0.1, confidence: 0.9}
          - {suite: text, metric: same_top, min: 0.9}
          - {suite: lines, metric: exact_match, min: 0.05, max_drop: 0.5, loose: true}
          - {suite: lines, metric: edit_similarity, max_drop: 0.5, loose: true}
        """
      try TestData.write(Array(gates.utf8), to: folder + "/gates.yaml")
      let verified = try await Tool.run(
        "verify", artifact, "--gates", folder + "/gates.yaml", "--baseline", TestData.minipy, "--suite", "text=\(text)",
        "--limit", "40", "--no-cache", "--json")
      let verify = try verified.json
      try expect("verify", verify)
      try expect("report", verify)
      #expect(verify["gates"]?.array?.count == 8, "\(verified.errors)")
      // Stopped before anything was put.
      try TestData.write(
        Array(
          "furl: 1\ngates:\n- {metric: disk_bytes, max: 1 kB}\n- {suite: lines, metric: exact_match, min: 0.1}".utf8),
        to: folder + "/gates.yaml")
      let stopped = try await Tool.run(
        "verify", artifact, "--gates", folder + "/gates.yaml", "--baseline", TestData.minipy, "--json")
      try expect("verify", try stopped.json)
      #expect(stopped.status == 1)
    }
  }

  @Test func programsFitTheirSchema() async throws {
    let result = try await Tool.run(
      "eval", TestData.minipy, "--suite", TestData.minipy + "/minieval.yaml", "--limit", "6", "--json")
    // Without a sandbox nothing is executed.
    if result.status == 69 { return }
    try expect("eval", try result.json)
  }

  /// A schema that lets everything through would be no test.
  @Test func wrongDocumentsDoNotFit() throws {
    let text = """
      {"furl": 1, "suite": {"name": "s", "sha256": "\(String(repeating: "a", count: 64))", "kind": "lines", "count": 1},
       "model": {"path": "m", "digest": null}, "protocol": {}, "exact_match": 1, "edit_similarity": 1,
       "interval_95": [0.2, 1], "seconds": 1, "results": [{"id": 0, "exact": true, "edit_similarity": 1}]}
      """
    func problems(_ from: String = "", _ to: String = "") throws -> [String] {
      let changed = from.isEmpty ? text : text.replacing(from, with: to)
      #expect(from.isEmpty || changed != text)
      return try JSONSchema("eval").problems(JSON.parse(Array(changed.utf8), file: nil))
    }
    #expect(try problems().isEmpty)
    for (from, to) in [
      ("\"furl\": 1", "\"furl\": 2"), ("\"kind\": \"lines\"", "\"kind\": \"line\""), ("aaaa", "AAAA"),
      ("aaaaa\"", "\""),
      ("\"seconds\": 1, ", ""), ("[0.2, 1]", "[0.2]"), ("[0.2, 1]", "[0.2, 1, 1]"), ("[0.2, 1]", "\"none\""),
      ("\"exact_match\": 1", "\"exact_match\": 2"), ("\"exact_match\": 1, ", ""), ("\"exact\": true", "\"exact\": 1"),
      ("\"count\": 1", "\"count\": 0"), ("\"id\": 0", "\"id\": 0.5"), ("\"path\": \"m\"", "\"path\": \"\""),
      ("\"exact_match\": 1", "\"exact_match\": 1, \"pass_at_1\": 1"),
    ] { #expect(try !problems(from, to).isEmpty, "\(to)") }
  }
}
