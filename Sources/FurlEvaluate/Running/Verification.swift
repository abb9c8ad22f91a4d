import FurlArtifact
import FurlBase
import FurlModel
import FurlSpec
import FurlTensor

/// Holds an artifact to gates: digests first, then every suite that a gate names.
public struct Verification {
  private let weights: ArtifactWeights
  private let file: ModelFile
  private let gates: [Gate]
  private let gatesFrom: String
  private let gatesDigest: Digest?
  private let suites: [String: Suite]
  private let baseline: Baseline?
  private let context: ComputeContext
  private let format: KeyValueCache.Format?

  /// Opens everything and finds every suite, so that nothing is missing once measuring begins.
  ///
  /// - Parameters:
  ///   - artifact: the path of the artifact.
  ///   - gates: a gate file; nil for the gates of the artifact's recipe.
  ///   - suites: `name=card` for suites that do not lie beside the baseline.
  ///   - baseline: the checkpoint that the artifact was made from, or a report on it.
  /// - Throws: ``FurlError``: `usage` when there is nothing to verify or something is not given, `input` when the
  ///   baseline is not the artifact's source.
  public init(
    artifact: String, gates: String?, suites: [String], baseline: String?, context: ComputeContext,
    format: KeyValueCache.Format?
  ) throws {
    file = try ModelFile(path: artifact)
    guard case .artifact(let weights) = file else {
      throw FurlError(.usage, file: artifact, "is not an artifact", remedy: "verify holds .furl files to their gates")
    }
    self.weights = weights
    self.context = context
    self.format = format
    let found = try gates.map { try Gate.read(path: $0) } ?? Verification.recipeGates(weights.artifact)
    gatesFrom = gates ?? "recipe"
    gatesDigest = try gates.map { Digest(of: try MappedFile(path: $0)) }
    guard !found.isEmpty else {
      throw FurlError(
        .usage, file: artifact, "its recipe has no gates, so there is nothing to verify", remedy: "give --gates G.yaml")
    }
    if let gate = found.first(where: \.needsBaseline), baseline == nil {
      throw FurlError(
        .usage, "the gate on \(gate.title) compares with a baseline",
        remedy: "give --baseline with the checkpoint that the artifact was made from")
    }
    let opened = try baseline.map { [file] in try Baseline(path: $0, source: file) }
    if let gate = found.first(where: \.needsBaselineModel), opened?.isModel == false { throw gate.lockstepError }
    let bytes = (
      artifact: file.diskBytes,
      source: weights.artifact.description.lineage.reduce(0) { $0.addingReportingOverflow($1.bytes).partialValue }
    )
    for gate in found {
      try gate.refuseWeakness(
        baseline: nil, vocabularySize: weights.spec.vocabularySize, bytes: bytes, file: gates ?? artifact)
    }
    self.suites = try Verification.find(found, given: suites, folder: opened?.folder)
    self.gates = found
    self.baseline = opened
  }

  private static func recipeGates(_ artifact: Artifact) throws -> [Gate] {
    let text = artifact.description.recipe.text
    let reader = try DocumentReader(JSON.parse(Array(text.utf8), file: artifact.path), file: artifact.path)
    return try Gate.parse(from: reader)
  }

