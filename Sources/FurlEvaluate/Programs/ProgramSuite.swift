package import FurlBase
package import FurlSpec

/// Programs that are executed: the share that passes its tests (HumanEval, HumanEval+, MBPP and MBPP+).
package struct ProgramSuite: SuiteType {
  package let problems: [ProgramProblem]

  package init(_ problems: [ProgramProblem]) { self.problems = problems }

  // MARK: The kind

  package static let kind = SuiteKind.passAt1
  package static let figures = [
    SuiteFigure(
      .passAt1, "pass@1", heading: "pass@1", unit: .share, basis: .outcomes, comparison: .points(limits: true))
  ]
  package static let keys = ["prompt", "bos", "max_tokens", "stop", "context", "timeout", "memory"]
  package static let laterKeys = [
    "eos", "sanitize", "tests", "load_timeout", "input_timeout", "input_factor", "draws", "temperature", "top_p",
    "seed",
  ]
  package static let executes = true
  package static let answer: (key: String, right: String, wrong: String)? = ("passed", "passed", "not passed")

  package static func setDefaults(_ settings: inout SuiteProtocol) {
    settings.prompt = .stripped
    settings.maxTokens = 256
    settings.stop = ["\nclass", "\ndef", "\n#", "\nif", "\nprint"]
  }

  // MARK: Reading

  package static let form: String? =
    "prompt, entry_point and test (or base_input and canonical_solution), nor text, code and test_list"

  package static func takes(_ keys: Set<String>?) -> Bool { keys.map { ProgramForm($0) != nil } ?? false }

  package init(_ bytes: [UInt8], file: String) throws {
    var problems: [ProgramProblem] = []
    var names = UniqueNames()
    try ProblemFile.forEachLine(bytes, file: file) { reader, line, range in
      // What is missing of the plainest form is what a wrong line is told.
      let form = ProgramForm(Set(reader.keys)) ?? .check
      let problem = try form.problem(reader, line: { Array(bytes[range]) })
      guard ProgramSuite.isPythonName(problem.entryPoint) else {
        throw reader.error("entry_point", "\"\(problem.entryPoint)\" is not a name of Python")
      }
      guard problems.isEmpty || (problems[0].inputs == nil) == (problem.inputs == nil) else {
        throw reader.error("test", "is a problem of another form than the ones before it")
      }
      try names.insert(.text(problem.taskID), line: line, key: "task_id", reader)
      problems.append(problem)
      return true
    }
    guard !problems.isEmpty else { throw FurlError.input(file, "has no problems") }
    self.problems = problems
  }

  /// ASCII is what every data set uses, and it keeps the name safe wherever it is put.
  private static func isPythonName(_ text: String) -> Bool {
    func isLetter(_ byte: UInt8) -> Bool {
      (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_")
    }
    guard let first = text.utf8.first, isLetter(first) else { return false }
    return text.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) }
  }

  // MARK: The problems

  package var count: Int { problems.count }

  package var ids: [ProblemID] { problems.map { .text($0.taskID) } }

  package var shown: [ShownProblem] {
    problems.map { ShownProblem(prompt: $0.prompt, expected: $0.solution, isOnlyAnswer: false) }
  }

  package func prefix(_ count: Int) -> ProgramSuite { ProgramSuite(Array(problems.prefix(count))) }

  /// Whether programs are put to inputs, as HumanEval+ does, instead of to a test of their own.
  var haveInputs: Bool { problems.contains { $0.inputs != nil } }

  /// As EvalPlus does it where programs are put to inputs.
  package var defaults: SuiteProtocol {
    var settings = SuiteProtocol(defaultsOf: Self.kind)
    guard haveInputs else { return settings }
    settings.prompt = .evalplus
    settings.maxTokens = 768
    settings.stop = [
      "<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(", "\ndef ", "\nclass ",
      "\nimport ", "\nfrom ", "\nassert ",
    ]
    if problems.contains(where: { $0.taskID.hasPrefix("Mbpp/") }) {
      settings.stop = Array(settings.stop.prefix(6)) + ["\n\"\"\"", "\nassert"]
    }
    settings.timeout = 60
    settings.memory = 4096
    settings.sanitize = .evalplus
    settings.tests = .plus
    return settings
  }

  package func check(_ settings: SuiteProtocol) throws(FurlError) {
    guard (settings.tests == .check) == haveInputs else { return }
    let (own, other) = haveInputs ? ("base or plus", "inputs") : ("check", "a test of its own")
    throw FurlError(
      .input, place: "tests",
      "\"\(settings.tests.rawValue)\" does not go with this file: each problem has \(other)", remedy: "allowed: \(own)")
  }

  // MARK: Scoring

  package func score(_ run: SuiteRun) async throws -> Scored {
    guard let sandbox = run.sandbox else { throw FurlError(.defect, "programs are executed in a sandbox") }
    return try await ProgramScorer(problems, run, sandbox).score()
  }
}

extension Problems {
  package static func programs(_ problems: [ProgramProblem]) -> Problems { Problems(ProgramSuite(problems)) }

  /// Those that are to be programs; nil for problems of another kind.
  package var programs: [ProgramProblem]? { (content as? ProgramSuite)?.problems }

  /// Whether programs are put to inputs, as HumanEval+ does, instead of to a test of their own.
  package var haveInputs: Bool { (content as? ProgramSuite)?.haveInputs ?? false }
}
