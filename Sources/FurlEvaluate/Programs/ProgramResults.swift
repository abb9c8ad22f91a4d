package import FurlBase
package import FurlSpec

extension ProgramSuite {
  package typealias Results = ProgramResults

  /// What executed programs came to.
  package struct ProgramResults: SuiteResults {
    package let items: [EvaluationReport.ProgramItem]

    package init(_ items: [EvaluationReport.ProgramItem]) { self.items = items }

    /// Puts executed programs and their completions together, place by place.
    ///
    /// - Parameter draws: how many of them belong to each problem, one after the other.
    init(_ results: [ProgramResult], _ completions: [Completion], draws: Int) throws {
      guard results.map(\.id) == completions.map(\.id), results.count.isMultiple(of: draws) else {
        throw FurlError(.defect, "results and completions are not of the same problems")
      }
      items = stride(from: 0, to: results.count, by: draws).map { start in
        let (result, completion) = (results[start], completions[start])
        return EvaluationReport.ProgramItem(
          id: result.id, outcome: result.outcome, detail: result.detail, tokens: completion.tokens,
          stopReason: completion.stopReason, base: result.base,
          draws: draws == 1 ? [] : results[start..<start + draws].map(\.outcome))
      }
    }

    package var ids: [ProblemID] { items.map(\.id) }

    package func scores(_ metric: Gate.Metric) -> [Double] {
      metric == .passAt1 ? items.map { $0.passed ? 1 : 0 } : []
    }

    package var solved: Int? { items.count(where: \.passed) }

    package var hasAccidents: Bool { items.contains { $0.outcome == .timeout || $0.outcome == .memory } }

    package var completionsEach: Int { max(1, items.first?.draws.count ?? 1) }

    // MARK: Figures

    /// How many completions each problem has, and how many of them passed; nil unless there are several.
    private var draws: [(count: Int, passed: Int)]? {
      guard let first = items.first, !first.draws.isEmpty else { return nil }
      return items.map { ($0.draws.count, $0.draws.count { $0 == .passed }) }
    }

    /// Of several completions the first ones.
    var passAt1: Proportion? {
      items.isEmpty ? nil : Proportion(successes: items.count(where: \.passed), count: items.count)
    }

    /// The mean over the problems; nil with fewer than `k` completions of each.
    func passAt(_ k: Int) -> Double? {
      guard !items.isEmpty else { return nil }
      guard let draws else { return k == 1 ? passAt1?.value : nil }
      guard k >= 1, draws.allSatisfy({ $0.count >= k }) else { return nil }
      return draws.reduce(0) { $0 + PassAtK.estimate(count: $1.count, passed: $1.passed, k: k) } / Double(draws.count)
    }

    /// 1, 10 and 100 as far as there are so many completions, and all of them.
    var passCounts: [Int] {
      guard let count = draws?.map({ $0.count }).min() else { return [] }
      return [1, 10, 100].filter { $0 < count } + [count]
    }

    /// Wilson's interval of pass@1; of several completions the bootstrap's over problems.
    package var interval95: ClosedRange<Double>? {
      guard let draws else { return passAt1?.interval() }
      return Bootstrap(of: draws.map { Double($0.passed) / Double($0.count) }).interval()
    }

    /// Programs that passed the base inputs; nil where there were none.
    var basePassAt1: Proportion? {
      guard !items.isEmpty, items.allSatisfy({ $0.base != nil }) else { return nil }
      return Proportion(successes: items.count { $0.base == .passed }, count: items.count)
    }

    package func lines(name: String, interval: String, _ settings: SuiteProtocol) -> [String] {
      func percent(_ value: Double?) -> String { value.map { Figures.percent($0) } ?? "-" }
      var lines = ["\(name)  pass@1 \(percent(passAt(1))), \(solved ?? 0) of \(items.count)\(interval)"]
      if let base = basePassAt1, settings.tests == .plus {
        lines.append("  by the base inputs alone \(Figures.percent(base.value)), \(base.successes) of \(base.count)")
      }
      if settings.draws > 1 {
        lines[0] =
          "\(name)  " + passCounts.map { "pass@\($0) \(percent(passAt($0)))" }.joined(separator: ", ") + interval
          + ", \(items.count) problems with \(settings.draws) completions each"
      }
      let counts = Outcome.allCases.map { outcome in (outcome, items.count { $0.outcome == outcome }) }
      lines.append("  " + counts.filter { $0.1 > 0 }.map { "\($0.0.rawValue) \($0.1)" }.joined(separator: ", "))
      let cut = items.count { $0.stopReason == "length" }
      if cut > 0 { lines.append("  \(cut) completions were cut off at the token limit") }
      return lines
    }
  }
}

