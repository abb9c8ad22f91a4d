import FurlSpec
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

@Suite struct ProblemFormTests {
  private func open(_ text: String, name: String = "p.jsonl") throws -> FurlEvaluate.Suite {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(text.utf8), to: folder + "/" + name)
      return try FurlEvaluate.Suite(path: folder + "/" + name)
    }
  }

  private static let plus =
    #"{"task_id": "H/0", "prompt": "def f(x):\n", "entry_point": "f", "canonical_solution": "    return x\n", "#
    + #""base_input": [[123456789012345678901234567890123], [1.0]], "plus_input": [[2]], "atol": 0}"#

  @Test func inputsComeWithEvalPlussProtocol() throws {
    let suite = try open(ProblemFormTests.plus)
    guard let problems = suite.problems.programs, let inputs = problems[0].inputs else {
      Issue.record("no inputs")
      return
    }
    #expect(String(decoding: inputs.line, as: UTF8.self) == ProblemFormTests.plus)
    #expect(inputs.hasPlus && inputs.solution == "    return x\n")
    #expect(suite.protocol.tests == .plus && suite.protocol.sanitize == .evalplus && suite.protocol.maxTokens == 768)
    #expect(suite.protocol.stop.contains("\ndef ") && !suite.protocol.stop.contains("\nassert"))
    let mbpp = try open(ProblemFormTests.plus.replacing("H/0", with: "Mbpp/2"))
    #expect(!mbpp.protocol.stop.contains("\ndef ") && mbpp.protocol.stop.contains("\nassert"))
  }

  @Test(arguments: [
    ("[[1], 2]", "base_input: a list of lists"), ("[]", "base_input: is empty"), ("3", "base_input: a list of lists"),
  ])
  func wrongInputsSayWhere(_ inputs: String, _ problem: String) throws {
    let text = ProblemFormTests.plus.replacing("[[123456789012345678901234567890123], [1.0]]", with: inputs)
    let error = #expect(throws: FurlError.self) { try open(text) }
    #expect(error?.description.contains(problem) == true && error?.description.contains("line 1") == true)
  }

  @Test func mbppsAssertsBecomeATest() throws {
    let line = #"""
      {"text": "Write a function to add.", "code": "def add(a, b): return a + b", "task_id": 11, "test_setup_code": "import math", "test_list": ["assert add(1, 2) == 3", "assert math.isclose(add(0.5, \"\\n\" and 1), 1.5)"], "challenge_test_list": []}
      """#
    let suite = try open(line)
    let problems = try #require(suite.problems.programs)
    #expect(problems[0].taskID == "11" && problems[0].entryPoint == "add")
    #expect(problems[0].prompt == "\"\"\"\nWrite a function to add.\nassert add(1, 2) == 3\n\"\"\"\n")
    #expect(problems[0].test.hasPrefix("import math\n"))
    #expect(suite.protocol.tests == .check)
  }

  @Test func aFilesLastLineIsItsProblem() throws {
    let lines = [
      #"{"id": 3, "code": ["<s>", "a", "<EOL>", "b", "=", "c", "<EOL>", "</s>"]}"#, #"{"id": 4, "code": "<s> x </s>"}"#,
      #"{"id": 5, "code": "<s> x <EOL> y . z </s>"}"#,
    ]
    let suite = try open(lines.joined(separator: "\n"))
    let expected = [
      LineProblem(id: .integer(3), input: "<s> a <EOL>", gt: "b = c"),
      LineProblem(id: .integer(5), input: "<s> x <EOL>", gt: "y . z"),
    ]
    #expect(suite.problems == .lines(expected))
  }

  /// Every card that ships is read whole; one without a file goes with any file of its kind.
  @Test func publishedCardsAreRead() throws {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(ProblemFormTests.plus.utf8), to: folder + "/plus.jsonl")
      let check = #"{"task_id": "a/0", "prompt": "def f(x):\n", "entry_point": "f", "test": "t"}"#
      try TestData.write(Array(check.utf8), to: folder + "/check.jsonl")
      try TestData.write(Array(#"{"input": "<s> a", "gt": "b"}"#.utf8), to: folder + "/lines.jsonl")
      let cards = [
        ("humaneval", "check"), ("humaneval-plus", "plus"), ("humaneval-plus-mini", "plus"),
        ("humaneval-plus-sampled", "plus"), ("paper-2024-128", "plus"), ("paper-2024-256", "plus"), ("mbpp", "check"),
        ("mbpp-plus", "plus"), ("codexglue-lines", "lines"), ("codexglue-lines-clean", "lines"),
        ("poster-2023", "lines"),
      ]
      for (card, file) in cards {
        let suite = try FurlEvaluate.Suite(
          problems: "\(folder)/\(file).jsonl", protocolOf: TestData.root + "/suites/\(card).yaml")
        #expect(suite.name == card)
      }
      let paper = try FurlEvaluate.Suite(
        problems: folder + "/plus.jsonl", protocolOf: TestData.root + "/suites/paper-2024-128.yaml"
      ).protocol
      #expect(paper.stop == [] && paper.eos == .pass && paper.maxTokens == 128 && paper.prompt == .raw)
      // What a bare file gets is what its card says.
      let bare = try FurlEvaluate.Suite(path: folder + "/plus.jsonl").protocol
      let card = try FurlEvaluate.Suite(
        problems: folder + "/plus.jsonl", protocolOf: TestData.root + "/suites/humaneval-plus.yaml"
      ).protocol
      #expect(bare == card)
      let error = #expect(throws: FurlError.self) {
        try FurlEvaluate.Suite(
          problems: folder + "/lines.jsonl", protocolOf: TestData.root + "/suites/humaneval.yaml")
      }
      #expect(error?.kind == .usage)
    }
  }
}
