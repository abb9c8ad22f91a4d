package import FurlBase
import FurlEvaluate
import FurlSpec

/// Whether a document that people write is right, as far as that can be told without a model.
package struct DocumentCheck: Sendable {
  /// What a document is, as one of its keys says.
  package enum WrittenForm: String, Sendable, CaseIterable {
    case recipe
    case suite
    case gates
    case sweep

    /// What people call it.
    package var words: String {
      switch self {
      case .recipe: "recipe"
      case .suite: "suite card"
      case .gates: "gate file"
      case .sweep: "sweep"
      }
    }
  }

  package let path: String
  package let form: WrittenForm
  /// What it calls itself; a gate file has no name.
  package let name: String?
  /// What is in it: `2 steps, 1 gate`.
  package let contents: String

  /// Reads a document strictly, and with it what it names: recipes of a sweep, the problem file of a card.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names file, line and key; `usage` for a gate file without gates.
  package init(path: String) throws {
    self.path = path
    form = try DocumentCheck.form(of: YAML.read(path: path))
    switch form {
    case .recipe:
      let recipe = try Recipe(path: path)
      name = recipe.name
      contents = [
        DocumentCheck.count(recipe.steps.count, "step"), recipe.calibration.map { _ in "a calibration" },
        recipe.budget.map { _ in "a budget" },
        recipe.gates.isEmpty ? nil : DocumentCheck.count(recipe.gates.count, "gate"),
      ].compactMap { $0 }.joined(separator: ", ")
    case .suite:
      let suite = try Suite(path: path)
      name = suite.name
      contents =
        suite.kind == .text ? "a text" : DocumentCheck.count(suite.count, "problem") + " of \(suite.kind.rawValue)"
    case .gates:
      name = nil
      contents = DocumentCheck.count(try Gate.read(path: path).count, "gate")
    case .sweep:
      let plan = try SweepPlan(path: path)
      name = plan.name
      contents =
        DocumentCheck.count(plan.subjects.count, "checkpoint") + ", " + DocumentCheck.count(plan.cards.count, "suite")
    }
  }

  private static func form(of reader: DocumentReader) throws -> WrittenForm {
    let keys = Set(reader.keys)
    // A recipe may have gates, too.
    for form in [WrittenForm.recipe, .suite, .sweep, .gates] where keys.contains(form.rawValue) { return form }
    let named = WrittenForm.allCases.map { "\($0.rawValue): (a \($0.words))" }.joined(separator: ", ")
    let slip = reader.keys.lazy.compactMap { key in
      Suggestion.nearest(to: key, among: WrittenForm.allCases.map(\.rawValue)).map { (key, $0) }
    }.first
    throw reader.error(
      slip?.0, "is neither a recipe, a suite card, a gate file nor a sweep",
      remedy: (slip.map { "did you mean \($0.1)? " } ?? "") + "one of these keys says which: \(named)")
  }

  private static func count(_ count: Int, _ word: String) -> String { "\(count) \(word)\(count == 1 ? "" : "s")" }

  package var json: JSON {
    [
      "path": .string(path), "form": .string(form.rawValue), "name": .optional(name), "contents": .string(contents),
      "right": true,
    ]
  }

  /// `recipes/int8.yaml: a right recipe, int8: 1 step`.
  package var text: String { "\(path): a right \(form.words)\(name.map { ", \($0)" } ?? ""): \(contents)" }
}
