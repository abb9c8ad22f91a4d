import FurlBase
import FurlSpec

/// Recipes that are tried one after the other: most often one; or the same one with ever more blocks removed, until a
/// figure has fallen to a bound.
struct SweepSeries: DeclaredDocument, Sendable {
  /// One recipe; nil for the checkpoint as it is.
  struct Step: Sendable {
    let name: String
    let recipe: SweepRecipe?
    /// Blocks that the series takes away.
    var removed = 0
  }

  /// A recipe file, or the word for the checkpoint as it is.
  private var word = ""
  private var cut: SweepCut?
  private(set) var until: SweepPlan.Until?
  private(set) var steps: [Step] = []

  private static let original = "original"

  static let declaration = Declaration<SweepSeries>("series", "A recipe, or a series with ever more blocks removed.") {
    Field(
      "recipe", \.word, .text.checked({ _ in "is missing" }, noRecipe) { !$0.isEmpty },
      "A file, or `original` for the checkpoint as it is.",
      absent: .refused(remedy: noRecipe))
    Field(
      "remove_blocks", \.cut, .document,
      "Makes a series of it, with ever more blocks removed before the recipe's steps.")
    Field("until", \.until, .document, "Ends the series when a figure has fallen so far.")
      .only(if: { $0.cut != nil }, else: "ends a series", "add remove_blocks: {from: 1, to: N}")
  }

  private static let noRecipe = "a recipe file, or: original"

  mutating func settle(_ reader: DocumentReader) throws {
    let base = word == Self.original ? nil : try SweepRecipe(path: SweepPlan.resolve(word, reader.location))
    guard let cut else {
      steps = [Step(name: base?.name ?? Self.original, recipe: base)]
      return
    }
    guard !cut.hasCalibration || base?.isSeeded != true else {
      throw cut.location.error("calibration", "the recipe has one of its own", remedy: "leave it out")
    }
    steps = try (cut.first...cut.last).map { count in
      let recipe = try SweepRecipe(base, removing: count, cut)
      return Step(name: recipe.name, recipe: recipe, removed: count)
    }
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
  fileprivate var text = Text()
  fileprivate var hasCalibration = false
  fileprivate var location = DocumentLocation.none

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
    Field.check {
      $0.hasCalibration = $1.optional("calibration") != nil
      $0.location = $1.location
    }
  }

  /// A calibration without a seed, which the sweep's seeds are.
  struct Text: DeclaredDocument, Sendable {
    var text = "bundled"
    var samples = 64
    var length = 256

    static let declaration = Declaration<Text>("cut-calibration", "What a model reads while blocks are chosen for it.")
    {
      Field("text", \.text, .sweepText, "As the `text` of a recipe's calibration.")
      Field("samples", \.samples, .integer(in: 1...1 << 20, unit: "sequences"), "How much is read.")
      Field("length", \.length, .integer(in: 2...1 << 20, unit: "tokens"), "How long a sequence is.")
    }
  }

  var calibration: JSON { text.declaredJSON }

  var needsCalibration: Bool { choose != "last" || heal != "none" }

  /// What is written behind the number of blocks: `-kl-linear`.
  var suffix: String { (choose == "last" ? "" : "-\(choose)") + (heal == "none" ? "" : "-\(heal)") }
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
