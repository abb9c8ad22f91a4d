import FurlBase
import Foundation
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Subprocess
import SystemPackage
import Testing

/// Sweeps of a few problems on the bundled model, interrupted in every way.
@Suite(.serialized) struct SweepCommandTests {
  private static let files = ["report.md", "report.html", "sweep.json"]

  /// Six chains of one to four cells; the last one fails.
  private static func plan(in folder: String, slurm: String = "") throws -> String {
    let path = folder + "/sweep.yaml"
    let recipes = TestData.root + "/recipes"
    // A sound recipe that does not fit the model: it has no block 9.
    try TestData.write(
      Array("furl: 1\nrecipe: wrong\nsteps: [{truncate: {blocks: [9]}}]\n".utf8), to: folder + "/wrong.yaml")
    try TestData.write(
      Array(
        """
        furl: 1
        sweep: small
        checkpoints:
          - {name: minipy, path: \(TestData.minipy)}
        recipes:
          - {recipe: original}
          - {recipe: \(recipes)/minipy-int8.yaml}
          - {recipe: \(recipes)/minipy-int4.yaml}
          - recipe: \(recipes)/minipy-int8.yaml
            remove_blocks: {from: 1, to: 4}
            until: {metric: exact_match, at_most: 0}
          - recipe: original
            remove_blocks: {from: 6, to: 6}
          - {recipe: wrong.yaml}
        suites: ["checkpoint:lines.yaml"]
        limit: 8
        threads: 1
        measure: none
        \(slurm)
        """.utf8), to: path)
    return path
  }

  private static func contents(_ folder: String) throws -> [[UInt8]] {
    try files.map { try TestData.bytes("\(folder)/\($0)") }
  }

  private static func journal(_ folder: String) throws -> [JSON] {
    // A run that was killed may leave half a line.
    try TestData.bytes(folder + "/journal.jsonl").split(separator: 10).compactMap {
      try? JSON.parse(Array($0), file: nil)
    }
  }

