import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlSpec

/// What a sweep file asks for: every checkpoint with every recipe, put to every suite, so many times.
public struct SweepPlan: Sendable {
  /// A checkpoint of the sweep: one that is there, or a shape to be filled with random weights.
  public struct Subject: Sendable {
    public enum Source: Sendable, Hashable {
      case path(String)
      case synthetic(model: String, blocks: Int?)
    }

    public let name: String
    public let source: Source
  }

  /// How speed is measured; nil when it is not.
  public struct Speed: Sendable, Hashable {
    public var promptTokens = 256
    public var decodeTokens = 128
    public var repeats = 3
  }

  /// What ends a series of recipes.
  public struct Until: Sendable, Hashable {
    public let suite: String
    public let metric: String
    public let atMost: Double
  }

  /// What Slurm is asked for.
  public struct Slurm: Sendable, Hashable {
    public var partition: String?
    public var throttle: Int?
    public var cpus: Int?
    public var memory: String?
    public var time: String?
    public var account: String?
    /// How often a cell is submitted before it counts as lost.
    public var attempts = 3
  }

  public let name: String
  public let summary: String?
  public var subjects: [Subject]
  let series: [SweepSeries]
  /// Cards, each a path or `checkpoint:FILE`.
  public var cards: [String]
  public let repeats: Int
  public let seeds: [Int]
  public let limit: Int?
  public let threads: Int?
  public let speed: Speed?
  public let keepsArtifacts: Bool
  public let slurm: Slurm

  /// Reads a sweep file strictly; recipes are read, too, so that nothing is wrong with them later.
  ///
  /// - Throws: ``FurlError`` of kind `input` with file, line and key.
  public init(path: String) throws {
    let reader = try YAML.read(path: path)
    try reader.requireVersion(of: "sweep")
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    guard let name = try reader.string("sweep"), SweepPlan.isName(name) else {
      throw reader.error("sweep", "a name is expected", remedy: "use letters, digits, dots, dashes and underscores")
    }
    self.name = name
    summary = try reader.string("description")
    subjects = try reader.readers("checkpoints")?.map { try SweepPlan.subject($0, folder) } ?? []
    guard let entries = try reader.readers("recipes"), !entries.isEmpty else {
      throw reader.error("recipes", "at least one is expected", remedy: "recipes: [{recipe: original}]")
    }
    series = try entries.map { try SweepSeries($0, folder) }
    cards = try reader.strings("suites")?.map { SweepPlan.resolve($0, folder) } ?? []
    repeats = try reader.integer("repeats", in: 1...1000) ?? 1
    let seeds = (reader.optional("seeds") ?? [0]).array?.map(\.integer) ?? []
    guard !seeds.isEmpty, seeds.count == Set(seeds).count, seeds.allSatisfy({ ($0 ?? -1) >= 0 }) else {
      throw reader.error("seeds", "a list of different whole numbers is expected")
    }
    self.seeds = seeds.compactMap { $0 }
    limit = try reader.integer("limit", in: 1...(.max))
    threads = try reader.integer("threads", in: 1...1024)
    speed = try SweepPlan.speed(reader)
    keepsArtifacts = try reader.bool("keep_artifacts") ?? false
    slurm = try reader.reader("slurm").map(SweepPlan.slurm) ?? Slurm()
    try reader.finish()
    if repeats > 1, speed == nil {
      throw reader.error("repeats", "is for what is measured", remedy: "add measure: {}, or leave repeats out")
    }
    if speed == nil, cards.isEmpty { throw reader.error("suites", "nothing is to be measured") }
    for series in series {
      guard let until = series.until else { continue }
      guard SweepPlan.falling.contains(until.metric) else {
        throw reader.error(
          nil, "until: \"\(until.metric)\" is no figure that falls",
          remedy: SweepPlan.falling.dropLast().joined(separator: ", ") + " or \(SweepPlan.falling.last ?? "")")
      }
    }
  }

  /// Figures that can end a series: shares that need no baseline.
  private static var falling: [String] {
    SuiteKind.types.flatMap { $0.figures }.filter { $0.unit == .share && !$0.needsBaseline }.map(\.key)
  }

