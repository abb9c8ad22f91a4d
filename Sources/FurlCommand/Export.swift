import ArgumentParser
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlReport
import FurlTensor

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a model for other runtimes: a checkpoint for transformers, or a GGUF file for llama.cpp.",
    discussion: """
      furl export minipy-int4.furl --format gguf --output minipy-int4.gguf
      furl export minipy-int4.furl --format safetensors --output minipy-int4
      furl export qwen-int4.furl --format compressed-tensors --output qwen-int4

      A checkpoint has weights of single numbers, f32 if nothing is said. A GGUF file has what the model has: int8 \
      becomes q8_0, int4 q4_0, int4 with a minimum q4_1, and q4_k and its kin stay what they are, without a change of any \
      weight. What GGUF cannot hold is refused; with --dtype it is encoded anew, and the output says so. \
      compressed-tensors and gptq are checkpoints whose int8 and int4 layers stay what they are, for transformers and vLLM.
      """)

  enum ExportFormat: String, ExpressibleByArgument, CaseIterable {
    case safetensors, gguf
    case compressedTensors = "compressed-tensors"
    case gptq

    /// How a checkpoint's quantized layers are written.
    var packing: WeightPacking? { WeightPacking(rawValue: rawValue) }
  }

  @Argument(help: "A checkpoint folder or an artifact.", completion: .file())
  var path: String

  @Option(help: "What to write.")
  var format: ExportFormat

  @Option(name: .shortAndLong, help: "The folder or, of gguf, the file to write.", completion: .file())
  var output: String

  @Option(help: "The form of the weights: f32, f16, bf16, and for gguf blocks, encoded without a calibration.")
  var dtype: ExportNumbers?

  @Option(
    help: ArgumentHelp("Begin another weight file before one has more bytes, as 500MB or 5GB.", valueName: "size"))
  var shardSize: String = "5GB"

  @OptionGroup var weights: WeightsOptions

  @Option(help: "Threads (default: one for each core).")
  var threads: Int?

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func validate() throws {
    _ = try ThreadCount(threads)
    _ = try shardBytes()
  }

  func run() throws {
    // A folder of its own is checked by the export.
    let path = try weights.path(path)
    if format == .gguf { try Overwriting.check([("--output", output)], over: ModelFile.filesRead(at: path)) }
    let start = ContinuousClock.now
    func draw(_ progress: ExportProgress) {
      Terminal.progress(progress.tensor, done: progress.done, total: progress.total, since: start)
    }
    let model = ExportedModel(try ModelFile(path: path))
    let pool = try CommandProcess.pool(threads: ThreadCount(threads).count)
    let result: ExportResult
    switch format {
    case .safetensors, .compressedTensors, .gptq:
      let export = try SafetensorsExport(
        numbers: dtype ?? .f32, shardBytes: shardBytes(), packing: format.packing)
      result = try export.write(model, to: output, pool: pool, progress: draw)
    case .gguf: result = try GGUFExport(numbers: dtype).write(model, to: output, pool: pool, progress: draw)
    }
    Terminal.clearProgress()
    let seconds = (ContinuousClock.now - start).seconds
    json ? Terminal.print(document(result, seconds: seconds)) : show(result, seconds: seconds)
  }

  private func show(_ result: ExportResult, seconds: Double) {
    let forms = result.forms.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    Terminal.print(
      "\(output): \(Figures.bytes(result.diskBytes)), \(result.tensors) tensors (\(forms)), "
        + "in \(Figures.significant(seconds)) s")
    for (scheme, count) in result.encodedAnew.sorted(by: { $0.key < $1.key }) {
      Terminal.print("encoded anew: \(count) tensors that were \(scheme)")
    }
    for note in result.notes { Terminal.print("note: \(note)") }
  }

  private func document(_ result: ExportResult, seconds: Double) -> JSON {
    func counts(_ counts: [String: Int]) -> JSON {
      .object(counts.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .integer($0.value)) })
    }
    return [
      "output": .string(output), "format": .string(format.rawValue), "disk_bytes": .integer(result.diskBytes),
      "tensors": .integer(result.tensors), "forms": counts(result.forms),
      "encoded_anew": counts(result.encodedAnew), "notes": .array(result.notes.map(JSON.string)),
      "seconds": .number(seconds),
    ]
  }

  /// A number of bytes with a decimal unit.
  private func shardBytes() throws -> Int {
    guard let bytes = ByteSize.bytes(shardSize), bytes >= 1 else {
      throw ValidationError("--shard-size is a size as 500MB or 5GB.")
    }
    guard let whole = Int(exactly: bytes.rounded(.down)) else { throw ValidationError("--shard-size is too large.") }
    return whole
  }
}

extension ExportNumbers: ExpressibleByArgument {}
