import FurlNumerics
import FurlSpec

/// Attention in a pass. Queries, keys and values are kept; where they are normed, as they are before that: norming and
/// turning them again costs little. Keys and values that later blocks take are kept as those see them, and what comes back
/// from there is added to what comes back here.
struct TrainingAttention: TrainingMixer {
  private let spec: AttentionSpec
  private let angles: RotaryAngles?
  private let given: GivenKeys?
  private let valueNorm: TrainingValueNorm?
  private let shape: TrainingShape
  private let kept: TrainingMatrices
  private let scratch: TrainingMatrices

  init(
    _ spec: AttentionSpec, shape: TrainingShape, outside: TrainingBlock.BlockSurroundings, kept: TrainingMatrices,
    scratch: TrainingMatrices
  ) throws {
    self.spec = spec
    angles = outside.angles
    given = outside.keys
    valueNorm = try spec.valueNorm.map { try TrainingValueNorm(epsilon: $0, size: spec.headSize) }
    self.shape = shape
    self.kept = kept
    self.scratch = scratch
  }

  /// Whether keys and values are those of an earlier block.
  private var takesKeys: Bool { spec.keySource == .earlier }
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
    if !takesKeys { makeKeys(input, layers) }
    if let gates { layers.linear("attention.gate", input, into: gates) }
    if spec.queryNorm == nil {
      rotate(query, back: false, layers)
      grow(query, layers)
    }
    let (key, value) = (seenKey(layers), seenValue(layers))
    if let given, !takesKeys { given.set(key, value) }
    attention(layers).forward(
      query: turnedQuery(layers), key: key, value: value, into: attended, statistics: statistics, with: layers.math)
    layers.linear("attention.output", gated(layers.math), into: out, accumulate: accumulate)
  }

  private func makeKeys(_ input: Matrix, _ layers: TrainingLayers) {
    layers.linear("attention.key", input, into: key)
    if spec.keySource == .keysAlone {
      value.copy(key)
    } else {
      layers.linear("attention.value", input, into: value)
    }
    if spec.keyNorm == nil { rotate(key, back: false, layers) }
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

  /// Keys as queries meet them.
  private func seenKey(_ layers: TrainingLayers) -> Matrix {
    if takesKeys, let given { return given.key }
    guard let norm = spec.keyNorm else { return key }
    return turned(key, norm, "attention.key_norm", into: scratch[.turnedKey, spec.keys], layers)
  }

  /// Values as they are summed up.
  private func seenValue(_ layers: TrainingLayers) -> Matrix {
    if takesKeys, let given { return given.value }
    guard let valueNorm else { return value }
    let out = scratch[.normedValue, spec.keys]
    valueNorm.normalize(pieces(value), into: pieces(out), with: layers.math)
    return out
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
    let key = scratch[.keyGradient, spec.keys]
    let value = scratch[.valueGradient, spec.keys]
    attention(layers).backward(
      .init(
        query: turnedQuery(layers), key: seenKey(layers), value: seenValue(layers), out: attended,
        statistics: statistics),
      gradient: above,
      into: .init(
        query: query, key: key, value: value, sinks: spec.hasSinks ? layers.gradient("attention.sinks") : nil),
      with: layers.math)
    grow(query, layers)
    rotate(query, back: true, layers)
    // What was turned is not needed any more, and the gradient of what it was made of takes its place.
    if let norm = spec.queryNorm {
      let room = scratch[.turnedQuery, spec.queries]
      query = try normalizeBack(self.query, norm, "attention.query_norm", query, into: room, layers)
    }
    layers.linearBack("attention.query", query, input: input, into: out, accumulate: accumulate || gates != nil)
    if takesKeys {
      given?.add(key, value, with: layers.math)
    } else {
      given?.addTo(key, value, with: layers.math)
      try keysBack(key, value, input: input, addingTo: out, layers)
    }
  }

  /// From the gradients of keys and values, as they are seen, to those of the layers that make them and their input.
  private func keysBack(
    _ seenKey: Matrix, _ seenValue: Matrix, input: Matrix, addingTo out: Matrix, _ layers: TrainingLayers
  ) throws {
    var (key, value) = (seenKey, seenValue)
    rotate(key, back: true, layers)
    if let norm = spec.keyNorm {
      let room = scratch[.turnedKey, spec.keys]
      key = try normalizeBack(self.key, norm, "attention.key_norm", key, into: room, layers)
    }
    if let valueNorm {
      let room = scratch[.normedValue, spec.keys]
      room.clear()
      try valueNorm.back(pieces(self.value), gradient: pieces(value), addingTo: pieces(room), with: layers.math)
      value = room
    }
    if spec.keySource == .keysAlone { layers.math.add(value, to: key) }
    layers.linearBack("attention.key", key, input: input, into: out, accumulate: true)
    if spec.keySource == .own { layers.linearBack("attention.value", value, input: input, into: out, accumulate: true) }
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
    var widths: TrainingMatrices.Widths = [.query: queries, .attended: queries, .statistics: heads]
    if keySource != .earlier { widths = widths.union([.key: keys, .value: keys]) }
    if outputGate != nil { widths[.attentionGates] = gates }
    return widths
  }

  func scratchWidths(isTrained: Bool) -> TrainingMatrices.Widths {
    var widths: TrainingMatrices.Widths = [:]
    if queryNorm != nil { widths[.turnedQuery] = queries }
    if keyNorm != nil { widths[.turnedKey] = keys }
    if valueNorm != nil { widths[.normedValue] = keys }
    if outputGate != nil { widths[.gated] = queries }
    if outputGate != nil, isTrained { widths[.attentionGateGradient] = gates }
    guard isTrained else { return widths }
    return widths.union([
      .queryGradient: queries, .keyGradient: keys, .valueGradient: keys, .attendedGradient: queries,
    ])
  }
}
