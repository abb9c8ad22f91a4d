import ArgumentParser
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlReport
import FurlSpec
import FurlTensor
import FurlTransform

struct Compress: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Runs a recipe on a checkpoint and writes an artifact.",
    discussion: """
      furl compress checkpoints/minipy --recipe int4 --output minipy-int4.furl

      A recipe is a file, or the name of one that ships: furl recipes lists them.

      The same checkpoint and recipe give the same bytes, whatever the number of threads. The artifact appears \
      under its name when it is complete; a failed or interrupted run leaves none.

      furl compress model-Q4_K_M.gguf --keep-codes --output model.furl

      --keep-codes takes the codes of a checkpoint that is quantized already over bit for bit, with their scales, \
      wherever one of Furl's layouts holds them (GGUF's Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, K-quants from 3 bits on and IQ4; \
      GPTQ, AWQ, compressed-tensors, MLX, MXFP4 and bitsandbytes as far as their scales are halves). Without a recipe \
      everything else stays as exact as it is stored; a recipe says what becomes of the rest.

      furl compress checkpoints/minipy --recipe int4 --plan --sample

      --plan reads headers alone. With --sample it also reads a few runs of rows of every matrix, encodes and \
      compresses them as the file would have them, and predicts the file's size from that, within 1 %.

      Digests of large files are remembered in ~/.cache/furl (FURL_CACHE names another folder, or says off), so \
      that a second recipe does not hash them again; a file counts as the same while its number, size and times of \
      change are. --rehash reads it anew.
      """)

  @Argument(
    help: "A checkpoint: a folder with config.json, weights (safetensors or PyTorch) and a tokenizer, or a GGUF file.",
    completion: .file())
  var checkpoint: String

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "What to do: a file, or the name of a recipe that ships; needed unless codes are kept.", valueName: "recipe"),
    completion: .file(extensions: ["yaml", "yml"]))
  var recipe: String?

  @Flag(help: "Keep the codes of quantized weights as they are, where a layout holds them.")
  var keepCodes = false

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The artifact to write.", valueName: "model.furl"),
    completion: .file(extensions: ["furl"]))
  var output: String?

  @Flag(help: "Print tensors, schemes, exact raw bytes and an upper bound of the file, and stop.")
  var plan = false

  @Flag(help: "With --plan: read a sample of the weights and predict the file's size.")
  var sample = false

  @Flag(help: "Hash the checkpoint's files even if they have not changed since they were hashed last.")
  var rehash = false

  @OptionGroup var weights: WeightsOptions

  @Option(
    help: ArgumentHelp(
      "The folder of a PEFT adapter (LoRA, rsLoRA, DoRA) to merge into the checkpoint first.", valueName: "folder"),
    completion: .directory)
  var adapter: String?

  @Option(help: "Threads (default: one for each core).")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Save trainings and calibrated blocks there, so that a run that was stopped goes on where it was.",
      valueName: "folder"),
    completion: .directory)
  var state: String?

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func validate() throws {
    _ = try ThreadCount(threads)
    if recipe == nil && !keepCodes { throw ValidationError("--recipe is missing (or give --keep-codes).") }
    if sample && !plan { throw ValidationError("--sample says what --plan predicts; give --plan, too.") }
    if !plan && output == nil { throw ValidationError("--output is missing (or give --plan).") }
  }

  func run() throws {
    let path = try weights.path(checkpoint)
    let output = plan ? nil : self.output
    try Overwriting.check(
      [("--output", output)],
      over: (self.recipe.map { Recipe.filesRead(named: $0) } ?? []) + ModelFile.filesRead(at: path)
        + (adapter.map(Checkpoint.adapterFilesRead) ?? []))
    var recipe = try self.recipe.map(Recipe.init(named:)) ?? .keepingCodes
    if keepCodes { recipe.codes = .keep }
    var compressor = try Compressor(Checkpoint(path: path, adapter: adapter), recipe: recipe)
    try Overwriting.check(
      [("--output", output)], over: recipe.textFiles(checkpointFolder: compressor.checkpoint.folder))
    for note in compressor.checkpoint.notes { Terminal.log("furl: \(checkpoint): \(note)") }
    if plan {
      let bound = try compressor.fileUpperBound()
      let pool = try CommandProcess.pool(threads: ThreadCount(threads).count)
      let prediction = sample ? try compressor.predictSize(pool: pool) : nil
      return json
        ? Terminal.print(compressor.plan.json(fileUpperBound: bound, prediction: prediction))
        : show(compressor.plan, bound: bound, prediction)
    }
    guard let output else { return }
    compressor.digests = DigestMemory(recalls: !rehash) { Terminal.logOnce("furl: \($0)") }
    let start = ContinuousClock.now
    var bar = ByteProgress(since: start)
    let result = try compressor.write(
      to: output, pool: CommandProcess.pool(threads: ThreadCount(threads).count), stateFolder: state
    ) {
      $0.countsBlocks
        ? Terminal.progress($0.tensor, done: $0.bytesDone, total: $0.bytes, since: start)
        : bar.show($0.tensor, done: $0.bytesDone, total: $0.bytes)
    }
    Terminal.clearProgress()
    for note in result.notes { Terminal.log("furl: \(note)") }
    let seconds = (ContinuousClock.now - start).seconds
    let source = compressor.checkpoint.diskBytes
    if json {
      return Terminal.print([
        "output": .string(output), "artifact_id": .string(result.artifactID.hex), "recipe": .string(recipe.name),
        "disk_bytes": .integer(result.diskBytes), "weight_bytes": .integer(result.weightBytes),
        "source_disk_bytes": .integer(source), "seconds": .number(seconds),
        "changes": .array(result.changes),
        "notes": .array((compressor.checkpoint.notes + result.notes).map(JSON.string)),
      ])
    }
    Terminal.print(
      "\(output): \(Figures.bytes(result.diskBytes)), \(Figures.percent(Double(result.diskBytes) / Double(max(1, source)))) "
        + "of the checkpoint's \(Figures.bytes(source)), in \(Figures.significant(seconds)) s "
        + "(\(Figures.bytes(Int(Double(source) / max(seconds, 1e-9))))/s)")
    Terminal.print("artifact \(result.artifactID)")
  }

  private func show(_ plan: Plan, bound: Int, _ prediction: SizePrediction?) {
    let last = prediction == nil ? [] : ["in the file"]
    var table = TextTable(["tensor", "from", "shape", "scheme", "raw bytes"] + last, leftAligned: [0, 1, 2, 3])
    for (index, tensor) in plan.tensors.enumerated() {
      table.add(
        [
          tensor.spec.name, tensor.sourceName == tensor.spec.name ? "" : tensor.sourceName,
          tensor.spec.shape.map(String.init).joined(separator: " x "), tensor.scheme.name,
          Figures.grouped(tensor.layout.byteCount),
        ] + (prediction.map { [Figures.grouped($0.tensorBytes[index])] } ?? []))
    }
    Terminal.print(table)
    Terminal.print("")
    Terminal.print("recipe      \(plan.recipe.name), storage \(plan.recipe.storage.rawValue)")
    if let budget = plan.recipe.budget {
      Terminal.print("budget      \(budget.json.compactText): the schemes above stand for what it will choose")
    }
    for note in plan.keptCodes?.notes ?? [] { Terminal.print("codes       \(note)") }
    func exact(_ bytes: Int) -> String { "\(Figures.grouped(bytes)) bytes" }
    Terminal.print("parameters  \(Figures.grouped(plan.spec.parameterCount)) in \(plan.spec.blocks.count) blocks")
    Terminal.print(
      "weights     \(exact(plan.rawBytes)) in memory, \(Figures.significant(plan.bitsPerWeight)) bits each")
    Terminal.print(
      "KV cache    \(exact(plan.keyValueBytes)) for one sequence of \(Figures.grouped(plan.spec.contextLength)) positions"
    )
    if plan.recipe.changesModel {
      Terminal.print("widths      about these: what goes is chosen while the model is computed with")
    }
    guard let prediction else { return Terminal.print("file        at most \(exact(bound))") }
    Terminal.print(
      "file        about \(exact(prediction.fileBytes)) by \(Figures.grouped(prediction.sampledWeights)) weights, at most "
        + Figures.grouped(bound))
  }
}
