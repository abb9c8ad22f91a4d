import FurlBase
import FurlCheckpoint

/// What a sweep file asks for: every checkpoint with every recipe, put to every suite, so many times.
public struct SweepPlan: DeclaredDocument, Sendable {
  /// A checkpoint of the sweep: one that is there, or a shape to be filled with random weights.
  public struct Subject: DeclaredDocument, Sendable {
    public enum Source: Sendable, Hashable {
      case path(String)
      case synthetic(model: String, blocks: Int?)
    }

    public internal(set) var name = ""
    var path: String?
    var model: String?
    var blocks: Int?

    package init() {}

    init(name: String, path: String? = nil, model: String? = nil, blocks: Int? = nil) {
      (self.name, self.path, self.model, self.blocks) = (name, path, model, blocks)
    }

    public var source: Source { model.map { .synthetic(model: $0, blocks: blocks) } ?? .path(path ?? "") }
  }

  /// How speed is measured; nil when it is not.
  public struct Speed: DeclaredDocument, Sendable, Hashable {
    public var promptTokens = 256
    public var decodeTokens = 128
    public var repeats = 3

    package init() {}
  }

  /// What ends a series of recipes.
  public struct Until: DeclaredDocument, Sendable, Hashable {
    public internal(set) var suite = ""
    public internal(set) var metric = ""
    public internal(set) var atMost = 0.0

    package init() {}
  }

  /// What Slurm is asked for.
  public struct Slurm: DeclaredDocument, Sendable, Hashable {
    public var partition: String?
    public var throttle: Int?
    public var cpus: Int?
    public var memory: String?
    public var time: String?
    public var account: String?
    /// How often a cell is submitted before it counts as lost.
    public var attempts = 3

    package init() {}
  }

  public internal(set) var name = ""
  public internal(set) var summary: String?
  public var subjects: [Subject] = []
  var series: [SweepSeries] = []
  /// Cards, each a path or `checkpoint:FILE`.
  public var cards: [String] = []
  public internal(set) var repeats = 1
  public internal(set) var seeds = [0]
  public internal(set) var limit: Int?
  public internal(set) var threads: Int?
  public internal(set) var speed: Speed? = Speed()
  public internal(set) var keepsArtifacts = false
  public internal(set) var slurm = Slurm()

  package init() {}

  /// Reads a sweep file strictly; recipes are read, too, so that nothing is wrong with them later.
  ///
  /// - Throws: ``FurlError`` of kind `input` with file, line and key.
  public init(path: String) throws { try self.init(declared: YAML.read(path: path)) }

  /// Reads `NAME=PATH`, `NAME=synth:MODEL` or `NAME=synth:MODEL/BLOCKS` of a command line.
  ///
  /// - Throws: ``FurlError`` of kind `usage`.
  public static func subject(argument text: String) throws -> Subject {
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
