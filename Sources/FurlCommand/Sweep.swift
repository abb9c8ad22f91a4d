import ArgumentParser
import FurlBase
import FurlReport

struct SweepCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep",
    abstract: "Runs checkpoints x recipes x suites as one report, and goes on where it was interrupted.",
    discussion: """
      furl sweep sweeps/poster.yaml --checkpoint minipy=checkpoints/minipy \\
        --suite checkpoint:lines.yaml --output out

      Every cell runs in a process of its own and keeps its result in the folder's cells; the journal says what \
      happened. After ^C, a crash or a power cut, the same command goes on: a cell that has ended is never run again, \
      one that failed is tried again, and others are not touched by it. A series with until ends when its figure has \
      fallen to the bound. At the end sweep.json, report.md and report.html lie in the folder.

      --checkpoint takes the place of the file's checkpoints; synth:MODEL/BLOCKS is a published shape with random \
      weights. With --executor slurm the cells become a job array, and a job that depends on it gathers the results \
      and submits lost cells again; folder, checkpoints and furl must lie where all nodes see them.

      Exit status: 0 all cells gave a result; else that of the first cell that failed.
      """)

  @Argument(help: ArgumentHelp("What is to be run.", valueName: "sweep.yaml"), completion: .file())
  var sweep: String

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The folder for results (default: the sweep's name).", valueName: "folder"),
    completion: .directory)
  var output: String?

  @Option(
    help: ArgumentHelp("A checkpoint instead of the file's; may be given several times.", valueName: "name=path"))
  var checkpoint: [String] = []

  @Option(
    help: ArgumentHelp("A suite card instead of the file's; may be given several times.", valueName: "card"),
    completion: .file())
  var suite: [String] = []

  @Option(help: "Where cells run: local or slurm.")
  var executor: Executor = .local

  @Flag(help: "With slurm: wait for the report and print it.")
  var wait = false

  @Flag(help: "Print one JSON document instead of the table.")
  var json = false

  enum Executor: String, ExpressibleByArgument, CaseIterable { case local, slurm }

  // How a sweep calls itself.
  @Option(help: .hidden) var cell: String?
  @Option(help: .hidden) var parent: Int32?
  @Option(help: .hidden) var chain: Int?
  @Option(help: .hidden) var gather: Int?

  func run() async throws {
    if let parent { endWith(parent) }
    var plan = try SweepPlan(path: sweep)
    if !checkpoint.isEmpty { plan.subjects = try checkpoint.map { try SweepPlan.subject(argument: $0) } }
    if !suite.isEmpty { plan.cards = suite }
    let path = output ?? plan.name
    let inputs = [sweep] + plan.filesRead
    try Overwriting.check(SweepFolder.reports(in: path).map { ("--output", $0) }, over: inputs)
    try Overwriting.check(clearing: SweepFolder.cleared(in: path), of: inputs)
    let folder = try SweepFolder(path: path)
    let executable = ownExecutable ?? CommandLine.arguments[0]
    let sweep = try Sweep(plan, in: folder, executable: executable, arguments: ownArguments(folder)) {
      Terminal.log("furl: \($0)")
    }
    if let cell { return try await sweep.run(cell: cell) }
    if let chain { return try await sweep.run(chain: chain) { SweepCommand.show($0) } }
    if let gather { return try await collect(sweep, attempt: gather) }
    switch executor {
    case .local:
      try await sweep.run { SweepCommand.show($0) }
      try print(sweep)
    case .slurm: try await submit(sweep)
    }
  }

  /// The arguments that start a part of the same sweep, wherever it runs.
  private func ownArguments(_ folder: SweepFolder) -> [String] {
    ["sweep", URL(fileURLWithPath: sweep).standardizedFileURL.path, "--output", folder.path]
      + checkpoint.flatMap { ["--checkpoint", $0] } + suite.flatMap { ["--suite", $0] }
  }

  private static func show(_ progress: Sweep.SweepProgress) {
    let words = [progress.event, progress.reason].compactMap { $0 }.joined(separator: ": ")
    Terminal.log("[\(progress.done)/\(progress.total)] \(progress.cell) \(words)".escapingControlCharacters)
  }

  private func submit(_ sweep: Sweep) async throws {
    let slurm = SlurmExecutor(sweep)
    guard let submission = try await slurm.submit() else { return try print(sweep) }
    Terminal.log(
      "furl: \(submission.chains.count) jobs in array \(submission.array); job \(submission.gather) gathers their results"
    )
    guard wait else { return }
    var shown = -1
    try await slurm.wait { jobs in
      if jobs != shown { Terminal.showProgress("\(jobs) jobs in the queue") }
      shown = jobs
    }
    Terminal.clearProgress()
    try print(sweep)
  }

  private func collect(_ sweep: Sweep, attempt: Int) async throws {
    if let again = try await SlurmExecutor(sweep).gather(attempt: attempt) {
      Terminal.log("furl: \(again.chains.count) jobs were lost and are submitted again as array \(again.array)")
    }
  }

  private func print(_ sweep: Sweep) throws {
    let (document, drawn, status) = try sweep.finish()
    if json {
      Terminal.print(document)
    } else {
      Terminal.print(MarkdownReport.text(drawn))
      Terminal.log("furl: \(sweep.folder.path)/report.html has the plots")
    }
    if status != 0 { Terminal.exit(status) }
  }

  /// A cell must not outlive the run that started it: a second run would meet it.
  private func endWith(_ parent: Int32) {
    _ = beginThread {
      while getppid() == parent { usleep(100_000) }
      Terminal.exit(130)
    }
  }
}
