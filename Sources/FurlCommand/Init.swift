import ArgumentParser
import FurlBase
import FurlCheckpoint
import FurlReport

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a commented recipe and gates for a checkpoint, to begin with.",
    discussion: """
      furl init checkpoints/minipy --output minipy

      The folder gets recipe.yaml and gates.yaml, chosen by the model's size and whether it has experts; suites whose cards \
      lie beside the checkpoint become gates. Files that are there are not written over. Then:

        furl compress checkpoints/minipy \\
          --recipe minipy/recipe.yaml --output minipy.furl
        furl verify minipy.furl --gates minipy/gates.yaml \\
          --baseline checkpoints/minipy
      """)

  @Argument(help: "A checkpoint: a folder or a GGUF file.", completion: .file())
  var checkpoint: String

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The folder for both files (default: this one).", valueName: "folder"), completion: .directory)
  var output = "."

  @Flag(help: "Write over recipe.yaml and gates.yaml.")
  var force = false

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func run() throws {
    let opened = try Checkpoint(path: checkpoint)
    let draft = try RecipeDraft(opened, name: RecipeDraft.name(for: checkpoint))
    let paths = ["recipe.yaml", "gates.yaml"].map { output == "." ? $0 : "\(output)/\($0)" }
    if !force, let there = paths.first(where: { FileNames.isFolder($0) != nil }) {
      throw FurlError(
        .cannotCreate, file: there, "is there already", remedy: "give another --output, or --force to write over it")
    }
    if FileNames.isFolder(output) == nil {
      guard mkdir(output, 0o777) == 0 else { throw FurlError.creating(output) }
    }
    // Both can be written before either is.
    let files = try paths.map { try TextOutput(path: $0) }
    try files[0].write(draft.recipe)
    try files[1].write(draft.gates)
    if json {
      return Terminal.print([
        "recipe": .string(paths[0]), "gates": .string(paths[1]), "reason": .string(draft.reason),
      ])
    }
    Terminal.print("\(paths[0]), \(paths[1]): \(draft.reason)")
    Terminal.print("next: furl compress \(checkpoint) --recipe \(paths[0]) --output model.furl")
  }
}
