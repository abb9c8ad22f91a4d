import FurlArtifact
import FurlSpec
import FurlTensor
import FurlBase
import FurlEvaluate
import FurlModel
import FurlTestSupport
import Foundation
import Testing

/// What `verify` lets through, and what it refuses to judge.
@Suite struct VerificationTests {
  private static let drop: JSON = [["suite": "tiny", "metric": "exact_match", "min": 0.1, "max_drop": 0.3]]
  private static let bound: JSON = [["suite": "tiny", "metric": "exact_match", "min": 0.1]]

  private func verification(
    _ artifact: String, gates: String? = nil, suites: [String] = [], baseline: String? = nil
  ) throws -> Verification {
    try Verification(
      artifact: artifact, gates: gates, suites: suites, baseline: baseline, context: Running.context(), format: nil)
  }

  private func run(
    _ artifact: String, gates: String? = nil, suites: [String] = [], baseline: String? = nil, limit: Int? = nil,
    options: Verification.VerificationOptions = .init(isComplete: true)
  ) async throws -> GateReport {
    try await verification(artifact, gates: gates, suites: suites, baseline: baseline).run(options) { _ in
      Evaluator(.init(limit: limit))
    }
  }

  private func writeGates(_ text: String, in folder: String) throws -> String {
    let path = folder + "/gates.yaml"
    try TestData.write(Array("furl: 1\ngates:\n\(text)\n".utf8), to: path)
    return path
  }

  // MARK: Judging

  @Test func theRecipesGatesHold() async throws {
    try await Running.withCheckpoint { folder, checkpoint in
      let path = folder + "/a.furl"
      try Running.writeArtifact(of: checkpoint, to: path, gates: Self.drop)
      let report = try await run(path, baseline: checkpoint)
      #expect(report.artifact == "a.furl" && report.gatesFrom == "recipe")
      #expect(report.checks.count == 2 && report.verdict == .pass && report.exitStatus() == 0)
      let comparison = try #require(report.checks[1].comparison)
      #expect(comparison.count == 40 && comparison.regressed.count + comparison.fixed.count < 10)
      #expect(report.checks[0].value == report.checks[1].value && report.checks[0].value > 0.2)
    }
  }

  /// A report on the checkpoint, or several of `bench`, stand for the checkpoint itself.
  @Test func aReportIsAsGoodAsTheCheckpoint() async throws {
    try await Running.withCheckpoint { folder, checkpoint in
      let path = folder + "/a.furl"
      try Running.writeArtifact(of: checkpoint, to: path, gates: Self.drop, scheme: .int4(.columns(32)))
      let card = checkpoint + "/tiny.yaml"
      let measured = try await run(path, baseline: checkpoint)
      let subject = try LoadedModel(path: checkpoint, context: Running.context())
      let report = try await Evaluator().run(Suite(path: card), on: subject).report.json
      try TestData.write(Array(report.prettyText.utf8), to: folder + "/eval.json")
      let bench: JSON = ["results": [["path": "x", "quality": []], ["path": "y", "quality": [report]]]]
      try TestData.write(Array(bench.prettyText.utf8), to: folder + "/bench.json")
      for baseline in ["eval.json", "bench.json"] {
        let again = try await run(path, suites: ["tiny=" + card], baseline: folder + "/" + baseline)
        #expect(again.checks == measured.checks && again.verdict == measured.verdict)
        #expect(again.evidence.baseline?.digest == measured.evidence.baseline?.digest)
        #expect(again.evidence.artifactID == measured.evidence.artifactID && again.evidence.artifactID != nil)
      }
      // Only the checkpoint's folder is searched for suites.
      await Running.expectError(.usage, "suite \"tiny\"", "is not found", "--suite tiny=CARD.yaml") {
        _ = try verification(path, baseline: folder + "/eval.json")
      }
      // Another protocol or another suite was not measured.
      try Running.writeLines(39, named: "tiny", in: folder)
      await Running.expectError(.input, "eval.json", "no report on suite tiny") {
        _ = try await run(path, suites: ["tiny=\(folder)/tiny.yaml"], baseline: folder + "/eval.json")
      }
    }
  }

