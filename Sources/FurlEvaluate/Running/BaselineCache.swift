import FurlBase
import FurlModel
import FurlSpec
import FurlTensor

/// Results of baselines, kept from one verification to the next: a baseline is measured once for each suite.
///
/// A folder of JSON files, each with its key, its report, its completions and the digest of both, named by the key's
/// digest. A file that is not what it should be counts as missing, and so does one that somebody else has written or
/// could have (``PrivateFolder``). The key holds everything that a result could depend on, so a result that was kept is
/// what would be measured.
package struct BaselineCache: Sendable {
  package let folder: String
  private let root: String
  private let name: String
  /// Told why something that is there is not believed.
  private let notice: @Sendable (String) -> Void
  /// What tells one build of Furl from another.
  private let build: String
  /// The most bytes of all files together; what was not used for longest goes first.
  private let limit: Int

  package static let usualLimit = 64 << 20
  /// The most bytes of one file.
  static let fileLimit = 16 << 20

  /// - Parameters:
  ///   - folder: inside of the cache's root.
  ///   - notice: told why something that is there is not believed.
  package init(
    folder: String, build: String, limit: Int = BaselineCache.usualLimit,
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.folder = folder
    let parts = folder.split(separator: "/").map(String.init)
    name = parts.last ?? "."
    root = (folder.hasPrefix("/") ? "/" : "./") + parts.dropLast().joined(separator: "/")
    self.notice = notice
    self.build = build
    self.limit = limit
  }

  /// `baselines` in the ``CacheFolder``; nil where there is none.
  package static func usualFolder(_ environment: [String: String]) -> String? {
    CacheFolder.path { environment[$0] }.map { $0 + "/baselines" }
  }

  /// What a result depends on.
  struct BaselineKey: Sendable {
    let json: JSON
    var name: String { Digest(of: json.canonicalText.utf8).hex + ".json" }
  }

  /// A baseline's report, and what it wrote for each problem; nothing where problems are drawn several times.
  struct CachedBaseline: Sendable {
    var report: EvaluationReport
    var completions: [ProblemID: String]

    init(report: EvaluationReport, completions: [ProblemID: String]) {
      self.report = report
      self.completions = completions
    }

    init(_ outcome: Evaluator.EvaluationOutcome) {
      let texts = outcome.report.protocol.draws == 1 ? outcome.completions : []
      self.init(
        report: outcome.report, completions: Dictionary(texts.map { ($0.id, $0.text) }) { first, _ in first })
    }

    fileprivate init?(_ json: JSON, file: String) {
      guard let content = json["report"], let report = try? EvaluationReport(content, file: file),
        let texts = json["completions"]?.array, texts.allSatisfy({ $0.string != nil }),
        texts.isEmpty || texts.count == report.results.ids.count
      else { return nil }
      let pairs = zip(report.results.ids, texts).compactMap { id, text in text.string.map { (id, $0) } }
      self.init(report: report, completions: Dictionary(pairs) { first, _ in first })
    }

    fileprivate var json: JSON {
      let texts = completions.isEmpty ? [] : report.results.ids.map { JSON.string(completions[$0] ?? "") }
      return ["report": report.json, "completions": .array(texts)]
    }
  }

  /// - Throws: ``FurlError`` of kind `unavailable` where code cannot be executed safely.
  func key(
    model: ModelFile, suite: Suite, protocol settings: SuiteProtocol, context: ComputeContext, isUnsandboxed: Bool
  ) throws -> BaselineKey {
    let sandbox = suite.kind.type.executes ? try Sandbox.detect(unsandboxed: isUnsandboxed) : nil
    return BaselineKey(
      json: [
        "form": 2, "build": .string(build), "model": .string(try model.digest().hex),
        "suite": .string(suite.sha256.hex), "kind": .string(suite.kind.rawValue), "protocol": settings.json,
        "kernels": .string(context.kernels.name), "activations": .string(context.activations.rawValue),
        "sandbox": .optional(sandbox?.name), "python": .optional(sandbox?.python),
      ])
  }

  /// What was kept; nil when there is nothing that can be trusted.
  func entry(for key: BaselineKey, suite: Suite, model: String) -> CachedBaseline? {
    let path = folder + "/" + key.name
    guard let place = believed(PrivateFolder.open(name, in: root)),
      let bytes = believed(place.read(key.name, limit: Self.fileLimit)),
      let json = try? JSON.parse(bytes, file: path),
      json["key"]?.canonicalText == key.json.canonicalText, let content = json["kept"],
      json["sha256"]?.string == Digest(of: content.canonicalText.utf8).hex,
      var entry = CachedBaseline(content, file: path), entry.report.limit == nil,
      entry.report.results.ids == suite.problems.ids, entry.report.suite.sha256 == suite.sha256
    else { return nil }
    // Names are not part of the key.
    entry.report.suite.name = suite.name
    entry.report.model.path = model
    place.touch(key.name)
    return entry
  }

  private func believed<Value>(_ found: PrivateFolder.FoundFolder<Value>) -> Value? {
    switch found {
    case .here(let value): return value
    case .missing: return nil
    case .foreign(let path, let reason):
      notice("\(path) \(reason), so no result that is kept there is believed: baselines are measured again")
      return nil
    }
  }

  /// Keeps a result. A cache that cannot be written is none; nothing depends on it.
  ///
  /// A result with programs that were too slow or too large may be another one on a quieter machine, so it is not kept.
  func store(_ entry: CachedBaseline, for key: BaselineKey) {
    guard entry.report.limit == nil, !entry.report.isCurtailed, !entry.report.results.found.hasAccidents else { return }
    let content = entry.json
    let json: JSON = [
      "furl_cache": 2, "key": key.json, "sha256": .string(Digest(of: content.canonicalText.utf8).hex),
      "kept": content,
    ]
    let bytes = Array(json.compactText.utf8)
    guard bytes.count <= min(limit, Self.fileLimit),
      let place = believed(PrivateFolder.open(name, in: root, makes: true))
    else { return }
    place.write(key.name, bytes)
    prune(place)
  }

  /// Removes what was not used for longest until the rest is within the limit.
  private func prune(_ place: PrivateFolder) {
    let entries = place.files.filter { $0.name.hasSuffix(".json") }
    var total = entries.reduce(0) { $0 + $1.status.bytes }
    for entry in entries.sorted(by: { $0.status.modified < $1.status.modified }) where total > limit {
      place.remove(entry.name)
      total -= entry.status.bytes
    }
  }
}
