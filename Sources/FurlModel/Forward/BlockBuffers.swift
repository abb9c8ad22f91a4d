import FurlSpec
import FurlTensor

/// What the layers of a block compute on the way, for some rows at once.
struct BlockBuffers {
  let query: Activations
  let key: Activations
  let value: Activations
  let attended: Activations
  /// What goes into the MLP's last layer.
  let inner: Activations
  /// The outputs of the MLP's first layers. A gate's come first and are multiplied with those of up, where they lie.
  let mlp: [Activations]
  /// The outputs of ``LanguageModel/Block/queryKeyValue``.
  let queryKeyValue: [Activations]

  init(_ block: ModelSpec.Block, _ spec: ModelSpec, rows: Int) throws {
    query = try Activations(columns: block.heads * block.headSize, capacity: rows)
    key = try Activations(columns: block.kvHeads * block.headSize, capacity: rows)
    value = try Activations(columns: block.kvHeads * block.headSize, capacity: rows)
    attended = try Activations(columns: block.heads * block.headSize, capacity: rows)
    inner = try Activations(columns: block.mlpSize, capacity: rows)
    mlp = [inner] + (spec.mlp == .gated ? [try Activations(columns: block.mlpSize, capacity: rows)] : [])
    queryKeyValue = [query, key, value] + (spec.residual == .parallel ? mlp : [])
  }
}
