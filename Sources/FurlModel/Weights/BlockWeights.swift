import FurlSpec
import FurlTensor

/// A norm with its numbers.
struct NormWeights: Sendable {
  let spec: NormSpec
  let weight: FloatVector
  let bias: FloatVector?
}

/// The weights of a block, stage by stage.
struct BlockWeights: Sendable {
  /// What comes before the block where others were cut out.
  let patch: LinearGroup?
  let stages: [StageWeights]
  /// What the residual stream is multiplied with behind it; nil: nothing.
  let scale: Float?
}

/// The weights of a stage.
struct StageWeights: Sendable {
  let spec: StageSpec
  let norm: NormWeights?
  /// The layers of all parts that read the stage's input, experts apart.
  let inputs: LinearGroup
  let parts: [PartWeights]
}

/// The weights of a part behind the layers that read the stage's input.
///
/// An object: what it refers to is counted once for each token, and not each of its many members.
final class PartWeights: Sendable {
  let spec: PartSpec
  /// The layer that adds to the stream; nil: experts do.
  let output: LinearGroup?
  let outputNorm: NormWeights?
  let queryNorm: NormWeights?
  let keyNorm: NormWeights?
  /// Its weights are ones.
  let valueNorm: NormWeights?
  let sinks: FloatVector?
  let experts: ExpertWeights?
  let latent: LatentWeights?
  let input: TokenInputWeights?

  init(
    _ spec: PartSpec, output: LinearGroup?, outputNorm: NormWeights?, queryNorm: NormWeights? = nil,
    keyNorm: NormWeights? = nil, valueNorm: NormWeights? = nil, sinks: FloatVector? = nil,
    experts: ExpertWeights? = nil, latent: LatentWeights? = nil, input: TokenInputWeights? = nil
  ) {
    self.spec = spec
    self.output = output
    self.outputNorm = outputNorm
    self.queryNorm = queryNorm
    self.keyNorm = keyNorm
    self.valueNorm = valueNorm
    self.sinks = sinks
    self.experts = experts
    self.latent = latent
    self.input = input
  }
}

/// What a token input has beside its gate and its last layer.
struct TokenInputWeights: Sendable {
  /// Reads the tokens' embeddings.
  let context: LinearGroup
  let norm: NormWeights
  /// A row for each token.
  let table: PackedMatrix
}

extension AttentionSpec {
  /// The norm of values, which has no weights of its own; nil: they have none.
  func valueNormWeights() throws -> NormWeights? {
    try valueNorm.map { epsilon in
      NormWeights(
        spec: NormSpec(.rmsNorm, epsilon: epsilon),
        weight: try FloatVector(Array(repeating: 1, count: headSize)), bias: nil)
    }
  }
}

/// The weights of several MLPs of which a router chooses some.
final class ExpertWeights: Sendable {
  /// One MLP.
  struct Expert: Sendable {
    /// Gate and up, or up alone.
    let inputs: LinearGroup
    let output: LinearGroup
  }

  let spec: ExpertsSpec
  let experts: [Expert]
  /// What all rows go through; what reads the stage's input of it is among the stage's inputs.
  let sharedOutput: LinearGroup?
  let routing: ExpertRouting
  /// nil: all read the stage's input.
  let own: OwnNorms?

  /// What router and experts stand between, where they have norms of their own.
  struct OwnNorms: Sendable {
    let router: LinearGroup
    let routerNorm: NormWeights
    let expertNorm: NormWeights
    let expertOutputNorm: NormWeights
    let sharedOutputNorm: NormWeights
  }

  /// - Parameters:
  ///   - choiceBias: added to the scores for the choice alone; factors: what weights are multiplied with.
  ///   - kept: the experts that there are to choose from; nil: all.
  init(
    _ spec: ExpertsSpec, _ experts: [Expert], sharedOutput: LinearGroup?, choiceBias: FloatVector?,
    factors: FloatVector? = nil, own: OwnNorms? = nil, keeping kept: [Int]? = nil
  ) {
    self.own = own
    self.spec = spec
    self.experts = experts
    self.sharedOutput = sharedOutput
    routing = ExpertRouting(
      spec, choiceBias: choiceBias?.values ?? [], factors: factors?.values ?? [], keeping: kept)
  }

  /// The same with other layers.
  init(_ other: ExpertWeights, experts: [Expert], sharedOutput: LinearGroup?) {
    (own, spec, routing) = (other.own, other.spec, other.routing)
    (self.experts, self.sharedOutput) = (experts, sharedOutput)
  }
}

extension FeedForwardSpec {
  /// What follows its layer of a role.
  func epilogue(_ role: TensorRole) -> LinearGroup.Epilogue {
    // Where outputs are cut off first, that is done behind the layers.
    guard limit == nil else { return .none }
    return switch role {
    case .gate: .gate(.init(activation))
    case .up where !isGated: .activation(.init(activation))
    default: .none
    }
  }
}

extension PartSpec {
  /// What follows a layer of this part.
  func epilogue(_ layer: LinearSpec) -> LinearGroup.Epilogue {
    switch mixer {
    case .attention, .latentAttention, .recurrent: .none
    case .tokenInput(let input): layer.role == .inputGate ? .activation(.init(input.activation)) : .none
    case .feedForward(let mlp): mlp.epilogue(layer.role)
    case .experts(let experts):
      (layer.name.hasPrefix("mlp.shared.") ? experts.shared ?? experts.expert : experts.expert).epilogue(layer.role)
    }
  }
}
