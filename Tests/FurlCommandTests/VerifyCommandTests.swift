import Foundation
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

/// `verify` in a pipeline.
@Suite struct VerifyCommandTests {
  /// An artifact, gates on a few lines, and a folder for what is kept.
  private func withGates(
    _ gates: String,
    _ body: (_ arguments: [String], _ environment: [String: String], _ folder: String) async throws ->
      Void
  ) async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("minipy-int8", into: folder)
      let lines = folder + "/lines.jsonl"
      let all = try TestData.bytes(TestData.minipy + "/lines.jsonl")
      try TestData.write(Array(all.split(separator: 10).prefix(40).joined(separator: [10])), to: lines)
      try TestData.write(Array("furl: 1\ngates:\n\(gates)\n".utf8), to: folder + "/gates.yaml")
      let arguments = [
        "verify", artifact, "--gates", folder + "/gates.yaml", "--baseline", TestData.minipy, "--suite",
        "lines=\(lines)",
      ]
      try await body(arguments, ["XDG_CACHE_HOME": folder + "/cache", "GITHUB_ACTIONS": ""], folder)
    }
  }

  @Test func baselinesAreMeasuredOnce() async throws {
    try await withGates("  - {suite: lines, metric: exact_match, max_drop: 0.4}") { arguments, environment, folder in
      let first = try await Tool.run(arguments + ["--json"], environment: environment)
      let kept = try FileManager.default.contentsOfDirectory(atPath: folder + "/cache/furl/baselines")
      #expect(first.status == 0 && kept.count == 1, "\(first.errors)")
      let second = try await Tool.run(arguments + ["--json"], environment: environment)
      #expect(try first.json["saved"]?["baselines_from_cache"] == [])
      #expect(try second.json["saved"]?["baselines_from_cache"] == ["lines"])
      #expect(try first.json["gates"] == second.json["gates"])
      let anew = try await Tool.run(arguments + ["--json", "--no-cache"], environment: environment)
      #expect(try anew.json["saved"]?["baselines_from_cache"] == [] && anew.json["gates"] == first.json["gates"])
      // Nothing is passed off as measured.
      let text = try await Tool.run(arguments, environment: environment)
      #expect(text.output.contains("kept from an earlier run"))
      let explained = try await Tool.run(arguments + ["--explain", "--complete"], environment: environment)
      #expect(explained.status == 0 && explained.output.contains("(Newcombe)"), "\(explained.errors)")
    }
  }

  @Test func gitHubIsTold() async throws {
    let gates = """
        - {suite: lines, metric: exact_match, min: 0.99}
        - {metric: disk_bytes, max: 20 MB}
      """
    try await withGates(gates) { arguments, environment, folder in
      let summary = folder + "/summary.md"
      try TestData.write(Array("before\n".utf8), to: summary)
      let own = environment.merging(["GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": summary]) { $1 }
      let result = try await Tool.run(arguments + ["--json"], environment: own)
      #expect(result.status == 1)
      #expect(try result.json["verdict"] == "fail")
      #expect(
        result.errors.contains("::error title=minipy-int8.furl%3A lines exact_match min 0.99::"), "\(result.errors)")
      #expect(result.errors.contains("::notice title=furl verify::minipy-int8.furl: fail (gates of gates.yaml: "))
      let text = String(decoding: try TestData.bytes(summary), as: UTF8.self)
      #expect(text.hasPrefix("before\n### ") && text.contains("| disk_bytes"))
      // A summary that has no room left changes no verdict.
      try TestData.write([UInt8](repeating: 10, count: 1 << 20), to: summary)
      let full = try await Tool.run(arguments, environment: own)
      #expect(full.status == 1 && full.errors.contains("has no room left"))
      #expect(try TestData.bytes(summary).count == 1 << 20)
      // Anywhere else nothing is said.
      let elsewhere = try await Tool.run(arguments, environment: environment)
      #expect(elsewhere.status == 1 && elsewhere.errors.isEmpty, "\(elsewhere.errors)")
    }
  }
}
