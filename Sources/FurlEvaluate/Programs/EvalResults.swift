package import FurlBase
import FurlSpec

/// The document that EvalPlus leaves beside its samples, `eval_results.json`, made of Furl's results: for scripts that
/// read EvalPlus's.
///
/// Its form is that of EvalPlus 0.3.1 (`evalplus/evaluate.py`, without `--test-details`): of a problem's inputs at most one is
/// listed, the one that decided. Inputs are written as the problem file has them.
package enum EvalResults {
  /// Refuses suites that EvalPlus does not know.
  ///
  /// - Throws: ``FurlError`` of kind `usage`.
  package static func check(_ suite: Suite) throws(FurlError) {
    guard suite.problems.haveInputs else {
      throw FurlError(
        .usage, file: "--eval-results", "suite \(suite.name) is not in EvalPlus's form: it has no base_input",
        remedy: "evaluate HumanEval+ or MBPP+, or keep results with --samples")
    }
  }

  /// The document, on one line.
  ///
  /// - Parameters:
  ///   - outcome: a run with ``Evaluator/EvaluationOptions/judgesApart``.
  ///   - suite: the suite that was run. Its file is read again for the key `hash`, which is left out when the file has changed.
  /// - Throws: ``FurlError``: `usage` as ``check(_:)``, `defect` when the outcome is not of the suite.
  package static func text(_ outcome: Evaluator.EvaluationOutcome, of suite: Suite, date: Date = Date()) throws
    -> String
  {
    try check(suite)
    guard let problems = suite.problems.programs, outcome.programs.count == outcome.completions.count else {
      throw FurlError(.defect, "the results are not those of suite \(suite.name)")
    }
    let known = Dictionary(problems.map { (ProblemID.text($0.taskID), $0) }) { first, _ in first }
    var order: [ProblemID] = []
    var samples: [ProblemID: [String]] = [:]
    for (result, completion) in zip(outcome.programs, outcome.completions) {
      guard let problem = known[result.id], let inputs = problem.inputs, completion.id == result.id else {
        throw FurlError(.defect, "result \(result.id) is not of suite \(suite.name)")
      }
      if samples[result.id] == nil { order.append(result.id) }
      samples[result.id, default: []].append(
        try sample(result, completion, problem, inputs, outcome.report.protocol))
    }
    var members = ["\"date\": " + quoted(stamp(date))]
    if let hash = hash(of: suite) { members.append("\"hash\": " + quoted(hash)) }
    let problemTexts = order.map { quoted("\($0)") + ": [" + (samples[$0] ?? []).joined(separator: ", ") + "]" }
    members.append("\"eval\": {" + problemTexts.joined(separator: ", ") + "}")
    return "{" + members.joined(separator: ", ") + "}"
  }

  private static func sample(
    _ result: ProgramResult, _ completion: Completion, _ problem: ProgramProblem, _ inputs: InputTests,
    _ settings: SuiteProtocol
  ) throws -> String {
    let solution = result.solution ?? Program(problem, completion, protocol: settings).source
    let (base, plus) = (result.baseVerdict, settings.tests == .plus ? result.plusVerdict : nil)
    guard let base, settings.tests == .base || plus != nil else {
      throw FurlError(.defect, "the inputs of \(result.id) were not judged apart")
    }
    let failed = try (
      base: base.failedInput.map { try inputs.input($0, of: "base_input") } ?? "",
      plus: plus?.failedInput.map { try inputs.input($0, of: "plus_input") } ?? ""
    )
    let members = [
      "\"task_id\": " + quoted(problem.taskID), "\"solution\": " + quoted(solution),
      "\"base_status\": " + quoted(base.status), "\"plus_status\": " + (plus.map { quoted($0.status) } ?? "null"),
      "\"base_fail_tests\": [\(failed.base)]", "\"plus_fail_tests\": [\(failed.plus)]",
    ]
    return "{" + members.joined(separator: ", ") + "}"
  }

  private static func quoted(_ text: String) -> String { JSON.string(text).compactText }

  /// `2026-01-31 23:59`, by the clock on the wall.
  private static func stamp(_ date: Date) -> String {
    var seconds = time_t(date.timeIntervalSince1970.rounded(.down))
    var time = tm()
    localtime_r(&seconds, &time)
    func digits(_ value: Int32, _ count: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    let day = "\(digits(time.tm_year + 1900, 4))-\(digits(time.tm_mon + 1, 2))-\(digits(time.tm_mday, 2))"
    return "\(day) \(digits(time.tm_hour, 2)):\(digits(time.tm_min, 2))"
  }

  /// The MD5 of the unpacked problem file, as EvalPlus keeps it.
  private static func hash(of suite: Suite) -> String? {
    guard let bytes = try? ProblemFile.content(path: suite.file), Digest(of: bytes) == suite.sha256 else { return nil }
    return MD5.hex(of: bytes)
  }
}

extension InputsVerdict {
  /// EvalPlus's word. A program that ends its own process, or has not come to an end when all the time is up, has for
  /// EvalPlus timed out; an input that takes too long has failed.
  fileprivate var status: String { outcome == .passed ? "pass" : isUnfinished ? "timeout" : "fail" }

  /// The place of the input that EvalPlus lists: the one that failed, and after a time-out the last one that was answered.
  fileprivate var failedInput: Int? {
    guard outcome != .passed, let input else { return nil }
    let place = isUnfinished ? input - 1 : input
    return place < 0 ? nil : place
  }
}

extension InputTests {
  /// The arguments of an input as the problem's line has them, with numbers of any size.
  ///
  /// - Throws: ``FurlError`` of kind `defect` where there is no such input.
  func input(_ place: Int, of key: String) throws -> String {
    var scanner = JSONSpans(bytes: line)
    guard let list = scanner.value(of: key), let span = scanner.element(place, of: list) else {
      throw FurlError(.defect, "\(key) has no input \(place)")
    }
    return String(decoding: line[span], as: UTF8.self)
  }
}
