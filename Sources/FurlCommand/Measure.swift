import ArgumentParser
import FurlBase
import FurlReport

/// What `bench` starts for every model and round: a process that does nothing but load, run and report, so that its
/// memory is the model's.
struct Measure: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures one model in this process (used by bench).", shouldDisplay: false)

  @Argument(help: "A checkpoint folder or an artifact.", completion: .file())
  var path: String

  @Option var promptTokens = 256
  @Option var decodeTokens = 128
  @Option var decodeContext = 0
  @Option var sequences = 0
  @Option var slots = 32
  @Option var repeats = 3

  @OptionGroup var compute: ComputeOptions

  func run() throws {
    try CommandProcess.checkThreads(compute.threadCount)
    let settings = SpeedMeasurement.SpeedSettings(
      threads: compute.threadCount, promptTokens: promptTokens, decodeTokens: decodeTokens,
      decodeContext: decodeContext, batch: sequences > 0 ? .init(sequences: sequences, slots: slots) : nil,
      repeats: repeats,
      activations: compute.activations, format: compute.kv?.format)
    Terminal.print(try SpeedMeasurement(path: path, settings: settings).json)
  }
}
