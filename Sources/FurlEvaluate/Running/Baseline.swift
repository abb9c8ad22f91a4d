import FurlBase
import FurlModel
import FurlSpec
import FurlTensor

/// What an artifact is compared with: the checkpoint that it was made from, or reports on that.
struct Baseline {
  private enum BaselineSource {
    case model(ModelFile)
    case reports([EvaluationReport])
  }

  private let source: BaselineSource
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
  enum FoundBaseline {
    case given(EvaluationReport)
    case cached(BaselineCache.CachedBaseline)
    case measured(BaselineCache.CachedBaseline)

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
  ) async throws -> FoundBaseline {
    let settings = try suite.protocol.applying(run.options.overrides)
    guard case .model(let file) = source else { return .given(try stored(suite, settings)) }
    // A part of a suite is measured in less time than it takes to explain why it would be kept.
    let key =
      run.options.limit == nil
      ? try cache?.key(
        model: file, suite: suite, protocol: settings, context: context, isUnsandboxed: run.options.isUnsandboxed) : nil
    if let cache, let key, let entry = cache.entry(for: key, suite: suite, model: file.name) { return .cached(entry) }
    let entry = BaselineCache.CachedBaseline(
      try await evaluator().run(suite, on: LoadedModel(path: file.path, context: context)))
    if let cache, let key { cache.store(entry, for: key) }
    return .measured(entry)
  }
}