  private static func find(_ gates: [Gate], given: [String], folder: String?) throws -> [String: Suite] {
    var cards: [String: String] = [:]
    for text in given {
      guard let cut = text.firstIndex(of: "="), cut != text.startIndex else {
        throw FurlError(.usage, file: "--suite", "\"\(text)\" is not NAME=CARD")
      }
      let name = String(text[..<cut])
      guard text.index(after: cut) != text.endIndex else {
        throw FurlError(.usage, file: "--suite", "\"\(text)\" names no card")
      }
      guard cards.updateValue(String(text[text.index(after: cut)...]), forKey: name) == nil else {
        throw FurlError(.usage, file: "--suite", "\"\(name)\" is given twice")
      }
    }
    if let unused = cards.keys.sorted().first(where: { name in !gates.contains { $0.suite == name } }) {
      throw FurlError(.usage, file: "--suite", "no gate is about a suite named \"\(unused)\"")
    }
    var suites: [String: Suite] = [:]
    for name in Set(gates.map(\.suite)).sorted() where !name.isEmpty {
      guard let card = cards[name] ?? folder.flatMap({ Suite.card(named: name, in: $0) }) else {
        throw FurlError(
          .usage, "the suite \"\(name)\" of a gate is not found", remedy: "give --suite \(name)=CARD.yaml")
      }
      let suite = try Suite(path: card)
      guard suite.name == name else {
        throw FurlError(
          .usage, file: card, "is the card of a suite named \"\(suite.name)\", not \"\(name)\"",
          remedy: "a gate is held on the suite that it names")
      }
      suites[name] = suite
    }
    return suites
  }

  /// The files that a verification reads, as far as can be told without opening more than gates and cards: the artifact,
  /// gates, the baseline's, and those of every suite that is given or lies beside the baseline.
  ///
  /// - Parameters: those of ``init(artifact:gates:suites:baseline:context:format:)``.
  public static func filesRead(artifact: String, gates: String?, suites: [String], baseline: String?) -> [String] {
    var files = [artifact, gates].compactMap { $0 }
    var cards = suites.map { text in String(text.drop { $0 != "=" }.dropFirst()) }
    if let baseline {
      files += ModelFile.filesRead(at: baseline)
      let read = try? gates.map { try Gate.read(path: $0) } ?? recipeGates(Artifact(path: artifact))
      if let folder = Baseline.folder(of: baseline) {
        cards += Set((read ?? []).map(\.suite)).compactMap { Suite.card(named: $0, in: folder) }
      }
    }
    return files + cards.flatMap { Suite.filesRead(at: $0) }
  }

  /// Re-reads the whole artifact and holds every byte against its digests.
  public func checkDigests(progress: (Int, Int) -> Void) throws {
    try weights.artifact.check(parallelFor: context.pool.forEach, progress: progress)
  }

  /// How a verification is done.
  public struct Options: Sendable {
    /// Puts every problem of every suite, though verdicts are settled earlier.
    public var isComplete: Bool
    /// Where results of baselines are kept; nil to measure them anew.
    public var cache: BaselineCache?
    /// Takes the baseline's completions for drafts of the artifact's, as ``Evaluator/Options/drafts``: a compressed model
    /// writes what its source does for the most part. They are texts, which the artifact's own tokenizer cuts up, so nothing
    /// has to agree. How early a run ends may depend on it, since completions end in another order, and with that what is
    /// said of a suite's other gates once one has failed; whether all gates hold does not.
    ///
    /// For any number of slots: a token that is checked costs no more than one that is generated, and nearly all come true.
    /// Processor time of minipy in int8 at 32 slots: 16 % less on minieval; 5 % less on lines, which have their truths for
    /// drafts otherwise. At 8 slots minieval takes 54 % less.
    public var draftsFromBaseline: Bool

    public init(isComplete: Bool = false, cache: BaselineCache? = nil, draftsFromBaseline: Bool = true) {
      self.isComplete = isComplete
      self.cache = cache
      self.draftsFromBaseline = draftsFromBaseline
    }
  }

