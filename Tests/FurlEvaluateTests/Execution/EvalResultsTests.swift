import FurlBase
@testable import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

extension ExecutionTests {
  /// The document that EvalPlus's users read.
  @Suite struct EvalResultsTests {
    private static let fixtures = TestData.root + "/Tests/Fixtures/evalplus"

    /// The suite of some problems, each with as many solutions as `draws`, scored as they stand.
    private func outcome(_ lines: String, _ samples: String, draws: Int, in folder: String) async throws -> (
      Evaluator.EvaluationOutcome, Suite
    ) {
      try TestData.write(Array(lines.utf8), to: folder + "/problems.jsonl")
      try TestData.write(Array(samples.utf8), to: folder + "/samples.jsonl")
      var suite = try Suite(path: folder + "/problems.jsonl")
      suite.protocol.inputTimeout = 1
      suite.protocol.draws = draws
      suite.protocol.temperature = 1
      var options = Evaluator.EvaluationOptions()
      options.judgesApart = true
      let given = try Samples.completions(path: folder + "/samples.jsonl", of: suite.problems, draws: draws)
      return (try await Evaluator(options).score(given, of: suite, origin: "samples.jsonl"), suite)
    }

    /// Made by EvalPlus itself: see Tests/Fixtures/evalplus/make_eval_results.py.
    @Test(.enabled(if: TestData.shared != nil && Fixtures.sandbox != nil, "needs HumanEval+ and a sandbox"))
    func isWhatEvalPlusWrites() async throws {
      let wanted = try JSON.parse(TestData.bytes(Self.fixtures + "/eval_results.json"), file: nil)
      let names = Set(try #require(wanted["eval"]?.members).map(\.key))
      let all = try Inputs.unpacked(try #require(TestData.shared) + "/data/HumanEvalPlus.jsonl.gz")
      // Each line begins with its name.
      let lines = try all.split(separator: 10).filter { line in
        let head = try JSON.parse(Array(line.prefix { $0 != UInt8(ascii: ",") }) + [UInt8(ascii: "}")], file: nil)
        return names.contains(head["task_id"]?.string ?? "")
      }
      #expect(lines.count == 5 && lines.count == names.count)
      try await TestData.withTemporaryFolder { folder in
        let samples = String(decoding: try TestData.bytes(Self.fixtures + "/eval_results_samples.jsonl"), as: UTF8.self)
        let (outcome, suite) = try await outcome(
          lines.map { String(decoding: $0, as: UTF8.self) + "\n" }.joined(), samples, draws: 3, in: folder)
        let text = try EvalResults.text(outcome, of: suite)
        let found = try JSON.parse(Array(text.utf8), file: nil)
        #expect(found.members?.map(\.key) == ["date", "hash", "eval"])
        #expect(found["hash"] == wanted["hash"])
        #expect(found["date"]?.string?.count == wanted["date"]?.string?.count)
        // Problems may come in any order, their solutions may not.
        #expect(Set(found["eval"]?.members?.map(\.key) ?? []) == names)
        for name in names {
          let rows = found["eval"]?[name]?.array ?? []
          #expect(rows.count == 3 && rows == wanted["eval"]?[name]?.array ?? [], "\(name)")
        }
        // A number that no machine word holds.
        #expect(text.contains("[1000000000000000000, 999999999999999999999]"))
        // pass@1 is what follows from the document.
        let passed = rows(found).count { $0["base_status"] == "pass" && $0["plus_status"] == "pass" }
        #expect(passed == 1 && abs((outcome.report.passAt(1) ?? 0) - 1.0 / 15) < 1e-12)
      }
    }

    private func rows(_ document: JSON) -> [JSON] {
      document["eval"]?.members?.flatMap { $0.value.array ?? [] } ?? []
    }

    /// What is executed is what is written, where it was cut down as well.
    @Test(.enabled(if: Fixtures.sandbox != nil, "needs a sandbox"))
    func solutionsAreWhatRan() async throws {
      let problem = """
        {"task_id": "HumanEval/7", "prompt": "def f(x):\\n", "entry_point": "f", "canonical_solution": "    return x\\n", \
        "base_input": [[1], [ "a, ]\\"" ]], "plus_input": [], "atol": 0}\n
        """
      try await TestData.withTemporaryFolder { folder in
        let samples = #"{"task_id": "HumanEval/7", "completion": "    return x if x == 1 else 2\nprint(3)\n"}"# + "\n"
        let (outcome, suite) = try await outcome(problem, samples, draws: 1, in: folder)
        let text = try EvalResults.text(outcome, of: suite)
        let row = try #require(rows(try JSON.parse(Array(text.utf8), file: nil)).first)
        #expect(row["solution"] == "def f(x):\n    return x if x == 1 else 2")
        #expect(row["base_status"] == "fail" && row["base_fail_tests"] == [["a, ]\""]])
        // No further input fails.
        #expect(row["plus_status"] == "pass" && row["plus_fail_tests"] == [])
        // Base inputs alone.
        var base = suite
        base.protocol.tests = .base
        let given = outcome.completions
        let alone = try await Evaluator().score(given, of: base, origin: "s")
        let other = try #require(rows(try JSON.parse(Array(EvalResults.text(alone, of: base).utf8), file: nil)).first)
        #expect(other["base_status"] == "fail" && other["plus_status"] == .null && other["plus_fail_tests"] == [])
        // A file that has changed meanwhile has another hash.
        try TestData.write(Array("{}".utf8), to: folder + "/problems.jsonl")
        #expect(try !EvalResults.text(outcome, of: suite).contains("\"hash\""))
      }
    }

    @Test func otherSuitesAreRefused() async throws {
      for name in ["minieval", "lines", "validation"] {
        let suite = try Suite(path: TestData.minipy + "/\(name).yaml")
        await Running.expectError(.usage, "--eval-results", "suite \(name)", "base_input", "--samples") {
          try EvalResults.check(suite)
        }
      }
    }

    /// RFC 1321, appendix A.5, and every length up to some blocks: see Tests/Fixtures/digests/make_digests.py.
    @Test func md5IsThatOfTheStandard() throws {
      let file = TestData.root + "/Tests/Fixtures/digests/digests.json"
      let fixture = try JSON.parse(TestData.bytes(file), file: file)
      let examples = try #require(fixture["md5"]?.array)
      #expect(examples.count == 7)
      for example in examples {
        #expect(MD5.hex(of: Array(try #require(example["text"]?.string).utf8)) == example["digest"]?.string)
      }
      let byRule = try #require(fixture["md5_by_rule"]?.array)
      #expect(byRule.count == 200)
      for (count, digest) in byRule.enumerated() {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: 7 * $0 + count) }
        #expect(MD5.hex(of: bytes) == digest.string, "\(count) bytes")
      }
    }

    @Test func valuesAreCopiedAsTheyLie() throws {
      let text = #" {"a" : -1.50e3,"b":"]\\","b\"":[ [], {"c":[1]} , 12345678901234567890,true ,"x,\"]" ], "d":null}"#
      var spans = JSONSpans(bytes: Array(text.utf8))
      func string(_ span: Range<Int>?) -> String? { span.map { String(decoding: spans.bytes[$0], as: UTF8.self) } }
      let values = ["a", "b", "d", "e"].map { spans.value(of: $0) }
      #expect(values.map(string) == ["-1.50e3", #""]\\""#, "null", nil])
      let found = spans.value(of: "b\"")
      let list = try #require(found)
      let elements = (0..<6).map { spans.element($0, of: list) }
      #expect(elements.map(string) == ["[]", #"{"c":[1]}"#, "12345678901234567890", "true", #""x,\"]""#, nil])
    }
  }
}