  private static func subject(_ reader: DocumentReader, _ folder: String) throws -> Subject {
    guard let name = try reader.string("name"), isName(name) else { throw reader.error("name", "a name is expected") }
    let path = try reader.string("path")
    let model = try reader.string("synth")
    let blocks = try reader.integer("blocks", in: 1...4096)
    try reader.finish()
    switch (path, model) {
    case (let path?, nil):
      guard blocks == nil else { throw reader.error("blocks", "is for synth") }
      return Subject(name: name, source: .path(resolve(path, folder)))
    case (nil, let model?):
      guard PublishedModel(name: model) != nil else {
        throw reader.error(
          "synth", "\"\(model)\" is not known", remedy: PublishedModel.all.map(\.name).joined(separator: ", "))
      }
      return Subject(name: name, source: .synthetic(model: model, blocks: blocks))
    default: throw reader.error(nil, "either path or synth is expected")
    }
  }

  /// Reads `NAME=PATH`, `NAME=synth:MODEL` or `NAME=synth:MODEL/BLOCKS` of a command line.
  ///
  /// - Throws: ``FurlError`` of kind `usage`.
  public static func subject(argument text: String) throws -> Subject {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, isName(parts[0]) else {
      throw FurlError(.usage, file: "--checkpoint", "\"\(text)\" is not NAME=PATH")
    }
    guard parts[1].hasPrefix("synth:") else { return Subject(name: parts[0], source: .path(parts[1])) }
    let words = parts[1].dropFirst(6).split(separator: "/").map(String.init)
    let blocks = words.count == 2 ? Int(words[1]) : nil
    guard (1...2).contains(words.count), PublishedModel(name: words[0]) != nil, words.count == 1 || (blocks ?? 0) > 0
    else {
      throw FurlError(
        .usage, file: "--checkpoint", "\"\(parts[1])\" is no shape that is known",
        remedy: "synth:MODEL or synth:MODEL/BLOCKS; \(PublishedModel.all.map(\.name).joined(separator: ", "))")
    }
    return Subject(name: parts[0], source: .synthetic(model: words[0], blocks: blocks))
  }

  private static func speed(_ reader: DocumentReader) throws -> Speed? {
    if reader.optional("measure")?.string == "none" { return nil }
    var speed = Speed()
    guard let settings = try reader.reader("measure") else { return speed }
    speed.promptTokens = try settings.integer("prompt_tokens", in: 1...1_000_000) ?? speed.promptTokens
    speed.decodeTokens = try settings.integer("decode_tokens", in: 1...1_000_000) ?? speed.decodeTokens
    speed.repeats = try settings.integer("repeats", in: 1...1000) ?? speed.repeats
    try settings.finish()
    return speed
  }

  private static func slurm(_ reader: DocumentReader) throws -> Slurm {
    var slurm = Slurm()
    func word(_ key: String) throws -> String? {
      guard let text = reader.optional(key).map({ $0.string ?? $0.integer.map(String.init) ?? "" }) else {
        return nil
      }
      // What is written into a script must be a word there.
      guard !text.isEmpty,
        text.utf8.allSatisfy({ isNameByte($0) || [UInt8(ascii: ":"), UInt8(ascii: ",")].contains($0) })
      else { throw reader.error(key, "\"\(text)\" is no word", remedy: "use letters, digits, dots, dashes, colons") }
      return text
    }
    slurm.partition = try word("partition")
    slurm.memory = try word("memory")
    slurm.time = try word("time")
    slurm.account = try word("account")
    slurm.throttle = try reader.integer("throttle", in: 1...100_000)
    slurm.cpus = try reader.integer("cpus", in: 1...1024)
    slurm.attempts = try reader.integer("attempts", in: 1...100) ?? slurm.attempts
    try reader.finish()
    return slurm
  }

  static func resolve(_ path: String, _ folder: String) -> String {
    path.hasPrefix("/") || path.hasPrefix("checkpoint:") ? path : folder + path
  }

  static func isName(_ text: String) -> Bool {
    (1...100).contains(text.utf8.count) && !text.hasPrefix(".") && text.utf8.allSatisfy(isNameByte)
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
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
      members.append(.init("until \(until.suite) \(until.metric)", .string("at most \(until.atMost)")))
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
