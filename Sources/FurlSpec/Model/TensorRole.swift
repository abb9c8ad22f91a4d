/// What a tensor does in a model, whatever a family calls it.
package enum TensorRole: String, Sendable, Hashable, CaseIterable {
  case embedding
  case positions
  case head
  case norm
  case bias
  case query = "attention.query"
  case key = "attention.key"
  case value = "attention.value"
  case attentionOutput = "attention.output"
  /// What heads' outputs are multiplied with comes from it.
  case attentionGate = "attention.gate"
  /// The short vectors that queries, and keys and values, are made from; the part of keys that all heads share.
  case queryLatent = "attention.query_latent"
  case latent = "attention.latent"
  case sharedKey = "attention.shared_key"
  case up = "mlp.up"
  case gate = "mlp.gate"
  case down = "mlp.down"
  /// What stands in for blocks that were cut out.
  case patch
  /// What chooses experts, and what is added to its outputs for the choice alone.
  case router = "mlp.router"
  case routerChoice = "mlp.router.choice"
  /// What the weights of experts are multiplied with: a number for each expert.
  case routerFactors = "mlp.router.factors"
  /// A number for each head that the softmax counts beside the rows.
  case sinks = "attention.sinks"
  /// The layers of a recurrent mixer.
  case mixerInput = "mixer.input"
  case mixerOutput = "mixer.output"
  /// The layers of what a block takes from the tokens themselves, and its table with a row for each.
  case inputGate = "input.gate"
  case inputContext = "input.context"
  case inputOutput = "input.output"
  case inputTable = "input.table"
  /// One number that the residual stream is multiplied with behind a block.
  case scale

  /// What artifacts of before there was such a role call it.
  package var formerName: String? { self == .routerFactors ? TensorRole.routerChoice.rawValue : nil }

  /// Whether tensors of this role are vectors, which stay in FP32.
  package var isVector: Bool {
    switch self {
    case .norm, .bias, .sinks, .routerChoice, .routerFactors, .scale: true
    default: false
    }
  }

  /// Whether tensors of this role are linear layers of a block.
  package var isBlockLinear: Bool {
    switch self {
    case .query, .key, .value, .attentionOutput, .attentionGate, .queryLatent, .latent, .sharedKey: true
    case .up, .gate, .down, .mixerInput, .mixerOutput, .inputGate, .inputContext, .inputOutput: true
    default: false
    }
  }
}

/// A tensor that a model must have.
package struct TensorSpec: Sendable, Hashable {
  /// Furl's name: `blocks.3.attention.query`, `blocks.3.attention.query.bias`, `embedding`.
  package let name: String
  package let role: TensorRole
  /// [rows, columns] of a matrix whose rows are outputs, or [count] of a vector.
  package let shape: [Int]
  /// The block that the tensor is in; nil outside of the blocks.
  package let block: Int?

  /// Numbers in the tensor.
  package var elementCount: Int { shape.reduce(1, *) }
}