  /// The baseline's completions are drafts of the artifact's. Nothing of the results shows it, whether the baseline is
  /// measured or kept, and for a model of one block that writes as it pleases.
  @Test(.enabled(if: Fixtures.sandbox != nil, "needs a sandbox"), arguments: [6, 1])
  func draftsFromTheBaselineChangeNothing(blocks: Int) async throws {
    try await Running.withCheckpoint(blocks: blocks, lines: 24) { folder, checkpoint in
      try Running.writePrograms(8, named: "few", in: checkpoint)
      let path = folder + "/a.furl"
      let gates: JSON = [
        ["suite": "tiny", "metric": "exact_match", "max_drop": 0.5, "loose": true],
        ["suite": "few", "metric": "pass_at_1", "max_drop": 0.5, "loose": true],
      ]
      try Running.writeArtifact(of: checkpoint, to: path, gates: gates, scheme: .int4(.columns(32)))
      let cache = BaselineCache(folder: folder + "/cache", build: "1")
      var found: [GateReport] = []
      for (drafts, cache) in [(false, nil), (true, nil), (true, cache), (true, cache)] as [(Bool, BaselineCache?)] {
        let options = Verification.VerificationOptions(isComplete: true, cache: cache, draftsFromBaseline: drafts)
        found.append(try await run(path, baseline: checkpoint, options: options))
      }
      // However early it ends.
      for drafts in [false, true] {
        let options = Verification.VerificationOptions(draftsFromBaseline: drafts)
        #expect(try await run(path, baseline: checkpoint, options: options).verdict == found[0].verdict)
      }
      let plain = found.removeFirst()
      for report in found {
        #expect(report.checks == plain.checks)
        #expect(report.evidence.reports.map(\.results) == plain.evidence.reports.map(\.results))
        // The truths of lines are drafts in any case; programs have others only.
        #expect(report.savings.drafted == found[0].savings.drafted)
        #expect(report.savings.drafted.accepted > plain.savings.drafted.accepted)
        #expect(report.savings.drafted.accepted < report.savings.drafted.guessed)
      }
      #expect(Set(found[2].savings.cachedBaselines).isSuperset(of: ["tiny"]))
    }
  }

