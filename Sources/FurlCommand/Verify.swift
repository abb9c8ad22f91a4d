import ArgumentParser
import FurlBase
import FurlEvaluate
import FurlReport

struct Verify: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Holds an artifact to its gates: lets it through only when it is whole and good enough.",
    discussion: """
      furl verify minipy-int8.furl --baseline checkpoints/minipy
      furl verify minipy-int8.furl --gates gates/minipy.yaml \\
        --baseline fp32.json --junit gates.xml

      Gates are the recipe's, or those of --gates. Suites are found beside the baseline, or given with --suite. \
      Digests are checked first. A gate with max_drop compares with the checkpoint that the artifact was made \
      from: --baseline names it, or a report that eval or bench made of it (--json).

      What is cheap comes first, a suite ends when its gates are settled whatever the rest would give, and the \
      first gate that does not hold ends everything: --complete puts every problem. Results of the baseline are \
      kept in the user's cache folder; --no-cache measures it anew.

      Where GitHub Actions runs it, the job gets a summary and annotations.

      The JUnit file says error from the start until there is a verdict, whatever ends the command.

      Exit status: 0 all gates hold, 1 one does not, 2 one is inconclusive.
      """)

  @Argument(help: "The artifact.", completion: .file())
  var artifact: String

  @Option(
    help: ArgumentHelp("Hold it to these gates instead of the recipe's.", valueName: "gates.yaml"), completion: .file())
  var gates: String?

  @Option(help: ArgumentHelp("Where a suite of a gate is found; may be given several times.", valueName: "name=card"))
  var suite: [String] = []

  @Option(
    help: ArgumentHelp("The checkpoint that the artifact was made from, or a report on it.", valueName: "path"),
    completion: .file())
  var baseline: String?

  @Option(help: ArgumentHelp("Write a JUnit report for build servers.", valueName: "out.xml"), completion: .file())
  var junit: String?

  @Option(help: ArgumentHelp("Only so many problems of each suite; a min gate then cannot pass.", valueName: "n"))
  var limit: Int?

  @Flag(help: "Put every problem of every suite, though verdicts are settled earlier.")
  var complete = false

  @Flag(name: .customLong("no-cache"), help: "Measure the baseline anew, and keep nothing.")
  var noCache = false

  @Flag(
    name: .customLong("no-drafts"),
    help: "Generate without checking the baseline's completions first: slower, with the same verdict.")
  var noDrafts = false

  @Flag(help: "Say how each verdict came about.")
  var explain = false

  @Flag(help: "Exit with 0 when gates are inconclusive and none fails.")
  var allowInconclusive = false

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  @OptionGroup var settings: ProtocolOptions
  @OptionGroup var weights: WeightsOptions
  @OptionGroup var compute: ComputeOptions

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more.") }
    if explain, json { throw ValidationError("--explain is for people; --json has all of it.") }
  }

  func run() async throws {
    let baseline = try baseline.map(weights.path)
    // All of it before the file is touched, which is long before suites are read.
    try Overwriting.check(
      [("--junit", junit)],
      over: Verification.filesRead(artifact: artifact, gates: gates, suites: suite, baseline: baseline))
    let junitFile = try junit.map { try JUnitFile(path: $0, subject: artifact) }
    let verification = try Verification(
      artifact: artifact, gates: gates, suites: suite, baseline: baseline, context: compute.context(),
      format: compute.kv?.format)
    let start = ContinuousClock.now
    try verification.checkDigests { Terminal.progress("digests", done: $0, total: $1, since: start) }
    let options = Verification.VerificationOptions(
      isComplete: complete, cache: noCache ? nil : cache, draftsFromBaseline: !noDrafts)
    let report = try await verification.run(options) { label in settings.evaluator(limit: limit, label: label) }
    Terminal.clearProgress()
    try junitFile?.write(report)
    GitHubActions.current?.tell(report)
    for note in report.evidence.notes { Terminal.log("furl: \(note)".escapingControlCharacters) }
    if json {
      Terminal.print(report.json)
    } else {
      let lines = explain ? GateExplanation.lines(report) : GateText.lines(report, width: Terminal.width)
      let text = lines.joined(separator: "\n")
      Terminal.print(Terminal.outputHasColours ? Colours.paintingVerdicts(text) : text)
    }
    let status = report.exitStatus(allowingInconclusive: allowInconclusive)
    if status != 0 { Terminal.exit(status) }
  }

  /// Results of baselines belong to one build: another one may compute in another order.
  private var cache: BaselineCache? {
    guard let folder = BaselineCache.usualFolder(ProcessInfo.processInfo.environment),
      let executable = ownExecutable, let file = try? MappedFile(path: executable)
    else { return nil }
    return BaselineCache(folder: folder, build: "\(furlVersion) \(Digest(of: file).hex)") {
      Terminal.logOnce("furl: \($0)")
    }
  }
}
