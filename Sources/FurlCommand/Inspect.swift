import ArgumentParser
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlReport
import FurlSpec
import FurlTensor

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what a checkpoint or an artifact is: architecture, parameters, sizes, lineage.",
    discussion: """
      furl inspect minipy-int4.furl --tensors
      furl inspect minipy-int4.furl --check
      furl inspect minipy-int4.furl --diff checkpoints/minipy
      furl inspect minipy-int4.furl --diff checkpoints/minipy --text code.txt
      """)

  @Argument(help: "A checkpoint (a folder or a GGUF file) or an artifact.", completion: .file())
  var path: String

  @Flag(help: "List every tensor.")
  var tensors = false

  @Flag(help: "Re-read the whole artifact and hold every byte against its digests.")
  var check = false

  @OptionGroup var weights: WeightsOptions

  @Option(
    help: ArgumentHelp("Compare the weights, tensor by tensor, with another model's.", valueName: "path"),
    completion: .file())
  var diff: String?

  @Option(
    help: ArgumentHelp(
      "With --diff: read this text and say what each matrix does to its layer's outputs and to the predictions.",
      valueName: "file"), completion: .file())
  var text: String?

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func validate() throws {
    if text != nil, diff == nil { throw ValidationError("--text says what differs does: give --diff, too") }
  }

  func run() throws {
    let pool = WorkerPool(threads: WorkerPool.availableCores)
    let file = try ModelFile(path: weights.path(path))
    if check { try verifyBytes(file, pool: pool) }
    let inspection = try Inspection(file, listingTensors: tensors || json, pool: pool)
    let other = try diff.map(ModelFile.init(path:))
    let difference = try other.map { try ModelDifference(file, $0, pool: pool) }
    let effects = try difference.flatMap { try self.effects(file, other, $0, pool) }
    if json {
      guard case .object(var members) = try inspection.json else { return }
      if check { members.append(.init("checked", true)) }
      if let difference { members.append(.init("diff", difference.json)) }
      if let effects { members.append(.init("effects", effects.json)) }
      return Terminal.print(JSON.object(members))
    }
    try InspectionText(inspection).show()
    if check { Terminal.print("checked      every byte agrees with its digest") }
    if let difference { InspectionText.show(difference, effects) }
  }

  private func effects(
    _ file: ModelFile, _ other: ModelFile?, _ difference: ModelDifference, _ pool: WorkerPool
  ) throws -> LayerEffects? {
    guard let text, let other else { return nil }
    let start = ContinuousClock.now
    defer { Terminal.clearProgress() }
    return try LayerEffects(
      file, against: other, difference, textAt: text, pool: pool
    ) { name, done, all in
      Terminal.progress("measuring " + name, done: done, total: all, since: start)
    }
  }

  private func verifyBytes(_ file: ModelFile, pool: WorkerPool) throws {
    guard case .artifact(let weights) = file else {
      throw FurlError(
        .usage, file: path, "--check needs an artifact", remedy: "a checkpoint has no digests to hold it against")
    }
    let start = ContinuousClock.now
    try weights.artifact.check(parallelFor: pool.forEach) {
      Terminal.progress("checking", done: $0, total: $1, since: start)
    }
    Terminal.clearProgress()
  }
}
