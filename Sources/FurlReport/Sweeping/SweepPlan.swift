package import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlSpec

/// What a sweep file asks for: every checkpoint with every recipe, put to every suite, so many times.
package struct SweepPlan: DeclaredDocument, Sendable {
  /// A checkpoint of the sweep: one that is there, or a shape to be filled with random weights.
  package struct Subject: DeclaredDocument, Sendable {
    package enum SubjectSource: Sendable, Hashable {
      case path(String)
      case synthetic(model: String, blocks: Int?)
    }

    package private(set) var name = ""
    var path: String?
    var model: String?
    var blocks: Int?

    package init() {}

    init(name: String, path: String? = nil, model: String? = nil, blocks: Int? = nil) {
      (self.name, self.path, self.model, self.blocks) = (name, path, model, blocks)
    }

    package var source: SubjectSource { model.map { .synthetic(model: $0, blocks: blocks) } ?? .path(path ?? "") }
  }

  /// How speed is measured; nil when it is not.
  package struct Speed: DeclaredDocument, Sendable, Hashable {
    package var promptTokens = 256
    package var decodeTokens = 128
    package var repeats = 3

    package init() {}
  }

  /// What ends a series of recipes.
  package struct Until: DeclaredDocument, Sendable, Hashable {
    /// The suite's name; nil for all that have the figure.
    package private(set) var suite: String?
    package private(set) var metric = ""
    package private(set) var atMost = 0.0

    package init() {}
  }

  /// What Slurm is asked for.
  package struct Slurm: DeclaredDocument, Sendable, Hashable {
    package var partition: String?
    package var throttle: Int?
    package var cpus: Int?
    package var memory: String?
    package var time: String?
    package var account: String?
    /// How often a cell is submitted before it counts as lost.
    package var attempts = 3

    package init() {}
  }

  package private(set) var name = ""
  package private(set) var summary: String?
  package var subjects: [Subject] = []
  var series: [SweepSeries] = []
  /// Cards, each a path, `checkpoint:FILE` or `given:PATH`.
  package var cards: [String] = []
  package private(set) var repeats = 1
  package private(set) var seeds = [0]
  package private(set) var limit: Int?
  package private(set) var threads: Int?
  package private(set) var speed: Speed? = Speed()
  package private(set) var keepsArtifacts = false
  package private(set) var slurm = Slurm()

  package init() {}

  /// Reads a sweep file strictly; recipes are read, too, so that nothing is wrong with them later.
  ///
  /// - Throws: ``FurlError`` of kind `input` with file, line and key.
  package init(path: String) throws { try self.init(declared: YAML.read(path: path)) }

  /// Reads `NAME=PATH`, `NAME=synth:MODEL` or `NAME=synth:MODEL/BLOCKS` of a command line.
  ///
  /// - Throws: ``FurlError`` of kind `usage`.
  package static func subject(argument text: String) throws -> Subject {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, isName(parts[0]) else {
      throw FurlError(.usage, file: "--checkpoint", "\"\(text)\" is not NAME=PATH")
    }
    guard parts[1].hasPrefix("synth:") else { return Subject(name: parts[0], path: parts[1]) }
    let words = parts[1].dropFirst(6).split(separator: "/").map(String.init)
    let blocks = words.count == 2 ? Int(words[1]) : nil
    guard (1...2).contains(words.count), PublishedModel(name: words[0]) != nil, words.count == 1 || (blocks ?? 0) > 0
    else {
      throw FurlError(
        .usage, file: "--checkpoint", "\"\(parts[1])\" is no shape that is known",
        remedy: "synth:MODEL or synth:MODEL/BLOCKS; \(PublishedModel.all.map(\.name).joined(separator: ", "))")
    }
    return Subject(name: parts[0], model: words[0], blocks: blocks)
  }

  /// What a report says of the plan: nothing that depends on the machine or on how it was run.
  var json: JSON {
    var members: [JSON.Member] = []
    if let summary { members.append(.init("description", .string(summary))) }
    members += [
      .init(
        "checkpoints",
        .array(
          subjects.map {
            switch $0.source {
            case .path: ["name": .string($0.name)]
            case .synthetic(let model, let blocks):
              ["name": .string($0.name), "synth": .string(model), "blocks": .optional(blocks)]
            }
          })),
      .init("recipes", .array(series.flatMap { $0.steps.map { .string($0.name) } })),
      .init("suites", .array(cards.map { .string($0.lastName) })), .init("repeats", .integer(repeats)),
      .init("seeds", .array(seeds.map(JSON.integer))), .init("limit", .optional(limit)),
    ]
    for until in series.compactMap(\.until) {
      let figure = [until.suite, until.metric].compactMap { $0 }.joined(separator: " ")
      members.append(.init("until \(figure)", .string("at most \(until.atMost)")))
      break
    }
    return .object(members)
  }

  /// How speed is measured, as `bench` says it.
  var measuring: JSON {
    guard let speed else { return .null }
    return [
      "prompt_tokens": .integer(speed.promptTokens), "decode_tokens": .integer(speed.decodeTokens),
      "repeats": .integer(speed.repeats), "runs": .integer(repeats), "threads": .optional(threads),
    ]
  }
}

