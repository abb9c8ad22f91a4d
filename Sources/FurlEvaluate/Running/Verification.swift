import FurlArtifact
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
        .usage, "the gate on \(gate.metric.rawValue) of \(gate.suite) compares with a baseline",
        remedy: "give --baseline with the checkpoint that the artifact was made from")
    }
    let opened = try baseline.map { [file] in try Baseline(path: $0, source: file) }
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
      guard cards.updateValue(String(text[text.index(after: cut)...]), forKey: name) == nil else {
        throw FurlError(.usage, file: "--suite", "\"\(name)\" is given twice")
      }
    }
    if let unused = cards.keys.sorted().first(where: { name in !gates.contains { $0.suite == name } }) {
      throw FurlError(.usage, file: "--suite", "no gate is about a suite named \"\(unused)\"")
    }
    var suites: [String: Suite] = [:]
    for name in Set(gates.map(\.suite)).sorted() {
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

  /// Re-reads the whole artifact and holds every byte against its digests.
  public func checkDigests(progress: (Int, Int) -> Void) throws {
    try weights.artifact.check(parallelFor: context.pool.forEach, progress: progress)
  }

  /// Runs every suite once on the artifact, and on the baseline where a gate compares, and holds the gates.
  ///
  /// - Parameter evaluator: makes the evaluator of a run from its label.
  public func run(_ evaluator: (String) -> Evaluator) async throws -> GateReport {
    let model = try file.load(pool: context.pool)
    let subject = LoadedModel(
      file: file, model: model, tokenizer: try file.tokenizer(), context: context, format: format)
    var checks: [GateCheck] = []
    var evidence = GateReport.Evidence(artifactID: weights.artifact.id, gatesDigest: gatesDigest)
    for name in suites.keys.sorted() {
      guard let suite = suites[name] else { continue }
      let own = gates.filter { $0.suite == name }
      let report = try await evaluator(name).run(suite, on: subject).report
      var other: EvaluationReport?
      if own.contains(where: \.needsBaseline), let baseline {
        other = try await baseline.report(suite, like: report, context: context) {
          evaluator("\(name) of the baseline")
        }
        evidence.baseline = other?.model
      }
      evidence.reports.append(report)
      for gate in own { checks += try gate.check(report, baseline: other) }
    }
    return try GateReport(artifact: file.path, gatesFrom: gatesFrom, checks: checks, evidence: evidence)
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
    if path.hasSuffix(".json") {
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

  /// A report of `eval`, or all those in a report of `bench`.
  private static func reports(path: String) throws -> [EvaluationReport] {
    let json = try JSON.parse(MappedFile(path: path).readAll(limit: 256 << 20), file: path)
    guard let rows = json["results"]?.array, json["suite"] == nil else {
      return [try EvaluationReport(json, file: path)]
    }
    return try rows.flatMap { $0["quality"]?.array ?? [] }.map { try EvaluationReport($0, file: path) }
  }

  /// The folder that suite cards may lie in.
  var folder: String? { if case .model(let file) = source { file.folder } else { nil } }

  /// The baseline's report on a suite; measured now unless there is one.
  func report(
    _ suite: Suite, like report: EvaluationReport, context: ComputeContext, evaluator: () -> Evaluator
  ) async throws -> EvaluationReport {
    switch source {
    case .reports(let reports):
      guard let found = reports.first(where: { $0.suite.sha256 == suite.sha256 && $0.protocol == report.protocol })
      else {
        throw FurlError.input(path, "holds no report on suite \(suite.name) under the same protocol")
      }
      return found
    case .model(let file):
      let loaded = try LoadedModel(path: file.path, context: context)
      return try await evaluator().run(suite, on: loaded).report
    }
  }
}
