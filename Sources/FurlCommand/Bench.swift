import ArgumentParser
import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlModel
import FurlReport
import FurlTensor

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures models side by side: disk, memory, speed, energy, and quality with suites.",
    discussion: """
      furl bench checkpoints/minipy minipy-int8.furl minipy-int4.furl
      furl bench minipy-int8.furl --suite checkpoints/minipy/lines.yaml --json

      Speed and memory are measured in processes of their own, in interleaved rounds. Prefill reads a prompt of \
      random tokens; decode generates token by token after --decode-context tokens. With --sequences, so many \
      completions of prompt and decode tokens are generated at once, as eval does.

      Energy is read from the packages' RAPL counters (powercap, else perf events), of the whole machine; the idle \
      machine's power is measured before and after. Where there are none the report says so and no figure is \
      invented. FURL_POWERCAP names another powercap folder.
      """)

  @Argument(help: "Checkpoint folders and artifacts.", completion: .file())
  var paths: [String]

  @Option(
    help: ArgumentHelp("A suite card whose figures enter the row; may be given several times.", valueName: "card"),
    completion: .file())
  var suite: [String] = []

  @Option(help: ArgumentHelp("Tokens of the prompt that prefill reads.", valueName: "n"))
  var promptTokens = 256

  @Option(help: ArgumentHelp("Tokens that decode generates.", valueName: "n"))
  var decodeTokens = 128

  @Option(help: ArgumentHelp("Tokens of context that decode begins after.", valueName: "n"))
  var decodeContext = 0

  @Option(help: ArgumentHelp("Generate so many completions, several at once (default: none).", valueName: "n"))
  var sequences: Int?

  @Option(help: ArgumentHelp("The most completions at once.", valueName: "n"))
  var slots = 32

  @Option(help: ArgumentHelp("Interleaved rounds, a process for each model in each.", valueName: "n"))
  var rounds = 3

  @Option(help: ArgumentHelp("Repeats in a round.", valueName: "n"))
  var repeats = 3

  @Option(help: ArgumentHelp("Only so many problems of each suite.", valueName: "n"))
  var limit: Int?

  @Option(
    help: ArgumentHelp("Keep the JSON document in a file beside the table.", valueName: "out.json"), completion: .file()
  )
  var report: String?

  @Option(
    help: ArgumentHelp("Seconds of the idle machine before and after, where energy can be measured.", valueName: "s"))
  var idle = 30.0

  @Option(
    help: ArgumentHelp(
      "Also model the energy from the processor's power at full load, apart from what is measured.",
      valueName: "watts"))
  var tdp: Double?

  @Option(
    help: ArgumentHelp(
      "Also report carbon: grams of CO2e for a kilowatt-hour and the figure's year.",
      valueName: "g:year"))
  var carbon: String?

  @Flag(help: "Print one JSON document instead of a table.")
  var json = false

  @OptionGroup var settings: ProtocolOptions
  @OptionGroup var weights: WeightsOptions
  @OptionGroup var compute: ComputeOptions

  func validate() throws {
    for (name, value) in [
      ("prompt-tokens", promptTokens), ("decode-tokens", decodeTokens), ("rounds", rounds), ("repeats", repeats),
      ("limit", limit ?? 1), ("sequences", sequences ?? 1), ("slots", slots), ("decode-context", decodeContext + 1),
    ] where value < 1 {
      throw ValidationError("--\(name) must be 1 or more.")
    }
    guard (0...3600).contains(idle) else { throw ValidationError("--idle must be 0 to 3600.") }
    if let tdp, !(tdp > 0 && tdp <= 10_000) { throw ValidationError("--tdp must be a number of watts.") }
    if let carbon, EnergyExtras.CarbonFactor(carbon) == nil {
      throw ValidationError("--carbon must be grams:year, such as 268:2023.")
    }
  }

  mutating func run() async throws {
    paths = try weights.paths(paths)
    try Overwriting.check(
      [("--report", report)],
      over: paths.flatMap { ModelFile.filesRead(at: $0) } + suite.flatMap { Suite.filesRead(at: $0) })
    let suites = try suite.map { try Suite(path: $0) }
    let reportFile = try report.map { try TextOutput(path: $0) }
    // Wrong paths, and that nothing can be executed, are found before anything is measured.
    for path in paths { _ = try ModelFile(path: path).tokenizer() }
    if suites.contains(where: { $0.kind.type.executes }) { _ = try Sandbox.detect(unsandboxed: settings.unsandboxed) }
    try CommandProcess.checkThreads(compute.threadCount)
    var measurement = ModelMeasurement(speed: runner, suites: suites, threads: compute.threadCount)
    measurement.format = compute.kv?.format
    measurement.extras = EnergyExtras(thermalDesignPower: tdp, carbon: carbon.flatMap(EnergyExtras.CarbonFactor.init))
    let start = ContinuousClock.now
    let rows = try await measurement.rows(of: paths, context: compute.context) { label in
      settings.evaluator(limit: limit, label: label)
    } progress: {
      Terminal.progress("measuring", done: $0, total: $1, since: start)
    }
    Terminal.clearProgress()
    let document: JSON = [
      "furl": .string(furlVersion), "protocol": measuring, "machine": MachineFacts().json,
      "results": .array(rows.map(\.json)),
    ]
    try reportFile?.write(document.prettyText + "\n")
    if json {
      Terminal.print(document)
    } else {
      Terminal.print(BenchTable.text(rows, width: Terminal.width))
      for note in BenchTable.notes(rows) { Terminal.print(note) }
    }
  }

  /// How speed was measured.
  private var measuring: JSON {
    [
      "prompt_tokens": .integer(promptTokens), "decode_tokens": .integer(decodeTokens),
      "decode_context": .integer(decodeContext), "sequences": .optional(sequences), "slots": .integer(slots),
      "rounds": .integer(rounds),
      "repeats": .integer(repeats), "threads": .integer(compute.threadCount),
      "activations": .string(compute.activations.rawValue), "kv": .optional(compute.kv?.rawValue),
    ]
  }

  private var runner: BenchRunner {
    let measuring = SpeedMeasurement.SpeedSettings(
      threads: compute.threadCount, promptTokens: promptTokens, decodeTokens: decodeTokens,
      decodeContext: decodeContext, batch: sequences.map { .init(sequences: $0, slots: slots) }, repeats: repeats,
      activations: compute.activations, format: compute.kv?.format)
    var runner = BenchRunner(
      executable: ownExecutable ?? CommandLine.arguments[0], settings: measuring, rounds: rounds)
    runner.idleSeconds = idle
    return runner
  }
}
