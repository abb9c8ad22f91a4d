import FurlBase
import FurlNumerics
import FurlSpec

/// A part of a block in a pass: its linear layers, and what is done between them.
protocol TrainingMixer {
  /// Computes what the part gives from what its stage reads.
  ///
  /// - Parameter accumulate: whether `out` is added to, and not set.
  func forward(_ input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers)

  /// From the gradient of what the part gives to those of its weights and of its input.
  ///
  /// - Parameter accumulate: whether `out` is added to, and not set.
  func backward(_ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers) throws

  /// Behind a way back: the gradient of what the stage reads before its norm, as far as the part reads that itself.
  var streamGradient: Matrix? { get }
}

extension TrainingMixer {
  var streamGradient: Matrix? { nil }
}

/// What all parts of a pass share.
struct TrainingShape {
  let hidden: Int
  let sequences: Int
  /// Tokens of each sequence.
  let length: Int
  /// Whether there will be a way back.
  let isTrained: Bool

  var rows: Int { sequences * length }
}

extension PartSpec {
  /// Why a part cannot be trained; nil: it can.
  var untrainable: String? {
    switch mixer {
    case .attention, .latentAttention, .feedForward, .experts, .tokenInput: nil
    case .recurrent: "a recurrent mixer has no gradient that Furl computes"
    }
  }

  /// Whether the part reads what its stage reads before the stage's norm, too.
  var readsStream: Bool { if case .experts(let experts) = mixer { experts.ownNorms != nil } else { false } }

  /// Columns of what the part leaves for the way back.
  func keptWidths(hidden: Int) -> TrainingMatrices.Widths {
    switch mixer {
    case .attention(let attention): attention.keptWidths
    case .feedForward(let mlp): mlp.keptWidths
    case .experts(let experts): experts.keptWidths(hidden: hidden)
    case .latentAttention(let attention): attention.keptWidths
    case .tokenInput(let input): input.keptWidths
    case .recurrent: [:]
    }
  }

  /// Columns of what the part needs for a moment.
  func scratchWidths(_ shape: TrainingShape) -> TrainingMatrices.Widths {
    switch mixer {
    case .attention(let attention): attention.scratchWidths(isTrained: shape.isTrained)
    case .feedForward(let mlp): mlp.scratchWidths(isTrained: shape.isTrained)
    case .experts(let experts): experts.scratchWidths(hidden: shape.hidden, isTrained: shape.isTrained)
    case .latentAttention(let attention): attention.scratchWidths(isTrained: shape.isTrained)
    case .tokenInput(let input): input.scratchWidths(isTrained: shape.isTrained)
    case .recurrent: [:]
    }
  }
}
