import ArgumentParser
import Foundation
import Furl

struct Verify: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Holds an artifact to its gates: lets it through only when it is whole and good enough.",
    discussion: """
      furl verify minipy-int8.furl --baseline checkpoints/minipy
      furl verify minipy-int8.furl --gates gates/minipy.yaml --baseline fp32.json --junit gates.xml

      Gates are the recipe's, or those of --gates. Suites are found beside the baseline, or given with --suite. \
      Digests are checked first. A gate with max_drop compares with the checkpoint that the artifact was made \
      from: --baseline names it, or a report that eval or bench made of it (--json).

      Exit status: 0 all gates hold, 1 one does not, 2 one is inconclusive.
      """)

  @Argument(help: "The artifact.")
  var artifact: String

  @Option(help: ArgumentHelp("Hold it to these gates instead of the recipe's.", valueName: "gates.yaml"))
  var gates: String?

  @Option(help: ArgumentHelp("Where a suite of a gate is found; may be given several times.", valueName: "name=card"))
  var suite: [String] = []

  @Option(help: ArgumentHelp("The checkpoint that the artifact was made from, or a report on it.", valueName: "path"))
  var baseline: String?

  @Option(help: ArgumentHelp("Write a JUnit report for build servers.", valueName: "out.xml"))
  var junit: String?

  @Option(help: ArgumentHelp("Only so many problems of each suite; a min gate then cannot pass.", valueName: "n"))
  var limit: Int?

  @Flag(help: "Exit with 0 when gates are inconclusive and none fails.")
  var allowInconclusive = false

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  @OptionGroup var settings: ProtocolOptions
  @OptionGroup var compute: ComputeOptions

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more.") }
  }

  func run() async throws {
    let junitFile = try junit.map { try TextOutput(path: $0) }
    let verification = try Verification(
      artifact: artifact, gates: gates, suites: suite, baseline: baseline, context: compute.context(),
      format: compute.kv?.format)
    let start = ContinuousClock.now
    try verification.checkDigests { Terminal.progress("digests", done: $0, total: $1, since: start) }
    let report = try await verification.run { label in settings.evaluator(limit: limit, label: label) }
    Terminal.clearProgress()
    if json {
      Terminal.print(report.json)
    } else {
      Terminal.print(GateText.lines(report).joined(separator: "\n"))
    }
    try junitFile?.write(report.junit)
    let status = report.exitStatus(allowingInconclusive: allowInconclusive)
    if status != 0 { Terminal.exit(status) }
  }
}
