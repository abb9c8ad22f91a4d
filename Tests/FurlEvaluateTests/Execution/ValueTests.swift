import FurlBase
@testable import FurlEvaluate
import FurlTestSupport
import Testing

extension ExecutionTests {
  /// Answers of every type are compared as CPython compares them, in both forms of a problem. Right verdicts are in
  /// `Tests/Fixtures/values`, found by CPython in one process.
  @Suite struct ValueTests {
    /// A program whose `f` answers a value, tests of the value, and values that may be expected.
    struct Answer {
      var imports: String
      var value: String
      var tests: [String]
      /// The truth of each test as a digit; nil where the program has to end as `protocol`.
      var digits: String?
      var expected: [String]
      var equal: String?
      var source: String { "\(imports)\ndef f(*_): return \(value)\n" }
      var isUndecided: Bool { digits == nil }
    }

    private let file: JSON
    private let answers: [Answer]

    init() throws {
      let path = TestData.root + "/Tests/Fixtures/values/values.json"
      file = try JSON.parse(TestData.bytes(path), file: path)
      let tests = try #require(file["tests"]?.array).compactMap(\.string)
      answers = try #require(file["answers"]?.array).compactMap(\.array).map { row in
        let digits = row[3].string ?? ""
        return Answer(
          imports: row[0].string ?? "", value: row[1].string ?? "",
          tests: try #require(row[2].array).compactMap(\.integer).map { tests[$0] },
          digits: digits == "p" ? nil : digits, expected: try #require(row[4].array).compactMap(\.string),
          equal: digits == "p" ? nil : row[5].string ?? "")
      }
    }

    @Test func answersBehaveInTestsAsInCPython() async throws {
      #expect(answers.count >= 250 && answers.count { $0.isUndecided } >= 40)
      let programs = answers.map { answer in
        var program = Fixtures.program(answer.source, timeout: 60)
        program.test = """
          import collections, math
          TESTS = [\(answer.tests.map { "lambda r: \($0),\n" }.joined())]
          def check(c):
              digits = ''
              for test in TESTS:
                  r = c()
                  try: digits += '01'[bool(test(r))]
                  except BaseException: digits += '0'
              assert digits == '\(answer.digits ?? "")', digits
          """
        return program
      }
      let results = try await ProgramRunner(sandbox: try Sandbox.detect(), workers: 2).run(programs)
      for (answer, result) in zip(answers, results) {
        #expect(
          result.outcome == (answer.isUndecided ? .protocol : .passed),
          "\(answer.imports) \(answer.value) \(answer.digits ?? "") \(result.detail ?? "")")
      }
    }

    @Test func answersToInputsCompareAsInCPython() async throws {
      // One problem: input i asks for what is expected of the i-th pair of an answer and an expected value.
      var pairs: [(answer: Answer, expected: String, isEqual: Bool)] = []
      for answer in answers {
        for (index, expected) in answer.expected.enumerated() {
          let isEqual = answer.equal.map { Array($0)[index] == "1" } ?? false
          // Of unequal ones two are enough: each needs a program of its own.
          // What is no number is not even equal to the right answer.
          if isEqual || index < 2 && !expected.contains("nan") { pairs.append((answer, expected, isEqual)) }
        }
      }
      // EvalPlus's tolerance begins with the first float that is expected, and stays: these come last.
      func isFloat(_ text: String) -> Bool { text.contains(".") || text.contains("inf") || text.contains("nan") }
      pairs = pairs.filter { !isFloat($0.expected) } + pairs.filter { isFloat($0.expected) }
      let imports = "import collections, math"
      let reference =
        "\(imports)\nMAKE = [\(pairs.map { "lambda: \($0.expected), " }.joined())]\ndef f(i): return MAKE[i]()\n"
      let inputs = "[\(pairs.indices.map { "[\($0)]" }.joined(separator: ","))]"
      let problem = Inputs.problem(reference, base: inputs)
      // All that are equal at once, and every other alone, with the right answers around it.
      let equal = pairs.indices.filter { pairs[$0].isEqual }
      let groups = equal.chunks(of: 40) + pairs.indices.filter { !pairs[$0].isEqual }.map { [$0] }
      let sources = groups.map { group in
        let own = group.enumerated().map { place, index in
          "S\(place) = {'__name__': 'own'}\nexec(\(literal(pairs[index].answer.source)), S\(place))\n"
        }.joined()
        let places = group.enumerated().map { "\($1): S\($0)['f']" }.joined(separator: ", ")
        return "\(reference)\(own)OWN = {\(places)}\ndef f(i): return OWN.get(i, MAKE[i])()\n"
      }
      let results = try await Inputs.results(problem, sources)
      for (group, result) in zip(groups, results) {
        let pair = pairs[group[0]]
        let detail = "\(pair.answer.imports) \(pair.answer.value) == \(pair.expected): \(result)"
        if pair.isEqual {
          #expect(result.outcome == .passed, "one of \(group.count) from \(detail)")
        } else {
          #expect(result.outcome == (pair.answer.isUndecided ? .protocol : .wrongAnswer), "\(detail)")
          #expect(result.baseVerdict?.input == group[0], "\(detail)")
        }
      }
    }

    @Test func callsBehaveAsInCPython() async throws {
      let calls = try #require(file["calls"]?.array).compactMap(\.array)
      #expect(calls.count >= 150)
      let programs = calls.map { call in
        var program = Fixtures.program(call[0].string ?? "", timeout: 60)
        let lines = (call[1].string ?? "").split(separator: "\n")
        program.test = "def check(c):\n" + lines.map { "    \($0)\n" }.joined()
        return program
      }
      let results = try await ProgramRunner(sandbox: try Sandbox.detect(), workers: 2).run(programs)
      for (call, result) in zip(calls, results) {
        guard let passes = call[2].bool else {
          #expect(result.outcome == .protocol, "\(call[0]) \(call[1]) \(result)")
          continue
        }
        #expect((result.outcome == .passed) == passes, "\(call[0]) \(call[1]) \(result)")
        #expect(result.outcome != .protocol, "\(call[0]) \(call[1]) \(result)")
      }
    }

    private func literal(_ text: String) -> String { JSON.string(text).compactText }
  }
}

extension Array {
  fileprivate func chunks(of size: Int) -> [[Element]] {
    stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
  }
}
