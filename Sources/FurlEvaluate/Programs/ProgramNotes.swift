import FurlBase
import FurlSpec

/// What a report says of programs that did not get to be judged by what they do.
enum ProgramNotes {
  /// Of programs that a model has just written.
  static func notes(_ results: [ProgramResult], _ settings: SuiteProtocol) -> [String] {
    let unparsed = results.count(where: \.isNoPython)
    var notes = busy(results)
    if isMost(unparsed, of: results.count) {
      let others = SuiteProtocol.Prompt.allCases.filter { $0 != settings.prompt }.map { "--prompt \($0.rawValue)" }
      notes.append(
        "\(unparsed) of \(results.count) programs are no Python; the prompt was \(settings.prompt.rawValue): try "
          + others.joined(separator: " and "))
    }
    return notes
  }

  /// Of completions from elsewhere: which way of putting the prompt makes programs of them is found out.
  static func notes(
    _ results: [ProgramResult], _ settings: SuiteProtocol, _ problems: [ProgramProblem], _ completions: [Completion],
    by runner: ProgramRunner
  ) async throws -> [String] {
    let unparsed = results.count(where: \.isNoPython)
    guard isMost(unparsed, of: results.count) else { return busy(results) }
    let head = "\(unparsed) of \(results.count) programs are no Python"
    var left = sampleBytes
    let pairs = zip(problems, completions).prefix(sampleLimit).filter { problem, completion in
      guard completion.solution == nil else { return false }
      left -= problem.prompt.utf8.count + completion.text.utf8.count
      return left >= 0
    }
    guard !pairs.isEmpty else {
      guard completions.contains(where: { $0.solution != nil }) else { return busy(results) + [head] }
      return busy(results) + ["\(head); they were given whole, as solution, and no prompt is put before them"]
    }
    var best: (prompt: SuiteProtocol.Prompt, count: Int)?
    for prompt in SuiteProtocol.Prompt.allCases {
      var other = settings
      other.prompt = prompt
      let texts = pairs.map { Program($0.0, completion: $0.1.text, protocol: other).source }
      // What has been judged is worth more than a hint of what to try.
      guard let count = try await parsable(texts, by: runner) else { return busy(results) + [head] }
      if count > best?.count ?? 0 { best = (prompt, count) }
    }
    guard let best, best.prompt != settings.prompt, isMost(best.count, of: pairs.count) else {
      return busy(results) + [
        "\(head); no way of putting the prompt before them makes most of them Python: they may not be continuations, "
          + "and whole programs belong under solution"
      ]
    }
    let share = pairs.count == results.count ? "\(best.count)" : "\(best.count) of the first \(pairs.count)"
    return busy(results) + [
      "\(head); the prompt was \(settings.prompt.rawValue), and with --prompt \(best.prompt.rawValue) \(share) are"
    ]
  }

  private static func busy(_ results: [ProgramResult]) -> [String] {
    let retried = results.count(where: \.isRetried)
    guard retried > 0 else { return [] }
    let again = results.count { $0.isRetried && $0.outcome == .timeout }
    return [
      "the machine was busy: \(retried) of \(results.count) programs were out of time while they waited for a processor; "
        + "each was tried once more alone, and \(again) were out of time again"
    ]
  }

  private static func isMost(_ part: Int, of count: Int) -> Bool { count > 1 && 2 * part > count }

  private static let sampleLimit = 400
  /// Well below what fits in a call.
  private static let sampleBytes = 4 << 20

  /// How many texts are Python, by the Python that executes programs; nil where it does not tell.
  private static func parsable(_ texts: [String], by runner: ProgramRunner) async throws -> Int? {
    let problem = ProgramProblem(
      taskID: "parse", prompt: "def count(texts):\n", entryPoint: "count",
      test:
        "def check(candidate):\n    raise ValueError(candidate(\(JSON.array(texts.map(JSON.string)).compactText)))\n")
    var settings = SuiteProtocol(defaultsOf: .passAt1)
    settings.timeout = 60
    do {
      let detail =
        try await runner.run(Program(problem, source: PythonProgram.parsable, protocol: settings)).detail ?? ""
      return detail.hasPrefix("ValueError: ") ? Int(detail.dropFirst(12)) : nil
    } catch is FurlError {
      return nil
    }
  }
}

extension ProgramResult {
  /// Whether the program could not even be compiled.
  fileprivate var isNoPython: Bool {
    outcome == .error
      && ["SyntaxError", "IndentationError", "TabError", "UnicodeEncodeError"].contains {
        detail?.hasPrefix($0) ?? false
      }
  }
}
