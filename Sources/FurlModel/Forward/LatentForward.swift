package import FurlSpec
package import FurlTensor

/// What latent attention computes beside queries, keys, values and heads as the cache takes them.
struct LatentBuffers {
  /// What queries are made from, and keys and values: as the first layers give it, and behind the norm.
  let queryLatent: Activations
  let normedQuery: Activations
  let latent: Activations
  let normedLatent: Activations
  /// The turned part of a row's keys.
  let sharedKey: Activations
  /// Heads in their own sizes.
  let query: Activations
  let key: Activations
  let value: Activations
  let attended: Activations

  init(_ specs: [LatentAttentionSpec], rows: Int) throws {
    func buffer(_ columns: (LatentAttentionSpec) -> Int) throws -> Activations {
      try Activations(columns: specs.map(columns).max() ?? 1, capacity: rows)
    }
    queryLatent = try buffer { $0.queryRank ?? 1 }
    normedQuery = try buffer { $0.queryRank ?? 1 }
    latent = try buffer(\.rank)
    normedLatent = try buffer(\.rank)
    sharedKey = try buffer(\.turnedSize)
    query = try buffer { $0.heads * $0.querySize }
    key = try buffer { $0.heads * $0.plainSize }
    value = try buffer(\.values)
    attended = try buffer(\.values)
  }

  init(_ spec: LatentAttentionSpec, sharing wider: LatentBuffers) {
    queryLatent = Activations(columns: spec.queryRank ?? 1, sharing: wider.queryLatent)
    normedQuery = Activations(columns: spec.queryRank ?? 1, sharing: wider.normedQuery)
    latent = Activations(columns: spec.rank, sharing: wider.latent)
    normedLatent = Activations(columns: spec.rank, sharing: wider.normedLatent)
    sharedKey = Activations(columns: spec.turnedSize, sharing: wider.sharedKey)
    query = Activations(columns: spec.heads * spec.querySize, sharing: wider.query)
    key = Activations(columns: spec.heads * spec.plainSize, sharing: wider.key)
    value = Activations(columns: spec.values, sharing: wider.value)
    attended = Activations(columns: spec.values, sharing: wider.attended)
  }

  /// In the order of ``PartSpec/inputs(hidden:)``.
  func inputs(of spec: LatentAttentionSpec) -> [Activations] {
    [spec.queryRank == nil ? query : queryLatent, latent, sharedKey]
  }
}

/// The layers of latent attention behind those that read the stage's input.
struct LatentWeights: Sendable {
  /// What makes queries; nil: a layer that reads the stage's input does.
  let queries: (norm: NormWeights, layer: LinearGroup)?
  let norm: NormWeights
  let keysAndValues: LinearGroup
}

extension BlockForward {
  /// What the layers behind a latent vector read.
  ///
  /// - Parameter layers: that read the result; nil: not as 8-bit activations.
  func normalize(
    _ latent: ReadingSite.Latent, _ norm: NormWeights, _ buffers: LatentBuffers, count: Int, for layers: LinearGroup?
  ) -> Activations {
    let (stored, normed) =
      latent == .queries ? (buffers.queryLatent, buffers.normedQuery) : (buffers.latent, buffers.normedLatent)
    normalize(stored, norm, count: count, for: layers, into: normed)
    normed.clearPadding(count: count)
    return normed
  }

  /// Makes queries, keys and values, as ``LatentAttentionSpec/expanded`` takes them, of what the first layers have given.
  func expand(_ latent: LatentAttentionSpec, _ weights: LatentWeights, _ buffers: BlockBuffers, count: Int) {
    guard let own = buffers.latent else { return }
    if let queries = weights.queries {
      let normed = normalize(.queries, queries.norm, own, count: count, for: queries.layer)
      queries.layer(normed, count: count, into: [own.query], on: context)
    }
    let normed = normalize(.keysAndValues, weights.norm, own, count: count, for: weights.keysAndValues)
    weights.keysAndValues(normed, count: count, into: [own.key, own.value], on: context)
    for wide in [buffers.query, buffers.key, buffers.value] { wide.clear(count: count) }
    let head = Activations.Pieces(step: latent.expanded.headSize)
    func copy(_ size: Int, _ own: Activations, step: Int, to wide: Activations, _ place: Activations.Pieces) {
      wide.copyPieces(of: size, latent.heads, own, from: .init(step: step), to: place, count: count)
    }
    copy(latent.querySize, own.query, step: latent.querySize, to: buffers.query, head)
    copy(latent.turnedSize, own.sharedKey, step: 0, to: buffers.key, head)
    let behind = Activations.Pieces(start: latent.turnedSize, step: head.step)
    copy(latent.plainSize, own.key, step: latent.plainSize, to: buffers.key, behind)
    copy(latent.valueSize, own.value, step: latent.valueSize, to: buffers.value, head)
  }

  /// What the last layer reads: the heads' outputs in their own size.
  func narrow(_ latent: LatentAttentionSpec, _ buffers: BlockBuffers, count: Int) -> Activations {
    guard let own = buffers.latent else { return buffers.attended }
    own.attended.copyPieces(
      of: latent.valueSize, latent.heads, buffers.attended, from: .init(step: latent.expanded.headSize),
      to: .init(step: latent.valueSize), count: count)
    own.attended.clearPadding(count: count)
    return own.attended
  }
}

extension BlockSpec {
  var latents: [LatentAttentionSpec] {
    parts.compactMap { if case .latentAttention(let latent) = $0.mixer { latent } else { nil } }
  }

  /// The heads of its first attention as a cache keeps them; nil: there is none.
  package var cached: KeyValueCache.Heads? { parts.lazy.compactMap(\.attention?.cached).first }

  /// The same, but nil where it takes keys and values from an earlier block: a cache keeps nothing for it.
  package var stored: KeyValueCache.Heads? { takesKeys ? nil : cached }
}

extension PartSpec {
  /// What is computed once queries, keys and values are there; nil: the part is no attention.
  var attention: AttentionSpec? {
    switch mixer {
    case .attention(let attention): attention
    case .latentAttention(let latent): latent.expanded
    case .feedForward, .experts, .recurrent, .tokenInput: nil
    }
  }

  /// Numbers of a row that the last layer of an attention reads; nil: the part is none.
  var attendedSize: Int? {
    if case .latentAttention(let latent) = mixer { latent.values } else { attention?.queries }
  }
}
