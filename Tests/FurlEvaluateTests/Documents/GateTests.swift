import Foundation
#if canImport(FoundationXML)
import FoundationXML
#endif
import FurlEvaluate
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

@Suite struct GateTests {
  private func gates(_ text: String) throws -> [Gate] {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(text.utf8), to: folder + "/g.yaml")
      return try Gate.read(path: folder + "/g.yaml")
    }
  }

  /// 164 results of which the first `passes` pass.
  private func report(_ passes: Int, of count: Int = 164) throws -> EvaluationReport {
    try Made.programs((0..<count).map { $0 < passes })
  }

  @Test func gateFilesAreRead() throws {
    let found = try gates(
      """
      furl: 1
      description: What we ship.
      gates:
        - {suite: minieval, metric: pass_at_1, min: 0.60}
        - {suite: lines, metric: exact_match, min: 0, max_drop: 0.02, confidence: 0.9}
        - {suite: lines, metric: edit_similarity, max_drop: 0.02}
      """)
    #expect(
      found == [
        Gate(suite: "minieval", metric: .passAt1, min: 0.6),
        Gate(suite: "lines", metric: .exactMatch, min: 0, maxDrop: 0.02, confidence: 0.9),
        Gate(suite: "lines", metric: .editSimilarity, maxDrop: 0.02, confidence: 0.95),
      ])
    #expect(found.map(\.needsBaseline) == [false, true, true])
  }

  @Test(arguments: [
    ("suite: a, metric: pass_at_1", "gates[0].min: is missing"),
    ("suite: a, metric: perplexity, min: 0.5", "\"perplexity\" is not supported yet"),
    ("suite: a, metric: bleu, min: 0.5", "\"bleu\" is not a known value"), ("suite: a, min: 0.5", "metric: is missing"),
    ("metric: pass_at_1, min: 0.5", "suite: is missing"),
    ("suite: a, metric: pass_at_1, min: 1.5", "1.5 is out of range"),
    ("suite: a, metric: pass_at_1, max_drop: -0.1", "out of range"),
    ("suite: a, metric: pass_at_1, max_drop: 0.1, confidence: 0.4", "0.4 is out of range"),
    ("suite: a, metric: pass_at_1, max_drop: 0.1, confidence: 1", "no finite sample"),
    ("suite: a, metric: pass_at_1, min: 0.1, confidence: 0.9", "belongs to max_drop"),
    ("suite: a, metric: pass_at_1, min: 0.1, most: 2", "most: unknown key"),
    ("suite: a, metric: pass_at_1, min: 0.1}\n  - {suite: a, metric: pass_at_1, min: 0.2", "already has a gate"),
  ])
  func wrongGatesSayWhere(_ gate: String, _ problem: String) {
    let error = #expect(throws: FurlError.self) { try gates("furl: 1\ngates:\n  - {\(gate)}\n") }
    #expect(error?.kind == .input)
    #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains("g.yaml: line ") == true, "\(error?.description ?? "")")
  }

  @Test func nothingToVerifyIsNoPass() throws {
    #expect(throws: FurlError.self) { try gates("furl: 1\ngates: []\n") }
    let error = #expect(throws: FurlError.self) { try GateReport(artifact: "a", gatesFrom: "recipe", checks: []) }
    #expect(error?.exitStatus == 64)
  }

  @Test(arguments: [(98, Verdict.fail), (99, .pass), (164, .pass), (0, .fail)])
  func least(_ passes: Int, _ verdict: Verdict) throws {
    let checks = try Gate(suite: "minieval", metric: .passAt1, min: 0.60).check(report(passes))
    #expect(checks.map(\.verdict) == [verdict])
    #expect(checks[0].value == Double(passes) / 164)
  }

  @Test func partialRunsDoNotPass() throws {
    let gate = Gate(suite: "minieval", metric: .passAt1, min: 0.60, maxDrop: 0.5)
    let good = try Made.programs([Bool](repeating: true, count: 163), of: 164)
    #expect(try gate.check(good, baseline: good).map(\.verdict) == [.inconclusive, .inconclusive])
    // 66 failures are more than 0.60 of 164 allows, whatever the rest gives.
    let bad = try Made.programs([Bool](repeating: false, count: 66), of: 164)
    #expect(try Gate(suite: "minieval", metric: .passAt1, min: 0.60).check(bad)[0].verdict == .fail)
  }

  /// 50 of 164 before; the lower limits are those of `evaluation-vectors.json` (-0.0427 and -0.0942), the upper
  /// one of 30 regressions follows from symmetry.
  @Test(arguments: [
    (4, 2, 0.05, Verdict.pass), (4, 2, 0.04, .inconclusive), (10, 1, 0.05, .inconclusive), (10, 1, 0.10, .pass),
    (30, 0, 0.02, .fail), (0, 0, 0.02, .pass), (0, 0, 0.01, .inconclusive), (0, 0, 0, .inconclusive), (50, 0, 1, .pass),
  ])
  func drops(_ regressions: Int, _ fixes: Int, _ maxDrop: Double, _ verdict: Verdict) throws {
    let before = try report(50)
    let after = try Made.programs((0..<164).map { ($0 >= regressions && $0 < 50) || ($0 >= 50 && $0 < 50 + fixes) })
    let check = try Gate(suite: "minieval", metric: .passAt1, maxDrop: maxDrop).check(after, baseline: before)[0]
    #expect(check.verdict == verdict, "\(check.reason)")
    let comparison = try #require(check.comparison)
    #expect(comparison.regressed == (0..<regressions).map { .text("p/\($0)") })
    #expect(comparison.fixed == (50..<50 + fixes).map { .text("p/\($0)") })
    #expect(comparison.flips == Double(regressions + fixes) / 164)
    #expect(comparison.baseline == 50.0 / 164)
  }

  @Test func similarityIsResampled() throws {
    let gt = (0..<200).map { "line number \($0)" }
    let before = try Made.lines(gt, gt: gt)
    let same = try Gate(suite: "lines", metric: .editSimilarity, maxDrop: 0.01).check(before, baseline: before)[0]
    #expect(same.verdict == .pass && same.comparison?.difference == 0 && same.comparison?.lowerLimit == 0)
    let worse = try Made.lines(gt.map { String($0.dropLast(6)) }, gt: gt)
    let fell = try Gate(suite: "lines", metric: .editSimilarity, maxDrop: 0.01).check(worse, baseline: before)[0]
    #expect(fell.verdict == .fail && fell.comparison?.regressed.count == 200 && fell.comparison?.p == nil)
    let half = try Made.lines(gt.enumerated().map { $0 % 2 == 0 ? $1 : "" }, gt: gt)
    let unsure = try Gate(suite: "lines", metric: .editSimilarity, maxDrop: 0.5).check(half, baseline: before)[0]
    #expect(unsure.verdict == .inconclusive)
    #expect(try Gate(suite: "lines", metric: .exactMatch, min: 0.5).check(half)[0].verdict == .pass)
  }

  @Test func baselinesMustBeComparable() throws {
    let gate = Gate(suite: "minieval", metric: .passAt1, maxDrop: 0.1)
    let after = try report(50)
    #expect(throws: FurlError.self) { try gate.check(after) }
    let elsewhere = try Made.programs((0..<164).map { $0 < 50 }, seed: 9)
    #expect(throws: FurlError.self) { try gate.check(after, baseline: elsewhere) }
    #expect(throws: FurlError.self) { try gate.check(after, baseline: report(50, of: 100)) }
    var other = after
    other.protocol.maxTokens = 3
    #expect(throws: FurlError.self) { try gate.check(after, baseline: other) }
    #expect(throws: FurlError.self) { try gate.check(Made.text()) }
    #expect(throws: FurlError.self) { try Gate(suite: "x", metric: .exactMatch, min: 0).check(after) }
  }

  @Test func theGravestVerdictCounts() throws {
    func result(_ minimums: [Double], drop: Double? = nil) throws -> GateReport {
      let report = try report(100)
      var checks = try minimums.flatMap { try Gate(suite: "minieval", metric: .passAt1, min: $0).check(report) }
      if let drop { checks += try Gate(suite: "s", metric: .passAt1, maxDrop: drop).check(report, baseline: report) }
      return try GateReport(artifact: "/x/a.furl", gatesFrom: "/x/g.yaml", checks: checks)
    }
    #expect(try result([0.5]).exitStatus() == 0)
    #expect(try result([0.5, 0.9], drop: 0).exitStatus(allowingInconclusive: true) == 1)
    #expect(try result([0.5], drop: 0).exitStatus() == 2)
    #expect(try result([0.5], drop: 0).exitStatus(allowingInconclusive: true) == 0)
    let json = try result([0.5], drop: 0.1).json
    #expect(json["verdict"] == "pass" && json["gates_from"] == "g.yaml" && json["artifact"] == "a.furl")
    #expect(json["gates"]?[0]?["bound"]?["min"] == 0.5 && json["gates"]?[0]?["regressions"] == .null)
    #expect(json["gates"]?[1]?["bound"]?["max_drop"] == 0.1 && json["gates"]?[1]?["regressions"] == 0)
  }

  @Test func junitIsValid() throws {
    let report = try report(100)
    var checks = try Gate(suite: "minieval", metric: .passAt1, min: 0.9).check(report)
    checks += try Gate(suite: "minieval", metric: .passAt1, min: 0.1, maxDrop: 0).check(report, baseline: report)
    checks[0].reason = "<&\"'>\u{1}\n"
    checks[0].suite = "a<b"
    let text = try GateReport(artifact: "a&\"b\u{FFFF}.furl", gatesFrom: "recipe", checks: checks).junit
    final class Counter: NSObject, XMLParserDelegate {
      var found: [String: Int] = [:]
      var message: String?
      func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
      ) {
        found[name, default: 0] += 1
        if name == "failure" { message = attributes["message"] }
      }
    }
    let counter = Counter()
    let parser = XMLParser(data: Data(text.utf8))
    parser.delegate = counter
    #expect(parser.parse(), "\(parser.parserError.map { "\($0)" } ?? "") \(text)")
    #expect(counter.found["testcase"] == 3 && counter.found["failure"] == 1 && counter.found["skipped"] == 1)
    #expect(counter.message == "<&\"'>\u{FFFD}\n")
    #expect(text.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""))
  }
}
