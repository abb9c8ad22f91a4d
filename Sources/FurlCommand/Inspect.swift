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
    try show(inspection)
    if check { Terminal.print("checked      every byte agrees with its digest") }
    if let difference { show(difference) }
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

  private func show(_ inspection: Inspection) throws {
    let file = inspection.file
    let spec = file.spec
    func exact(_ bytes: Int) -> String { "\(Figures.grouped(bytes)) bytes (\(Figures.bytes(bytes)))" }
    func line(_ label: String, _ text: String) {
      let lines = Terminal.lines(of: text.escapingControlCharacters, indentedBy: 13)
      Terminal.print(label + String(repeating: " ", count: max(0, 13 - label.count)) + lines)
    }
    line(
      "architecture",
      "\(spec.architecture), \(spec.blocks.count) blocks, hidden size \(spec.hiddenSize), vocabulary \(Figures.grouped(spec.vocabularySize)), context \(Figures.grouped(spec.contextLength))"
    )
    if let widths = spec.widthsText { line("widths", widths) }
    let parameters = inspection.parameters
    let active =
      parameters.active == parameters.total ? "" : ", \(Figures.grouped(parameters.active)) active for a token"
    line(
      "parameters",
      "\(Figures.grouped(parameters.total)) (\(Figures.grouped(parameters.nonzero)) not zero, "
        + "\(Figures.grouped(parameters.embedding)) in embeddings\(active))")
    for text in inspection.expertTexts { line("experts", text) }
    line(
      "disk",
      "\(exact(file.diskBytes)), \(Figures.significant(file.bitsPerWeight)) bits per weight"
    )
    line("memory", "\(exact(try file.weightBytes)) of weights when loaded")
    switch file {
    case .checkpoint(let checkpoint):
      if let gguf = checkpoint.gguf {
        line("format", "GGUF version \(gguf.version)\(try gguf.name.map { ", \"\($0)\"" } ?? "")")
      }
      let types = inspection.storedTypes.map {
        "\(Figures.grouped($0.weights)) \($0.form) (\(Figures.significant($0.bitsPerWeight)) bits)"
      }
      line("weights", types.joined(separator: ", "))
      for note in checkpoint.notes { line("note", note) }
      if !checkpoint.leftOut.isEmpty {
        let names = checkpoint.leftOut
        let rest = names.count > 4 ? " and \(names.count - 4) more" : ""
        line("left out", "no weights: \(names.prefix(4).joined(separator: ", "))\(rest)")
      }
      for source in try checkpoint.sourceFiles() {
        line("file", "\(source.name), \(exact(source.bytes)), sha256 \(source.digest)")
      }
    case .artifact(let weights):
      let artifact = weights.artifact
      line("artifact", "\(artifact.id)")
      line(
        "format",
        "version \(artifact.formatVersion), \(artifact.storage.rawValue) storage, by furl \(artifact.description.furl)")
      line("recipe", "\(artifact.description.recipe.name), sha256 \(artifact.description.recipe.digest)")
      for source in artifact.description.lineage {
        line("made from", "\(source.name), \(exact(source.bytes)), sha256 \(source.digest)")
      }
    }
    for (label, text) in inspection.texts.lines + inspection.facts.lines { line(label, text) }
    for text in inspection.keptCodeTexts { line("codes", text) }
    if let budget = inspection.budget {
      line(
        "budget",
        "\(budget.goal.compactText), for a KL divergence of about \(Figures.significant(budget.divergence)) nats")
    }
    for share in inspection.schemes {
      line(
        "scheme",
        "\(share.scheme): \(Figures.grouped(share.weights)) weights, \(Figures.significant(share.bitsPerWeight)) bits each on disk, "
          + "\(Figures.significant(share.memoryBitsPerWeight)) in memory")
    }
    guard let tensors = inspection.tensors else { return }
    let last = inspection.budget == nil ? [] : ["KL divergence"]
    var table = TextTable(
      ["tensor", "role", "shape", "scheme", "bits", "disk bytes", "sha256"] + last, leftAligned: [0, 1, 2, 3, 6])
    for tensor in tensors {
      table.add(
        [
          tensor.name, tensor.role, tensor.shape.map(String.init).joined(separator: " x "), tensor.scheme,
          Figures.significant(tensor.bitsPerWeight), Figures.grouped(tensor.diskBytes),
          String(tensor.digest.hex.prefix(16)),
        ] + last.map { _ in tensor.sensitivity.map { Figures.significant($0.divergence) } ?? "" })
    }
    Terminal.print("")
    Terminal.print(table)
  }

  private func show(_ difference: ModelDifference) {
    var table = TextTable(["tensor", "relative error", "largest difference"])
    for tensor in difference.tensors {
      table.add([tensor.name, Figures.significant(tensor.relativeError), Figures.significant(tensor.largestDifference)])
    }
    Terminal.print("")
    if difference.isEqual { Terminal.print("the weights are equal") } else { Terminal.print(table) }
    for name in difference.onlyInFirst { Terminal.print("only here:  \(name)") }
    for name in difference.onlyInSecond { Terminal.print("only there: \(name)") }
  }
}
