import FurlNumerics
import FurlSpec

/// Attention in a pass. Queries, keys and values are kept; where they are normed, as they are before that: norming and
/// turning them again costs little.
struct TrainingAttention: TrainingMixer {
  private let spec: AttentionSpec
  private let angles: RotaryAngles?
  private let shape: TrainingShape
  private let kept: TrainingMatrices
  private let scratch: TrainingMatrices

  init(
    _ spec: AttentionSpec, angles: RotaryAngles?, shape: TrainingShape, kept: TrainingMatrices,
    scratch: TrainingMatrices
  ) {
    self.spec = spec
    self.angles = angles
    self.shape = shape
    self.kept = kept
    self.scratch = scratch
  }

  private var query: Matrix { kept[.query, spec.queries] }
  private var key: Matrix { kept[.key, spec.keys] }
  private var value: Matrix { kept[.value, spec.keys] }
  private var attended: Matrix { kept[.attended, spec.queries] }
  private var statistics: Matrix { kept[.statistics, spec.heads] }
  /// What heads' outputs are multiplied with comes from these, [rows][gates]; nil: they stay.
  private var gates: Matrix? { spec.outputGate == nil ? nil : kept[.attentionGates, spec.gates] }

  private func attention(_ layers: TrainingLayers) -> CausalAttention {
    var attention = CausalAttention(
      heads: spec.heads, kvHeads: spec.kvHeads, headSize: spec.headSize, window: spec.window,
      sequences: shape.sequences, length: shape.length)
    if let scale = spec.scale { attention.scale = Float(scale) }
    attention.softCap = spec.softCap.map(Float.init)
    attention.slopes = spec.slopes
    if spec.hasSinks { attention.sinks = layers.parameter("attention.sinks") }
    return attention
  }

  private func rotate(_ matrix: Matrix, back: Bool, _ layers: TrainingLayers) {
    guard let angles else { return }
    layers.math.rotate(matrix, headSize: spec.headSize, length: shape.length, angles: angles, back: back)
  }

  /// Multiplies queries, or their gradients, with what they grow by at their positions.
  private func grow(_ matrix: Matrix, _ layers: TrainingLayers) {
    guard let growth = spec.queryGrowth else { return }
    layers.math.scaleRows(matrix, by: (0..<matrix.rows).map { growth.factor(position: $0 % shape.length) })
  }

  // MARK: Forward

  func forward(_ input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers) {
    layers.linear("attention.query", input, into: query)
    layers.linear("attention.key", input, into: key)
    layers.linear("attention.value", input, into: value)
    if let gates { layers.linear("attention.gate", input, into: gates) }
    if spec.queryNorm == nil {
      rotate(query, back: false, layers)
      grow(query, layers)
    }
    if spec.keyNorm == nil { rotate(key, back: false, layers) }
    attention(layers).forward(
      query: turnedQuery(layers), key: turnedKey(layers), value: value, into: attended, statistics: statistics,
      with: layers.math)
    layers.linear("attention.output", gated(layers.math), into: out, accumulate: accumulate)
  }

  /// What the last layer reads.
  private func gated(_ math: DenseMath) -> Matrix {
    guard let gates else { return attended }
    let out = scratch[.gated, spec.queries]
    math.gateSoftly(attended, by: gates, into: out)
    return out
  }

  /// Queries as they meet keys.
  private func turnedQuery(_ layers: TrainingLayers) -> Matrix {
    guard let norm = spec.queryNorm else { return query }
    let out = turned(query, norm, "attention.query_norm", into: scratch[.turnedQuery, spec.queries], layers)
    grow(out, layers)
    return out
  }

  private func turnedKey(_ layers: TrainingLayers) -> Matrix {
    guard let norm = spec.keyNorm else { return key }
    return turned(key, norm, "attention.key_norm", into: scratch[.turnedKey, spec.keys], layers)
  }

  private func turned(
    _ raw: Matrix, _ norm: NormSpec, _ name: String, into out: Matrix, _ layers: TrainingLayers
  ) -> Matrix {
    layers.normalize(pieces(raw), norm, name, into: pieces(out))
    rotate(out, back: false, layers)
    return out
  }

  /// What is normed by itself, as a row: a head, or all heads of a row. Heads with weights of their own take them in turn.
  private func pieces(_ matrix: Matrix) -> Matrix {
    guard spec.headNorms != .ofRow else { return matrix }
    return matrix.shaped(columns: spec.headSize, rows: matrix.count / spec.headSize)
  }

  // MARK: Backward

  func backward(
    _ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers
  ) throws {
    let above = scratch[.attendedGradient, spec.queries]
    layers.linearBack("attention.output", gradient, input: gated(layers.math), into: above, accumulate: false)
    if let gates {
      let change = scratch[.attentionGateGradient, spec.gates]
      layers.math.gateSoftlyBack(attended, by: gates, gradient: above, gateGradient: change)
      layers.linearBack("attention.gate", change, input: input, into: out, accumulate: accumulate)
    }
    var query = scratch[.queryGradient, spec.queries]
    var key = scratch[.keyGradient, spec.keys]
    let value = scratch[.valueGradient, spec.keys]
    attention(layers).backward(
      .init(
        query: turnedQuery(layers), key: turnedKey(layers), value: self.value, out: attended, statistics: statistics),
      gradient: above,
      into: .init(
        query: query, key: key, value: value, sinks: spec.hasSinks ? layers.gradient("attention.sinks") : nil),
      with: layers.math)
    grow(query, layers)
    rotate(query, back: true, layers)
    rotate(key, back: true, layers)
    // What was turned is not needed any more, and the gradient of what it was made of takes its place.
    if let norm = spec.queryNorm {
      let room = scratch[.turnedQuery, spec.queries]
      query = try normalizeBack(self.query, norm, "attention.query_norm", query, into: room, layers)
    }
    if let norm = spec.keyNorm {
      let room = scratch[.turnedKey, spec.keys]
      key = try normalizeBack(self.key, norm, "attention.key_norm", key, into: room, layers)
    }
    layers.linearBack("attention.query", query, input: input, into: out, accumulate: accumulate || gates != nil)
    layers.linearBack("attention.key", key, input: input, into: out, accumulate: true)
    layers.linearBack("attention.value", value, input: input, into: out, accumulate: true)
  }

  private func normalizeBack(
    _ raw: Matrix, _ norm: NormSpec, _ name: String, _ gradient: Matrix, into out: Matrix, _ layers: TrainingLayers
  ) throws -> Matrix {
    out.clear()
    try layers.normalizeBack(pieces(raw), norm, name, gradient: pieces(gradient), addingTo: pieces(out))
    return out
  }
}

extension AttentionSpec {
  var keptWidths: TrainingMatrices.Widths {
    var widths: TrainingMatrices.Widths = [
      .query: queries, .key: keys, .value: keys, .attended: queries, .statistics: heads,
    ]
    if outputGate != nil { widths[.attentionGates] = gates }
    return widths
  }

  func scratchWidths(isTrained: Bool) -> TrainingMatrices.Widths {
    var widths: TrainingMatrices.Widths = [:]
    if queryNorm != nil { widths[.turnedQuery] = queries }
    if keyNorm != nil { widths[.turnedKey] = keys }
    if outputGate != nil { widths[.gated] = queries }
    if outputGate != nil, isTrained { widths[.attentionGateGradient] = gates }
    guard isTrained else { return widths }
    return widths.union([
      .queryGradient: queries, .keyGradient: keys, .valueGradient: keys, .attendedGradient: queries,
    ])
  }
}
