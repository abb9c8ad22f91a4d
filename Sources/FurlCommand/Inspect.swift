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

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func run() throws {
    let pool = WorkerPool(threads: WorkerPool.availableCores)
    let file = try ModelFile(path: weights.path(path))
    if check { try verifyBytes(file, pool: pool) }
    let inspection = try Inspection(file, listingTensors: tensors || json, pool: pool)
    let difference = try diff.map { try ModelDifference(file, ModelFile(path: $0), pool: pool) }
    if json {
      guard case .object(var members) = try inspection.json else { return }
      if check { members.append(.init("checked", true)) }
      if let difference { members.append(.init("diff", difference.json)) }
      return Terminal.print(JSON.object(members))
    }
    try InspectionText(inspection).show()
    if check { Terminal.print("checked      every byte agrees with its digest") }
    if let difference { InspectionText.show(difference) }
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
