import ArgumentParser
import FurlBase
import FurlCheckpoint
import FurlReport
import FurlSpec
import FurlTensor

struct Synth: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a checkpoint of a published shape with seeded random weights.",
    discussion: """
      furl synth --model starcoder2-3b --output starcoder2-3b-random
      furl synth --model phi-2 --blocks 2 --dtype bf16 --output phi-2-slice

      To measure with: sizes, times and memory are as with the real model, and what it says means nothing. Models: \
      \(PublishedModel.all.map(\.name).joined(separator: ", ")). Matrices are normally distributed with the deviation \
      that the model was initialized with. The same model, seed, blocks and dtype give the same bytes, whatever the \
      number of threads; a slice has the first blocks of the whole. The folder appears under its name when it is \
      complete; a failed or interrupted run leaves none.
      """)

  @Option(help: ArgumentHelp("The shape.", valueName: "name"), completion: .list(PublishedModel.all.map(\.name)))
  var model: String

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The folder to write: a new one, or an empty one.", valueName: "folder"),
    completion: .directory)
  var output: String

  @Option(help: "Where the random numbers begin.")
  var seed: UInt64 = 0

  @Option(help: ArgumentHelp("Only the first blocks (default: all).", valueName: "n"))
  var blocks: Int?

  @Option(help: "How numbers are stored: f32, f16 or bf16.")
  var dtype: NumberType = .f32

  @Option(help: "Threads (default: one for each core).")
  var threads: Int?

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  enum NumberType: String, ExpressibleByArgument, CaseIterable {
    case f32, f16, bf16

    var type: SourceType { SourceType(rawValue: rawValue.uppercased()) ?? .float32 }
  }

  func validate() throws {
    _ = try ThreadCount(threads)
    guard PublishedModel(name: model) != nil else {
      throw ValidationError(
        "--model \(model) is not known. Models: \(PublishedModel.all.map(\.name).joined(separator: ", ")).")
    }
  }

  func run() throws {
    guard let model = PublishedModel(name: model) else { return }
    let checkpoint = try SyntheticCheckpoint(model, seed: seed, blocks: blocks, type: dtype.type)
    let start = ContinuousClock.now
    try checkpoint.write(to: output, pool: CommandProcess.pool(threads: ThreadCount(threads).count)) { done, total in
      Terminal.progress(model.name, done: done >> 20, total: total >> 20, since: start)
    }
    Terminal.clearProgress()
    let seconds = (ContinuousClock.now - start).seconds
    if json {
      return Terminal.print([
        "output": .string(output), "model": .string(model.name), "repository": .string(model.repository),
        "parameters": .integer(checkpoint.parameterCount), "layers": .integer(checkpoint.spec.blocks.count),
        "weight_bytes": .integer(checkpoint.weightBytes), "seconds": .number(seconds),
      ])
    }
    Terminal.print(
      "\(output): \(checkpoint.parameterCount) random weights in \(checkpoint.spec.blocks.count) blocks, "
        + "\(Figures.bytes(checkpoint.weightBytes)), in \(Figures.significant(seconds)) s")
  }
}
