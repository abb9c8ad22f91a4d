import FurlBase

/// Removes groups of weights for good: attention heads, MLP neurons and channels of the residual stream disappear from
/// the matrices. Or, to compare with, sets single weights to zero, which changes no width.
public struct PruneStep: DeclaredDocument, Sendable {
  public enum Method: String, Sendable, CaseIterable {
    case groupLasso = "group-lasso"
    /// Single weights, by what they add to the outputs.
    case wanda
    /// Single weights, and others make up for them.
    case sparseGPT = "sparsegpt"
  }

  /// What the sparsity is a share of.
  public enum Whole: String, Sendable, CaseIterable {
    /// The weights of the blocks' linear layers.
    case blocks
    /// All parameters.
    case model
    /// The weights of the groups that the step names.
    case groups
  }

  public enum Group: String, Sendable, CaseIterable {
    /// Attention heads; where several share a key/value head, all of those with it.
    case heads
    /// Neurons of the MLP.
    case neurons
  }

  /// What groups are chosen by.
  public enum Choice: String, Sendable, CaseIterable {
    /// The penalty of a group lasso on the layer's outputs at which a group vanishes.
    case lasso
    /// The variance of what a group adds to the outputs.
    case variance
    /// Mean squares of inputs times squares of weights.
    case wanda
    case magnitude
    /// Seeded draws, to compare with.
    case random
  }

  /// What makes up for groups that are gone.
  public enum Refit: String, Sendable, CaseIterable {
    /// Least squares over the groups that stay, and the bias from the means.
    case squares
    /// The bias from the means alone.
    case bias
    case none
  }

  /// How much each layer loses.
  public enum Allocation: String, Sendable, CaseIterable {
    /// One threshold over all layers.
    case global
    /// One threshold over all layers, whose importances are weighed by what the loss of the same share of each does to
    /// the model's predictions.
    case measured
    /// The same share everywhere.
    case uniform
  }

  /// Group lasso while the model is trained.
  public struct Finetune: Sendable {
    public internal(set) var train = TrainSettings()
    /// What each group shrinks by at each step: rate * penalty * sqrt(numbers).
    public internal(set) var penalty = 0.1
    /// Steps in which groups go; in those that are left the rest recovers.
    public internal(set) var ramp = 1
    /// What the next tokens of the text count beside the source's probabilities: 0 to 1.
    public internal(set) var labels = 1.0
  }

  enum Fit: String, Sendable, CaseIterable { case reconstruct, finetune }

  public internal(set) var method = Method.groupLasso
  public internal(set) var sparsity = 0.0
  public internal(set) var of = Whole.blocks
  /// Groups of the blocks.
  public internal(set) var groups: [Group] = [.heads, .neurons]
  /// Whether rows of the vocabulary go.
  public internal(set) var prunesVocabulary = false
  /// Whether rows of the vocabulary have gone, and this is what is left of the step.
  package private(set) var isRest = false
  /// Whether channels of the residual stream go, too.
  public internal(set) var hasChannels = false
  public internal(set) var choose = Choice.lasso
  public internal(set) var refit = Refit.squares
  public internal(set) var allocation = Allocation.global
  /// Widths are kept to multiples of this.
  public internal(set) var multiple = 16
  /// The largest share of its groups that a layer may lose; nil: what suits the allocation.
  public internal(set) var limit: Double?
  public internal(set) var seed = 0
  var fit = Fit.reconstruct
  var training = Finetune()
  package internal(set) var location = DocumentLocation.none

  package init() {}

  /// How the model is trained meanwhile; nil: groups go by reconstruction.
  public var finetune: Finetune? { fit == .finetune ? training : nil }

  /// Whether nothing else goes.
  package var isVocabularyAlone: Bool { prunesVocabulary && groups.isEmpty }

  /// The rest of the step when rows of the vocabulary are gone.
  ///
  /// - Parameter share: of the other groups' weights.
  package func afterVocabulary(removing share: Double) -> PruneStep {
    var step = self
    step.isRest = true
    step.prunesVocabulary = false
    step.of = .groups
    step.sparsity = share
    return step
  }

  /// Half of what would be left everywhere may go from one layer, too.
  private static func limit(_ sparsity: Double) -> Double { (1 + sparsity) / 2 }

  /// The most groups that a layer may lose.
  ///
  /// What is measured of one layer alone holds for a little more than it was measured with: what many layers lose in a
  /// row adds up to more than its parts. But every layer may lose what it would where all lose the same.
  ///
  /// - Parameters:
  ///   - count: groups of the layer.
  ///   - chunk: groups that go at once.
  ///   - share: what each layer would lose where all lose the same.
  package func mostRemoved(of count: Int, chunk: Int, share: Double) -> Int {
    if let limit { return Int(limit * Double(count)) }
    let even = Int((share * Double(count) / Double(chunk)).rounded(.up)) * chunk
    return min(count, max(Int(share * 4 / 3 * Double(count)), even))
  }

  /// Of the second moments, as a share of the mean of their diagonal.
  package static let damping = 0.01
}
