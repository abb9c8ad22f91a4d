import FurlSpec
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

@Suite struct SuiteTests {
  private static let problem = #"{"task_id": "a/0", "prompt": "def f(x):\n", "entry_point": "f", "test": "t"}"#

  private func message(_ files: [String: String], open name: String) throws -> String {
    try TestData.withTemporaryFolder { folder in
      for (file, text) in files { try TestData.write(Array(text.utf8), to: folder + "/" + file) }
      do {
        _ = try Suite(path: folder + "/" + name)
        return "no error"
      } catch let error as FurlError {
        #expect(error.kind == .input)
        return error.description
      }
    }
  }

  private func card(_ problems: String, kind: String = "pass_at_1", rest: String = "") -> String {
    """
    furl: 1
    suite: mine
    file: p.jsonl
    sha256: \(Digest(of: Array(problems.utf8)).hex)
    kind: \(kind)
    \(rest)
    """
  }

  @Test func cardIsRead() throws {
    let text = SuiteTests.problem + "\n\n" + SuiteTests.problem.replacing("a/0", with: "a/1") + "\n"
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(text.utf8), to: folder + "/p.jsonl")
      let settings =
        "protocol: {prompt: evalplus, bos: never, max_tokens: 96, stop: [\"</s>\"], context: 512, timeout: 3, "
        + "memory: 256}"
      try TestData.write(Array(card(text, rest: settings).utf8), to: folder + "/mine.yaml")
      let suite = try Suite(path: folder + "/mine.yaml")
      #expect(suite.name == "mine" && suite.kind == .passAt1 && suite.count == 2)
      #expect(suite.problems.ids == [.text("a/0"), .text("a/1")])
      #expect(suite.problems.prefix(1).ids == [.text("a/0")])
      #expect(suite.protocol.prompt == .evalplus && suite.protocol.bos == .never && suite.protocol.maxTokens == 96)
      #expect(suite.protocol.stop == ["</s>"] && suite.protocol.context == 512)
      #expect(suite.protocol.timeout == 3 && suite.protocol.memory == 256)
      #expect(Suite.card(named: "mine", in: folder) == folder + "/mine.yaml")
      #expect(Suite.card(named: "other", in: folder) == nil)
      #expect(Suite.card(named: "../mine", in: folder) == nil)
    }
  }

  @Test func bareFilesGetTheirKindsDefaults() throws {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(SuiteTests.problem.utf8), to: folder + "/p.jsonl")
      let programs = try Suite(path: folder + "/p.jsonl")
      #expect(programs.name == "p" && programs.kind == .passAt1)
      #expect(programs.protocol.maxTokens == 256 && programs.protocol.prompt == .stripped)
      #expect(programs.protocol.stop == ["\nclass", "\ndef", "\n#", "\nif", "\nprint"])
      #expect(programs.protocol.timeout == 5 && programs.protocol.memory == 1024 && programs.protocol.context == nil)
      let lines = #"{"input": "a", "gt": "b"}"# + "\n" + #"{"input": "c", "gt": "d"}"#
      try TestData.write(Array(lines.utf8), to: folder + "/l.jsonl")
      let line = try Suite(path: folder + "/l.jsonl")
      #expect(line.kind == .lines && line.protocol.maxTokens == 64 && line.protocol.prompt == .raw)
      #expect(line.protocol.stop == ["<EOL>", "</s>"])
      #expect(line.problems.ids == [.integer(0), .integer(1)])
      try TestData.write(Array("some text".utf8), to: folder + "/t.txt")
      let text = try Suite(path: folder + "/t.txt")
      #expect(text.kind == .text && text.problems == .text("some text") && text.protocol.context == 512)
    }
  }

  @Test(arguments: [
    (#"{"task_id": "a", "prompt": "p", "entry_point": "f", "test": 1}"#, "line 1: test: a text is expected"),
    (#"{"task_id": "", "prompt": "p", "entry_point": "f", "test": "t"}"#, "line 1: task_id: is empty"),
    (#"{"prompt": "p", "entry_point": "f", "test": "t"}"#, "line 1: task_id: is missing"),
    (#"{"task_id": "a", "prompt": "p", "entry_point": "f()", "test": "t"}"#, "is not a name of Python"),
    (SuiteTests.problem + "\n" + SuiteTests.problem, "line 2: task_id: \"a/0\" appears twice, first in line 1"),
    (SuiteTests.problem + "\n{", "line 2: not valid JSON"),
    (SuiteTests.problem + "\n[]", "line 2: a mapping is expected"),
    (#"{"input": "a"}"#, "is no problem file"), ("", "is no problem file"),
    ("{\"input\": \"a\", \"gt\": \"\"}", "gt: is empty"),
    (#"{"id": 1.5, "input": "a", "gt": "b"}"#, "id: a text or an integer is expected"),
    (
      #"{"id": 1, "input": "a", "gt": "b"}"# + "\n" + #"{"id": 1, "input": "a", "gt": "b"}"#,
      "line 2: id: \"1\" appears twice"
    ),
  ])
  func wrongProblemFilesSayWhere(_ text: String, _ problem: String) throws {
    let message = try message(["p.jsonl": text], open: "p.jsonl")
    #expect(message.contains(problem), "\(message)")
    #expect(message.contains("p.jsonl"))
  }

  @Test func wrongCardsSayWhere() throws {
    let text = SuiteTests.problem
    let good = card(text)
    let cases: [(String, String)] = [
      (good.replacing("furl: 1", with: "furl: 2"), "line 1: furl: version 2"),
      (good.replacing("furl: 1\n", with: ""), "furl: is missing"),
      (good.replacing("suite: mine", with: "suite: ../mine"), "line 2: suite: \"../mine\" is no name"),
      (good.replacing("file: p.jsonl", with: "file: q.jsonl"), "q.jsonl: does not exist"),
      (good.replacing("sha256: ", with: "sha256: x"), "line 4: sha256: 64 lower-case"),
      (card(text + " "), "line 4: sha256: p.jsonl has the sha256"),
      (good.replacing("pass_at_1", with: "pass"), "line 5: kind: \"pass\" is not a known value"),
      (good.replacing("pass_at_1", with: "lines"), "p.jsonl: line 1: input: is missing"),
      (good + "\nextra: 1", "extra: unknown key"),
      (card(text, rest: "protocol: {max_tokens: 0}"), "protocol.max_tokens: 0 is out of range"),
      (card(text, rest: "protocol: {stop: [\"\"]}"), "protocol.stop: at most 64 texts"),
      (card(text, rest: "protocol: {timeout: 0}"), "protocol.timeout: 0.0 is out of range"),
      (card(text, rest: "protocol: {beams: 5}"), "protocol.beams: unknown key"),
      (card(text, rest: "protocol: {draws: 5}"), "protocol.draws: 5 completions are all the same at temperature 0"),
      (card(text, rest: "protocol: {tests: plus}"), "\"plus\" does not go with this file"),
      (card(text, rest: "protocol: {score: codexglue}"), "protocol.score: means nothing for a suite"),
    ]
    for (card, problem) in cases {
      let message = try message(["p.jsonl": text, "c.yaml": card], open: "c.yaml")
      #expect(message.contains(problem), "\(message)")
    }
    let line = #"{"input": "a", "gt": "b"}"#
    let timed = card(line, kind: "lines", rest: "protocol: {timeout: 3}")
    #expect(
      try message(["p.jsonl": line, "c.yaml": timed], open: "c.yaml").contains(
        "protocol.timeout: means nothing for a suite"))
    #expect(try message(["p.jsonl.gz": "x"], open: "p.jsonl.gz").contains("not valid JSON"))
    #expect(
      try message(["p.jsonl.gz": "\u{1F}\u{8B}x"], open: "p.jsonl.gz").contains("neither prompt, entry_point") == false)
    #expect(try message([:], open: "absent.jsonl").contains("does not exist"))
    #expect(try message(["t.txt": ""], open: "t.txt").contains("is empty"))
  }

  @Test func promptsFollowTheirForm() {
    var settings = SuiteProtocol(defaultsOf: .passAt1)
    let prompt = "\n\ndef f():\n    '''x'''\n \t\n"
    #expect(settings.prompt(prompt) == "\n\ndef f():\n    '''x'''")
    settings.prompt = .evalplus
    #expect(settings.prompt(prompt) == "def f():\n    '''x'''\n")
    settings.prompt = .raw
    #expect(settings.prompt(prompt) == prompt)
  }

  @Test func completionsEndBeforeTheFirstStop() {
    var settings = SuiteProtocol(defaultsOf: .passAt1)
    #expect(settings.cut("    return a\n\ndef g():\n    pass\n# x") == "    return a\n")
    #expect(settings.cut("    return a") == "    return a")
    settings.stop = ["aab", "b"]
    #expect(settings.cut("aaab") == "a")
    #expect(settings.cut("") == "")
    settings.stop = []
    #expect(settings.cut("aaab") == "aaab")
  }

  @Test func optionsOverrideAndAreChecked() throws {
    let settings = SuiteProtocol(defaultsOf: .lines)
    var options = ProtocolOverrides()
    #expect(try settings.applying(options) == settings && options.names == [])
    options.maxTokens = 7
    options.stop = []
    let changed = try settings.applying(options)
    #expect(changed.maxTokens == 7 && changed.stop == [] && changed.prompt == settings.prompt)
    #expect(options.names == ["max_tokens", "stop"])
    options.timeout = 1
    #expect(throws: FurlError(.usage, "the option for timeout means nothing for a suite of kind lines")) {
      try settings.applying(options)
    }
    options.timeout = nil
    options.maxTokens = -1
    #expect(throws: FurlError.self) { try settings.applying(options) }
  }
}
