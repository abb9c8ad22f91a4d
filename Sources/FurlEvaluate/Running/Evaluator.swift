import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer

/// Runs suites on a model: generates, executes or compares, and reports.
public struct Evaluator {
  /// How a run is done.
  public struct Options: Sendable {
    /// Only so many problems.
    public var limit: Int?
    public var overrides: ProtocolOverrides
    /// Runs generated code without a sandbox; said in the report.
    public var isUnsandboxed: Bool
    /// Completions at once.
    public var slots: Int
    /// Ends the run early; nil to put every problem.
    var curtailment: Curtailment?
    /// What the model may write for a problem, such as another model's completions. Where it chooses the same tokens they
    /// are checked in one pass instead of generated one by one; results are the same with any draft or none.
    public var drafts: [ProblemID: String] = [:]
    /// Takes the truths of lines without a draft for drafts.
    public var verifiesLines = true
    /// Puts a program's further inputs though the base ones were not answered well, so that both have verdicts.
    public var judgesApart = false
    /// Files beside the suite that a program must not see: completions, samples, a baseline.
    public var hidden: [String] = []

    public static let defaultSlots = 32

    public init(
      limit: Int? = nil, overrides: ProtocolOverrides = .init(), isUnsandboxed: Bool = false,
      slots: Int = Options.defaultSlots
    ) {
      self.limit = limit
      self.overrides = overrides
      self.isUnsandboxed = isUnsandboxed
      self.slots = slots
    }
  }

  /// What a run gave.
  public struct Outcome: Sendable {
    public let report: EvaluationReport
    /// Empty for a text.
    public let completions: [Completion]
    /// What the execution of each completion came to.
    public var programs: [ProgramResult] = []
    /// How drafts went.
    public var speculation = SpeculationCount()
  }

  /// Problems that are done, and how many there are.
  public typealias Progress = @Sendable (_ done: Int, _ total: Int) -> Void

  let options: Options
  private let progress: Progress

