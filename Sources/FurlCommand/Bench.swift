import ArgumentParser
import Foundation
import Furl

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures models side by side: disk, memory, speed, energy, and quality with suites.",
    discussion: """
      furl bench checkpoints/minipy minipy-int8.furl minipy-int4.furl
      furl bench checkpoints/minipy minipy-int8.furl --suite checkpoints/minipy/lines.yaml --json

      Speed and memory are measured in processes of their own, in interleaved rounds. Prefill reads a prompt of \
      random tokens; decode generates token by token after --decode-context tokens. With --sequences, so many \
      completions of prompt and decode tokens are generated at once, as eval does.
      """)

  @Argument(help: "Checkpoint folders and artifacts.")
  var paths: [String]

  @Option(
    help: ArgumentHelp("A suite card whose figures enter the row; may be given several times.", valueName: "card"))
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

  @Option(help: ArgumentHelp("Keep the JSON document in a file beside the table.", valueName: "out.json"))
  var report: String?

  @Flag(help: "Print one JSON document instead of a table.")
  var json = false

  @OptionGroup var settings: ProtocolOptions
  @OptionGroup var compute: ComputeOptions

  func validate() throws {
    for (name, value) in [
      ("prompt-tokens", promptTokens), ("decode-tokens", decodeTokens), ("rounds", rounds), ("repeats", repeats),
      ("limit", limit ?? 1), ("sequences", sequences ?? 1), ("slots", slots), ("decode-context", decodeContext + 1),
    ] where value < 1 {
      throw ValidationError("--\(name) must be 1 or more.")
    }
  }

  func run() async throws {
    let suites = try suite.map { try Suite(path: $0) }
    let reportFile = try report.map { try TextOutput(path: $0) }
    // Wrong paths are found before anything is measured.
    for path in paths { _ = try ModelFile(path: path).tokenizer() }
    let speeds = try await measureSpeeds()
    let context = try compute.context()
    var rows: [BenchRow] = []
    for (path, speed) in zip(paths, speeds) {
      var quality: [EvaluationReport] = []
      if !suites.isEmpty {
        let subject = try LoadedModel(path: path, context: context, format: compute.kv?.format)
        for suite in suites {
          let evaluator = settings.evaluator(limit: limit, label: "\(subject.file.name) \(suite.name)")
          quality.append(try await evaluator.run(suite, on: subject).report)
        }
      }
      rows.append(
        try BenchRow(path: path, speed: speed, quality: quality, threads: compute.threadCount, pool: context.pool))
    }
    Terminal.clearProgress()
    let document: JSON = [
      "furl": .string(furlVersion), "protocol": measuring, "results": .array(rows.map(\.json)),
    ]
    if json {
      Terminal.print(document)
    } else {
      Terminal.print(BenchTable.text(rows))
      for note in BenchTable.notes(rows) { Terminal.print(note) }
    }
    try reportFile?.write(document.prettyText + "\n")
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

  private func measureSpeeds() async throws -> [SpeedMeasurement] {
    let measuring = SpeedMeasurement.Settings(
      threads: compute.threadCount, promptTokens: promptTokens, decodeTokens: decodeTokens,
      decodeContext: decodeContext, batch: sequences.map { .init(sequences: $0, slots: slots) }, repeats: repeats,
      quantizesActivations: compute.activations == .int8, format: compute.kv?.format)
    let executable = Bundle.main.executablePath ?? CommandLine.arguments[0]
    let start = ContinuousClock.now
    return try await BenchRunner(executable: executable, settings: measuring, rounds: rounds).run(paths) {
      Terminal.progress("measuring", done: $0, total: $1, since: start)
    }
  }
}
