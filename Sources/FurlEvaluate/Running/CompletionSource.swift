import FurlBase
package import FurlModel
import FurlSpec

/// Where the completions of a run come from: a model that generates them, or a file.
package protocol CompletionSource: Sendable {
  /// Who is said to have written them.
  func model() throws -> EvaluationReport.EvaluatedModel
  /// Files that a program must not see.
  var files: [String] { get }
  /// Whether they are there from the start, so that scoring them is all that takes time.
  var isGiven: Bool { get }
  /// The models that read a text; nil where there is none.
  var models: (subject: LoadedModel, baseline: LoadedModel?)? { get }
  /// A protocol with what the source knows better.
  func adapting(_ settings: SuiteProtocol) -> SuiteProtocol
  /// Refuses what the source cannot do, so that a report never says what was not done.
  func check(_ settings: SuiteProtocol) throws
  /// Answers prompts.
  ///
  /// - Parameter onCompletion: called with each prompt's place and completion, in the order in which they end.
  func complete(
    _ prompts: [CompletionPrompt], _ run: SuiteRun, onCompletion: (Int, Completion) throws -> Void
  ) throws -> Written
  /// Refuses to have read files that have changed meanwhile.
  func checkUnchanged() throws
}

/// What a model is to continue.
package struct CompletionPrompt: Sendable {
  let id: ProblemID
  let text: String
  /// What it may write.
  let draft: String?
}

/// What became of prompts.
package struct Written: Sendable {
  /// Place by place; nil where the run ended before.
  let completions: [Completion?]
  /// How drafts went.
  var speculation = SpeculationCount()

  /// Those that count, with their places.
  ///
  /// - Parameter ids: the problems that a run rests on; nil for all.
  func kept(_ ids: Set<ProblemID>?) -> [(place: Int, completion: Completion)] {
    completions.enumerated().compactMap { place, completion in
      completion.flatMap { ids?.contains($0.id) ?? true ? (place, $0) : nil }
    }
  }
}

/// Completions that were generated elsewhere.
struct GivenCompletions: CompletionSource {
  /// In the order of the suite's problems; those beyond a limit are left out.
  let completions: [Completion]
  /// The file that they come from.
  let origin: String

  func model() -> EvaluationReport.EvaluatedModel { .init(path: origin, digest: nil) }

  var files: [String] { [] }
  var isGiven: Bool { true }
  var models: (subject: LoadedModel, baseline: LoadedModel?)? { nil }

  /// How many each problem has is what the file shows.
  func adapting(_ settings: SuiteProtocol) -> SuiteProtocol {
    guard settings.draws == 1, settings.kind.type.laterKeys.contains("draws") else { return settings }
    var settings = settings
    settings.draws = max(1, completions.prefix { $0.id == completions[0].id }.count)
    return settings
  }

  func check(_ settings: SuiteProtocol) {}

  func complete(
    _ prompts: [CompletionPrompt], _ run: SuiteRun, onCompletion: (Int, Completion) throws -> Void
  ) throws -> Written {
    guard run.options.limit != nil || completions.count <= prompts.count else {
      throw FurlError(.defect, "more completions than problems")
    }
    let own = Array(completions.prefix(prompts.count))
    for (place, completion) in own.enumerated() {
      guard completion.id == prompts[place].id else {
        throw FurlError(.defect, "completion \(completion.id) is not of problem \(prompts[place].id)")
      }
      try onCompletion(place, completion)
    }
    return Written(completions: own)
  }

  func checkUnchanged() {}
}