  @Test func aSweepThatIsKilledTenTimesGivesTheSameReport() async throws {
    try await TestData.withTemporaryFolder { folder in
      let plan = try Self.plan(in: folder)
      let whole = try await Tool.run("sweep", plan, "--output", folder + "/whole")
      // The cell that fails says why, and the status is its own.
      #expect(whole.status == 65 && whole.output.contains("there is no block 9"), "\(whole.errors)")
      let document = try JSON.parse(TestData.bytes(folder + "/whole/sweep.json"), file: nil)
      let states = document["cells"]?.array?.compactMap { $0["state"]?.string } ?? []
      #expect(states == ["done", "done", "done", "done", "done", "skipped", "skipped", "skipped", "failed"])
      #expect(document["cells"]?[3]?["result"]?["quality"]?[0]?["exact_match"]?.number.map { $0 > 0 } == true)

      var generator = SplitMix64(seed: 7)
      let killed = folder + "/killed"
      for turn in 0..<10 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.path)
        process.arguments = ["sweep", plan, "--output", killed]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        try await Task.sleep(for: .milliseconds(Int(generator.next() % 900)))
        kill(process.processIdentifier, turn % 3 == 2 ? SIGINT : SIGKILL)
        process.waitUntilExit()
      }
      let last = try await Tool.run("sweep", plan, "--output", killed)
      #expect(last.status == 65 && last.output == whole.output, "\(last.errors)")
      #expect(try Self.contents(killed) == Self.contents(folder + "/whole"))
      // Nothing half is left, and what had ended was never run again.
      let names = try FileManager.default.contentsOfDirectory(atPath: killed + "/cells")
      #expect(names.allSatisfy { $0.hasSuffix(".json") || $0.hasSuffix(".jsonl") })
      var ended: Set<String> = []
      for line in try Self.journal(killed) {
        guard let cell = line["id"]?.string else { continue }
        if line["event"]?.string == "begins" { #expect(!ended.contains(cell), "\(cell) was run again") }
        if line["event"]?.string == "done" { ended.insert(cell) }
      }
      // A damaged result is made again, others are kept.
      let victim = try #require(names.sorted().first { $0.contains("int4") && $0.hasSuffix(".json") })
      try TestData.write(Array("{\"furl\": 1".utf8), to: "\(killed)/cells/\(victim)")
      #expect(try await Tool.run("sweep", plan, "--output", killed).status == 65)
      #expect(try Self.contents(killed) == Self.contents(folder + "/whole"))
    }
  }

  /// Two cells at a time on a real slurmctld and slurmd; the first jobs are killed under way.
  @Test func slurmGivesTheSameReport() async throws {
    try await TestData.withTemporaryFolder { folder in
      let cluster = folder + "/slurm"
      let script = TestData.root + "/Tests/Slurm/cluster"
      let environment = ["SLURM_CONF": cluster + "/slurm.conf"]
      func control(_ action: String) async throws -> (status: TerminationStatus, words: String) {
        let result = try await Subprocess.run(
          .path(FilePath(script)), arguments: [action, cluster], output: .string(limit: 1 << 16), error: .discarded)
        return (result.terminationStatus, result.standardOutput)
      }
      let started = try await control("start")
      guard case .exited(0) = started.status else {
        return print("skipped: \(started.words.trimmingCharacters(in: .whitespacesAndNewlines))")
      }
      do {
        let plan = try Self.plan(in: folder, slurm: "slurm: {partition: main, throttle: 2, cpus: 1, attempts: 4}")
        #expect(try await Tool.run("sweep", plan, "--output", folder + "/here").status == 65)
        let submitted = try await Tool.run(
          "sweep", plan, "--output", folder + "/there", "--executor", "slurm", environment: environment)
        #expect(submitted.status == 0, "\(submitted.errors)")
        let array = try #require(Self.journal(folder + "/there").first?["array"]?.string)
        // Two run at once, as the throttle has it; what a node loses with them is submitted again.
        while try Self.journal(folder + "/there").count(where: { $0["event"]?.string == "begins" }) < 1 {
          try await Task.sleep(for: .milliseconds(20))
        }
        let changes: [Environment.Key: String?] = ["SLURM_CONF": environment["SLURM_CONF"]]
        _ = try await Subprocess.run(
          .name("scancel"), arguments: ["--signal=KILL", "--full", array], environment: .inherit.updating(changes),
          output: .discarded, error: .discarded)
        let waited = try await Tool.run(
          "sweep", plan, "--output", folder + "/there", "--executor", "slurm", "--wait", environment: environment)
        #expect(waited.status == 65, "\(waited.errors)")
        #expect(try Self.contents(folder + "/there") == Self.contents(folder + "/here"))
        let submissions = try Self.journal(folder + "/there").filter { $0["event"]?.string == "submitted" }
        #expect(submissions.count > 1)
      } catch {
        _ = try await control("stop")
        throw error
      }
      _ = try await control("stop")
    }
  }

  @Test func repeatsBecomeWhiskers() async throws {
    try await TestData.withTemporaryFolder { folder in
      try TestData.write(
        Array(
          """
          furl: 1
          sweep: measured
          recipes: [{recipe: original}, {recipe: \(TestData.root)/recipes/minipy-int8.yaml}]
          repeats: 2
          threads: 1
          keep_artifacts: true
          measure: {prompt_tokens: 8, decode_tokens: 4, repeats: 2}
          """.utf8), to: folder + "/s.yaml")
      let result = try await Tool.run(
        "sweep", folder + "/s.yaml", "--output", folder + "/out", "--checkpoint", "m=\(TestData.minipy)", "--json")
      #expect(result.status == 0, "\(result.errors)")
      let cells = try #require(try result.json["cells"]?.array)
      #expect(cells.map { $0["turn"]?.integer } == [0, 1, 0, 1])
      #expect(cells.allSatisfy { ($0["result"]?["peak_rss_bytes"]?.integer ?? 0) > 0 })
      let page = String(decoding: try TestData.bytes(folder + "/out/report.html"), as: UTF8.self)
      #expect(page.contains("Bars are means of up to 4 repeats") && page.contains("class=\"whisker\""))
      let kept = FileManager.default.enumerator(atPath: folder + "/out/work")?.compactMap { $0 as? String } ?? []
      #expect(kept.contains { $0.hasSuffix("/m-minipy-int8.furl") })
    }
  }

  @Test func whatCannotBeSwept() async throws {
    try await TestData.withTemporaryFolder { folder in
      func run(_ text: String, _ more: String...) async throws -> Tool.Result {
        try TestData.write(Array(("furl: 1\nsweep: s\n" + text).utf8), to: folder + "/s.yaml")
        return try await Tool.run(["sweep", folder + "/s.yaml", "--output", folder + "/out"] + more)
      }
      let rest = "recipes: [{recipe: original}]\nsuites: [\"checkpoint:lines.yaml\"]\n"
      expectOneLine(try await run(rest), status: 64, containing: "no checkpoints", "--checkpoint")
      expectOneLine(try await run(rest, "--checkpoint", "x=/nowhere"), status: 65, containing: "/nowhere")
      expectOneLine(try await run(rest, "--checkpoint", "x=synth:none"), status: 64, containing: "synth:none")
      expectOneLine(try await run("recipes: []\n"), status: 65, containing: "s.yaml", "recipes")
      expectOneLine(
        try await run("recipes:\n  - {recipe: nothing.yaml}\n"), status: 65, containing: "nothing.yaml")
      expectOneLine(try await run(rest + "repats: 3\n"), status: 65, containing: "line 5", "repats", "unknown key")
      expectOneLine(
        try await run(rest + "repeats: 3\nmeasure: none\n"), status: 65, containing: "repeats", "measured")
      expectOneLine(
        try await run(rest + "slurm: {partition: \"a; rm b\"}\n"), status: 65, containing: "slurm.partition")
      expectOneLine(
        try await run(
          "recipes: [{recipe: original, until: {suite: a, metric: pass_at_1, at_most: 0}}]\nmeasure: {}\n"), status: 65,
        containing: "until", "remove_blocks")
      expectOneLine(
        try await run(
          rest, "--checkpoint", "m=\(TestData.minipy)", "--executor", "slurm"), status: 69, containing: "sbatch")
    }
  }
}
