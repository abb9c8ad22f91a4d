import FurlCheckpoint
import FurlNumerics
import FurlSpec

/// Takes channels of the residual stream out of a model's tensors: columns of embeddings and of the layers that read the
/// stream, rows of those that write to it, numbers of norms. Heads stay as large as they are.
struct ChannelRemoval {
  let model: Checkpoint
  /// Channels that stay, ascending.
  let kept: [Int]

  /// The layers of a block that read the residual stream through a norm.
  static let readers: Set<TensorRole> = [
    .query, .key, .value, .attentionGate, .queryLatent, .latent, .sharedKey, .gate, .up,
  ]

  /// The specification with so many channels.
  ///
  /// - Parameter hasBiases: whether readers get biases that make up for the means of what goes.
  static func spec(_ spec: ModelSpec, channels: Int, hasBiases: Bool) -> ModelSpec {
    var result = spec
    result.hiddenSize = channels
    if hasBiases { result.addBiases(readers) }
    return result
  }

  /// Writes tensors without the channels that go, nothing made up for.
  ///
  /// - Parameters:
  ///   - spec: what the model becomes.
  ///   - done: tensors that are written already.
  func write(_ spec: ModelSpec, leavingOut done: Set<String> = [], to draft: ModelDraft) throws {
    let shapes = Dictionary(uniqueKeysWithValues: spec.tensors.map { ($0.name, $0.shape) })
    for tensor in model.spec.tensors where !done.contains(tensor.name) {
      guard let shape = shapes[tensor.name], shape != tensor.shape else { continue }
      // No other size has changed.
      if shape.count == 2, shape[1] != tensor.shape[1] {
        let columns = try model.floats(tensor.name).gather(columns: kept)
        try draft.set(tensor.name, shape[0] == tensor.shape[0] ? columns : columns.gather(rows: kept))
      } else {
        try draft.gather(tensor.name, rows: kept)
      }
    }
  }

  /// The model without the other channels, nothing made up for. Its norms take their statistics over those that stay.
  ///
  /// - Parameter folder: for what is written on the way.
  func remove(folder: String) throws -> Checkpoint {
    let draft = try ModelDraft(model, folder: folder)
    let spec = ChannelRemoval.spec(model.spec, channels: kept.count, hasBiases: false)
    try write(spec, to: draft)
    return try draft.finish(spec)
  }
}