  /// Runs every suite once on the artifact, and on the baseline where a gate compares, and holds the gates: what is cheap
  /// first. A suite ends when its gates are settled, whatever the rest would give, and the first gate that does not hold
  /// ends everything.
  ///
  /// - Parameter evaluator: makes the evaluator of a run from its label.
  public func run(_ options: Options = .init(), _ evaluator: (String) -> Evaluator) async throws -> GateReport {
    var progress = VerificationProgress(gates, suites: suites, isComplete: options.isComplete)
    var evidence = GateReport.Evidence(artifactID: weights.artifact.id, gatesDigest: gatesDigest)
    for gate in gates where gate.metric == .diskBytes { progress.add(gate.check(diskBytes: file.diskBytes)) }
    var loaded: LoadedModel?
    for suite in progress.order {
      let own = gates.filter { $0.suite == suite.name }
      if progress.hasFailed {
        progress.skip(suite, own)
        continue
      }
      let subject = try loaded ?? LoadedModel(file: file, context: context, format: format)
      loaded = subject
      if suite.kind.type.readsBaseline {
        // Two models read a text in lockstep, which gives the baseline's figures as well.
        let partner = own.contains(where: \.needsBaseline) ? try baseline?.load(context: context) : nil
        let report = try await evaluator(suite.name).run(suite, on: subject, baseline: partner).report
        var other = try partner.flatMap { try report.ofBaseline(.init(path: $0.file.name, digest: $0.file.digest())) }
        if partner == nil, own.contains(where: \.needsBaseline) { other = try baseline?.stored(suite, like: report) }
        evidence.baseline = other?.model ?? evidence.baseline
        try refuseWeakness(own, baseline: other)
        evidence.add(report, baseline: other)
        progress.add(try own.flatMap { try $0.check(report, baseline: other) })
        continue
      }
      var run = evaluator(suite.name)
      var other: EvaluationReport?
      if own.contains(where: \.needsBaseline), let baseline {
        let found = try await baseline.report(suite, by: run, cache: options.cache, context: context) {
          evaluator("\(suite.name) of the baseline")
        }
        progress.savings.add(found, suite)
        other = found.report
        evidence.baseline = other?.model
        // The first few problems may all be ones that the baseline does not solve.
        if run.options.limit == nil { try refuseWeakness(own, baseline: other) }
        if options.draftsFromBaseline { run = run.drafting(found.completions) }
      }
      let curtailment = try progress.curtailment(suite, own, baseline: other, limit: run.options.limit)
      let outcome = try await run.curtailed(by: curtailment).run(suite, on: subject)
      let report = outcome.report
      evidence.add(report, baseline: other)
      if let curtailment {
        let (checks, hasFailed) = try curtailment.verdicts()
        progress.add(checks, hasFailed: hasFailed)
      } else {
        progress.add(try own.flatMap { try $0.check(report, baseline: other) })
      }
      progress.savings.add(outcome, begun: curtailment?.begun)
    }
    // No suite may have looked at it, and the last look of one that did was at another time.
    try file.checkUnchanged(pool: context.pool)
    try baseline?.checkUnchanged(pool: context.pool)
    return try GateReport(
      artifact: file.path, gatesFrom: gatesFrom, checks: progress.inOrder(of: gates).corrected(), evidence: evidence,
      savings: progress.savings)
  }
}

extension Verification {
  /// Refuses gates that the baseline's report shows to be weak.
  private func refuseWeakness(_ gates: [Gate], baseline: EvaluationReport?) throws {
    for gate in gates {
      try gate.refuseWeakness(
        baseline: baseline, vocabularySize: weights.spec.vocabularySize,
        file: gatesFrom == "recipe" ? file.path : gatesFrom)
    }
  }
}

/// What an artifact is compared with: the checkpoint that it was made from, or reports on that.
struct Baseline {
  private enum Source {
    case model(ModelFile)
    case reports([EvaluationReport])
  }

  private let source: Source
  private let path: String

  /// - Throws: ``FurlError`` of kind `input` when it is not what `artifact` was made from.
  init(path: String, source artifact: ModelFile) throws {
    self.path = path
    let wanted = try artifact.sourceDigest()
    if Baseline.isReport(path) {
      let reports = try Baseline.reports(path: path)
      let own = reports.filter { $0.model.digest == wanted }
      guard !own.isEmpty else {
        throw FurlError.input(
          path, "holds no report on the checkpoint that \(artifact.name) was made from",
          remedy: "its digest is \(wanted)")
      }
      source = .reports(own)
      return
    }
    let model = try ModelFile(path: path)
    guard case .checkpoint = model, try model.sourceDigest() == wanted else {
      throw FurlError.input(
        path, "is not the checkpoint that \(artifact.name) was made from",
        remedy: "inspect both and compare their files' sha256")
    }
    source = .model(model)
  }

