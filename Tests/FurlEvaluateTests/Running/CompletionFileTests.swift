import FurlSpec
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

extension ExecutionTests {
  /// Problem files and completions as other programs write them.
  @Suite struct CompletionFileTests {
    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

    private func problem(_ id: Int, prompt: String = "def f(x):\n") -> JSON {
      [
        "task_id": .string("T/\(id)"), "prompt": .string(prompt), "entry_point": "f", "canonical_solution": "",
        "test": "def check(candidate):\n    assert candidate(2) == 3\n",
      ]
    }

    private func completion(_ id: Int, _ text: String = "    return x + 1\n") -> String {
      JSON.object([.init("task_id", .string("T/\(id)")), .init("completion", .string(text))]).compactText
    }

    private func score(
      _ lines: [String], problems: [JSON]? = nil, limit: Int? = nil, prompt: SuiteProtocol.Prompt = .raw,
      prefix: [UInt8] = []
    ) async throws -> EvaluationReport {
      try await TestData.withTemporaryFolder { folder in
        let problems = problems ?? (0..<4).map { problem($0) }
        let file = folder + "/s.jsonl"
        let given = folder + "/c.jsonl"
        try TestData.write(prefix + Array(problems.map { $0.compactText + "\n" }.joined().utf8), to: file)
        try TestData.write(prefix + Array(lines.map { $0 + "\n" }.joined().utf8), to: given)
        let suite = try Suite(path: file)
        let put = limit.map { suite.problems.prefix($0) } ?? suite.problems
        var options = Evaluator.EvaluationOptions(limit: limit)
        options.overrides.prompt = prompt
        let completions = try Samples.completions(path: given, of: put, in: suite.problems, draws: nil)
        let report = try await Evaluator(options).score(completions, of: suite, origin: given).report
        #expect(try EvaluationReport(report.json, file: nil) == report)
        return report
      }
    }

    private func outcomes(_ report: EvaluationReport) -> [Outcome] {
      if let items = report.results.programs { items.map(\.outcome) } else { [] }
    }

    @Test func limitTakesTheFirst() async throws {
      let report = try await score((0..<4).reversed().map { completion($0) }, limit: 2)
      #expect(outcomes(report) == [.passed, .passed] && report.limit == 2)
    }

    @Test func severalSamplesOfATask() async throws {
      let wrong = "    return x\n"
      let lines = (0..<4).flatMap { id in
        [completion(id), completion(id, id == 0 ? wrong : "    return 3\n"), completion(id, wrong)]
      }
      let report = try await score(lines)
      // 1 of 3, and 2 of 3 for the other three.
      #expect(abs((report.passAt(1) ?? 0) - 7.0 / 12) < 1e-12 && report.protocol.draws == 3)
      #expect(report.passAt(3) == 1)
      let first = try await score(lines, limit: 1)
      #expect(abs((first.passAt(1) ?? 0) - 1.0 / 3) < 1e-12)
      await Running.expectError(.input, "problem T/3", "1 completions, not 2", "as many as the others") {
        _ = try await score((0..<4).map { completion($0) } + (0..<3).map { completion($0) })
      }
    }

    @Test func byteOrderMarks() async throws {
      #expect(
        try await outcomes(score((0..<4).map { completion($0) }, prefix: Self.mark))
          == Array(repeating: .passed, count: 4))
    }

