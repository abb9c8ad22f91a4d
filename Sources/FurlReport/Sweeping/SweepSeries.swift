import FurlBase
import FurlSpec

/// Recipes that are tried one after the other: most often one; or the same one with ever more blocks or experts removed,
/// until a figure has fallen to a bound.
struct SweepSeries: DeclaredDocument, Sendable {
  /// One recipe; nil for the checkpoint as it is.
  struct SeriesStep: Sendable {
    let name: String
    let recipe: SweepRecipe?
    /// What the series takes away.
    var removed = Removal.nothing
  }

  /// What is taken from a checkpoint before a recipe's steps.
  enum Removal: Sendable {
    case nothing
    case blocks(Int)
    /// From every block that has so many.
    case experts(Int, of: Int)

    /// Why it cannot be taken from a model; nil: it can.
    func excuse(_ model: String, _ spec: ModelSpec) -> String? {
      switch self {
      case .nothing: nil
      case .blocks(let count): count >= spec.blocks.count ? "\(model) has \(spec.blocks.count) blocks" : nil
      case .experts(let count, let whole):
        if let experts = spec.blocks.lazy.compactMap(\.experts).first(where: { $0.count == whole }) {
          whole - count < experts.active ? "\(model) takes \(experts.active) experts for a token" : nil
        } else {
          "\(model) has no blocks with \(whole) experts"
        }
      }
    }
  }

  /// A recipe file, or the word for the checkpoint as it is.
  private var word = ""
  private var cut: SweepCut?
  private var experts: SweepExperts?
  private(set) var until: SweepPlan.Until?
  private(set) var steps: [SeriesStep] = []

  private static let original = "original"

  static let declaration = Declaration<SweepSeries>(
    "series", "A recipe, or a series with ever more blocks or experts removed."
  ) {
    Field(
      "recipe", \.word, .text.checked({ _ in "is missing" }, noRecipe) { !$0.isEmpty },
      "A file, or `original` for the checkpoint as it is.",
      absent: .refused(remedy: noRecipe))
    Field(
      "remove_blocks", \.cut, .document,
      "Makes a series of it, with ever more blocks removed before the recipe's steps.")
    Field(
      "remove_experts", \.experts, .document,
      "Makes a series of it, with ever more experts of every block removed before the recipe's steps."
    )
    .only(
      if: { $0.cut == nil }, else: "a series removes blocks or experts", "make a series of each")
    Field("until", \.until, .document, "Ends the series when a figure has fallen so far.")
      .only(
        if: { $0.cut != nil || $0.experts != nil }, else: "ends a series",
        "add remove_blocks: {from: 1, to: N}, or remove_experts")
  }

  private static let noRecipe = "a recipe file, or: original"

  mutating func settle(_ reader: DocumentReader) throws {
    let base = word == Self.original ? nil : try SweepRecipe(path: SweepPlan.resolve(word, reader.location))
    if base?.isSeeded == true, let given = (cut?.text ?? experts?.text)?.location {
      throw given.error(nil, "the recipe has one of its own", remedy: "leave it out")
    }
    if let cut {
      steps = try (cut.first...cut.last).map { count in
        let recipe = try SweepRecipe(
          base, after: cut.step(count), named: "-drop\(count)" + cut.suffix,
          calibration: cut.needsCalibration ? cut.text : nil)
        return SeriesStep(name: recipe.name, recipe: recipe, removed: .blocks(count))
      }
    } else if let experts {
      steps = try (experts.first...experts.last).map { count in
        let recipe = try SweepRecipe(
          base, after: experts.step(count), named: "-experts\(count)" + experts.suffix, calibration: experts.text)
        return SeriesStep(name: recipe.name, recipe: recipe, removed: .experts(count, of: experts.whole))
      }
    } else {
      steps = [SeriesStep(name: base?.name ?? Self.original, recipe: base)]
    }
  }
}

/// What a model reads while a series chooses what goes: a calibration without a seed, which the sweep's seeds are.
struct SweepText: DeclaredDocument, Sendable {
  var text = "bundled"
  var samples = 64
  var length = 256
  /// Where it is given; nil: it is not.
  fileprivate var location: DocumentLocation?

  static let declaration = Declaration<SweepText>(
    "cut-calibration", "What a model reads while blocks or experts are chosen for it."
  ) {
    Field("text", \.text, .sweepText, "As the `text` of a recipe's calibration.")
    Field("samples", \.samples, .integer(in: 1...1 << 20, unit: "sequences"), "How much is read.")
    Field("length", \.length, .integer(in: 2...1 << 20, unit: "tokens"), "How long a sequence is.")
    Field.check { $0.location = $1.location }
  }
}

/// How a series removes blocks.
struct SweepCut: DeclaredDocument, Sendable {
  /// The fewest, and the most.
  fileprivate var first = 1
  fileprivate var last = 1
  /// As in `truncate`.
  var choose = "last"
  var heal = "none"
  /// What the model is computed on, where it has to be and the recipe does not say.
  fileprivate var text = SweepText()

