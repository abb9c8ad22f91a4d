package import FurlBase
package import FurlSpec

/// Line completions: exact match and edit similarity (CodeXGLUE's line completion, PY150).
package struct LineSuite: SuiteType {
  package let problems: [LineProblem]

  package init(_ problems: [LineProblem]) { self.problems = problems }

  // MARK: The kind

  package static let kind = SuiteKind.lines
  package static let figures = [
    SuiteFigure(
      .exactMatch, "exact match", heading: "EM", unit: .share, basis: .outcomes, comparison: .points(limits: false)),
    SuiteFigure(.editSimilarity, "edit similarity", heading: "ES", unit: .share, basis: .scores),
  ]
  package static let keys = ["prompt", "bos", "max_tokens", "stop", "context"]
  package static let laterKeys = ["eos", "score"]
  package static let answer: (key: String, right: String, wrong: String)? = ("exact", "exact", "different")

  package static func setDefaults(_ settings: inout SuiteProtocol) {
    settings.maxTokens = 64
    settings.stop = ["<EOL>", "</s>"]
  }

  // MARK: Reading

  package static let form: String? = "input and gt"

  package static func takes(_ keys: Set<String>?) -> Bool { keys.map { LineForm($0) != nil } ?? false }

  package init(_ bytes: [UInt8], file: String) throws {
    var problems: [LineProblem] = []
    var names = UniqueNames()
    try ProblemFile.forEachLine(bytes, file: file) { reader, line in
      // CodeXGLUE's own files have no ids; a problem is then called by its place.
      let id = try reader.problemID("id") ?? .integer(problems.count)
      guard let form = LineForm(Set(reader.keys)) else { throw reader.error("input", "is missing") }
      guard let (input, gt) = try form.problem(reader) else { return true }
      try names.insert(id, line: line, key: "id", reader)
      problems.append(LineProblem(id: id, input: input, gt: gt, source: try reader.string("source")))
      return true
    }
    guard !problems.isEmpty else { throw FurlError.input(file, "has no problems") }
    self.problems = problems
  }

  // MARK: The problems

  package var count: Int { problems.count }
  package var ids: [ProblemID] { problems.map(\.id) }
  package var clusters: [String?] { problems.map(\.source) }

  /// Lines of PY150's normal form stand below one another, as they do in the file that they were taken from.
  package var shown: [ShownProblem] {
    problems.map { problem in
      ShownProblem(prompt: problem.input.replacing(" <EOL> ", with: "\n"), expected: problem.gt, isOnlyAnswer: true)
    }
  }

  package func prefix(_ count: Int) -> LineSuite { LineSuite(Array(problems.prefix(count))) }

  // MARK: Scoring

  /// Lines are compared as their completions end.
  package func score(_ run: SuiteRun) async throws -> Scored {
    let prompts = problems.map { CompletionPrompt(id: $0.id, text: $0.input, draft: draft(of: $0, run)) }
    var scores: [Int: LineScore] = [:]
    let written = try run.source.complete(prompts, run) { place, completion in
      let score = try LineScore(completion, of: problems[place], method: run.settings.score)
      scores[place] = score
      run.curtailment?.found(completion.id, score.value)
    }
    let kept = written.kept(run.curtailment?.kept)
    let items = kept.compactMap { place, completion in
      scores[place].map { EvaluationReport.LineItem(completion, of: problems[place], score: $0) }
    }
    return Scored(
      results: LineResults(items), completions: kept.map(\.completion), speculation: written.speculation)
  }

  /// Nil for none. Another model's completion comes before the truth: what the model is likely to write is what is looked
  /// for, right or wrong. A truth is the rest of a line, whose end belongs to what is checked.
  private func draft(of line: LineProblem, _ run: SuiteRun) -> String? {
    if let draft = run.options.drafts[line.id] { return draft + (run.settings.stop.contains("<EOL>") ? "<EOL>" : "") }
    return run.options.verifiesLines ? " \(line.gt) <EOL>" : nil
  }
}

extension LineScore {
  /// - Throws: ``FurlError`` that names the problem.
  init(_ completion: Completion, of problem: LineProblem, method: SimilarityMethod) throws {
    do {
      try self.init(completion: completion.text, gt: problem.gt, method: method)
    } catch var error as FurlError {
      error.place = "problem \(problem.id)"
      throw error
    }
  }

  /// What it gives to a figure.
  func value(_ metric: Gate.Metric) -> Double { metric == .editSimilarity ? editSimilarity : exact ? 1 : 0 }
}