// MARK: JSON

extension ProgramSuite.ProgramResults {
  package init(_ reader: DocumentReader) throws {
    items = try reader.results { id, item in
      guard let outcome = Outcome(rawValue: try item.text("outcome")) else {
        throw item.error("outcome", "is not a known outcome")
      }
      guard try item.bool("passed") == (outcome == .passed) else {
        throw item.error("passed", "does not agree with the outcome")
      }
      let result = EvaluationReport.ProgramItem(
        id: id, outcome: outcome, detail: try item.string("detail"),
        tokens: try item.integer("tokens", in: 0...(.max)), stopReason: try item.string("stop_reason"),
        base: try item.outcome("base_outcome"), draws: try item.outcomes("draws"))
      guard result.draws.first.map({ $0 == outcome }) ?? true else {
        throw item.error("draws", "the first one is not the outcome")
      }
      return result
    }
  }

  package var members: [JSON.Member] {
    var members = [JSON.Member("pass_at_1", .optional(passAt(1)))]
    if let base = basePassAt1 { members.append(.init("base_pass_at_1", .number(base.value))) }
    if !passCounts.isEmpty {
      members.append(.init("pass_at_k", .object(passCounts.map { .init("\($0)", .optional(passAt($0))) })))
    }
    return members
  }

  package func check(_ reader: DocumentReader) throws {
    try reader.check("pass_at_1", passAt(1))
    try reader.check("base_pass_at_1", basePassAt1?.value)
    let counts = try reader.reader("pass_at_k")
    for k in passCounts where try counts?.number("\(k)", in: 0...1) != passAt(k) {
      throw reader.error("pass_at_k", "does not follow from the results")
    }
    try counts?.finish()
  }

  package var json: [JSON] {
    items.map { item in
      var members: [JSON.Member] = [
        .init("id", item.id.json), .init("passed", .bool(item.passed)),
        .init("outcome", .string(item.outcome.rawValue)), .init("detail", .optional(item.detail)),
        .init("tokens", .optional(item.tokens)), .init("stop_reason", .optional(item.stopReason)),
      ]
      if let base = item.base { members.append(.init("base_outcome", .string(base.rawValue))) }
      if !item.draws.isEmpty { members.append(.init("draws", .array(item.draws.map { .string($0.rawValue) }))) }
      return .object(members)
    }
  }

  /// HumanEval's.
  package static var sampleKey: String { "task_id" }

  /// The results of each of a problem's completions.
  package var samples: [[JSON.Member]] {
    items.flatMap { item in
      let outcomes = item.draws.isEmpty ? [item.outcome] : item.draws
      return outcomes.enumerated().map { place, outcome in
        var members: [JSON.Member] = [
          .init("passed", .bool(outcome == .passed)), .init("outcome", .string(outcome.rawValue)),
          .init("detail", .optional(place == 0 ? item.detail : nil)),
        ]
        if place == 0, let base = item.base { members.append(.init("base_outcome", .string(base.rawValue))) }
        return members
      }
    }
  }
}

extension DocumentReader {
  fileprivate func outcome(_ key: String) throws -> Outcome? {
    guard let word = try string(key) else { return nil }
    guard let outcome = Outcome(rawValue: word) else { throw error(key, "is not a known outcome") }
    return outcome
  }

  fileprivate func outcomes(_ key: String) throws -> [Outcome] {
    try (strings(key) ?? []).map { word in
      guard let outcome = Outcome(rawValue: word) else { throw error(key, "\"\(word)\" is not a known outcome") }
      return outcome
    }
  }
}

// MARK: Reports

extension EvaluationReport.ReportedResults {
  package static func programs(_ items: [EvaluationReport.ProgramItem]) -> Self {
    Self(ProgramSuite.ProgramResults(items))
  }

  /// What executed programs came to; nil for results of another kind.
  package var programs: [EvaluationReport.ProgramItem]? { (found as? ProgramSuite.ProgramResults)?.items }
}

extension EvaluationReport {
  private var programs: ProgramSuite.ProgramResults? { results.found as? ProgramSuite.ProgramResults }

  /// Programs that passed, of those that were executed; of several completions the first ones.
  package var passAt1: Proportion? { programs?.passAt1 }

  /// pass@k, the mean over the problems; nil with fewer than `k` completions of each.
  package func passAt(_ k: Int) -> Double? { programs?.passAt(k) }

  /// The numbers of completions that pass@k is reported for: 1, 10 and 100 as far as there are so many, and all of them.
  package var passCounts: [Int] { programs?.passCounts ?? [] }

  /// Programs that passed the base inputs; nil where there were none.
  package var basePassAt1: Proportion? { programs?.basePassAt1 }
}
