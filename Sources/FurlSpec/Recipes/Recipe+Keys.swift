import FurlBase

extension Recipe {
  package static let declaration = Declaration<Recipe>(
    "recipe", "What is done to a checkpoint, and how the artifact is stored and judged."
  ) {
    Field.version(of: "recipe")
    Field("recipe", \.name, .recipeName, "Its name, which the artifact keeps.", absent: .refused())
    Field("description", \.summary, .text, "What it is for.")
    Field("steps", \.transforms, .transforms, "What is done, in this order.", absent: .refused(problem: noSteps))
    Field("calibration", \.calibration, .document, "What the model reads, where a step computes with it.")
    Field("budget", \.budget, .document, "What the artifact may take, where schemes are chosen for that.")
    Field.check { recipe, _ in
      for (index, step) in recipe.steps.enumerated() {
        guard case .quantize(var step) = step else { continue }
        try step.open(hasBudget: recipe.budget != nil)
        recipe.steps[index] = .quantize(step)
      }
    }
    Field("storage", \.storage, .word, "The smallest file; or aligned streams that are used as they lie in it.")
    Field("gates", \.gates, .gates, "What the artifact is held to, as in a gate file.").written { !$0.gates.isEmpty }
  }

  fileprivate static let noSteps = "at least one step is expected"

  private var transforms: [Transform] {
    get { steps.map(Transform.init) }
    set { steps = newValue.compactMap(\.step) }
  }
}

/// A step under the name of its transform.
private struct Transform: DeclaredDocument {
  var truncate: TruncateStep?
  var prune: PruneStep?
  var heal: HealStep?
  var quantize: QuantizeStep?

  init() {}

  init(_ step: Recipe.Step) {
    switch step {
    case .truncate(let step): truncate = step
    case .prune(let step): prune = step
    case .heal(let step): heal = step
    case .quantize(let step): quantize = step
    }
  }

  var step: Recipe.Step? {
    truncate.map(Recipe.Step.truncate) ?? prune.map(Recipe.Step.prune) ?? heal.map(Recipe.Step.heal)
      ?? quantize.map(Recipe.Step.quantize)
  }

  static let declaration: Declaration<Transform> = Declaration("step", "One transform with its settings.") {
    Field.check { _, reader in
      guard reader.keys.count == 1, let verb = reader.keys.first else {
        throw reader.error(
          nil, "a step is one transform with its settings", remedy: "truncate, prune, heal or quantize")
      }
      guard declaration.fields.contains(where: { $0.outline.key == verb }) else {
        throw reader.error(verb, "is not a transform", remedy: "known: truncate, prune, quantize, heal")
      }
      guard reader.optional(verb) != nil else { throw reader.error(verb, "has no settings") }
    }
    Field("truncate", \.truncate, .document, "Removes whole blocks.")
    Field("prune", \.prune, .document, "Removes groups of weights, or sets single ones to zero.")
    Field("heal", \.heal, .document, "Trains what is left.")
    Field("quantize", \.quantize, .document, "Writes weights down in fewer bits.")
  }
}

extension ValueCodec<[Transform]> {
  fileprivate static var transforms: ValueCodec {
    documents().checked { steps, reader, key in
      if steps.isEmpty { throw reader.error(key, Recipe.noSteps) }
    }
  }
}

extension ValueCodec<String> {
  fileprivate static var recipeName: ValueCodec {
    text.described(ValueOutline(schema: ["type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$"]))
      .checked { name, reader, key in
        guard !name.isEmpty, name.utf8.count <= 100, name.utf8.allSatisfy(SuiteName.isByte) else {
          throw reader.error(
            key, "\"\(name)\" is not a name", remedy: "use letters, digits, dots, dashes and underscores")
        }
      }
  }
}