extension EvaluationReport.LineItem {
  fileprivate init(_ completion: Completion, of problem: LineProblem, score: LineScore) {
    self.init(
      id: problem.id, score: score, tokens: completion.tokens, stopReason: completion.stopReason,
      source: problem.source)
  }
}

// MARK: Results

extension LineSuite {
  package typealias Results = LineResults

  /// What completed lines came to.
  package struct LineResults: SuiteResults {
    package let items: [EvaluationReport.LineItem]

    package init(_ items: [EvaluationReport.LineItem]) { self.items = items }

    package init(_ reader: DocumentReader) throws {
      items = try reader.results { id, item in
        guard let exact = try item.bool("exact") else { throw item.error("exact", "is missing") }
        let similarity = try item.figure("edit_similarity", in: 0...1)
        return EvaluationReport.LineItem(
          id: id, score: LineScore(exact: exact, editSimilarity: similarity),
          tokens: try item.integer("tokens", in: 0...(.max)), stopReason: try item.string("stop_reason"),
          source: try item.string("source"))
      }
    }

    package var ids: [ProblemID] { items.map(\.id) }
    package var clusters: [String?] { items.map(\.source) }
    package var solved: Int? { items.count(where: \.exact) }

    package func scores(_ metric: Gate.Metric) -> [Double] {
      switch metric {
      case .exactMatch: items.map { $0.exact ? 1 : 0 }
      case .editSimilarity: items.map(\.editSimilarity)
      default: []
      }
    }

    var exactMatch: Proportion? {
      items.isEmpty ? nil : Proportion(successes: items.count(where: \.exact), count: items.count)
    }

    package var interval95: ClosedRange<Double>? { exactMatch?.interval() }

    package var members: [JSON.Member] {
      [
        .init("exact_match", .optional(value(.exactMatch))),
        .init("edit_similarity", .optional(value(.editSimilarity))),
      ]
    }

    package func check(_ reader: DocumentReader) throws {
      try reader.check("exact_match", value(.exactMatch))
      try reader.check("edit_similarity", value(.editSimilarity))
    }

    package var json: [JSON] {
      items.map { item in
        let source: [JSON.Member] = item.source.map { [.init("source", .string($0))] } ?? []
        return .object(
          [
            .init("id", item.id.json), .init("exact", .bool(item.exact)),
            .init("edit_similarity", .number(item.editSimilarity)), .init("tokens", .optional(item.tokens)),
            .init("stop_reason", .optional(item.stopReason)),
          ] + source)
      }
    }

    package var samples: [[JSON.Member]] {
      items.map { [.init("exact", .bool($0.exact)), .init("edit_similarity", .number($0.editSimilarity))] }
    }

    package func lines(name: String, interval: String, _ settings: SuiteProtocol) -> [String] {
      func percent(_ metric: Gate.Metric) -> String { value(metric).map { Figures.percent($0) } ?? "-" }
      return [
        "\(name)  exact match \(percent(.exactMatch))\(interval), edit similarity \(percent(.editSimilarity)), "
          + "\(items.count) lines"
      ]
    }
  }
}

// MARK: Suites and reports

extension Problems {
  package static func lines(_ problems: [LineProblem]) -> Problems { Problems(LineSuite(problems)) }

  /// Those that are lines; nil for problems of another kind.
  package var lines: [LineProblem]? { (content as? LineSuite)?.problems }
}

extension EvaluationReport.ReportedResults {
  package static func lines(_ items: [EvaluationReport.LineItem]) -> Self { Self(LineSuite.LineResults(items)) }

  /// What completed lines came to; nil for results of another kind.
  package var lines: [EvaluationReport.LineItem]? { (found as? LineSuite.LineResults)?.items }

  /// Scores completions of lines. Each completion must be of the problem at its place.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a completion that is too long to compare, `defect` for one
  ///   that belongs to another problem.
  package static func scoring(
    _ completions: [Completion], of problems: [LineProblem], method: LineScore.SimilarityMethod = .plain
  ) throws -> Self {
    guard completions.count <= problems.count else { throw FurlError(.defect, "more completions than problems") }
    return .lines(
      try zip(completions, problems).map { completion, problem in
        guard completion.id == problem.id else {
          throw FurlError(.defect, "completion \(completion.id) is not of problem \(problem.id)")
        }
        return EvaluationReport.LineItem(
          completion, of: problem, score: try LineScore(completion, of: problem, method: method))
      })
  }
}

extension EvaluationReport {
  /// Lines that are equal to the truth.
  package var exactMatch: Proportion? { (results.found as? LineSuite.LineResults)?.exactMatch }

  /// The mean similarity of the lines, from 0 to 1.
  package var editSimilarity: Double? { results.found.value(.editSimilarity) }
}