  static let declaration = Declaration<SweepCut>("remove_blocks", "Which blocks a series removes.") {
    Field("from", \.first, .integer(in: 1...4096, unit: "blocks"), "The fewest.")
    Field(
      "to", \.last, .integer(in: 1...4096, unit: "blocks"), "The most, at least `from`.", absent: .refused(),
      reading: { .integer(in: $0.first...4096) })
    Field("choose", \.choose, .words(["last": "last", "angular": "angular", "kl": "kl"]), "As in `truncate`.")
    Field("heal", \.heal, .words(["none": "none", "linear": "linear"]), "As in `truncate`.")
    Field(
      "calibration", \.text, .document,
      "What the model reads where it has to be computed and the recipe has no calibration."
    )
    .only("where the cut is not the last blocks with nothing in their place", if: \.needsCalibration) { _ in
      ("is of no use: the last blocks go, and nothing takes their place", nil)
    }
  }

  var needsCalibration: Bool { choose != "last" || heal != "none" }

  /// What is written behind the number of blocks: `-kl-linear`.
  var suffix: String { (choose == "last" ? "" : "-\(choose)") + (heal == "none" ? "" : "-\(heal)") }

  /// The step of a recipe that removes so many.
  func step(_ count: Int) -> JSON {
    ["truncate": ["blocks": .integer(count), "choose": .string(choose), "heal": .string(heal)]]
  }
}

/// How a series removes experts.
struct SweepExperts: DeclaredDocument, Sendable {
  /// The fewest, and the most, of every block.
  fileprivate var first = 1
  fileprivate var last = 1
  /// How many a block has.
  fileprivate var whole = 2
  /// As in `prune`.
  var choose = "frequency"
  var refit = "squares"
  fileprivate var text = SweepText()

  static let declaration = Declaration<SweepExperts>("remove_experts", "Which experts a series removes.") {
    Field(
      "of", \.whole, .integer(in: 2...4096, unit: "experts"), "How many a block of the checkpoint has.",
      absent: .refused())
    Field(
      "from", \.first, .integer(in: 1...4096, unit: "experts"), "The fewest of every block.",
      reading: { .integer(in: 1...$0.whole - 1) })
    Field(
      "to", \.last, .integer(in: 1...4096, unit: "experts"), "The most, at least `from` and fewer than `of`.",
      absent: .refused(), reading: { .integer(in: $0.first...$0.whole - 1) })
    Field(
      "choose", \.choose,
      .words([
        "frequency": "frequency", "reap": "reap", "measured": "measured", "predictions": "predictions",
      ]), "As in `prune`.")
    Field("refit", \.refit, .words(["squares": "squares", "none": "none"]), "As in `prune`.")
    Field(
      "calibration", \.text, .document,
      "What the model reads while they are chosen, where the recipe has no calibration.")
  }

  /// What is written behind the number of experts: `-reap-none`.
  var suffix: String { (choose == "frequency" ? "" : "-\(choose)") + (refit == "squares" ? "" : "-\(refit)") }

  /// The step of a recipe that removes so many.
  func step(_ count: Int) -> JSON {
    let share = Double(count) / Double(whole)
    return [
      "prune": [
        "groups": ["experts"], "of": "groups", "sparsity": .number(share), "choose": .string(choose),
        "refit": .string(refit),
      ]
    ]
  }
}

extension ValueCodec<String> {
  /// A path that is relative to the sweep, as one that no recipe's folder is put before.
  fileprivate static var sweepText: ValueCodec {
    text.mapped(
      { text, reader, _ in
        guard text != "bundled", !text.hasPrefix("checkpoint:") else { return text }
        return URL(fileURLWithPath: SweepPlan.resolve(text, reader.location)).path
      }, back: { $0 })
  }
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
    json = reader.value
    file = path
    // The file itself, for errors with lines.
    let recipe = try Recipe(path: path)
    (name, digest) = (recipe.name, recipe.digest)
  }

  /// The same steps after one more; that alone without a recipe.
  ///
  /// - Parameters:
  ///   - suffix: what its name has behind the recipe's.
  ///   - calibration: what the step needs, where the recipe has none.
  init(_ base: SweepRecipe?, after step: JSON, named suffix: String, calibration: SweepText? = nil) throws {
    let name = (base?.name ?? "original") + suffix
    var members = base?.json.members ?? [.init("furl", 1), .init("steps", [])]
    members.removeAll { ["recipe", "description", "gates"].contains($0.key) }
    members = members.map { $0.key == "steps" ? .init("steps", .array([step] + ($0.value.array ?? []))) : $0 }
    if let calibration, !members.contains(where: { $0.key == "calibration" }) {
      members.append(.init("calibration", calibration.declaredJSON))
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
