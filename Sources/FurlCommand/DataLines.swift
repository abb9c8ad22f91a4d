import ArgumentParser
import FurlBase
import FurlEvaluate

struct DataCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data", abstract: "Makes data to measure with.", subcommands: [DataLines.self])
}

struct DataLines: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lines",
    abstract: "Builds a line-completion suite from a folder of Python files.",
    discussion: """
      furl data lines --source ~/src/flask --output flask.jsonl
      furl eval minipy-int8.furl --suite flask.yaml

      Files are put into PY150's normal form: tokens with single spaces between them, <EOL> for the ends of lines, and \
      markers in the place of literals, but for the frequent ones that --literals lists (CodeXGLUE's literals.json for \
      PY150). Of each file one line is to be completed, from a token that the seed draws. Beside the problems a suite card \
      is written. Files with the same tokens count once; the same folder and seed give the same suite.
      """)

  @Option(help: ArgumentHelp("The folder of Python files.", valueName: "dir"), completion: .directory)
  var source: String

  @Option(
    help: ArgumentHelp("The problem file; its card gets the same name and .yaml.", valueName: "out.jsonl"),
    completion: .file())
  var output: String

  @Option(
    help: ArgumentHelp("Literals that stay as they are (str, num). Default: none stays.", valueName: "json"),
    completion: .file())
  var literals: String?

  @Option(help: ArgumentHelp("The most problems (default: one of each file).", valueName: "n"))
  var count: Int?

  @Option(help: "Draws the lines and where they are cut.")
  var seed: UInt64 = 0

  func validate() throws {
    if let count, count < 1 { throw ValidationError("--count must be 1 or more.") }
    if !output.hasSuffix(".jsonl") { throw ValidationError("--output must end in .jsonl.") }
  }

  func run() async throws {
    let base = String(output.dropLast(".jsonl".count))
    let name = URL(fileURLWithPath: base).lastPathComponent
    let card = try LineSuiteCard(name: name)
    try Overwriting.check(
      [("--output", output), ("the card of --output", base + ".yaml")],
      over: [literals].compactMap { $0 } + LineSuiteBuilder.filesRead(in: source))
    let problemFile = try TextOutput(path: output)
    let cardFile = try TextOutput(path: base + ".yaml")
    let kept = try literals.map { try PY150.Literals(path: $0) } ?? PY150.Literals()
    let start = ContinuousClock.now
    let suite = try LineSuiteBuilder(.init(seed: seed, count: count, literals: kept)).build(folder: source) {
      Terminal.progress("files", done: $0, total: $1, since: start)
    }
    Terminal.clearProgress()
    let text = suite.jsonl
    try problemFile.write(text)
    try cardFile.write(card.text(problems: text))
    var line = "\(output): \(suite.problems.count) lines from \(suite.files) files"
    let left = [("refused", suite.refused), ("repeated", suite.repeated), ("too long", suite.long)].filter { $0.1 > 0 }
    if !left.isEmpty { line += " (" + left.map { "\($0.1) \($0.0)" }.joined(separator: ", ") + ")" }
    Terminal.print(line)
    Terminal.print("\(base).yaml: its suite card")
  }
}
