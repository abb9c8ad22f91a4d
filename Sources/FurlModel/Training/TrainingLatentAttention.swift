import FurlNumerics
import FurlSpec
import FurlTensor

/// Latent attention in a pass: queries, keys and values are made of short vectors, spread into heads of one size, and go
/// through the attention that all models have.
///
/// The short vectors, the turned heads and what they give are kept; norms, and heads in their own sizes, are made again on the
/// way back. What is between the end of a head's numbers and that of its place is zero, and so are the gradients there.
struct TrainingLatentAttention: TrainingMixer {
  private let spec: LatentAttentionSpec
  private let wide: AttentionSpec
  private let angles: RotaryAngles?
  private let shape: TrainingShape
  private let kept: TrainingMatrices
  private let scratch: TrainingMatrices

  init(
    _ spec: LatentAttentionSpec, angles: RotaryAngles?, shape: TrainingShape, kept: TrainingMatrices,
    scratch: TrainingMatrices
  ) {
    self.spec = spec
    wide = spec.expanded
    self.angles = angles
    self.shape = shape
    self.kept = kept
    self.scratch = scratch
  }

  // Heads in their places: [rows][heads * size of a place].
  private var query: Matrix { kept[.query, wide.queries] }
  private var key: Matrix { kept[.key, wide.keys] }
  private var value: Matrix { kept[.value, wide.keys] }
  private var attended: Matrix { kept[.attended, wide.queries] }
  private var statistics: Matrix { kept[.statistics, wide.heads] }

  /// What queries are made from, [rows][queryRank]; nil: the stage's input.
  private var queryLatent: Matrix? { spec.queryRank.map { kept[.queryLatent, $0] } }
  /// What keys and values are made from: [rows][rank].
  private var latent: Matrix { kept[.latent, spec.rank] }

  // Heads in their own sizes; on the way back their gradients.
  private var ownQuery: Matrix { scratch[.ownQuery, spec.heads * spec.querySize] }
  private var ownKey: Matrix { scratch[.ownKey, spec.heads * spec.plainSize] }
  private var ownValue: Matrix { scratch[.ownValue, spec.values] }
  private var sharedKey: Matrix { scratch[.sharedKey, spec.turnedSize] }

  /// One place of a head to the next.
  private var places: Activations.Pieces { .init(step: wide.headSize) }
  private var placesOfPlainKeys: Activations.Pieces { .init(start: spec.turnedSize, step: wide.headSize) }

  private func attention() -> CausalAttention {
    var attention = CausalAttention(
      heads: wide.heads, kvHeads: wide.kvHeads, headSize: wide.headSize, window: nil, sequences: shape.sequences,
      length: shape.length)
    if let scale = wide.scale { attention.scale = Float(scale) }
    return attention
  }

  private func rotate(_ matrix: Matrix, back: Bool, _ layers: TrainingLayers) {
    guard let angles else { return }
    layers.math.rotate(matrix, headSize: wide.headSize, length: shape.length, angles: angles, back: back)
  }

  /// What the inner layers read, which is behind a norm; they do so one after the other.
  private func normed(_ latent: Matrix, _ name: String, _ layers: TrainingLayers) -> Matrix {
    let out = scratch[.normedLatent, latent.columns]
    layers.normalize(latent, spec.norm, name, into: out)
    return out
  }

  // MARK: Forward

  func forward(_ input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers) {
    if let queryLatent {
      layers.linear("attention.query_latent", input, into: queryLatent)
      layers.linear("attention.query", normed(queryLatent, "attention.query_latent_norm", layers), into: ownQuery)
    } else {
      layers.linear("attention.query", input, into: ownQuery)
    }
    layers.linear("attention.latent", input, into: latent)
    layers.linear("attention.shared_key", input, into: sharedKey)
    let normed = normed(latent, "attention.latent_norm", layers)
    layers.linear("attention.key", normed, into: ownKey)
    layers.linear("attention.value", normed, into: ownValue)
    spread(layers.math)
    rotate(query, back: false, layers)
    rotate(key, back: false, layers)
    attention().forward(
      query: query, key: key, value: value, into: attended, statistics: statistics, with: layers.math)
    layers.linear("attention.output", narrowed(layers.math), into: out, accumulate: accumulate)
  }

  /// Puts heads into their places: of a key the part that is turned, which is that of all heads, and then its own.
  private func spread(_ math: DenseMath) {
    for matrix in [query, key, value] { matrix.clear() }
    let heads = spec.heads
    math.copyPieces(
      ownQuery, from: .init(step: spec.querySize), of: spec.querySize, count: heads, into: query, to: places)
    math.copyPieces(sharedKey, from: .init(step: 0), of: spec.turnedSize, count: heads, into: key, to: places)
    math.copyPieces(
      ownKey, from: .init(step: spec.plainSize), of: spec.plainSize, count: heads, into: key, to: placesOfPlainKeys)
    math.copyPieces(
      ownValue, from: .init(step: spec.valueSize), of: spec.valueSize, count: heads, into: value, to: places)
  }

