import FurlNumerics
import FurlSpec
import FurlTensor

/// What blocks of a pass take from the tokens themselves.
final class TokenRows {
  private(set) var ids: [Int] = []
  /// The tokens' embeddings, as the first block gets them: [rows][hidden].
  let embedded: Matrix
  /// What all blocks have sent back to them; nil: there is no way back.
  let gradient: Matrix?

  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  init(_ shape: TrainingShape) throws {
    embedded = try Matrix(rows: shape.rows, columns: shape.hidden)
    gradient = shape.isTrained ? try Matrix(rows: shape.rows, columns: shape.hidden) : nil
  }

  func begin(_ ids: [Int], embedded: Matrix) {
    self.ids = ids
    self.embedded.copy(embedded)
  }
}

/// A token input in a pass: output(activation(gate(x)) * t), t the norm of a layer on the token's embedding plus a row of a
/// table (Gemma 3n and 4). What the gate and the layer on the embedding give is kept.
struct TrainingTokenInput: TrainingMixer {
  private let spec: TokenInputSpec
  private let tokens: TokenRows
  private let kept: TrainingMatrices
  private let scratch: TrainingMatrices

  init(_ spec: TokenInputSpec, tokens: TokenRows?, kept: TrainingMatrices, scratch: TrainingMatrices) {
    guard let tokens else { preconditionFailure("a pass with token inputs keeps its tokens") }
    self.spec = spec
    self.tokens = tokens
    self.kept = kept
    self.scratch = scratch
  }

  private var gate: Matrix { kept[.inputGate, spec.size] }
  private var context: Matrix { kept[.inputContext, spec.size] }
  private var activation: LinearGroup.FusedActivation { .init(spec.activation) }

  // MARK: Forward

  func forward(_ input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers) {
    layers.linear("input.gate", input, into: gate)
    layers.linear("input.context", tokens.embedded, into: context)
    layers.linear("input.output", inner(term(layers), layers.math), into: out, accumulate: accumulate)
  }

  /// What the gate is multiplied with.
  private func term(_ layers: TrainingLayers) -> Matrix {
    let (term, rows) = (scratch[.inputTerm, spec.size], scratch[.inputRows, spec.size])
    layers.normalize(context, spec.norm, "input.context_norm", into: term)
    layers.math.embed(tokens.ids, length: 1, layers.parameter("input.table"), positions: nil, into: rows)
    layers.math.add(rows, to: term)
    return term
  }

  /// What the last layer reads.
  private func inner(_ term: Matrix, _ math: DenseMath) -> Matrix {
    let inner = scratch[.inner, spec.size]
    math.activate(activation, gate, factor: term, into: inner)
    return inner
  }

  // MARK: Backward

  func backward(
    _ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers
  ) throws {
    let math = layers.math
    let term = term(layers)
    let gateGradient = scratch[.innerGradient, spec.size]
    layers.linearBack("input.output", gradient, input: inner(term, math), into: gateGradient, accumulate: false)
    let termGradient = scratch[.inputTermGradient, spec.size]
    math.activateBack(activation, gate, factor: term, gradient: gateGradient, factorGradient: termGradient)
    layers.linearBack("input.gate", gateGradient, input: input, into: out, accumulate: accumulate)
    // Who only observes has no room for a table's gradient.
    if layers.observer == nil {
      math.embedBack(
        tokens.ids, length: 1, gradient: termGradient, addingTo: layers.gradient("input.table"), positions: nil)
    }
    let change = scratch[.inputContextGradient, spec.size]
    change.clear()
    try layers.normalizeBack(context, spec.norm, "input.context_norm", gradient: termGradient, addingTo: change)
    guard let embedded = tokens.gradient else { preconditionFailure("this pass has no way back") }
    layers.linearBack("input.context", change, input: tokens.embedded, into: embedded, accumulate: true)
  }
}

extension TokenInputSpec {
  var keptWidths: TrainingMatrices.Widths { [.inputGate: size, .inputContext: size] }

  func scratchWidths(isTrained: Bool) -> TrainingMatrices.Widths {
    let forward: TrainingMatrices.Widths = [.inputTerm: size, .inputRows: size, .inner: size]
    guard isTrained else { return forward }
    return forward.union([.innerGradient: size, .inputTermGradient: size, .inputContextGradient: size])
  }
}

extension ModelSpec {
  /// Whether any block takes something from the tokens themselves.
  var hasTokenInputs: Bool {
    blocks.contains { $0.parts.contains { if case .tokenInput = $0.mixer { true } else { false } } }
  }
}