  private static func isReport(_ path: String) -> Bool { path.hasSuffix(".json") && !path.contains(".index.") }

  /// The folder that suite cards may lie in, of a path that is not opened; nil for a report.
  static func folder(of path: String) -> String? {
    if isReport(path) { return nil }
    return FileNames.isFolder(path) == true ? path : path.folderPath
  }

  /// A report of `eval`, or all those in a report of `bench`.
  private static func reports(path: String) throws -> [EvaluationReport] {
    let json = try JSON.parse(MappedFile(path: path).readAll(limit: 256 << 20), file: path)
    guard let rows = json["results"]?.array, json["suite"] == nil else {
      return [try EvaluationReport(json, file: path)]
    }
    return try rows.flatMap { $0["quality"]?.array ?? [] }.map { try EvaluationReport($0, file: path) }
  }

  func checkUnchanged(pool: WorkerPool) throws {
    if case .model(let file) = source { try file.checkUnchanged(pool: pool) }
  }

  /// Whether it is the checkpoint itself.
  var isModel: Bool { if case .model = source { true } else { false } }

  /// The checkpoint in memory; nil when there are only reports on it.
  func load(context: ComputeContext) throws -> LoadedModel? {
    guard case .model(let file) = source else { return nil }
    return try LoadedModel(path: file.path, context: context)
  }

  /// The folder that suite cards may lie in.
  var folder: String? { if case .model(let file) = source { file.folder } else { nil } }

  /// Where a report on the baseline came from.
  enum Found {
    case given(EvaluationReport)
    case cached(BaselineCache.Entry)
    case measured(BaselineCache.Entry)

    var report: EvaluationReport {
      switch self {
      case .given(let report): report
      case .cached(let entry), .measured(let entry): entry.report
      }
    }

    /// What the baseline wrote; nothing where a report was given, which does not hold it.
    var completions: [ProblemID: String] {
      switch self {
      case .given: [:]
      case .cached(let entry), .measured(let entry): entry.completions
      }
    }
  }

  /// The report on a suite among those that were given.
  func stored(_ suite: Suite, like report: EvaluationReport) throws -> EvaluationReport {
    try stored(suite, report.protocol)
  }

  private func stored(_ suite: Suite, _ settings: SuiteProtocol) throws -> EvaluationReport {
    guard case .reports(let reports) = source,
      let found = reports.first(where: { $0.suite.sha256 == suite.sha256 && $0.protocol == settings })
    else {
      throw FurlError.input(path, "holds no report on suite \(suite.name) under the same protocol")
    }
    return found
  }

  /// The baseline's report on a suite: given, kept from an earlier run, or measured now.
  ///
  /// - Parameter run: the evaluator of the artifact's run, whose protocol is to be the same.
  func report(
    _ suite: Suite, by run: Evaluator, cache: BaselineCache?, context: ComputeContext, evaluator: () -> Evaluator
  ) async throws -> Found {
    let settings = try suite.protocol.applying(run.options.overrides)
    guard case .model(let file) = source else { return .given(try stored(suite, settings)) }
    // A part of a suite is measured in less time than it takes to explain why it would be kept.
    let key =
      run.options.limit == nil
      ? try cache?.key(
        model: file, suite: suite, protocol: settings, context: context, isUnsandboxed: run.options.isUnsandboxed) : nil
    if let cache, let key, let entry = cache.entry(for: key, suite: suite, model: file.name) { return .cached(entry) }
    let entry = BaselineCache.Entry(
      try await evaluator().run(suite, on: LoadedModel(path: file.path, context: context)))
    if let cache, let key { cache.store(entry, for: key) }
    return .measured(entry)
  }
}
