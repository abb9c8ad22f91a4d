import FurlSpec
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

/// Reports of made-up results.
enum Made {
  static func programs(_ passed: [Bool], of count: Int? = nil, seed: UInt8 = 0) throws -> EvaluationReport {
    let problems = (0..<(count ?? passed.count)).map {
      ProgramProblem(taskID: "p/\($0)", prompt: "p", entryPoint: "f", test: "t")
    }
    let suite = Suite(
      name: "minieval", file: "p.jsonl", sha256: Digest(of: [seed]), protocol: SuiteProtocol(defaultsOf: .passAt1),
      problems: .programs(problems))
    let items = passed.enumerated().map { index, passed in
      EvaluationReport.ProgramItem(
        id: .text("p/\(index)"), outcome: passed ? .passed : .wrongAnswer, detail: passed ? nil : "AssertionError",
        tokens: index, stopReason: "eos")
    }
    return try EvaluationReport(
      suite: suite, model: .init(path: "/some/where/a.furl", digest: Digest(of: [1])), overrides: ["stop"],
      sandbox: "bwrap", python: "3.11.2", seconds: 1.5, results: .programs(items))
  }

  static func lines(_ completions: [String], gt: [String]) throws -> EvaluationReport {
    let problems = gt.enumerated().map { LineProblem(id: .integer($0), input: "i", gt: $1) }
    let suite = Suite(
      name: "lines", file: "l.jsonl", sha256: Digest(of: [2]), protocol: SuiteProtocol(defaultsOf: .lines),
      problems: .lines(problems))
    let completions = completions.enumerated().map { Completion(id: .integer($0), text: $1) }
    return try EvaluationReport(
      suite: suite, model: .init(path: "m", digest: nil), seconds: 2, results: .scoring(completions, of: problems))
  }

  static func text(perplexity: Double = 3.25) throws -> EvaluationReport {
    let suite = Suite(
      name: "validation", file: "v.txt", sha256: Digest(of: [3]), protocol: SuiteProtocol(defaultsOf: .text),
      problems: .text("t"))
    return try EvaluationReport(
      suite: suite, model: .init(path: "m", digest: nil), seconds: 3,
      results: .text(.init(perplexity: perplexity, klDivergence: 0.01, interval95: 3...3.5, tokens: 100)))
  }
}

@Suite struct ReportTests {
  @Test func reportsSurviveTheirJSON() throws {
    let reports = [
      try Made.programs([true, false, true]), try Made.programs([true], of: 4), try Made.text(),
      try Made.lines(["a b", "c"], gt: ["a b", "d"]),
    ]
    for report in reports {
      let text = report.json.prettyText
      #expect(try EvaluationReport(JSON.parse(Array(text.utf8), file: nil), file: nil) == report)
    }
  }

  @Test func figuresAreThere() throws {
    let json = try Made.programs([true, false, true]).json
    #expect(json["pass_at_1"]?.number == 2.0 / 3)
    #expect(json["suite"]?["count"] == 3 && json["limit"] == nil && json["sandbox"] == "bwrap")
    #expect(json["model"]?["path"] == "a.furl")
    #expect(json["results"]?[1]?["outcome"] == "wrong_answer" && json["results"]?[1]?["passed"] == false)
    #expect(json["results"]?[0]?["stop_reason"] == "eos" && json["interval_95"]?[1]?.number ?? 0 > 0.9)
    #expect(try Made.programs([true], of: 4).json["limit"] == 1)
    let lines = try Made.lines(["a b", "c"], gt: ["a  b", "d"]).json
    #expect(lines["exact_match"] == 0.5 && lines["edit_similarity"] == 0.5 && lines["results"]?[0]?["id"] == 0)
    let text = try Made.text().json
    #expect(text["perplexity"] == 3.25 && text["kl_divergence"] == 0.01 && text["results"] == [])
  }

  @Test func reportsThatContradictThemselvesAreRefused() throws {
    let text = try Made.programs([true, false, true]).json.compactText
    let changes: [(String, String, String)] = [
      ("\"passed\":false", "\"passed\":true", "results[1].passed: does not agree"),
      ("wrong_answer", "passed", "does not agree with the outcome"),
      ("\"pass_at_1\":0.6", "\"pass_at_1\":0.7", "pass_at_1: does not follow"),
      ("\"count\":3", "\"count\":4", "results: there are 3 of them and not 4"), ("p/1", "p/0", "\"p/0\" appears twice"),
      ("\"furl\":1,", "", "furl: is missing"), ("\"seconds\"", "\"second\"", "seconds: is missing"),
      ("\"timeout\":5.0,", "", "protocol.timeout: is missing"), ("\"tokens\":1", "\"tokens\":-1", "out of range"),
      ("\"detail\":null", "\"detail\":null,\"x\":1", "results[0].x: unknown key"),
      ("\"kind\":\"pass_at_1\"", "\"kind\":\"pass\"", "suite.kind: is not a known kind"),
    ]
    for (from, to, problem) in changes {
      #expect(text.contains(from))
      let changed = Array(text.replacing(from, with: to, maxReplacements: 1).utf8)
      let error = #expect(throws: FurlError.self) {
        try EvaluationReport(JSON.parse(changed, file: "r.json"), file: "r.json")
      }
      #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    }
  }

  @Test func samplesAreReadBack() throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/samples.jsonl"
      let problems = Problems.programs(
        (0..<3).map {
          ProgramProblem(taskID: "p/\($0)", prompt: "p", entryPoint: "f", test: "t")
        })
      let completions = (0..<3).map {
        Completion(id: .text("p/\($0)"), text: "a\n\"\u{1F426}\($0)", tokens: $0, stopReason: $0 == 1 ? nil : "eos")
      }
      let report = try Made.programs([true, false, true])
      try TestData.write(Array(try Samples.text(report.results, completions).utf8), to: path)
      #expect(try Samples.completions(path: path, of: problems) == completions)
      let lines = try JSON.parseLines(TestData.bytes(path), file: path)
      #expect(lines[1]["outcome"] == "wrong_answer" && lines[1]["task_id"] == "p/1" && lines[1]["prompt"] == nil)
    }
  }

  @Test(arguments: [
    (#"{"task_id": 7, "completion": ""}"#, "line 2: task_id: \"7\" is no problem"),
    (#"{"task_id": 0, "completion": ""}"#, "line 2: task_id: \"0\" appears twice, first in line 1"),
    (#"{"completion": ""}"#, "line 2: task_id: is missing"), (#"{"id": 1}"#, "line 2: completion: is missing"),
    (#"{"id": 1, "completion": 2}"#, "line 2: completion: a text is expected"), ("", "problem 1 has no completion"),
    (#"{"id": 1, "completion": "\#(String(repeating: "x", count: 1 << 20 + 1))"}"#, "is longer than 1048576 bytes"),
    ("{\"id\"", "line 2: not valid JSON"),
  ])
  func wrongCompletionsSayWhere(_ line: String, _ problem: String) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/c.jsonl"
      try TestData.write(Array((#"{"id": 0, "completion": "x"}"# + "\n" + line).utf8), to: path)
      let problems = Problems.lines((0..<2).map { LineProblem(id: .integer($0), input: "i", gt: "g") })
      let error = #expect(throws: FurlError.self) { try Samples.completions(path: path, of: problems) }
      #expect(error?.description.contains(problem) == true, "\(error?.description.prefix(300) ?? "")")
    }
  }
}
