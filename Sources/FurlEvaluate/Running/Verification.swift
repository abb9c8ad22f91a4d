import FurlArtifact
import FurlBase
import FurlModel
import FurlSpec
package import FurlTensor

/// Holds an artifact to gates: digests first, then every suite that a gate names.
package struct Verification {
  private let weights: ArtifactWeights
  private let file: ModelFile
  private let gates: [Gate]
  private let gatesFrom: String
  private let gatesDigest: Digest?
  private let suites: [String: Suite]
  private let baseline: Baseline?
  private let context: ComputeContext
  private let format: KeyValueCache.CacheFormat?

  /// Opens everything and finds every suite, so that nothing is missing once measuring begins.
  ///
  /// - Parameters:
  ///   - artifact: the path of the artifact.
  ///   - gates: a gate file; nil for the gates of the artifact's recipe.
  ///   - suites: `name=card` for suites that do not lie beside the baseline.
  ///   - baseline: the checkpoint that the artifact was made from, or a report on it.
  /// - Throws: ``FurlError``: `usage` when there is nothing to verify or something is not given, `input` when the
  ///   baseline is not the artifact's source.
  package init(
    artifact: String, gates: String?, suites: [String], baseline: String?, context: ComputeContext,
    format: KeyValueCache.CacheFormat?
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
  package static func filesRead(artifact: String, gates: String?, suites: [String], baseline: String?) -> [String] {
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
  package func checkDigests(progress: (Int, Int) -> Void) throws {
    try weights.artifact.check(parallelFor: context.pool.forEach, progress: progress)
  }

  /// How a verification is done.
  package struct VerificationOptions: Sendable {
    /// Puts every problem of every suite, though verdicts are settled earlier.
    package var isComplete: Bool
    /// Where results of baselines are kept; nil to measure them anew.
    package var cache: BaselineCache?
    /// Takes the baseline's completions for drafts of the artifact's, as ``Evaluator/EvaluationOptions/drafts``: a compressed model
    /// writes what its source does for the most part. They are texts, which the artifact's own tokenizer cuts up, so nothing
    /// has to agree. How early a run ends may depend on it, since completions end in another order, and with that what is
    /// said of a suite's other gates once one has failed; whether all gates hold does not.
    ///
    /// For any number of slots: a token that is checked costs no more than one that is generated, and nearly all come true.
    /// Processor time of minipy in int8 at 32 slots: 16 % less on minieval; 5 % less on lines, which have their truths for
    /// drafts otherwise. At 8 slots minieval takes 54 % less.
    package var draftsFromBaseline: Bool

    package init(isComplete: Bool = false, cache: BaselineCache? = nil, draftsFromBaseline: Bool = true) {
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
  package func run(_ options: VerificationOptions = .init(), _ evaluator: (String) -> Evaluator) async throws
    -> GateReport
  {
    var progress = VerificationProgress(gates, suites: suites, isComplete: options.isComplete)
    progress.evidence = .init(artifactID: weights.artifact.id, gatesDigest: gatesDigest)
    for gate in gates where !gate.metric.needsSuite { progress.add(gate.check(diskBytes: file.diskBytes)) }
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
        try await readAlong(suite, own, on: subject, by: evaluator(suite.name), &progress)
      } else {
        try await put(suite, own, on: subject, options, &progress, evaluator)
      }
    }
    // No suite may have looked at it, and the last look of one that did was at another time.
    try file.checkUnchanged(pool: context.pool)
    try baseline?.checkUnchanged(pool: context.pool)
    return try GateReport(
      artifact: file.path, gatesFrom: gatesFrom, checks: progress.inOrder(of: gates).corrected(),
      evidence: progress.evidence, savings: progress.savings)
  }

  /// Two models read a text in lockstep, which gives the baseline's figures as well.
  private func readAlong(
    _ suite: Suite, _ gates: [Gate], on subject: LoadedModel, by evaluator: Evaluator,
    _ progress: inout VerificationProgress
  ) async throws {
    let compares = gates.contains(where: \.needsBaseline)
    let partner = compares ? try baseline?.load(context: context) : nil
    let report = try await evaluator.run(suite, on: subject, baseline: partner).report
    var other = try partner.flatMap { try report.ofBaseline(.init(path: $0.file.name, digest: $0.file.digest())) }
    if partner == nil, compares { other = try baseline?.stored(suite, like: report) }
    try refuseWeakness(gates, baseline: other)
    progress.evidence.add(report, baseline: other)
    progress.add(try gates.flatMap { try $0.check(report, baseline: other) })
  }

  /// The problems of a suite are put until its gates are settled.
  private func put(
    _ suite: Suite, _ gates: [Gate], on subject: LoadedModel, _ options: VerificationOptions,
    _ progress: inout VerificationProgress, _ evaluator: (String) -> Evaluator
  ) async throws {
    var run = evaluator(suite.name)
    var other: EvaluationReport?
    if gates.contains(where: \.needsBaseline), let baseline {
      let found = try await baseline.report(suite, by: run, cache: options.cache, context: context) {
        evaluator("\(suite.name) of the baseline")
      }
      progress.savings.add(found, suite)
      other = found.report
      // The first few problems may all be ones that the baseline does not solve.
      if run.options.limit == nil { try refuseWeakness(gates, baseline: other) }
      if options.draftsFromBaseline { run = run.drafting(found.completions) }
    }
    let curtailment = try progress.curtailment(suite, gates, baseline: other, limit: run.options.limit)
    let outcome = try await run.curtailed(by: curtailment).run(suite, on: subject)
    progress.evidence.add(outcome.report, baseline: other)
    if let curtailment {
      let (checks, hasFailed) = try curtailment.verdicts()
      progress.add(checks, hasFailed: hasFailed)
    } else {
      progress.add(try gates.flatMap { try $0.check(outcome.report, baseline: other) })
    }
    progress.savings.add(outcome, begun: curtailment?.begun)
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