extension SweepPlan {
  package static let declaration = Declaration<SweepPlan>(
    "sweep", "Checkpoints times recipes times suites, as one report. Paths are relative to the file."
  ) {
    Field.version(of: "sweep")
    Field(
      "sweep", \.name, .sweepName(nameRemedy), "Its name, and the folder's unless --output is given.",
      absent: .refused(problem: noName, remedy: nameRemedy))
    Field("description", \.summary, .text, "What it is for.")
    Field("checkpoints", \.subjects, .documents(), "What is compressed; --checkpoint takes its place.")
    Field(
      "recipes", \.series, .documents(orElse: "at least one is expected", "recipes: [{recipe: original}]"),
      "What is done to each.")
    Field(
      "suites", \.cards, .cards,
      "Cards; `checkpoint:FILE` lies beside a checkpoint and is put to that one alone; `given:FILE` is put, to checkpoints that are "
        + "no shapes, if the problem file that it names is there; --suite takes its place.")
    Field(
      "repeats", \.repeats, .integer(in: 1...1000, unit: "runs"),
      "Of each cell, for means and whiskers of what is measured.")
    Field(
      "seeds", \.seeds, .different("a list of different whole numbers is expected"),
      "Of calibrations; recipes that draw nothing run with the first.")
    Field("limit", \.limit, .integer(in: 1...Int.max), "Problems of each suite.", absent: .means("all"))
    Field("threads", \.threads, .integer(in: 1...1024), "Threads that compute.", absent: .means("one for each core"))
    Field("measure", \.speed, .speed, "How speed, memory and energy are measured, or `none`.")
    Field("keep_artifacts", \.keepsArtifacts, .truth, "Leaves the artifacts in the folder's `work`.")
    Field("slurm", \.slurm, .document, "What Slurm is asked for with --executor slurm.")
  }

  /// Figures that can end a series: shares that need no baseline.
  private static var falling: [String] {
    SuiteKind.types.flatMap { $0.figures }.filter { $0.unit == .share && !$0.needsBaseline }.map(\.key)
  }

  fileprivate static var fallingWords: String {
    falling.dropLast().joined(separator: ", ") + " or \(falling.last ?? "")"
  }

  fileprivate static let noName = "a name is expected"
  private static let nameRemedy = "use letters, digits, dots, dashes and underscores"
  package mutating func settle(_ reader: DocumentReader) throws {
    if repeats > 1, speed == nil {
      throw reader.error("repeats", "is for what is measured", remedy: "add measure: {}, or leave repeats out")
    }
    if speed == nil, cards.isEmpty { throw reader.error("suites", "nothing is to be measured") }
    for until in series.compactMap(\.until) where !SweepPlan.falling.contains(until.metric) {
      throw reader.error(
        nil, "until: \"\(until.metric)\" is no figure that falls", remedy: SweepPlan.fallingWords)
    }
  }

  /// Before a card whose problem file may be missing.
  static let given = "given:"

  /// A path that is relative to a sweep.
  static func resolve(_ path: String, _ location: DocumentLocation) -> String {
    path.hasPrefix(given)
      ? given + resolve(String(path.dropFirst(given.count)), location)
      : path.hasPrefix("/") || path.hasPrefix("checkpoint:") ? path : (location.folder.map { $0 + "/" } ?? "") + path
  }

  static func isName(_ text: String) -> Bool {
    (1...100).contains(text.utf8.count) && !text.hasPrefix(".") && text.utf8.allSatisfy(SuiteName.isByte)
  }
}

extension SweepPlan.Subject {
  package static let declaration = Declaration<SweepPlan.Subject>("checkpoint", "A checkpoint: `path` or `synth`.") {
    Field(
      "name", \.name, .sweepName(), "What rows of the report call it.", absent: .refused(problem: SweepPlan.noName))
    Field("path", \.path, .path, "A folder, or a GGUF file.")
    Field(
      "synth", \.model, .text,
      "A published shape with random weights: \(PublishedModel.all.map(\.name).joined(separator: ", ")).")
    Field("blocks", \.blocks, .integer(in: 1...4096), "So many blocks of that shape alone.", absent: .means("all"))
  }

