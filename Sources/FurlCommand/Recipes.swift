import ArgumentParser
import FurlBase
import FurlReport
import FurlSpec

struct Recipes: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the recipes that ship, prints one, or explains it.",
    discussion: """
      furl recipes
      furl recipes int4 > mine.yaml
      furl recipes int4 --explain

      A recipe that ships is named without a path wherever a recipe is wanted: furl compress MODEL --recipe int4.
      """)

  @Argument(
    help: "The recipe to print (default: lists all).", completion: .list(ShippedRecipe.all.map(\.name)))
  var name: String?

  @Flag(help: "Say what every key of it means, with what it leaves to defaults.")
  var explain = false

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func validate() throws {
    if explain, name == nil { throw ValidationError("--explain needs the name of a recipe.") }
  }

  func run() throws {
    guard let name else { return try list() }
    guard let shipped = ShippedRecipe.named(name) else {
      throw FurlError(
        .usage, file: name, "is no recipe that ships",
        remedy: Suggestion.remedy(for: name, among: ShippedRecipe.all.map(\.name), list: "there are"))
    }
    let recipe = try shipped.recipe()
    if json {
      return Terminal.print([
        "name": .string(name), "description": .optional(recipe.summary), "text": .string(shipped.text),
        "recipe": recipe.json, "sha256": .string(recipe.digest.hex),
      ])
    }
    guard explain else { return Terminal.write(shipped.text) }
    for line in DocumentExplanation.lines(recipe.json, of: Recipe.declaration.outline) {
      let depth = line.prefix { $0 == " " }.count
      Terminal.print(
        Terminal.lines(of: String(line.dropFirst(depth)), indentedBy: depth + 4, firstBy: depth))
    }
  }

  private func list() throws {
    let recipes = try ShippedRecipe.all.map { ($0.name, try $0.recipe().summary ?? "") }
    if json {
      return Terminal.print([
        "recipes": .array(recipes.map { ["name": .string($0.0), "description": .string($0.1)] })
      ])
    }
    var table = TextTable(["recipe", "what it does"], leftAligned: [0, 1])
    for (name, summary) in recipes { table.add([name, summary]) }
    Terminal.print(table)
  }
}
