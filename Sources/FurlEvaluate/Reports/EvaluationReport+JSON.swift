package import FurlBase
import FurlSpec

extension EvaluationReport {
  /// The document of `eval --json`.
  package var json: JSON {
    var members: [JSON.Member] = [
      .init("furl", 1),
      .init(
        "suite",
        [
          "name": .string(suite.name), "sha256": .string(suite.sha256.hex), "kind": .string(suite.kind.rawValue),
          "count": .integer(suite.count),
        ]),
      .init("model", model.json),
      .init("protocol", `protocol`.json),
    ]
    if !overrides.isEmpty { members.append(.init("overrides", .array(overrides.map(JSON.string)))) }
    if let limit { members.append(.init("limit", .integer(limit))) }
    if isCurtailed { members.append(.init("curtailed_after", .integer(results.ids.count))) }
    if let sandbox { members.append(.init("sandbox", .string(sandbox))) }
    if let python { members.append(.init("python", .string(python))) }
    if !notes.isEmpty { members.append(.init("notes", .array(notes.map(JSON.string)))) }
    members += results.found.members
    members.append(.init("interval_95", .interval(interval95)))
    members.append(.init("seconds", .number(seconds)))
    members.append(.init("results", .array(results.found.json)))
    return .object(members)
  }

  /// Reads a report file, as `eval --json` wrote it.
  package init(path: String) throws {
    let bytes = try MappedFile(path: path).readAll(limit: ProblemFile.fileLimit)
    try self.init(JSON.parse(bytes, file: path), file: path)
  }

  /// Reads a report strictly: unknown keys, missing ones, and figures that its own results contradict are
  /// errors.
  package init(_ json: JSON, file: String?) throws {
    let reader = try DocumentReader(json, file: file)
    try reader.requireVersion(of: "report")
    let suite = try SuiteSummary(reader.mapping("suite"))
    let model = try EvaluatedModel(reader.mapping("model"))
    let settings = try SuiteProtocol(reader.mapping("protocol"), kind: suite.kind, complete: true)
    let results = ReportedResults(try suite.kind.type.results(reader))
    self.init(
      suite: suite, model: model, protocol: settings, overrides: try reader.strings("overrides") ?? [],
      limit: try reader.integer("limit", in: 1...(.max)), sandbox: try reader.string("sandbox"),
      python: try reader.string("python"), seconds: try reader.figure("seconds", in: 0...(.greatestFiniteMagnitude)),
      results: results, notes: try reader.strings("notes") ?? [])
    try check(reader)
    try reader.finish()
  }

  /// A report that was edited by hand must not decide a gate.
  private func check(_ reader: DocumentReader) throws {
    let interval = try reader.interval("interval_95")
    try results.found.check(reader)
    guard suite.kind.type.hasProblems else { return }
    guard interval == interval95 else { throw reader.error("interval_95", "does not follow from the results") }
    let expected = limit ?? suite.count
    guard results.ids.count == expected, limit.map({ $0 < suite.count }) ?? true else {
      throw reader.error("results", "there are \(results.ids.count) of them and not \(expected)")
    }
  }
}

extension EvaluationReport.SuiteSummary {
  fileprivate init(_ reader: DocumentReader) throws {
    name = try reader.text("name")
    guard let digest = Digest(hex: try reader.text("sha256")) else {
      throw reader.error("sha256", "64 lower-case hexadecimal digits are expected")
    }
    sha256 = digest
    guard let kind = SuiteKind(rawValue: try reader.text("kind")) else {
      throw reader.error("kind", "is not a known kind", remedy: "allowed: \(SuiteKind.words)")
    }
    self.kind = kind
    guard let count = try reader.integer("count", in: 1...ProblemFile.problemLimit) else {
      throw reader.error("count", "is missing")
    }
    self.count = count
    try reader.finish()
  }
}

extension EvaluationReport.EvaluatedModel {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [.init("path", .string(path)), .init("digest", .optional(digest?.hex))]
    if let texts {
      members.append(.init("begin_token", .optional(texts.begin)))
      members.append(.init("end_tokens", .array(texts.ends.map(JSON.integer))))
    }
    return .object(members)
  }

  fileprivate init(_ reader: DocumentReader) throws {
    let path = try reader.text("path")
    let digest = try reader.string("digest").map { hex in
      guard let digest = Digest(hex: hex) else {
        throw reader.error("digest", "64 lower-case hexadecimal digits are expected")
      }
      return digest
    }
    var texts: Texts?
    if let value = reader.optional("end_tokens") {
      let ends = value.array?.compactMap(\.integer)
      guard let ends, ends.count == value.array?.count else {
        throw reader.error("end_tokens", "a list of ids is expected")
      }
      texts = Texts(begin: try reader.integer("begin_token", in: 0...(.max)), ends: ends)
    } else {
      _ = reader.optional("begin_token")
    }
    self.init(path: path, digest: digest, texts: texts)
    try reader.finish()
  }
}

extension JSON {
  /// `[low, high]`, or null.
  static func interval(_ range: ClosedRange<Double>?) -> JSON {
    range.map { [.number($0.lowerBound), .number($0.upperBound)] } ?? .null
  }
}

extension DocumentReader {
  func text(_ key: String) throws -> String {
    guard let text = try string(key) else { throw error(key, "is missing") }
    return text
  }

  func mapping(_ key: String) throws -> DocumentReader {
    guard let mapping = try reader(key) else { throw error(key, "is missing") }
    return mapping
  }

  func figure(_ key: String, in range: ClosedRange<Double>) throws -> Double {
    guard let value = try number(key, in: range) else { throw error(key, "is missing") }
    return value
  }

  func interval(_ key: String) throws -> ClosedRange<Double>? {
    guard let value = optional(key) else { return nil }
    guard let ends = value.array, ends.count == 2, let low = ends[0].number, let high = ends[1].number, low <= high
    else { throw error(key, "two numbers in their order are expected") }
    return low...high
  }
}