  @Test func gatesOfAFile() async throws {
    try await Running.withCheckpoint { folder, checkpoint in
      let path = folder + "/a.furl"
      try Running.writeArtifact(
        of: checkpoint, to: path, gates: [["suite": "none", "metric": "exact_match", "min": 1]])
      let card = "tiny=\(checkpoint)/tiny.yaml"
      let lenient = try writeGates("  - {suite: tiny, metric: edit_similarity, min: 0.5}", in: folder)
      let held = try await run(path, gates: lenient, suites: [card])
      #expect(held.gatesFrom == "gates.yaml" && held.verdict == .pass && held.exitStatus() == 0)
      let strict = try writeGates(
        "  - {suite: tiny, metric: exact_match, min: 1}\n  - {suite: tiny, metric: edit_similarity, min: 0.5}",
        in: folder)
      let failed = try await run(path, gates: strict, suites: [card])
      #expect(failed.checks.map(\.verdict) == [.fail, .pass] && failed.verdict == .fail)
      #expect(failed.exitStatus() == 1 && failed.exitStatus(allowingInconclusive: true) == 1)
      // Forty lines cannot show that nothing was lost.
      let exact = try writeGates("  - {suite: tiny, metric: exact_match, max_drop: 0.001}", in: folder)
      let open = try await run(path, gates: exact, baseline: checkpoint)
      #expect(
        open.verdict == .inconclusive && open.exitStatus() == 2 && open.exitStatus(allowingInconclusive: true) == 0)
    }
  }

  @Test func aModelThatIsWorseFails() async throws {
    try await Running.withCheckpoint { folder, checkpoint in
      let path = folder + "/a.furl"
      // The source's lineage, but the weights of its first half.
      try await Running.withCheckpoint(blocks: 3) { _, half in
        try Running.writeArtifact(of: half, to: path, gates: Self.drop)
        let failed = try await run(path, baseline: half)
        #expect(failed.checks[0].verdict == .fail && failed.exitStatus() == 1)
      }
    }
  }

  @Test func aLimitedRunNeverPasses() async throws {
    try await Running.withCheckpoint { folder, checkpoint in
      let path = folder + "/a.furl"
      try Running.writeArtifact(of: checkpoint, to: path, gates: Self.drop)
      let report = try await run(path, baseline: checkpoint, limit: 10)
      #expect(report.checks.allSatisfy { $0.verdict == .inconclusive && $0.reason.contains("only 10 of 40") })
      #expect(report.exitStatus() == 2)
      // What cannot be reached any more has failed.
      let strict = try writeGates("  - {suite: tiny, metric: exact_match, min: 1}", in: folder)
      #expect(try await run(path, gates: strict, baseline: checkpoint, limit: 30).verdict == .fail)
    }
  }

  // MARK: Refusing

  @Test func nothingToVerify() async throws {
    try await Running.withCheckpoint(lines: 2) { folder, checkpoint in
      let path = folder + "/a.furl"
      try Running.writeArtifact(of: checkpoint, to: path)
      await Running.expectError(.usage, "a.furl", "no gates", "--gates") { _ = try verification(path) }
      let empty = try writeGates("  []", in: folder)
      await Running.expectError(.usage, "gates.yaml", "no gates") { _ = try verification(path, gates: empty) }
      await Running.expectError(.usage, checkpoint, "is not an artifact") { _ = try verification(checkpoint) }
      await Running.expectError(.input, "absent") { _ = try verification(folder + "/absent") }
      await Running.expectError(.input, "absent") { _ = try verification(path, gates: folder + "/absent") }
    }
  }

  @Test func suitesAreFoundOrAskedFor() async throws {
    try await Running.withCheckpoint(lines: 2) { folder, checkpoint in
      let path = folder + "/a.furl"
      let card = checkpoint + "/tiny.yaml"
      try Running.writeArtifact(of: checkpoint, to: path, gates: Self.bound)
      await Running.expectError(.usage, "suite \"tiny\"", "--suite tiny=CARD.yaml") { _ = try verification(path) }
      _ = try verification(path, baseline: checkpoint)
      _ = try verification(path, suites: ["tiny=" + card])
      await Running.expectError(.usage, "--suite", "no gate", "\"other\"") {
        _ = try verification(path, suites: ["tiny=" + card, "other=" + card])
      }
      for text in ["tiny", "=" + card, ""] {
        await Running.expectError(.usage, "--suite", "is not NAME=CARD") { _ = try verification(path, suites: [text]) }
      }
      await Running.expectError(.usage, "--suite", "\"tiny\" is given twice") {
        _ = try verification(path, suites: ["tiny=" + card, "tiny=" + card])
      }
      await Running.expectError(.input, "absent") { _ = try verification(path, suites: ["tiny=\(folder)/absent"]) }
      // A gate is not held on a suite of another name, which may be easier.
      await Running.expectError(.usage, "validation.yaml", "named \"validation\", not \"tiny\"") {
        _ = try verification(path, suites: ["tiny=\(TestData.minipy)/validation.yaml"])
      }
      // A suite of another kind has no such figure.
      try TestData.write(Array(String(repeating: "return x\n", count: 400).utf8), to: folder + "/tiny.txt")
      await Running.expectError(.input, "exact_match") {
        _ = try await run(path, suites: ["tiny=\(folder)/tiny.txt"])
      }
    }
  }

  @Test func theBaselineMustBeTheSource() async throws {
    try await Running.withCheckpoint(lines: 4) { folder, checkpoint in
      let path = folder + "/a.furl"
      try Running.writeArtifact(of: checkpoint, to: path, gates: Self.drop)
      await Running.expectError(.usage, "exact_match of tiny", "--baseline") {
        _ = try verification(path, suites: ["tiny=\(checkpoint)/tiny.yaml"])
      }
      // One weight of it is another one.
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.tensors["transformer.h.1.mlp.c_fc.weight"]?.values[7] += 1e-4
      try sample.write(to: folder + "/other")
      try Running.writeLines(4, named: "tiny", in: folder + "/other")
      await Running.expectError(.input, "/other", "is not the checkpoint that a.furl was made from") {
        _ = try verification(path, baseline: folder + "/other")
      }
      await Running.expectError(.input, "a.furl", "is not the checkpoint") {
        _ = try verification(path, baseline: path)
      }
      // A report on it is a report on another model.
      let other = try LoadedModel(path: folder + "/other", context: Running.context())
      let report = try await Evaluator().run(Suite(path: checkpoint + "/tiny.yaml"), on: other).report.json
      try TestData.write(Array(report.prettyText.utf8), to: folder + "/other.json")
      await Running.expectError(.input, "other.json", "holds no report on the checkpoint") {
        _ = try verification(path, suites: ["tiny=\(checkpoint)/tiny.yaml"], baseline: folder + "/other.json")
      }
      for text in ["", "{}", "[]", "{\"results\": 4}", "{\"results\": []}"] {
        try TestData.write(Array(text.utf8), to: folder + "/bad.json")
        await Running.expectError(.input, "bad.json") { _ = try verification(path, baseline: folder + "/bad.json") }
      }
    }
  }

  @Test func digestsAreChecked() async throws {
    try await Running.withCheckpoint(lines: 2) { folder, checkpoint in
      let path = folder + "/a.furl"
      try Running.writeArtifact(of: checkpoint, to: path, gates: Self.bound, storage: .mapped)
      try verification(path, baseline: checkpoint).checkDigests { _, _ in }
      var bytes = try TestData.bytes(path)
      bytes[bytes.count / 2] ^= 1
      try TestData.write(bytes, to: path)
      let damaged = try verification(path, baseline: checkpoint)
      await Running.expectError(.input, path, "digest") { try damaged.checkDigests { _, _ in } }
    }
  }
}
