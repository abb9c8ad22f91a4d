import ArgumentParser
import FurlBase
import FurlEvaluate
import FurlReport

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draws a table and a page with plots from what bench, eval, verify and sweep measured.",
    discussion: """
      furl bench checkpoints/minipy minipy-int8.furl --report bench.json
      furl verify minipy-int8.furl --baseline bench.json --json > gates.json
      furl report bench.json gates.json --html report.html

      Documents about one model become one row; models are compared with the checkpoint that they were made from, \
      problem by problem. The table is Markdown. The page is one file that loads nothing and runs no script. \
      Completions that eval --samples kept are shown side by side where results differ; --suite adds what was asked and \
      expected.
      """)

  @Argument(
    help: ArgumentHelp("Documents of bench, eval, verify or sweep (--json).", valueName: "report.json"),
    completion: .file())
  var reports: [String]

  @Option(help: ArgumentHelp("Write a page with plots.", valueName: "out.html"), completion: .file())
  var html: String?

  @Option(
    help: ArgumentHelp("Write the table to a file instead of standard output.", valueName: "out.md"),
    completion: .file())
  var markdown: String?

  @Option(
    help: ArgumentHelp("Completions of a model; may be given several times.", valueName: "model=samples.jsonl"))
  var samples: [String] = []

  @Option(
    help: ArgumentHelp(
      "Show what a suite asked and expected beside the completions; may be given several times.", valueName: "card"),
    completion: .file())
  var suite: [String] = []

  @Option(help: ArgumentHelp("Compare with this model.", valueName: "name"))
  var baseline: String?

  @Option(help: ArgumentHelp("What stands at the top.", valueName: "text"))
  var title: String?

  @Option(
    help: ArgumentHelp(
      "When it was made, for the page's head (default: nothing, so that the same documents give the same bytes).",
      valueName: "text"))
  var date: String?

  func run() throws {
    let completions: [String] = samples.map { text in String(text.drop { $0 != "=" }.dropFirst()) }
    try Overwriting.check(
      [("--html", html), ("--markdown", markdown)], over: reports + completions + suite.flatMap(Suite.filesRead))
    let page = try html.map { try TextOutput(path: $0) }
    let file = try markdown.map { try TextOutput(path: $0) }
    var document = ReportDocument()
    for path in reports { try document.add(path: path) }
    for text in samples {
      guard let cut = text.firstIndex(of: "="), cut != text.startIndex else {
        throw FurlError(.usage, file: "--samples", "\"\(text)\" is not MODEL=FILE")
      }
      try document.addSamples(path: String(text[text.index(after: cut)...]), model: String(text[..<cut]))
    }
    for path in suite { try document.addSuite(path: path) }
    if let baseline { try document.setBaseline(baseline) }
    if let title { document.title = title }
    document.date = date
    try page?.write(HTMLReport.text(document))
    let text = MarkdownReport.text(document)
    if let file {
      try file.write(text + "\n")
    } else {
      Terminal.print(text)
    }
  }
}
