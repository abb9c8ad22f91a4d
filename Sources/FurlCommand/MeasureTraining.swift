import ArgumentParser
import FurlBase
import FurlReport

/// What `Benchmarks/Training` starts: a process that does nothing but train and report, so that its memory is training's.
struct MeasureTraining: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure-training", abstract: "Measures steps of training in this process (used by a benchmark).",
    shouldDisplay: false)

  @Argument(help: "A checkpoint folder.", completion: .file())
  var path: String

  @Option var sequences = 4
  @Option var length = 256
  @Option var steps = 4
  @Option var threads: Int?

  func run() throws {
    let threads = try ThreadCount(threads).count
    try CommandProcess.checkThreads(threads)
    let settings = TrainingMeasurement.TrainingSpeedSettings(
      threads: threads, sequences: sequences, length: length, steps: steps)
    Terminal.print(try TrainingMeasurement(checkpoint: path, settings: settings).json)
  }
}
