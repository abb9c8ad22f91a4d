import FurlSpec
import FurlTensor

/// Completions as files of one JSON object per line.
public enum Samples {
  /// Every result with its completion, as `eval --samples` keeps them. The prompt is not repeated.
  ///
  /// The keys `task_id` and `completion` are HumanEval's, so that other evaluators can score the file.
  public static func text(_ results: EvaluationReport.Results, _ completions: [Completion]) throws -> String {
    guard results.ids == completions.map(\.id) else {
      throw FurlError(.defect, "results and completions are not of the same problems")
    }
    let scores: [[JSON.Member]] =
      switch results {
      case .programs(let items):
        items.map { item in
          [
            .init("passed", .bool(item.passed)), .init("outcome", .string(item.outcome.rawValue)),
            .init("detail", .optional(item.detail)),
          ]
        }
      case .lines(let items):
        items.map { item in
          [.init("exact", .bool(item.exact)), .init("edit_similarity", .number(item.editSimilarity))]
        }
      case .text: []
      }
    let key = if case .lines = results { "id" } else { "task_id" }
    return zip(completions, scores).map { completion, score in
      let head: [JSON.Member] = [
        .init(key, completion.id.json), .init("completion", .string(completion.text)),
        .init("tokens", .optional(completion.tokens)), .init("stop_reason", .optional(completion.stopReason)),
      ]
      return JSON.object(head + score).compactText + "\n"
    }.joined()
  }

  /// Reads what was generated elsewhere: lines of `task_id` (or `id`) and `completion`, one for each problem.
  ///
  /// Completions are scored as they stand; they must already end where the protocol ends them. `tokens` and
  /// `stop_reason` are taken over; other keys, such as the results that `--samples` writes, are ignored.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - problems: those that are to be scored; the completions come back in their order.
  /// - Throws: ``FurlError`` of kind `input`: an unknown, doubled or missing problem, a completion that is too
  ///   long, each with its line.
  public static func completions(path: String, of problems: Problems) throws -> [Completion] {
    if case .text = problems { throw FurlError(.usage, "a suite of kind text has no completions to score") }
    let bytes = try MappedFile(path: path).readAll(limit: ProblemFile.fileLimit)
    let ids = problems.ids
    let known = Set(ids)
    var found: [ProblemID: Completion] = [:]
    var names = UniqueNames()
    try ProblemFile.forEachLine(bytes, file: path) { reader, line in
      let key = reader.keys.contains("task_id") ? "task_id" : "id"
      guard let id = try reader.problemID(key) else {
        throw reader.error("task_id", "is missing", remedy: "each line needs task_id and completion")
      }
      guard known.contains(id) else { throw reader.error(key, "\"\(id)\" is no problem of this suite") }
      try names.insert(id, line: line, key: key, reader)
      let text = try reader.text("completion")
      guard text.utf8.count <= longestCompletion else {
        throw reader.error("completion", "is longer than \(longestCompletion) bytes")
      }
      found[id] = Completion(
        id: id, text: text, tokens: try reader.integer("tokens", in: 0...(.max)),
        stopReason: try reader.string("stop_reason"))
      return true
    }
    return try ids.map { id in
      guard let completion = found[id] else {
        throw FurlError.input(
          path, "problem \(id) has no completion", remedy: "give every problem one, an empty one if need be")
      }
      return completion
    }
  }

  static let longestCompletion = 1 << 20
}