  public init(_ options: Options = .init(), progress: @escaping Progress = { _, _ in }) {
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
  public func run(_ suite: Suite, on subject: LoadedModel, baseline: LoadedModel? = nil) async throws -> Outcome {
    var suite = suite
    suite.protocol = try suite.protocol.applying(options.overrides)
    let settings = suite.protocol
    try settings.check(suite.problems)
    let problems = options.limit.map { suite.problems.prefix($0) } ?? suite.problems
    try settings.check(subject)
    let model = EvaluationReport.Model(
      path: subject.file.name, digest: try subject.file.digest(),
      texts: .init(
        begin: subject.tokenizer.addsBOS ? subject.tokenizer.bosID : nil, ends: subject.tokenizer.endIDs))
    let sandbox =
      suite.kind == .passAt1
      ? try self.sandbox(hiding: [suite.file, subject.file.path] + (baseline.map { [$0.file.path] } ?? [])) : nil
    // Hashing a checkpoint and finding a sandbox are no part of a model's speed.
    let clock = ContinuousClock()
    let start = clock.now
    let completions: [Completion]
    let results: EvaluationReport.Results
    var executed: [ProgramResult] = []
    var speculation = SpeculationCount()
    switch problems {
    case .programs(let programs):
      let found = try sandbox ?? self.sandbox(hiding: [suite.file])
      (completions, executed, speculation) = try await generateAndExecute(programs, settings, subject, found)
      results = try .executed(executed, completions, draws: settings.draws)
    case .lines(let lines):
      let curtailment = curtailment(settings)
      let (ended, count) = try generate(
        lines.map { Prompt(id: $0.id, text: $0.input, draft: draft(of: $0, settings)) }, settings, subject
      ) { index, completion in
        guard let curtailment else { return }
        let score = try LineScore(completion: completion.text, gt: lines[index].gt, method: settings.score)
        curtailment.found(completion.id, score)
      }
      speculation = count
      let kept = curtailment?.kept
      completions = ended.filter { kept?.contains($0.id) ?? true }
      results = try .scoring(
        completions, of: lines.filter { kept?.contains($0.id) ?? true }, method: settings.score)
    case .text(let text):
      completions = []
      results = .text(try TextScorer(settings, progress: progress).score(text, on: subject, baseline: baseline))
    }
    try subject.file.checkUnchanged(pool: subject.context.pool)
    try baseline?.file.checkUnchanged(pool: subject.context.pool)
    var report = try EvaluationReport(
      suite: suite, model: model, overrides: options.overrides.names, sandbox: sandbox?.name,
      python: sandbox?.python, seconds: (clock.now - start).inSeconds, results: results,
      isCurtailed: options.curtailment?.kept != nil)
    report.notes = ProgramNotes.notes(executed, settings)
    return Outcome(report: report, completions: completions, programs: executed, speculation: speculation)
  }

  /// Scores completions that were generated elsewhere.
  ///
  /// - Parameters:
  ///   - completions: in the order of the suite's problems; those beyond the limit are left out.
  ///   - origin: the file that they come from.
  public func score(_ completions: [Completion], of suite: Suite, origin: String) async throws -> Outcome {
    var suite = suite
    suite.protocol = try suite.protocol.applying(options.overrides)
    let problems = options.limit.map { suite.problems.prefix($0) } ?? suite.problems
    if suite.protocol.draws == 1, case .programs = problems {
      suite.protocol.draws = max(1, completions.prefix { $0.id == completions[0].id }.count)
    }
    let settings = suite.protocol
    try settings.check(suite.problems)
    let clock = ContinuousClock()
    let start = clock.now
    var notes: [String] = []
    var completions = options.limit.map { Array(completions.prefix($0 * settings.draws)) } ?? completions
    var sandbox: Sandbox?
    var executed: [ProgramResult] = []
    let results: EvaluationReport.Results
    switch problems {
    case .programs(let programs):
      let found = try self.sandbox(hiding: [suite.file])
      sandbox = found
      let runner = ProgramRunner(sandbox: found, workers: WorkerPool.availableCores)
      let repeated = programs.flatMap { Array(repeating: $0, count: settings.draws) }
      let jobs = zip(repeated, completions).map { problem, completion in
        var program = Program(problem, completion, protocol: settings)
        program.limits.judgesApart = judgesApart(settings)
        return program
      }
      let progress = progress
      executed = try await runner.run(jobs, progress: { progress($0, jobs.count) })
      results = try .executed(executed, completions, draws: settings.draws)
      notes = try await ProgramNotes.notes(executed, settings, repeated, completions, by: runner)
      completions = completions.adding(executed)
    case .lines(let lines):
      results = try .scoring(completions, of: lines, method: settings.score)
    case .text: throw FurlError(.usage, "a text has no completions", remedy: "evaluate a model on it")
    }
    var report = try EvaluationReport(
      suite: suite, model: .init(path: origin, digest: nil), overrides: options.overrides.names,
      sandbox: sandbox?.name, python: sandbox?.python, seconds: (clock.now - start).inSeconds,
      results: results)
    report.notes = notes
    return Outcome(report: report, completions: completions, programs: executed)
  }

  /// What programs are executed in, once it is certain that they cannot see what they are judged by.
  private func sandbox(hiding paths: [String]) throws -> Sandbox {
    let found = try Sandbox.detect(unsandboxed: options.isUnsandboxed)
    try found.check(areHidden: paths + options.hidden)
    return found
  }

  private func judgesApart(_ settings: SuiteProtocol) -> Bool { options.judgesApart && settings.tests == .plus }

  // MARK: Generating

  /// Programs are executed as they are completed, while the model generates the next ones.
  private func generateAndExecute(
    _ problems: [ProgramProblem], _ settings: SuiteProtocol, _ subject: LoadedModel, _ sandbox: Sandbox
  ) async throws -> ([Completion], [ProgramResult], SpeculationCount) {
    let runner = ProgramRunner(sandbox: sandbox, workers: WorkerPool.availableCores)
    var tasks: [Int: Task<ProgramResult, any Error>] = [:]
    defer { for task in tasks.values { task.cancel() } }
    let repeated = problems.flatMap { Array(repeating: $0, count: settings.draws) }
    let prompts = repeated.map { problem in
      let id = ProblemID.text(problem.taskID)
      return Prompt(id: id, text: problem.prompt, draft: options.drafts[id])
    }
    let curtailment = curtailment(settings)
    let (completions, speculation) = try generate(prompts, settings, subject) {
      let id = $1.id
      var program = Program(repeated[$0], completion: $1.text, protocol: settings)
      program.limits.judgesApart = judgesApart(settings)
      tasks[$0] = runner.submit(program) { result in
        curtailment?.found(id, passed: result.outcome == .passed)
      }
    }
    var results: [ProgramResult] = []
    let needed = curtailment?.kept
    for index in repeated.indices where needed?.contains(prompts[index].id) ?? true {
      guard let task = tasks[index] else { throw FurlError(.defect, "a problem was not completed") }
      results.append(try await task.value)
    }
    // The last programs may have settled it after the last completion.
    _ = try curtailment?.isSettled()
    let kept = curtailment?.kept
    results.removeAll { !(kept?.contains($0.id) ?? true) }
    let own = completions.filter { kept?.contains($0.id) ?? true }
    return (own.adding(results), results, speculation)
  }

  /// What ends a run early; nothing where problems are drawn several times, of which the first says little.
  private func curtailment(_ settings: SuiteProtocol) -> Curtailment? {
    settings.draws == 1 ? options.curtailment : nil
  }

  /// What the model is to continue.
  private struct Prompt {
    let id: ProblemID
    let text: String
    /// What it may write.
    let draft: String?
  }

  /// Nil for none. Another model's completion comes before the truth: what the model is likely to write is what is looked
  /// for, right or wrong. A truth is the rest of a line, whose end belongs to what is checked.
  private func draft(of line: LineProblem, _ settings: SuiteProtocol) -> String? {
    if let draft = options.drafts[line.id] { return draft + (settings.stop.contains("<EOL>") ? "<EOL>" : "") }
    return options.verifiesLines ? " \(line.gt) <EOL>" : nil
  }

  private func generate(
    _ prompts: [Prompt], _ settings: SuiteProtocol, _ subject: LoadedModel,
    onCompletion: (Int, Completion) throws -> Void
  ) throws -> ([Completion], SpeculationCount) {
    let contextLength = settings.context ?? subject.model.spec.contextLength
    guard settings.maxTokens < contextLength else {
      throw FurlError(
        .usage, "max_tokens \(settings.maxTokens) leaves no room for a prompt in a context of \(contextLength)",
        remedy: "lower max_tokens")
    }
    let requests = try prompts.enumerated().map { index, prompt in
      let text = settings.prompt(prompt.text)
      let ids = try subject.encode(text, bos: settings.bos.policy)
      var request = GenerationRequest(
        ids: ids, maxTokens: settings.maxTokens, stops: settings.stop, sampling: settings.sampling(index)
      ).cut(toContext: contextLength)
      request.endsAtEndOfText = settings.eos != .pass
      if let draft = prompt.draft, settings.temperature == 0 {
        // Tokens of a text that goes on may be others than those of its parts.
        let whole = subject.tokenizer.encode(text + draft, bos: settings.bos.policy)
        let rest =
          whole.starts(with: ids) ? Array(whole.dropFirst(ids.count)) : subject.tokenizer.encode(draft, bos: .never)
        // What has no row cannot come.
        request.draft = Array(rest.prefix { $0 < subject.model.spec.vocabularySize })
      }
      return request
    }
    func endText(_ generation: Generation) -> String {
      guard settings.eos == .keep, let id = generation.endID else { return "" }
      return subject.tokenizer.decode([id], skippingSpecial: false)
    }
    if let empty = requests.firstIndex(where: { $0.ids.isEmpty }) {
      throw FurlError.input(nil, prompts[empty].id.description, "the prompt is empty", remedy: "set bos: always")
    }
    let session = try subject.session(
      slots: min(options.slots, max(1, prompts.count)),
      contextLength: min(contextLength, requests.map { $0.ids.count + $0.maxTokens }.max() ?? contextLength))
    var completions = [Completion?](repeating: nil, count: prompts.count)
    var done = 0
    // Long prompts first: the batch stays full to the end. Results do not depend on the order.
    let curtailment = curtailment(settings)
    let rank = prompts.map { curtailment?.first.contains($0.id) ?? true ? 0 : 1 }
    let order = requests.indices.sorted {
      (rank[$0], -requests[$0].ids.count, $0) < (rank[$1], -requests[$1].ids.count, $1)
    }
    let generator = Generator(session: session, tokenizer: subject.tokenizer)
    func end(_ place: Int, _ generation: Generation) throws {
      let index = order[place]
      let completion = Completion(
        id: prompts[index].id, text: generation.text + endText(generation),
        tokens: generation.tokenCount, stopReason: generation.stopReason.rawValue)
      completions[index] = completion
      try Task.checkCancellation()
      curtailment?.ended(completion.id)
      try onCompletion(index, completion)
      done += 1
      progress(done, prompts.count)
      if try curtailment?.isSettled() == true { throw Curtailment.Settled() }
    }
    do {
      try generator.run(order.map { requests[$0] }, onCompletion: end)
    } catch is Curtailment.Settled {
      curtailment?.stopped(begun: min(prompts.count, done + session.slots - 1))
    }
    return (completions.compactMap { $0 }, generator.speculation)
  }
}

extension SuiteProtocol {
  /// Refuses what a model cannot do, so that a report never says what was not done.
  ///
  /// - Throws: ``FurlError`` of kind `usage`.
  fileprivate func check(_ subject: LoadedModel) throws {
    let longest = subject.model.spec.contextLength
    if let context, context > longest {
      throw FurlError(
        .usage, file: subject.file.path, "a context of \(context) is longer than the model's \(longest)",
        remedy: "lower context in the suite card or with --context")
    }
    if bos == .always, subject.tokenizer.bosID == nil {
      throw FurlError(
        .usage, file: subject.file.path, "its tokenizer has no begin-of-text token", remedy: "set bos: auto")
    }
  }
}

extension SuiteProtocol {
  /// How the tokens of the completion at a place are chosen: each has draws of its own, whatever else is generated.
  fileprivate func sampling(_ index: Int) -> Sampling {
    guard temperature > 0 else { return .greedy }
    var seeds = SplitMix64(seed: UInt64(seed), skipping: UInt64(index))
    return Sampling(temperature: temperature, topP: topP, seed: seeds.next())
  }
}

extension [Completion] {
  /// The same with what was executed in their place, where programs were cut down first.
  fileprivate func adding(_ results: [ProgramResult]) -> [Completion] {
    zip(self, results).map { completion, result in
      var completion = completion
      completion.solution = result.solution ?? completion.solution
      return completion
    }
  }
}

extension SuiteProtocol.BeginToken {
  /// What the tokenizer is asked for.
  var policy: Tokenizer.BOS {
    switch self {
    case .auto: .auto
    case .always: .always
    case .never: .never
    }
  }
}

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
