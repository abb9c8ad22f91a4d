import FurlBase
import FurlCheckpoint
import FurlSpec

extension SweepPlan {
  package static let declaration = Declaration<SweepPlan>(
    "sweep", "Checkpoints times recipes times suites, as one report. Paths are relative to the file."
  ) {
    Field.version(of: "sweep")
    Field(
      "sweep", \.name, .sweepName, "Its name, and the folder's unless --output is given.",
      absent: .refused(problem: noName))
    Field("description", \.summary, .text, "What it is for.")
    Field("checkpoints", \.subjects, .documents(), "What is compressed; --checkpoint takes its place.")
    Field("recipes", \.series, .series, "What is done to each.", absent: noRecipes)
    Field(
      "suites", \.cards, .cards,
      "Cards; `checkpoint:FILE` lies beside a checkpoint and is put to that one alone; --suite takes its place.")
    Field(
      "repeats", \.repeats, .integer(in: 1...1000, unit: "runs"),
      "Of each cell, for means and whiskers of what is measured.")
    Field("seeds", \.seeds, .seeds, "Of calibrations; recipes that draw nothing run with the first.")
    Field("limit", \.limit, .integer(in: 1...Int.max), "Problems of each suite.", absent: .means("all"))
    Field("threads", \.threads, .integer(in: 1...1024), "Threads that compute.", absent: .means("one for each core"))
    Field("measure", \.speed, .speed, "How speed, memory and energy are measured, or `none`.")
    Field("keep_artifacts", \.keepsArtifacts, .truth, "Leaves the artifacts in the folder's `work`.")
    Field("slurm", \.slurm, .document, "What Slurm is asked for with --executor slurm.")
  }

  fileprivate static let noName = "a name is expected"
  private static let noRecipes = Field.Absence<[SweepSeries]>.refused(
    problem: "at least one is expected", remedy: "recipes: [{recipe: original}]")

  package mutating func settle(_ reader: DocumentReader) throws {
    if repeats > 1, speed == nil {
      throw reader.error("repeats", "is for what is measured", remedy: "add measure: {}, or leave repeats out")
    }
    if speed == nil, cards.isEmpty { throw reader.error("suites", "nothing is to be measured") }
    for until in series.compactMap(\.until)
    where !["pass_at_1", "exact_match", "edit_similarity"].contains(until.metric) {
      throw reader.error(
        nil, "until: \"\(until.metric)\" is no figure that falls", remedy: "pass_at_1, exact_match or edit_similarity")
    }
  }

  /// A path that is relative to a sweep.
  static func resolve(_ path: String, _ location: DocumentLocation) -> String {
    path.hasPrefix("/") || path.hasPrefix("checkpoint:") ? path : (location.folder.map { $0 + "/" } ?? "") + path
  }

  static func isName(_ text: String) -> Bool {
    (1...100).contains(text.utf8.count) && !text.hasPrefix(".") && text.utf8.allSatisfy(SuiteName.isByte)
  }
}

extension SweepPlan.Subject {
  package static let declaration = Declaration<SweepPlan.Subject>("checkpoint", "A checkpoint: `path` or `synth`.") {
    Field(
      "name", \.name, .sweepName, "What rows of the report call it.", absent: .refused(problem: SweepPlan.noName))
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
  fileprivate static var sweepName: ValueCodec {
    text.described(ValueOutline(schema: ["type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"]))
      .checked { name, reader, key in
        guard !SweepPlan.isName(name) else { return }
        throw reader.error(
          key, SweepPlan.noName, remedy: key == "sweep" ? "use letters, digits, dots, dashes and underscores" : nil)
      }
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

extension ValueCodec<[Int]> {
  fileprivate static var seeds: ValueCodec {
    ValueCodec(
      ValueOutline(schema: ["type": "array", "minItems": 1, "items": ["type": "integer", "minimum": 0]]),
      read: { reader, key in
        guard let value = reader.optional(key) else { return nil }
        let seeds = value.array?.map(\.integer) ?? []
        guard !seeds.isEmpty, seeds.count == Set(seeds).count, seeds.allSatisfy({ ($0 ?? -1) >= 0 }) else {
          throw reader.error(key, "a list of different whole numbers is expected")
        }
        return seeds.compactMap { $0 }
      }, write: { .array($0.map(JSON.integer)) })
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

extension ValueCodec<[SweepSeries]> {
  fileprivate static var series: ValueCodec {
    documents().checked { series, reader, key in
      if series.isEmpty {
        throw reader.error(key, "at least one is expected", remedy: "recipes: [{recipe: original}]")
      }
    }
  }
}
