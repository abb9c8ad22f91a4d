import ArgumentParser
import FurlBase
import FurlReport

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says whether a recipe, suite card, gate file or sweep is right, without a model.",
    discussion: """
      furl check my-recipe.yaml
      furl check suites/humaneval.yaml gates.yaml --json

      What a document names is read with it: the recipes of a sweep, the problem file of a card with its digest. What only a \
      checkpoint shows, as a selector that matches no tensor of it, is found by furl compress --plan.
      """)

  @Argument(help: "The documents.", completion: .file(extensions: ["yaml", "yml"]))
  var files: [String]

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func run() throws {
    let checks = try files.map { try DocumentCheck(path: $0) }
    if json { return Terminal.print(["documents": .array(checks.map(\.json))]) }
    for check in checks { Terminal.print(check.text.escapingControlCharacters) }
  }
}
