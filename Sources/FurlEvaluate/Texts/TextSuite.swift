import FurlBase
package import FurlSpec

/// One text: perplexity, and KL divergence beside a baseline.
package struct TextSuite: SuiteType {
  package let text: String

  package init(_ text: String) { self.text = text }

  // MARK: The kind

  package static let kind = SuiteKind.text
  package static let figures = [
    SuiteFigure(
      .perplexity, "perplexity", heading: "perplexity", unit: .number, basis: .losses, comparison: .ratio),
    SuiteFigure(.klDivergence, "KL divergence", heading: "KL", unit: .number, basis: .lockstep),
    SuiteFigure(.sameTop, "same likeliest token", heading: nil, unit: .share, basis: .lockstep),
  ]
  package static let keys = ["bos", "context"]
  package static let laterKeys = ["chunking"]
  package static let hasProblems = false
  package static let readsBaseline = true
  package static let answer: (key: String, right: String, wrong: String)? = nil

  package static func setDefaults(_ settings: inout SuiteProtocol) { settings.context = 512 }

  // MARK: Reading

  package static let form: String? = nil

  package static func takes(_ keys: Set<String>?) -> Bool { keys == nil }

  package init(_ bytes: [UInt8], file: String) throws {
    guard let text = String(validating: bytes[ProblemFile.mark(bytes)...], as: UTF8.self), !text.isEmpty else {
      throw FurlError.input(file, bytes.isEmpty ? "is empty" : "is not UTF-8")
    }
    self.text = text
  }

  // MARK: The problems

  package var count: Int { 1 }
  package var ids: [ProblemID] { [] }
  package var shown: [ShownProblem] { [] }

  package func prefix(_ count: Int) -> TextSuite { self }

  package func cost(_ settings: SuiteProtocol) -> Int { text.utf8.count / 32 }

  // MARK: Scoring

  package func score(_ run: SuiteRun) throws -> Scored {
    guard let models = run.source.models else {
      throw FurlError(.usage, "a text has no completions", remedy: "evaluate a model on it")
    }
    let scorer = TextScorer(run.settings, progress: run.progress)
    return Scored(results: try scorer.score(text, on: models.subject, baseline: models.baseline))
  }

  package static func weakness(of gate: Gate, baseline: EvaluationReport?, vocabularySize: Int) -> String? {
    guard gate.metric == .perplexity else { return nil }
    if let max = gate.max, max >= Double(vocabularySize) {
      return "max \(max) holds for a model that guesses among its \(vocabularySize) tokens"
    }
    if let maxRise = gate.maxRise, let before = baseline?.perplexity, before * (1 + maxRise) >= Double(vocabularySize) {
      return "max_rise \(maxRise) holds for a model that guesses among its \(vocabularySize) tokens: the baseline's "
        + "perplexity is \(GateCheck.short(before))"
    }
    return nil
  }
}

extension Problems {
  package static func text(_ text: String) -> Problems { Problems(TextSuite(text)) }

  /// The text; nil for problems of another kind.
  package var text: String? { (content as? TextSuite)?.text }
}
