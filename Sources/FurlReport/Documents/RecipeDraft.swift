import FurlBase
package import FurlCheckpoint
import FurlEvaluate
import FurlSpec
import FurlTransform

/// A recipe and gates to begin with, for a checkpoint that is at hand: chosen by its size and by whether it has experts, with a
/// comment at every line that somebody may want to change.
package struct RecipeDraft: Sendable {
  package let recipe: String
  package let gates: String
  /// Why it is this recipe, in a line.
  package let reason: String

  /// What is chosen for a model.
  private enum DraftChoice {
    /// Little to gain by fewer bits, and much to lose.
    case eightBits
    /// Four bits with errors fed back into what is still open.
    case calibrated
    /// The same for experts, whose embeddings are small beside them.
    case experts
  }

  /// - Throws: ``FurlError`` where the checkpoint cannot be compressed by what is drafted.
  package init(_ checkpoint: Checkpoint, name: String) throws {
    let spec = checkpoint.spec
    let hasExperts = spec.tensors.contains { $0.role == .router }
    let choice: DraftChoice = hasExperts ? .experts : spec.parameterCount < 300_000_000 ? .eightBits : .calibrated
    let parameters = Figures.count(spec.parameterCount)
    switch choice {
    case .eightBits:
      reason =
        "\(parameters) parameters: 8 bits cost such a model nothing that can be measured, 4 bits some of its answers"
    case .calibrated: reason = "\(parameters) parameters: 4 bits, calibrated on code, and 8 bits for the embeddings"
    case .experts: reason = "\(parameters) parameters in experts: 4 bits, calibrated on code; routers stay as they are"
    }
    recipe = RecipeDraft.text(of: choice, name: name, family: spec.architecture, reason: reason)
    gates = RecipeDraft.gates(suites: RecipeDraft.suites(beside: checkpoint), checkpoint: checkpoint, choice)
    // What is drafted is right, and fits.
    _ = try Compressor(checkpoint, recipe: Recipe(YAML.read(Array(recipe.utf8), file: name)))
    _ = try Gate.parse(from: YAML.read(Array(gates.utf8), file: name))
  }

  /// A recipe's name that follows from a path: its last part, without what names may not have.
  package static func name(for path: String) -> String {
    var name = path.lastName
    if name.hasSuffix(".gguf") { name = String(name.dropLast(5)) }
    let letters = name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "-" }.prefix(60)
    return letters.contains { $0.isLetter || $0.isNumber } ? String(letters) : "model"
  }

  private static func text(of choice: DraftChoice, name: String, family: String, reason: String) -> String {
    let head = """
      # A recipe to begin with: furl compress CHECKPOINT --recipe recipe.yaml --output \(name).furl
      # Every key is explained in docs/reference/recipe.md.
      furl: 1
      recipe: \(name)
      description: "\(family), \(reason)"

      """
    switch choice {
    case .eightBits:
      return head + """
        steps:
          - quantize:
              weights: int8        # int4 halves the file again: try it, and see what verify says
              block: 32            # columns that share a scale; row is smaller and a little less exact
              embeddings: int8     # embedding and head
        storage: compact           # mapped: larger, and used as it lies in the file

        """
    case .calibrated, .experts:
      return head + """
        steps:
          - quantize:
              weights: int4        # int8: twice the size, no loss that can be measured
              block: 32            # columns that share a scale; 64 is smaller and a little less exact
              method: gptq         # nearest: at once and without a calibration, less exact
              embeddings: int8     # embedding and head
        calibration:
          text: bundled            # code that comes with Furl; better: a file of what the model will see
          samples: \(choice == .experts ? "256" : "128")             # more is slower and a little better
          length: 256              # tokens of a sample
        storage: compact           # mapped: larger, and used as it lies in the file

        """
    }
  }

  /// The suite cards that lie beside the checkpoint.
  private static func suites(beside checkpoint: Checkpoint) -> [Suite] {
    FolderListing(checkpoint.folder).names.filter { $0.hasSuffix(".yaml") }
      .compactMap { try? Suite(path: checkpoint.folder + "/" + $0) }
  }

  private static func gates(suites: [Suite], checkpoint: Checkpoint, _ choice: DraftChoice) -> String {
    // Eight bits take a quarter of FP32's bytes, four bits an eighth; with room for scales and embeddings.
    let share = choice == .eightBits ? 0.40 : 0.30
    let megabytes = max(1, Int((Double(4 * checkpoint.spec.parameterCount) * share / 1e6).rounded(.up)))
    var text = """
      # Gates to begin with: furl verify MODEL.furl --gates gates.yaml --baseline CHECKPOINT
      # Every key is explained in docs/reference/gates.md.
      furl: 1
      gates:
        - metric: disk_bytes
          max: \(megabytes) MB

      """
    for suite in suites {
      let metric = suite.kind == .text ? "perplexity" : suite.kind == .lines ? "exact_match" : "pass_at_1"
      let bound =
        suite.kind == .text
        ? "max_rise: 0.03         # at most 3 % above the checkpoint's"
        : "max_drop: 0.03         # at most 3 points below the checkpoint's, shown at 95 %"
      text += "  - suite: \(suite.name)\n    metric: \(metric)\n    \(bound)\n"
    }
    guard suites.isEmpty else { return text }
    return text + """
        # A suite of yours: a card (docs/reference/suite-card.md), given as --suite NAME=CARD.
        # - suite: NAME
        #   metric: pass_at_1
        #   max_drop: 0.03         # at most 3 points below the checkpoint's, shown at 95 %

      """
  }
}
