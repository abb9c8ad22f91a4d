import FurlBase
import FurlSpec

/// Completions as files of one JSON object per line.
package enum Samples {
  /// Every result with its completion, as `eval --samples` keeps them. The prompt is not repeated.
  ///
  /// The keys `task_id` and `completion` are HumanEval's, so that other evaluators can score the file.
  package static func text(_ results: EvaluationReport.ReportedResults, _ completions: [Completion]) throws -> String {
    let found = results.found
    guard found.ids.flatMap({ Array(repeating: $0, count: found.completionsEach) }) == completions.map(\.id) else {
      throw FurlError(.defect, "results and completions are not of the same problems")
    }
    let key = type(of: found).sampleKey
    return zip(completions, found.samples).map { completion, score in
      // HumanEval's evaluator reads `completion`, EvalPlus's prefers `solution`.
      var head: [JSON.Member] = [.init(key, completion.id.json), .init("completion", .string(completion.text))]
      if let solution = completion.solution { head.append(.init("solution", .string(solution))) }
      head.append(.init("tokens", .optional(completion.tokens)))
      head.append(.init("stop_reason", .optional(completion.stopReason)))
      return JSON.object(head + score).compactText + "\n"
    }.joined()
  }

  /// Reads what was generated elsewhere: lines of `task_id` (or `id`) and `completion`, as many for each problem as for the
  /// others. A program may be given whole, as `solution` (EvalPlus's form); it is then executed as it stands.
  ///
  /// Completions are scored as they stand; they must already end where the protocol ends them. `tokens` and
  /// `stop_reason` are taken over; other keys, such as the results that `--samples` writes, are ignored.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - problems: those that are to be scored; the completions come back in their order.
  ///   - suite: all problems that the file may speak of; what is not to be scored is passed over.
  ///   - draws: how many each problem must have; nil for as many as there are.
  /// - Throws: ``FurlError`` of kind `input`: an unknown or missing problem, one with more or fewer completions than
  ///   others, a completion that is too long, each with its line.
  package static func completions(
    path: String, of problems: Problems, in suite: Problems? = nil, draws: Int? = 1
  ) throws -> [Completion] {
    let type = problems.kind.type
    guard type.hasProblems else {
      throw FurlError(.usage, "a suite of kind \(type.kind.rawValue) has no completions to score")
    }
    let bytes = try ProblemFile.content(path: path)
    let ids = problems.ids
    let wanted = Set(ids)
    let known = suite.map { Set($0.ids) } ?? wanted
    let isProgram = type.executes
    var found: [ProblemID: [Completion]] = [:]
    var names = UniqueNames()
    try ProblemFile.forEachLine(bytes, file: path) { reader, line in
      let key = reader.keys.contains("task_id") ? "task_id" : "id"
      guard let id = try reader.programID(key, isProgram) else {
        throw reader.error("task_id", "is missing", remedy: "each line needs task_id and completion")
      }
      guard known.contains(id) else { throw reader.error(key, "\"\(id)\" is no problem of this suite") }
      guard wanted.contains(id) else { return true }
      if draws == 1 || !isProgram { try names.insert(id, line: line, key: key, reader) }
      func text(_ key: String) throws -> String {
        let text = try reader.text(key)
        guard text.utf8.count <= longestCompletion else {
          throw reader.error(key, "is longer than \(longestCompletion) bytes")
        }
        return text
      }
      let hasSolution = isProgram && reader.keys.contains("solution")
      let solution = try hasSolution ? text("solution") : nil
      found[id, default: []].append(
        Completion(
          id: id, text: try hasSolution && !reader.keys.contains("completion") ? "" : text("completion"),
          solution: solution, tokens: try reader.integer("tokens", in: 0...(.max)),
          stopReason: try reader.string("stop_reason")))
      return true
    }
    let count = draws ?? ids.first.flatMap { found[$0]?.count } ?? 1
    return try ids.flatMap { id in
      guard let completions = found[id] else {
        throw FurlError.input(
          path, "problem \(id) has no completion", remedy: "give every problem one, an empty one if need be")
      }
      guard completions.count == count else {
        throw FurlError.input(
          path, "problem \(id) has \(completions.count) completions, not \(count)",
          remedy: draws == nil
            ? "give every problem as many as the others" : "give every problem as many as the protocol's draws")
      }
      return completions
    }
  }

  static let longestCompletion = 1 << 20
}

extension DocumentReader {
  /// The name of a problem; a number is a program's name as well (MBPP).
  fileprivate func programID(_ key: String, _ isProgram: Bool) throws -> ProblemID? {
    let id = try problemID(key)
    return isProgram ? id.map { .text("\($0)") } : id
  }
}