  /// What the last layer reads: the heads' outputs in their own size.
  private func narrowed(_ math: DenseMath) -> Matrix {
    math.copyPieces(
      attended, from: places, of: spec.valueSize, count: spec.heads, into: ownValue, to: .init(step: spec.valueSize))
    return ownValue
  }

  // MARK: Backward

  func backward(
    _ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers
  ) throws {
    let math = layers.math
    let narrow = scratch[.narrowGradient, spec.values]
    layers.linearBack("attention.output", gradient, input: narrowed(math), into: narrow, accumulate: false)
    let above = scratch[.attendedGradient, wide.queries]
    above.clear()
    math.copyPieces(
      narrow, from: .init(step: spec.valueSize), of: spec.valueSize, count: spec.heads, into: above, to: places)
    let (query, key) = (scratch[.queryGradient, wide.queries], scratch[.keyGradient, wide.keys])
    let value = scratch[.valueGradient, wide.keys]
    attention().backward(
      .init(query: self.query, key: self.key, value: self.value, out: attended, statistics: statistics),
      gradient: above, into: .init(query: query, key: key, value: value, sinks: nil), with: math)
    rotate(query, back: true, layers)
    rotate(key, back: true, layers)
    gather(query: query, key: key, value: value, math)
    if let queryLatent {
      try innerBack(
        ["attention.query": ownQuery], of: queryLatent, "attention.query_latent", input: input, into: out,
        accumulate: accumulate, layers)
    } else {
      layers.linearBack("attention.query", ownQuery, input: input, into: out, accumulate: accumulate)
    }
    try innerBack(
      ["attention.key": ownKey, "attention.value": ownValue], of: latent, "attention.latent", input: input, into: out,
      accumulate: true, layers)
    layers.linearBack("attention.shared_key", sharedKey, input: input, into: out, accumulate: true)
  }

  /// Takes the gradients of heads from their places; the part of the keys that all heads share has the sum of theirs.
  private func gather(query: Matrix, key: Matrix, value: Matrix, _ math: DenseMath) {
    let heads = spec.heads
    math.copyPieces(
      query, from: places, of: spec.querySize, count: heads, into: ownQuery, to: .init(step: spec.querySize))
    math.copyPieces(
      key, from: placesOfPlainKeys, of: spec.plainSize, count: heads, into: ownKey, to: .init(step: spec.plainSize))
    math.copyPieces(
      value, from: places, of: spec.valueSize, count: heads, into: ownValue, to: .init(step: spec.valueSize))
    math.sumPieces(key, from: places, count: heads, into: sharedKey)
  }

  /// From the gradients of what inner layers give to those of the layers, of the norm that they read through and of the layer
  /// before that.
  ///
  /// - Parameters:
  ///   - inner: the layers with the gradients, in the order in which they are added up.
  ///   - latent: what they are made from, [rows][rank]; `outer`: the layer that gives it.
  private func innerBack(
    _ inner: KeyValuePairs<String, Matrix>, of latent: Matrix, _ outer: String, input: Matrix, into out: Matrix,
    accumulate: Bool, _ layers: TrainingLayers
  ) throws {
    let norm = outer + "_norm"
    let read = normed(latent, norm, layers)
    let change = scratch[.normedLatentGradient, latent.columns]
    for (index, layer) in inner.enumerated() {
      layers.linearBack(layer.key, layer.value, input: read, into: change, accumulate: index > 0)
    }
    // What comes out of the norm is not needed any more, and the gradient of what goes in takes its place.
    read.clear()
    try layers.normalizeBack(latent, spec.norm, norm, gradient: change, addingTo: read)
    layers.linearBack(outer, read, input: input, into: out, accumulate: accumulate)
  }
}

extension LatentAttentionSpec {
  var keptWidths: TrainingMatrices.Widths {
    var widths = expanded.keptWidths
    widths[.latent] = rank
    if let queryRank { widths[.queryLatent] = queryRank }
    return widths
  }

  func scratchWidths(isTrained: Bool) -> TrainingMatrices.Widths {
    let latents = Swift.max(rank, queryRank ?? 0)
    let widths: TrainingMatrices.Widths = [
      .ownQuery: heads * querySize, .ownKey: heads * plainSize, .ownValue: values, .sharedKey: turnedSize,
      .normedLatent: latents,
    ]
    guard isTrained else { return widths }
    return widths.union(expanded.scratchWidths(isTrained: true)).union([
      .narrowGradient: values, .normedLatentGradient: latents,
    ])
  }
}
