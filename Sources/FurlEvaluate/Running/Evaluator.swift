import FurlBase
package import FurlModel
package import FurlSpec

/// Runs suites on a model: generates, executes or compares, and reports.
package struct Evaluator {
  /// How a run is done.
  package struct EvaluationOptions: Sendable {
    /// Only so many problems.
    package var limit: Int?
    package var overrides: ProtocolOverrides
    /// Runs generated code without a sandbox; said in the report.
    package var isUnsandboxed: Bool
    /// Completions at once.
    package var slots: Int
    /// Ends the run early; nil to put every problem.
    var curtailment: Curtailment?
    /// What the model may write for a problem, such as another model's completions. Where it chooses the same tokens they
    /// are checked in one pass instead of generated one by one; results are the same with any draft or none.
    package var drafts: [ProblemID: String] = [:]
    /// Takes the truths of lines without a draft for drafts.
    package var verifiesLines = true
    /// Puts a program's further inputs though the base ones were not answered well, so that both have verdicts.
    package var judgesApart = false
    /// Files beside the suite that a program must not see: completions, samples, a baseline.
    package var hidden: [String] = []

    package static let defaultSlots = 32

    package init(
      limit: Int? = nil, overrides: ProtocolOverrides = .init(), isUnsandboxed: Bool = false,
      slots: Int = EvaluationOptions.defaultSlots
    ) {
      self.limit = limit
      self.overrides = overrides
      self.isUnsandboxed = isUnsandboxed
      self.slots = slots
    }
  }

  /// What a run gave.
  package struct EvaluationOutcome: Sendable {
    package let report: EvaluationReport
    /// Empty for a text.
    package let completions: [Completion]
    /// What the execution of each completion came to.
    package var programs: [ProgramResult] = []
    /// How drafts went.
    package var speculation = SpeculationCount()
  }

  /// Problems that are done, and how many there are.
  package typealias Progress = @Sendable (_ done: Int, _ total: Int) -> Void

  let options: EvaluationOptions
  private let progress: Progress

  package init(_ options: EvaluationOptions = .init(), progress: @escaping Progress = { _, _ in }) {
    self.options = options
    self.progress = progress
  }

  /// The same evaluator, which ends a run as soon as its gates are settled.
  func curtailed(by curtailment: Curtailment?) -> Evaluator {
    var options = options
    options.curtailment = curtailment
    return Evaluator(options, progress: progress)
  }

  /// The same evaluator with other drafts.
  func drafting(_ drafts: [ProblemID: String]) -> Evaluator {
    var options = options
    options.drafts = drafts
    return Evaluator(options, progress: progress)
  }

  /// Runs a suite on a model.
  ///
  /// - Parameter baseline: of a text, the model that the KL divergence is measured from.
  /// - Throws: ``FurlError``: `unavailable` where code cannot be executed safely.
  package func run(_ suite: Suite, on subject: LoadedModel, baseline: LoadedModel? = nil) async throws
    -> EvaluationOutcome
  {
    try await run(suite, from: ModelCompletions(subject: subject, baseline: baseline))
  }

  /// Scores completions that were generated elsewhere.
  ///
  /// - Parameters:
  ///   - completions: in the order of the suite's problems; those beyond the limit are left out.
  ///   - origin: the file that they come from.
  package func score(_ completions: [Completion], of suite: Suite, origin: String) async throws -> EvaluationOutcome {
    try await run(suite, from: GivenCompletions(completions: completions, origin: origin))
  }

  private func run(_ suite: Suite, from source: any CompletionSource) async throws -> EvaluationOutcome {
    var suite = suite
    suite.protocol = source.adapting(try suite.protocol.applying(options.overrides))
    try suite.problems.content.check(suite.protocol)
    try source.check(suite.protocol)
    let model = try source.model()
    let problems = options.limit.map { suite.problems.prefix($0) } ?? suite.problems
    let run = SuiteRun(
      settings: suite.protocol, options: options, source: source,
      sandbox: suite.kind.type.executes ? try sandbox(hiding: [suite.file] + source.files) : nil, progress: progress)
    // Hashing a checkpoint and finding a sandbox are no part of a model's speed.
    let clock = ContinuousClock()
    let start = clock.now
    let scored = try await problems.content.score(run)
    let seconds = (clock.now - start).inSeconds
    try source.checkUnchanged()
    var report = try EvaluationReport(
      suite: suite, model: model, overrides: options.overrides.names, sandbox: run.sandbox?.name,
      python: run.sandbox?.python, seconds: seconds, results: .init(scored.results),
      isCurtailed: run.curtailment?.kept != nil)
    report.notes = scored.notes
    return EvaluationOutcome(
      report: report, completions: scored.completions, programs: scored.programs, speculation: scored.speculation)
  }

  /// What programs are executed in, once it is certain that they cannot see what they are judged by.
  private func sandbox(hiding paths: [String]) throws -> Sandbox {
    let found = try Sandbox.detect(unsandboxed: options.isUnsandboxed)
    try found.check(areHidden: paths + options.hidden)
    return found
  }
}

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
