import FurlBase
import FurlModel
import FurlSpec

/// One run of a suite: who answers its problems, and how.
package struct SuiteRun: Sendable {
  /// What is in force, options of the command included.
  let settings: SuiteProtocol
  let options: Evaluator.EvaluationOptions
  let source: any CompletionSource
  /// What programs are executed in; nil where none is.
  let sandbox: Sandbox?
  let progress: Evaluator.Progress

  /// What ends the run early; nothing where problems are drawn several times, of which the first says little.
  var curtailment: Curtailment? { settings.draws == 1 ? options.curtailment : nil }
}

/// What a run gave.
package struct Scored: Sendable {
  var results: any SuiteResults
  var completions: [Completion] = []
  /// What the execution of each completion came to.
  var programs: [ProgramResult] = []
  var speculation = SpeculationCount()
  var notes: [String] = []
}
