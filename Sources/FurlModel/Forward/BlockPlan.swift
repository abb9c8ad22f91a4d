import FurlSpec
import FurlTensor

/// How a session computes a block: everything that does not depend on the tokens, looked up once.
///
/// Plans are objects. The descriptions of stages and parts are structures of many members, and copying those for each
/// token takes as long as a tenth of a small model's layers.
final class BlockPlan {
  /// What comes before the block where others were cut out.
  let patch: LinearGroup?
  /// The place of its keys and values in the cache, which may be those of an earlier block; nil: it has no attention.
  let place: Int?
  /// What the residual stream is multiplied with behind it; nil: nothing.
  let scale: Float?
  let buffers: BlockBuffers
  let stages: [StagePlan]

  init(_ weights: BlockWeights, place: Int?, _ buffers: BlockBuffers, _ rotary: RotaryTables) {
    patch = weights.patch
    self.place = place
    scale = weights.scale
    self.buffers = buffers
    let stages = weights.stages
    self.stages = stages.indices.map { index in
      StagePlan(
        stages[index], buffers, rotary,
        endsHere: index + 1 == stages.count || !stages[index + 1].spec.isBeside)
    }
  }
}

/// How a session computes a model, between embedding and logits.
struct ModelPlan {
  let blocks: [BlockPlan]
  /// What comes behind the last block where others were cut out.
  let patch: LinearGroup?
  let head: LinearGroup
}

/// How a session computes a stage.
final class StagePlan {
  let norm: NormWeights?
  /// The layers of all parts that read the stage's input, and where they write.
  let inputs: LinearGroup
  let outputs: [Activations]
  let parts: [PartPlan]
  /// Whether results are added behind it. A stage beside the next one waits for it: that one reads the stream as this
  /// one has.
  let addsResults: Bool

  init(_ weights: StageWeights, _ buffers: BlockBuffers, _ rotary: RotaryTables, endsHere: Bool) {
    norm = weights.norm
    inputs = weights.inputs
    outputs = buffers.outputs(of: weights.spec.parts)
    addsResults = endsHere
    let specs = weights.spec.parts
    parts = weights.parts.enumerated().map { index, part in
      PartPlan(part, buffers, rotary, later: buffers.outputs(of: Array(specs[(index + 1)...])))
    }
  }
}

/// How a session computes a part of a stage.
final class PartPlan {
  enum PartWork {
    case attention(AttentionPlan)
    case latentAttention(LatentAttentionSpec, LatentWeights, AttentionPlan)
    case feedForward(FeedForwardSpec)
    case experts(ExpertWeights, ExpertBuffers)
    case tokenInput(TokenInputWeights, InputBuffers)
    /// Nothing that this program computes; models with it are refused when they are read.
    case none
  }

  let weights: PartWeights
  let work: PartWork
  /// Outputs of the parts behind it that read what it reads.
  let later: [Activations]

  init(_ weights: PartWeights, _ buffers: BlockBuffers, _ rotary: RotaryTables, later: [Activations]) {
    self.weights = weights
    self.later = later
    work =
      switch weights.spec.mixer {
      case .attention(let spec): .attention(AttentionPlan(spec, weights, rotary))
      case .latentAttention(let spec):
        weights.latent.map { .latentAttention(spec, $0, AttentionPlan(spec.expanded, weights, rotary)) } ?? .none
      case .feedForward(let spec): .feedForward(spec)
      case .experts:
        if let experts = weights.experts, let own = buffers.experts { .experts(experts, own) } else { .none }
      case .tokenInput:
        if let input = weights.input, let own = buffers.input { .tokenInput(input, own) } else { .none }
      case .recurrent: .none
      }
  }
}

/// How a session computes what queries, keys and values become.
final class AttentionPlan {
  let spec: AttentionSpec
  let rotary: RotaryTable?
  let scores: KeyValueCache.Scores
  let norms: BlockForward.HeadNormWeights
  /// Whether keys and values are those of an earlier block, which has stored them.
  let takesKeys: Bool

  init(_ spec: AttentionSpec, _ weights: PartWeights, _ rotary: RotaryTables) {
    self.spec = spec
    self.rotary = rotary[spec]
    scores = spec.scores(sinks: weights.sinks)
    norms = .init(query: weights.queryNorm, key: weights.keyNorm, value: weights.valueNorm)
    takesKeys = spec.keySource == .earlier
  }
}
