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
    try self.init(
      queries: block.heads * block.headSize, keys: block.kvHeads * block.headSize, mlp: block.mlpSize, spec, rows: rows)
  }

  /// As wide as the widest of some blocks needs them.
  init(widestOf blocks: [ModelSpec.Block], _ spec: ModelSpec, rows: Int) throws {
    func widest(_ width: (ModelSpec.Block) -> Int) -> Int { max(1, blocks.map(width).max() ?? 1) }
    try self.init(
      queries: widest { $0.heads * $0.headSize }, keys: widest { $0.kvHeads * $0.headSize }, mlp: widest(\.mlpSize),
      spec, rows: rows)
  }

  private init(queries: Int, keys: Int, mlp width: Int, _ spec: ModelSpec, rows: Int) throws {
    query = try Activations(columns: queries, capacity: rows)
    key = try Activations(columns: keys, capacity: rows)
    value = try Activations(columns: keys, capacity: rows)
    attended = try Activations(columns: queries, capacity: rows)
    inner = try Activations(columns: width, capacity: rows)
    mlp = [inner] + (spec.mlp == .gated ? [try Activations(columns: width, capacity: rows)] : [])
    queryKeyValue = [query, key, value] + (spec.residual == .parallel ? mlp : [])
  }

  /// Those of a block in the memory of wider ones: blocks that are computed one after the other need it once.
  init(_ block: ModelSpec.Block, _ spec: ModelSpec, sharing wider: BlockBuffers) {
    let (queries, keys) = (block.heads * block.headSize, block.kvHeads * block.headSize)
    query = Activations(columns: queries, sharing: wider.query)
    key = Activations(columns: keys, sharing: wider.key)
    value = Activations(columns: keys, sharing: wider.value)
    attended = Activations(columns: queries, sharing: wider.attended)
    let own = wider.mlp.map { Activations(columns: block.mlpSize, sharing: $0) }
    inner = own[0]
    mlp = own
    queryKeyValue = [query, key, value] + (spec.residual == .parallel ? mlp : [])
  }
}