  package func settle(_ reader: DocumentReader) throws {
    switch (path, model) {
    case (_?, nil): if blocks != nil { throw reader.error("blocks", "is for synth") }
    case (nil, let model?):
      guard PublishedModel(name: model) == nil else { return }
      throw reader.error(
        "synth", "\"\(model)\" is not known", remedy: PublishedModel.all.map(\.name).joined(separator: ", "))
    default: throw reader.error(nil, "either path or synth is expected")
    }
  }
}

extension SweepPlan.Speed {
  package static let declaration = Declaration<SweepPlan.Speed>("measure", "How speed is measured.") {
    Field("prompt_tokens", \.promptTokens, .integer(in: 1...1_000_000, unit: "tokens"), "How long the prompt is.")
    Field("decode_tokens", \.decodeTokens, .integer(in: 1...1_000_000, unit: "tokens"), "How many are generated.")
    Field("repeats", \.repeats, .integer(in: 1...1000), "How often each is measured.")
  }
}

extension SweepPlan.Until {
  package static let declaration = Declaration<SweepPlan.Until>("until", "What ends a series.") {
    Field.check { _, reader in
      guard ["metric", "at_most"].contains(where: { reader.optional($0) == nil }) else { return }
      throw reader.error(nil, "metric and at_most are expected")
    }
    Field("suite", \.suite, .text, "The name of its card.", absent: .means("all suites that have the figure"))
    Field("metric", \.metric, .text, "The figure: \(SweepPlan.fallingWords).", absent: .refused())
    Field("at_most", \.atMost, .number(in: 0...1), "Where the series ends.", absent: .refused())
  }
}

extension SweepPlan.Slurm {
  package static let declaration = Declaration<SweepPlan.Slurm>("slurm", "What Slurm is asked for.") {
    Field("partition", \.partition, .slurmWord, "Its `--partition`.")
    Field("memory", \.memory, .slurmWord, "Its `--mem`, as 32G.")
    Field("time", \.time, .slurmWord, "Its `--time`, as 12:00:00.")
    Field("account", \.account, .slurmWord, "Its `--account`.")
    Field("throttle", \.throttle, .integer(in: 1...100_000), "The most cells at once.")
    Field("cpus", \.cpus, .integer(in: 1...1024), "Of each cell.")
    Field("attempts", \.attempts, .integer(in: 1...100), "How often a cell is submitted before it counts as lost.")
  }
}

extension ValueCodec<String> {
  fileprivate static func sweepName(_ remedy: String? = nil) -> ValueCodec {
    text(matching: "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")
      .checked({ _ in SweepPlan.noName }, remedy, if: SweepPlan.isName)
  }

  fileprivate static var path: ValueCodec {
    text.mapped({ path, reader, _ in SweepPlan.resolve(path, reader.location) }, back: { $0 })
  }

  /// What is written into a script must be a word there.
  fileprivate static var slurmWord: ValueCodec {
    ValueCodec(
      ValueOutline(schema: ["type": ["string", "integer"]]),
      read: { reader, key in
        guard let value = reader.optional(key) else { return nil }
        let text = value.string ?? value.integer.map(String.init) ?? ""
        guard !text.isEmpty,
          text.utf8.allSatisfy({ SuiteName.isByte($0) || [UInt8(ascii: ":"), UInt8(ascii: ",")].contains($0) })
        else { throw reader.error(key, "\"\(text)\" is no word", remedy: "use letters, digits, dots, dashes, colons") }
        return text
      }, write: JSON.string)
  }
}

extension ValueCodec<[String]> {
  fileprivate static var cards: ValueCodec {
    texts.mapped({ cards, reader, _ in cards.map { SweepPlan.resolve($0, reader.location) } }, back: { $0 })
  }
}

extension ValueCodec<SweepPlan.Speed?> {
  fileprivate static var speed: ValueCodec {
    let speed = ValueCodec<SweepPlan.Speed>.document
    return ValueCodec(
      .any(of: [speed.outline, ValueOutline(schema: ["const": "none"])]),
      read: { reader, key in
        reader.optional(key)?.string == "none" ? .some(nil) : try speed.read(reader, key).map { .some($0) }
      }, write: { $0.map(speed.write) ?? "none" })
  }
}
