import FurlBase
import FurlSpec

/// Recipes that are tried one after the other: most often one; or the same one with ever more blocks removed, until a
/// figure has fallen to a bound.
struct SweepSeries: Sendable {
  /// One recipe; nil for the checkpoint as it is.
  struct Step: Sendable {
    let name: String
    let recipe: SweepRecipe?
    /// Blocks that the series takes away.
    var removed = 0
  }

  let steps: [Step]
  let until: SweepPlan.Until?

  init(_ reader: DocumentReader, _ folder: String) throws {
    guard let word = try reader.string("recipe"), !word.isEmpty else {
      throw reader.error("recipe", "is missing", remedy: "a recipe file, or: original")
    }
    let base = word == "original" ? nil : try SweepRecipe(path: SweepPlan.resolve(word, folder))
    let removed = try reader.reader("remove_blocks")
    if let bound = try reader.reader("until") {
      guard removed != nil else {
        throw reader.error("until", "ends a series", remedy: "add remove_blocks: {from: 1, to: N}")
      }
      guard let suite = try bound.string("suite"), let metric = try bound.string("metric"),
        let atMost = try bound.number("at_most", in: 0...1)
      else { throw bound.error(nil, "suite, metric and at_most are expected") }
      try bound.finish()
      until = SweepPlan.Until(suite: suite, metric: metric, atMost: atMost)
    } else {
      until = nil
    }
    if let removed {
      let first = try removed.integer("from", in: 1...4096) ?? 1
      guard let last = try removed.integer("to", in: first...4096) else { throw removed.error("to", "is missing") }
      let cut = try SweepCut(removed, folder, base)
      try removed.finish()
      steps = try (first...last).map { count in
        let recipe = try SweepRecipe(base, removing: count, cut)
        return Step(name: recipe.name, recipe: recipe, removed: count)
      }
    } else {
      steps = [Step(name: base?.name ?? "original", recipe: base)]
    }
    try reader.finish()
  }
}

/// How a series removes blocks.
struct SweepCut: Sendable {
  /// As in `truncate`.
  var choose = "last"
  var heal = "none"
  /// What the model is computed on, where it has to be and the recipe does not say.
  var calibration = SweepCut.calibration(text: "bundled", samples: nil, length: nil)

  init() {}

  init(_ reader: DocumentReader, _ folder: String, _ base: SweepRecipe?) throws {
    choose = try reader.word("choose", ["last": "last", "angular": "angular", "kl": "kl"]) ?? choose
    heal = try reader.word("heal", ["none": "none", "linear": "linear"]) ?? heal
    guard let settings = try reader.reader("calibration") else { return }
    guard needsCalibration else {
      throw reader.error("calibration", "is of no use: the last blocks go, and nothing takes their place")
    }
    guard base?.isSeeded != true else {
      throw reader.error("calibration", "the recipe has one of its own", remedy: "leave it out")
    }
    let text = try settings.string("text") ?? "bundled"
    calibration = SweepCut.calibration(
      text: SweepCut.path(text, folder),
      samples: try settings.integer("samples", in: 1...1 << 20),
      length: try settings.integer("length", in: 2...1 << 20))
    try settings.finish()
  }

  /// A path that is relative to the sweep, as one that no recipe's folder is put before.
  private static func path(_ text: String, _ folder: String) -> String {
    guard text != "bundled", !text.hasPrefix("checkpoint:") else { return text }
    return URL(fileURLWithPath: SweepPlan.resolve(text, folder)).path
  }

  private static func calibration(text: String, samples: Int?, length: Int?) -> JSON {
    ["text": .string(text), "samples": .integer(samples ?? 64), "length": .integer(length ?? 256)]
  }

  var needsCalibration: Bool { choose != "last" || heal != "none" }

  /// What is written behind the number of blocks: `-kl-linear`.
  var suffix: String { (choose == "last" ? "" : "-\(choose)") + (heal == "none" ? "" : "-\(heal)") }
}

/// A recipe that a sweep may change before it runs: blocks to remove, a seed.
struct SweepRecipe: Sendable {
  /// The document, as it was read or made.
  private let json: JSON
  /// The file that paths in it are relative to.
  let file: String?
  let name: String
  let digest: Digest

  init(path: String) throws {
    let reader = try YAML.read(path: path)
    json = .object(reader.keys.map { .init($0, reader.optional($0) ?? .null) })
    file = path
    // The file itself, for errors with lines.
    let recipe = try Recipe(path: path)
    (name, digest) = (recipe.name, recipe.digest)
  }

  /// The same steps after so many blocks were removed; those alone without a recipe.
  init(_ base: SweepRecipe?, removing count: Int, _ cut: SweepCut = SweepCut()) throws {
    let step: JSON = [
      "truncate": ["blocks": .integer(count), "choose": .string(cut.choose), "heal": .string(cut.heal)]
    ]
    let name = (base?.name ?? "original") + "-drop\(count)" + cut.suffix
    var members = base?.json.members ?? [.init("furl", 1), .init("steps", [])]
    members.removeAll { ["recipe", "description", "gates"].contains($0.key) }
    members = members.map { $0.key == "steps" ? .init("steps", .array([step] + ($0.value.array ?? []))) : $0 }
    if cut.needsCalibration, !members.contains(where: { $0.key == "calibration" }) {
      members.append(.init("calibration", cut.calibration))
    }
    try self.init(.object([members[0], .init("recipe", .string(name))] + members.dropFirst()), file: base?.file)
  }

  private init(_ json: JSON, file: String?) throws {
    self.json = json
    self.file = file
    let recipe = try Recipe(DocumentReader(json, file: file))
    (name, digest) = (recipe.name, recipe.digest)
  }

  /// Whether anything in it is drawn.
  var isSeeded: Bool { json["calibration"] != nil }

  /// - Parameter seed: of the calibration, where there is one.
  func recipe(seed: Int) throws -> Recipe {
    let members = (json.members ?? []).map { member -> JSON.Member in
      guard member.key == "calibration", let settings = member.value.members else { return member }
      return .init("calibration", .object(settings.filter { $0.key != "seed" } + [.init("seed", .integer(seed))]))
    }
    return try Recipe(DocumentReader(.object(members), file: file))
  }
}
