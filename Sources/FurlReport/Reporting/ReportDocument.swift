package import FurlBase
import FurlEvaluate
import FurlSpec

/// Everything that a report shows, put together from the documents of `bench`, `eval`, `verify` and `sweep`.
///
/// Documents about the same model (by digest, else by name) become one row. The same documents in the same order give
/// the same report: no clock and no path of this machine goes in.
package struct ReportDocument: Sendable {
  /// A gate that an artifact was held to.
  package struct ReportedGate: Sendable {
    package let artifact: String
    package let suite: String
    package let metric: String
    package let bound: String
    package let value: Double?
    /// Where problems were left out, what the value can still be; ``value`` is the end that the verdict rests on.
    package let valueRange: ClosedRange<Double>?
    package let interval95: ClosedRange<Double>?
    package let regressions: Int?
    package let fixes: Int?
    package let verdict: String
    package let reason: String

    /// The value, or what is known of it.
    var valueText: String { GateText.known(text(value), value, valueRange) }

    /// The interval; none where the gate was settled early, whose problems are no sample of all.
    var intervalText: String {
      guard valueRange == nil, let interval95 else { return "–" }
      return "\(text(interval95.lowerBound)) to \(text(interval95.upperBound))"
    }

    /// A value of the gate's metric.
    func text(_ value: Double?) -> String {
      guard let value, value.isFinite else { return "–" }
      // A page is drawn from other versions' reports, too, whose metrics may be new.
      guard let known = FurlSpec.Gate.Metric(rawValue: metric) else { return Figures.significant(value) }
      return GateText.figure(value, known)
    }
  }

  /// A cell of a sweep that gave no row.
  package struct Missing: Sendable {
    package let name: String
    /// `failed` or `skipped`.
    package let state: String
    package let reason: String
  }

  /// Facts in full under one heading: a protocol, a machine.
  package struct Facts: Sendable {
    package let title: String
    package let pairs: [(key: String, value: String)]
  }

  package var title = "Furl report"
  /// When it was made, where somebody says so: without it the same documents give the same bytes.
  package var date: String?
  package private(set) var rows: [ReportRow] = []
  package private(set) var gates: [ReportedGate] = []
  package private(set) var missing: [Missing] = []
  package private(set) var facts: [Facts] = []
  /// What was asked, by the digest of the problem file and the problem's name.
  private(set) var shown: [String: [String: ShownProblem]] = [:]
  private var inputNotes: [String] = []
  private var baselineDigest: String?
  private var baselineName: String?

  package init() {}

  // MARK: Reading

  /// Where reports come from.
  private static let source = "bench --report, eval --json and verify --json write reports"

  /// Adds a document of `bench`, `eval`, `verify` or `sweep`.
  ///
  /// - Throws: ``FurlError`` of kind `input` when it is none of these, or a figure in it is none.
  package mutating func add(path: String) throws {
    let bytes = try MappedFile(path: path).readAll(limit: 256 << 20)
    try FileKind.requireText(bytes.prefix(16), file: path, wanted: "a report", remedy: ReportDocument.source)
    do {
      try add(JSON.parse(bytes, file: path), file: path)
    } catch var error as FurlError {
      error.remedy = error.remedy ?? ReportDocument.source
      throw error
    }
  }

  package mutating func add(_ json: JSON, file: String?) throws {
    let reader = try DocumentReader(json, file: file)
    if json["cells"] != nil {
      try addSweep(reader)
    } else if json["verdict"] != nil, json["gates"] != nil {
      try addGates(reader)
    } else if json["suite"] != nil, json["model"] != nil {
      try addEvaluation(reader)
    } else if json["results"] != nil {
      try addBench(reader)
    } else {
      throw FurlError.input(file, "is no report of bench, eval, verify or sweep", remedy: ReportDocument.source)
    }
  }

  private mutating func addBench(_ reader: DocumentReader) throws {
    for row in try reader.readers("results") ?? [] { insert(try ReportRow(bench: row)) }
    add(facts: "How speed was measured", reader.optional("protocol"))
    add(facts: "Machine", reader.optional("machine"))
  }

  private mutating func addEvaluation(_ reader: DocumentReader) throws {
    let model = try reader.reader("model")
    var row = ReportRow(name: try model?.string("path").map(\.lastName) ?? "unnamed")
    row.digest = try model?.string("digest")
    row.quality = [try ReportQuality(reader)]
    insert(row)
  }

  private mutating func addGates(_ reader: DocumentReader) throws {
    let name = try reader.string("artifact") ?? "unnamed"
    var row = ReportRow(name: name)
    row.digest = try reader.string("artifact_id")
    row.verdict = try reader.string("verdict")
    row.quality = try reader.readers("suites")?.map(ReportQuality.init) ?? []
    insert(row)
    baselineDigest = try baselineDigest ?? reader.reader("baseline")?.string("digest")
    for gate in try reader.readers("gates") ?? [] {
      func interval(_ reader: DocumentReader?, _ key: String) throws -> ClosedRange<Double>? {
        let ends = try reader?.numbers(key) ?? []
        return ends.count == 2 && ends[0] <= ends[1] ? ends[0]...ends[1] : nil
      }
      gates.append(
        ReportedGate(
          artifact: name, suite: try gate.string("suite") ?? "", metric: try gate.string("metric") ?? "",
          bound: ReportDocument.bound(gate.optional("bound")), value: gate.optional("value")?.number,
          valueRange: try interval(gate.reader("partial"), "value_range"),
          interval95: try interval(gate, "interval_95"),
          regressions: gate.optional("regressions")?.integer, fixes: gate.optional("fixes")?.integer,
          verdict: try gate.string("verdict") ?? "", reason: try gate.string("reason") ?? ""))
    }
  }

  private static func bound(_ bound: JSON?) -> String {
    (bound?.members ?? []).map { "\($0.key) \(text($0.value))" }.joined(separator: ", ")
  }

  private mutating func addSweep(_ reader: DocumentReader) throws {
    if title == ReportDocument().title, let name = try reader.string("sweep") { title = "Sweep \(name)" }
    for cell in try reader.readers("cells") ?? [] {
      let name = try cell.string("name") ?? "unnamed"
      let state = try cell.string("state") ?? "failed"
      guard state == "done", let result = try cell.reader("result") else {
        missing.append(Missing(name: name, state: state, reason: try cell.string("reason") ?? ""))
        continue
      }
      var row = try ReportRow(bench: result)
      row.name = name
      if let place = rows.firstIndex(where: { $0.name == name }) {
        rows[place].addRepeat(row)
      } else {
        rows.append(row)
      }
    }
    add(facts: "Sweep", reader.optional("plan"))
    add(facts: "How speed was measured", reader.optional("protocol"))
    add(facts: "Machine", reader.optional("machine"))
  }

  private mutating func insert(_ row: ReportRow) {
    let place = rows.firstIndex {
      $0.digest != nil && row.digest != nil ? $0.digest == row.digest : $0.name == row.name
    }
    guard let place else { return rows.append(row) }
    if !rows[place].decode.isEmpty, !row.decode.isEmpty {
      inputNotes.append("\(row.name) was measured in several documents; the first one's speed is shown")
    }
    rows[place].absorb(row)
  }

  private mutating func add(facts title: String, _ value: JSON?) {
    guard let pairs = value.map({ ReportDocument.flatten($0) }), !pairs.isEmpty,
      !facts.contains(where: { $0.title == title && $0.pairs.elementsEqual(pairs, by: ==) })
    else { return }
    facts.append(Facts(title: title, pairs: pairs))
  }

  /// Adds completions that `eval --samples` kept.
  ///
  /// - Parameter model: the row that they belong to, by its name.
  /// - Throws: ``FurlError``: `usage` for a name that is not there, `input` for a file that is no such.
  package mutating func addSamples(path: String, model: String) throws {
    guard let place = rows.firstIndex(where: { ReportDocument.isName(model, of: $0) }) else {
      throw FurlError(
        .usage, file: "--samples", "no model is called \"\(model)\"",
        remedy: "names: \(rows.map(\.name).joined(separator: ", "))")
    }
    let lines = try JSON.parseLines(MappedFile(path: path).readAll(limit: 256 << 20), file: path)
    var completions: [String: String] = [:]
    for line in lines {
      guard let id = line["task_id"] ?? line["id"], let text = line["completion"]?.string else {
        throw FurlError.input(path, "holds no completions", remedy: "make it with furl eval --samples")
      }
      completions[id.string ?? id.integer.map(String.init) ?? ""] = text
    }
    var found = 0
    for index in rows[place].quality.indices { found += rows[place].quality[index].attach(completions) }
    if found == 0 { inputNotes.append("\(path.lastName): none of its problems are in a report on \(model)") }
  }

  /// Adds what was asked and what was expected, from a suite card or a bare problem file.
  ///
  /// - Throws: ``FurlError``: what reading it throws, and `usage` when no report is on its problems.
  package mutating func addSuite(path: String) throws {
    let suite = try Suite(path: path)
    let entries = rows.flatMap(\.quality)
    guard entries.contains(where: { $0.sha256 == suite.sha256.hex }) else {
      let names = entries.map(\.suite).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
      throw FurlError(
        .usage, file: "--suite", "no report is on the problems of \(path)",
        remedy: names.isEmpty
          ? "give documents of bench or eval with suites" : "suites of the reports: \(names.joined(separator: ", "))")
    }
    shown[suite.sha256.hex] = Dictionary(
      zip(suite.problems.ids.map { "\($0)" }, suite.problems.shown), uniquingKeysWith: { first, _ in first })
  }

  private static func isName(_ name: String, of row: ReportRow) -> Bool {
    row.name == name || row.name == name + ".furl"
  }

  /// Compares with this model instead of the one that the documents suggest.
  ///
  /// - Throws: ``FurlError`` of kind `usage` for a name that is not there.
  package mutating func setBaseline(_ name: String) throws {
    guard let row = rows.first(where: { ReportDocument.isName(name, of: $0) }) else {
      throw FurlError(
        .usage, file: "--baseline", "no model is called \"\(name)\"",
        remedy: "names: \(rows.map(\.name).joined(separator: ", "))")
    }
    baselineName = row.name
  }

  // MARK: Comparing

  /// The place of the row that a row is compared with; nil for one that is a baseline itself.
  ///
  /// That is the checkpoint that it was made from, where there is a row of that; else the one that was asked for, that
  /// `verify` compared with, or the first checkpoint.
  package func baseline(of index: Int) -> Int? {
    let place = baselinePlace(of: index)
    return place == index ? nil : place
  }

  private func baselinePlace(of index: Int) -> Int? {
    if let baselineName { return rows.firstIndex { $0.name == baselineName } }
    if let source = rows[index].source { return rows.firstIndex { $0.digest == source } }
    if let baselineDigest, let place = rows.firstIndex(where: { $0.digest == baselineDigest }) { return place }
    return rows.firstIndex { $0.digest != nil && $0.digest == $0.source }
      ?? rows.firstIndex { !$0.name.hasSuffix(".furl") } ?? (rows.isEmpty ? nil : 0)
  }

  func comparison(_ index: Int, _ quality: ReportQuality) -> ReportComparison? {
    guard let place = baseline(of: index), let other = rows[place].quality.first(where: { $0.isSame(as: quality) })
    else { return nil }
    return ReportComparison(quality, baseline: other)
  }

  /// Blocks that a row has fewer than its baseline.
  func removedBlocks(_ index: Int) -> Int? {
    guard let layers = rows[index].layers else { return nil }
    guard let place = baseline(of: index) else { return 0 }
    return rows[place].layers.map { max(0, $0 - layers) }
  }

  /// The names of suites of a kind, in the order of the rows.
  func suites(_ type: any SuiteType.Type) -> [String] {
    var names: [String] = []
    for entry in rows.flatMap(\.quality) where entry.kind == type.kind && !names.contains(entry.suite) {
      names.append(entry.suite)
    }
    return names
  }

  /// What a reader must know beside the table.
  package var notes: [String] {
    var notes: [String] = []
    let unmeasured = rows.filter { !$0.decode.isEmpty && $0.energy?.isMeasured != true }
    if let reason = unmeasured.lazy.compactMap({ $0.energy?.reason }).first {
      notes.append("Energy was not measured: \(reason).")
    }
    if let busiest = rows.compactMap(\.competingLoad).max(), busiest > 0.1 {
      notes.append(
        "While speed was measured, other processes took up to \(Figures.percent(busiest, digits: 0)) of the CPU.")
    }
    if rows.contains(where: { $0.quality.contains { $0.sandbox == "none" } }) {
      notes.append("Generated code was run WITHOUT a sandbox.")
    }
    for entry in rows.flatMap(\.quality) where entry.limit != nil {
      notes.append("Of suite \(entry.suite) only the first \(entry.limit ?? 0) of \(entry.count) problems were put.")
      break
    }
    let failed = missing.count { $0.state == "failed" }
    if failed > 0 { notes.append("\(failed) \(failed == 1 ? "cell" : "cells") failed; see below.") }
    return notes + inputNotes
  }

  // MARK: Facts

  /// A document as pairs of a key path and a text.
  static func flatten(_ value: JSON, path: String = "") -> [(key: String, value: String)] {
    switch value {
    case .object(let members):
      members.flatMap { flatten($0.value, path: path.isEmpty ? $0.key : "\(path).\($0.key)") }
    case .null: []
    case .array(let elements) where elements.contains { $0.members != nil }:
      elements.enumerated().flatMap { flatten($1, path: "\(path)[\($0)]") }
    default: [(path, text(value))]
    }
  }

  static func text(_ value: JSON) -> String {
    switch value {
    case .string(let text): text
    case .array(let elements): elements.map { $0.string.map { "\"\($0)\"" } ?? text($0) }.joined(separator: ", ")
    default: value.compactText
    }
  }
}
