import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlReport
import FurlSpec
import FurlTensor

/// What `inspect` prints for a person.
struct InspectionText {
  private let inspection: Inspection

  init(_ inspection: Inspection) { self.inspection = inspection }

  func show() throws {
    try showModel()
    switch inspection.file {
    case .checkpoint(let checkpoint): try show(checkpoint)
    case .artifact(let weights): show(weights.artifact)
    }
    for (label, text) in inspection.texts.lines + inspection.facts.lines { line(label, text) }
    showSchemes()
    if let tensors = inspection.tensors { show(tensors) }
  }

  private func line(_ label: String, _ text: String) {
    let lines = Terminal.lines(of: text.escapingControlCharacters, indentedBy: 13)
    Terminal.print(label + String(repeating: " ", count: max(0, 13 - label.count)) + lines)
  }

  private func exact(_ bytes: Int) -> String { "\(Figures.grouped(bytes)) bytes (\(Figures.bytes(bytes)))" }

  private func showModel() throws {
    let file = inspection.file
    let spec = file.spec
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
    line("disk", "\(exact(file.diskBytes)), \(Figures.significant(file.bitsPerWeight)) bits per weight")
    line("memory", "\(exact(try file.weightBytes)) of weights when loaded")
  }

  private func show(_ checkpoint: Checkpoint) throws {
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
  }

  private func show(_ artifact: Artifact) {
    let description = artifact.description
    line("artifact", "\(artifact.id)")
    line(
      "format", "version \(artifact.formatVersion), \(artifact.storage.rawValue) storage, by furl \(description.furl)")
    line("recipe", "\(description.recipe.name), sha256 \(description.recipe.digest)")
    for source in description.lineage {
      line("made from", "\(source.name), \(exact(source.bytes)), sha256 \(source.digest)")
    }
  }

  private func showSchemes() {
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
  }

  private func show(_ tensors: [Inspection.InspectedTensor]) {
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

  /// - Parameter effects: what the differences do on a text.
  static func show(_ difference: ModelDifference, _ effects: LayerEffects?) {
    let known = Dictionary(uniqueKeysWithValues: (effects?.layers ?? []).map { ($0.name, $0) })
    let more = effects == nil ? [] : ["output error", "predicted KL", "KL divergence", "share"]
    let sum = (effects?.layers ?? []).reduce(0) { $0 + $1.divergence }
    func figure(_ number: Double?) -> String { number.map { Figures.significant($0) } ?? "" }
    var table = TextTable(["tensor", "relative error", "largest difference"] + more)
    for tensor in difference.tensors {
      let effect = known[tensor.name]
      let share = effect.map { sum > 0 ? "\(Figures.significant(100 * $0.divergence / sum)) %" : "" } ?? ""
      table.add(
        [tensor.name, figure(tensor.relativeError), figure(tensor.largestDifference)]
          + (more.isEmpty
            ? [] : [figure(effect?.outputError), figure(effect?.predicted), figure(effect?.divergence), share]))
    }
    Terminal.print("")
    if difference.isEqual { Terminal.print("the weights are equal") } else { Terminal.print(table) }
    if let effects {
      Terminal.print("")
      Terminal.print(
        "one matrix at a time, KL divergences add up to \(figure(sum)); together they make "
          + "\(figure(effects.divergence)) on \(Figures.grouped(effects.positions)) tokens")
    }
    for name in difference.onlyInFirst { Terminal.print("only here:  \(name)") }
    for name in difference.onlyInSecond { Terminal.print("only there: \(name)") }
  }
}
