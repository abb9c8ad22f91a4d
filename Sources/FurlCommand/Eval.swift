import ArgumentParser
import FurlBase
import FurlEvaluate
import FurlModel
import FurlReport

struct Eval: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures quality: pass@1, exact match and edit similarity, or perplexity.",
    discussion: """
      furl eval minipy-int8.furl --suite checkpoints/minipy/minieval.yaml
      furl eval minipy-int8.furl --suite checkpoints/minipy/lines.yaml --json
      furl eval minipy-int8.furl --suite checkpoints/minipy/validation.yaml \\
        --baseline checkpoints/minipy
      furl eval model.furl --suite HumanEvalPlus.jsonl.gz --samples out.jsonl
      furl eval --suite HumanEvalPlus.jsonl.gz --completions out.jsonl

      A problem file (HumanEval, HumanEval+, MBPP, MBPP+, CodeXGLUE lines; .gz too) is put by its kind's usual protocol, \
      or by --protocol; suites/ holds the published ones. Generated code runs in a sandbox (bubblewrap) and never sees the \
      expected values.
      """)

  @Argument(help: "A checkpoint folder or an artifact; none with --completions.", completion: .file())
  var path: String?

  @Option(
    help: ArgumentHelp("A suite card, or a bare problem file with its kind's usual protocol.", valueName: "card"),
    completion: .file())
  var suite: String

  @Option(
    name: .customLong("protocol"),
    help: ArgumentHelp("Put the problem file of --suite by this card's protocol.", valueName: "card"),
    completion: .file())
  var protocolCard: String?

  @Option(help: ArgumentHelp("Keep every completion and its result.", valueName: "out.jsonl"), completion: .file())
  var samples: String?

  @Option(
    help: ArgumentHelp(
      "Of HumanEval+ and MBPP+: keep the verdicts in the form of EvalPlus's eval_results.json.", valueName: "out.json"),
    completion: .file())
  var evalResults: String?

  @Option(
    help: ArgumentHelp("Score these completions (task_id, completion) instead of generating.", valueName: "in.jsonl"),
    completion: .file())
  var completions: String?

  @Option(help: ArgumentHelp("Only so many problems.", valueName: "n"))
  var limit: Int?

  @Option(
    help: ArgumentHelp("The most problems at once. Memory and time depend on it, results do not.", valueName: "n"))
  var slots = Evaluator.EvaluationOptions.defaultSlots

  @Option(
    help: ArgumentHelp("Of a text: report the KL divergence from this model.", valueName: "path"), completion: .file())
  var baseline: String?

  @Option(
    help: ArgumentHelp(
      "Completions of another model (--samples): what agrees is checked at once, not generated. Same results.",
      valueName: "in.jsonl"), completion: .file())
  var drafts: String?

  @Flag(
    inversion: .prefixedNo,
    help: "Check the truths of lines at once before anything is generated. Time depends on it, results do not.")
  var verifyLines = true

  @Flag(help: "Read the first plane alone of codes in two planes (nested8): the model that drafts for the whole.")
  var firstPlane = false

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  @OptionGroup var suiteSettings: SuiteOptions
  @OptionGroup var settings: ProtocolOptions
  @OptionGroup var weights: WeightsOptions
  @OptionGroup var compute: ComputeOptions

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more.") }
    guard slots >= 1 else { throw ValidationError("--slots must be 1 or more.") }
    guard path != nil || completions != nil else {
      throw ValidationError("A checkpoint or an artifact is needed, or --completions.")
    }
    if let samples, samples == evalResults {
      throw ValidationError("--samples and --eval-results need a file each.")
    }
  }

  func run() async throws {
    let models = [try path.map(weights.path), baseline].compactMap { $0 }
    try Overwriting.check(
      [("--samples", samples), ("--eval-results", evalResults)],
      over: [protocolCard, completions, drafts].compactMap { $0 } + Suite.filesRead(at: self.suite)
        + models.flatMap { ModelFile.filesRead(at: $0) })
    let suite = try protocolCard.map { try Suite(problems: self.suite, protocolOf: $0) } ?? Suite(path: self.suite)
    let samplesFile = try samples.map { try TextOutput(path: $0) }
    if evalResults != nil { try EvalResults.check(suite) }
    let evalResultsFile = try evalResults.map { try TextOutput(path: $0) }
    if baseline != nil, !suite.kind.type.readsBaseline {
      throw FurlError(
        .usage, file: "--baseline", "only a text is compared here", remedy: "use verify with max_drop gates")
    }
    var overrides = settings.overrides
    suiteSettings.apply(to: &overrides)
    var options = Evaluator.EvaluationOptions(
      limit: limit, overrides: overrides, isUnsandboxed: settings.unsandboxed, slots: slots)
    options.verifiesLines = verifyLines
    options.judgesApart = evalResults != nil
    options.hidden = [self.suite, protocolCard, completions, samples, evalResults, baseline, drafts].compactMap { $0 }
    let problems = limit.map { suite.problems.prefix($0) } ?? suite.problems
    if let drafts {
      let given = try Samples.completions(path: drafts, of: problems, in: suite.problems)
      options.drafts = Dictionary(given.map { ($0.id, $0.text) }) { first, _ in first }
    }
    let evaluator = settings.evaluator(options, label: suite.name)
    let outcome: Evaluator.EvaluationOutcome
    if let completions {
      let draws = try suite.protocol.applying(overrides).draws
      let given = try Samples.completions(
        path: completions, of: problems, in: suite.problems, draws: draws > 1 ? draws : nil)
      outcome = try await evaluator.score(
        given, of: suite, origin: URL(fileURLWithPath: completions).lastPathComponent)
    } else {
      let whole = try compute.load(weights.path(path ?? ""))
      let subject = firstPlane ? try whole.inFirstPlanes() : whole
      let other = try baseline.map { try LoadedModel(path: $0, context: subject.context) }
      outcome = try await evaluator.run(suite, on: subject, baseline: other)
    }
    Terminal.clearProgress()
    try samplesFile?.write(Samples.text(outcome.report.results, outcome.completions))
    try evalResultsFile?.write(EvalResults.text(outcome, of: suite))
    for note in outcome.report.notes { Terminal.log("furl: \(note)") }
    if json {
      Terminal.print(outcome.report.json)
    } else {
      Terminal.print(QualityText.lines(outcome.report).joined(separator: "\n"))
    }
  }
}