    @Test(arguments: [#"\ud835"#, #"\udc00"#, #"\ud835\ud835"#, #"\udc00\ud835"#, #"\ud835x"#, #"\ud835\n"#])
    func halfASurrogatePair(_ escape: String) async throws {
      let bad = #"{"task_id": "T/0", "completion": "    s = '\#(escape)'\n    return x + 1\n"}"#
      let whole = #"{"task_id": "T/1", "completion": "    s = '\ud835\udd52'\n    return x + 1\n"}"#
      // CPython cannot execute such a text: UnicodeEncodeError.
      #expect(
        try await outcomes(score([bad, whole, completion(2), completion(3)])) == [.error, .passed, .passed, .passed])
    }

    @Test func halfASurrogatePairInAProblemIsRefused() async throws {
      try await TestData.withTemporaryFolder { folder in
        let line = problem(0).compactText.replacing("candidate(2)", with: #"candidate('\udc00')"#)
        try TestData.write(Array(line.utf8), to: folder + "/s.jsonl")
        await Running.expectError(.input, "line 1: test", "half of a surrogate pair") {
          _ = try Suite(path: folder + "/s.jsonl")
        }
      }
    }

    @Test func otherPromptModesAreNamed() async throws {
      // As published samples of models that continue the raw prompt are, scored with a prompt that is cut off before its end.
      let problems = (0..<4).map { problem($0, prompt: "def f(x):\n    \"\"\"One more.\"\"\"\n") }
      let lines = (0..<4).map { completion($0) }
      let report = try await score(lines, problems: problems, prompt: .stripped)
      #expect(outcomes(report) == Array(repeating: .error, count: 4))
      #expect(report.notes.count == 1 && report.notes[0].hasPrefix("4 of 4 programs are no Python"), "\(report.notes)")
      #expect(report.notes[0].contains("--prompt evalplus 4 are") || report.notes[0].contains("--prompt raw 4 are"))
      #expect(try await score(lines, problems: problems, prompt: .raw).notes.isEmpty)
      let prose = try await score(
        (0..<4).map { completion($0, "Sure! Here it is: (") }, problems: problems, prompt: .raw)
      #expect(
        prose.notes.count == 1 && prose.notes[0].contains("whole programs belong under solution"), "\(prose.notes)")
      let half = (0..<2).map { completion($0) } + (2..<4).map { completion($0, "    return (") }
      #expect(try await score(half, problems: problems, prompt: .raw).notes.isEmpty)
    }

    /// Which way of putting the prompt would do is found out from the first programs, as many as fit in a call.
    @Test func onlyTheFirstLargeProgramsAreTriedOtherwise() async throws {
      let problems = (0..<6).map { problem($0, prompt: "def f(x):\n    \"\"\"One more.\"\"\"\n") }
      let comment = String(repeating: "    # " + String(repeating: "x", count: 993) + "\n", count: 900)
      let lines = (0..<6).map { completion($0, "    return x + 1\n" + ($0 < 5 ? comment : "")) }
      let report = try await score(lines, problems: problems, prompt: .stripped)
      #expect(outcomes(report) == Array(repeating: .error, count: 6))
      // Of 4 MiB four have 0.9 MB each, and neither the fifth nor the small one behind it is among them.
      #expect(
        report.notes.count == 1 && report.notes[0].hasPrefix("6 of 6 programs are no Python")
          && report.notes[0].hasSuffix(" 4 of the first 4 are"), "\(report.notes)")
    }

    /// Numbers of every kind that Python's json module writes; right answers are CPython's.
    @Test func numbersBeyondTheStandard() async throws {
      let long = String(repeating: "9", count: 5000)
      let inputs = "[[\(long)], [NaN], [-Infinity], [[Infinity, 1]], [\"\\ud835\"], [12345678901234567890123]]"
      let problem = Inputs.problem("def f(x): return [x]", base: inputs)
      try await TestData.withTemporaryFolder { folder in
        try TestData.write(try #require(problem.inputs).line, to: folder + "/s.jsonl")
        let suite = try Suite(path: folder + "/s.jsonl")
        let read = try #require(suite.problems.programs)
        let sources = [
          "def f(x): return [x]", "def f(x): return [float(x)]", "def f(x): return [x if x == x else float('nan')]",
          "def f(x): return [0 if x == float('-inf') else x]", "def f(x): return [x[:0] if isinstance(x, str) else x]",
        ]
        let results = try await Inputs.results(read[0], sources)
        #expect(results.map(\.outcome) == [.passed, .error, .wrongAnswer, .wrongAnswer, .wrongAnswer], "\(results)")
        #expect(results.map { $0.baseVerdict?.input } == [nil, 0, 1, 2, 4])
      }
    }

    @Test func busyMachinesAreSaid() async throws {
      // One after the other holds; that a program was held up is not to be had at will.
      var program = Fixtures.program("def f(x):\n    while True: pass", timeout: 0.3)
      program.id = .text("T/0")
      let result = try await Fixtures.run(program)
      #expect(result.outcome == .timeout && result.detail?.contains("processor time") == true, "\(result)")
      let start = ContinuousClock.now
      let sleeper = try await Fixtures.run(
        Fixtures.program("import time\ndef f(x):\n    time.sleep(1)\n    return 3", timeout: 0.3))
      #expect(sleeper.outcome == .passed, "\(sleeper)")
      let sleeping = try await Fixtures.run(Fixtures.program("import time\ndef f(x): time.sleep(60)", timeout: 0.3))
      #expect(sleeping.outcome == .timeout && start.duration(to: .now) < .seconds(20), "\(sleeping)")
      // Beside more busy threads than there are processors, and with less time that passes than it needs there.
      let runner = ProgramRunner(sandbox: try Sandbox.detect(), workers: 6)
      let work = Fixtures.program(
        "import time\ndef f(x):\n    while time.process_time() < 0.6: pass\n    return 3", timeout: 1.2)
      let results = try await runner.run(Array(repeating: work, count: 6))
      #expect(results.allSatisfy { $0.outcome == .passed }, "\(results)")
    }
  }
}
