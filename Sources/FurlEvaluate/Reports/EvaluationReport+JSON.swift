import FurlBase
import FurlSpec

extension EvaluationReport {
  /// The document of `eval --json`.
  public var json: JSON {
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
    members += figures
    members.append(.init("interval_95", .interval(interval95)))
    members.append(.init("seconds", .number(seconds)))
    members.append(.init("results", .array(items)))
    return .object(members)
  }

  private var figures: [JSON.Member] {
    switch results {
    case .programs: programFigures
    case .lines:
      [.init("exact_match", .optional(exactMatch?.value)), .init("edit_similarity", .optional(editSimilarity))]
    case .text(let figures): figures.members
    }
  }

  private var programFigures: [JSON.Member] {
    var figures = [JSON.Member("pass_at_1", .optional(passAt(1)))]
    if let base = basePassAt1 { figures.append(.init("base_pass_at_1", .number(base.value))) }
    if !passCounts.isEmpty {
      figures.append(.init("pass_at_k", .object(passCounts.map { .init("\($0)", .optional(passAt($0))) })))
    }
    return figures
  }

  private var items: [JSON] {
    switch results {
    case .programs(let items):
      items.map { item in
        var members: [JSON.Member] = [
          .init("id", item.id.json), .init("passed", .bool(item.passed)),
          .init("outcome", .string(item.outcome.rawValue)), .init("detail", .optional(item.detail)),
          .init("tokens", .optional(item.tokens)), .init("stop_reason", .optional(item.stopReason)),
        ]
        if let base = item.base { members.append(.init("base_outcome", .string(base.rawValue))) }
        if !item.draws.isEmpty { members.append(.init("draws", .array(item.draws.map { .string($0.rawValue) }))) }
        return .object(members)
      }
    case .lines(let items):
      items.map { item in
        let source: [JSON.Member] = item.source.map { [.init("source", .string($0))] } ?? []
        return .object(
          [
            .init("id", item.id.json), .init("exact", .bool(item.exact)),
            .init("edit_similarity", .number(item.editSimilarity)), .init("tokens", .optional(item.tokens)),
            .init("stop_reason", .optional(item.stopReason)),
          ] + source)
      }
    case .text: []
    }
  }

  /// Reads a report file, as `eval --json` wrote it.
  public init(path: String) throws {
    let bytes = try MappedFile(path: path).readAll(limit: ProblemFile.fileLimit)
    try self.init(JSON.parse(bytes, file: path), file: path)
  }

  /// Reads a report strictly: unknown keys, missing ones, and figures that its own results contradict are
  /// errors.
  public init(_ json: JSON, file: String?) throws {
    let reader = try DocumentReader(json, file: file)
    try reader.requireVersion(of: "report")
    let suite = try SuiteSummary(reader.mapping("suite"))
    let model = try Model(reader.mapping("model"))
    let settings = try SuiteProtocol(reader.mapping("protocol"), kind: suite.kind, complete: true)
    let results = try Results(reader, kind: suite.kind)
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
    func equal(_ key: String, _ value: Double?) throws {
      guard try reader.number(key, in: 0...1) == value else {
        throw reader.error(key, "does not follow from the results", remedy: "make the report again with furl eval")
      }
    }
    let interval = try reader.interval("interval_95")
    if case .text = results {
      if limit != nil { throw reader.error("limit", "means nothing for a text") }
      return
    }
    if case .programs = results {
      try equal("pass_at_1", passAt(1))
      try equal("base_pass_at_1", basePassAt1?.value)
      let counts = try reader.reader("pass_at_k")
      for k in passCounts where try counts?.number("\(k)", in: 0...1) != passAt(k) {
        throw reader.error("pass_at_k", "does not follow from the results")
      }
      try counts?.finish()
    } else {
      try equal("exact_match", exactMatch?.value)
      try equal("edit_similarity", editSimilarity)
    }
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
      throw reader.error("kind", "is not a known kind", remedy: "allowed: pass_at_1, lines, text")
    }
    self.kind = kind
    guard let count = try reader.integer("count", in: 1...ProblemFile.problemLimit) else {
      throw reader.error("count", "is missing")
    }
    self.count = count
    try reader.finish()
  }
}

extension EvaluationReport.Model {
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

extension EvaluationReport.Results {
  fileprivate init(_ reader: DocumentReader, kind: SuiteKind) throws {
    guard let items = try reader.readers("results") else { throw reader.error("results", "is missing") }
    var seen: Set<ProblemID> = []
    func id(_ item: DocumentReader) throws -> ProblemID {
      guard let id = try item.problemID("id") else { throw item.error("id", "is missing") }
      guard seen.insert(id).inserted else { throw item.error("id", "\"\(id)\" appears twice") }
      return id
    }
    let counts = 0...Int.max
    switch kind {
    case .passAt1:
      self = .programs(
        try items.map { item in
          guard let outcome = Outcome(rawValue: try item.text("outcome")) else {
            throw item.error("outcome", "is not a known outcome")
          }
          guard try item.bool("passed") == (outcome == .passed) else {
            throw item.error("passed", "does not agree with the outcome")
          }
          let result = EvaluationReport.ProgramItem(
            id: try id(item), outcome: outcome, detail: try item.string("detail"),
            tokens: try item.integer("tokens", in: counts), stopReason: try item.string("stop_reason"),
            base: try item.outcome("base_outcome"), draws: try item.outcomes("draws"))
          guard result.draws.first.map({ $0 == outcome }) ?? true else {
            throw item.error("draws", "the first one is not the outcome")
          }
          try item.finish()
          return result
        })
    case .lines:
      self = .lines(
        try items.map { item in
          guard let exact = try item.bool("exact") else { throw item.error("exact", "is missing") }
          let similarity = try item.figure("edit_similarity", in: 0...1)
          let result = EvaluationReport.LineItem(
            id: try id(item), score: LineScore(exact: exact, editSimilarity: similarity),
            tokens: try item.integer("tokens", in: counts), stopReason: try item.string("stop_reason"),
            source: try item.string("source"))
          try item.finish()
          return result
        })
    case .text:
      guard items.isEmpty else { throw reader.error("results", "a text has none") }
      self = .text(try .init(reader))
    }
  }
}

extension JSON {
  /// `[low, high]`, or null.
  static func interval(_ range: ClosedRange<Double>?) -> JSON {
    range.map { [.number($0.lowerBound), .number($0.upperBound)] } ?? .null
  }
}

extension DocumentReader {
  fileprivate func outcome(_ key: String) throws -> Outcome? {
    guard let word = try string(key) else { return nil }
    guard let outcome = Outcome(rawValue: word) else { throw error(key, "is not a known outcome") }
    return outcome
  }

  fileprivate func outcomes(_ key: String) throws -> [Outcome] {
    try (strings(key) ?? []).map { word in
      guard let outcome = Outcome(rawValue: word) else { throw error(key, "\"\(word)\" is not a known outcome") }
      return outcome
    }
  }

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
