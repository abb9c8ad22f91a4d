import FurlNumerics
import FurlSpec
import FurlTensor

/// An MLP in a pass, or one expert on its rows. The outputs of its first layers are kept.
struct TrainingFeedForward: TrainingMixer {
  private let spec: FeedForwardSpec
  /// What the names of its layers begin with: `mlp`.
  private let name: String
  private let gate: Matrix?
  private let up: Matrix
  private let scratch: TrainingMatrices

  /// - Parameters:
  ///   - gate: room for the outputs of its first layers, as many rows as it computes; nil where it has no gate.
  init(_ spec: FeedForwardSpec, name: String, gate: Matrix?, up: Matrix, scratch: TrainingMatrices) {
    precondition(spec.isGated == (gate != nil))
    self.spec = spec
    self.name = name
    self.gate = gate
    self.up = up
    self.scratch = scratch
  }

  init(_ spec: FeedForwardSpec, kept: TrainingMatrices, scratch: TrainingMatrices) {
    self.init(
      spec, name: "mlp", gate: spec.isGated ? kept[.gate, spec.size] : nil, up: kept[.up, spec.size], scratch: scratch)
  }

  private var activation: LinearGroup.FusedActivation { .init(spec.activation) }

  // MARK: Forward

  func forward(_ input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers) {
    if let gate { layers.linear(name + ".gate", input, into: gate) }
    layers.linear(name + ".up", input, into: up)
    layers.linear(name + ".down", inner(layers.math), into: out, accumulate: accumulate)
  }

  /// What its last layer reads.
  private func inner(_ math: DenseMath) -> Matrix {
    let inner = scratch[.inner, spec.size, rows: up.rows]
    if let gate, let limit = spec.limit {
      math.gate(by: activation, gate, factor: up, limit: Float(limit), into: inner)
    } else if let gate {
      math.activate(activation, gate, factor: up, into: inner)
    } else {
      math.activate(activation, up, factor: nil, into: inner)
    }
    return inner
  }

  // MARK: Backward

  private var innerGradient: Matrix { scratch[.innerGradient, spec.size, rows: up.rows] }

  func backward(
    _ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers
  ) {
    layers.linearBack(
      name + ".down", gradient, input: inner(layers.math), into: innerGradient, accumulate: false)
    firstLayersBack(input, into: out, accumulate: accumulate, layers)
  }

  /// The same where every row of what it gives is multiplied with a weight.
  ///
  /// - Parameters:
  ///   - gradient: of the rows behind that; it is used up.
  /// - Returns: the gradients of the weights.
  func backward(
    _ gradient: Matrix, weights: [Float], input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers
  ) -> [Float] {
    let math = layers.math
    let inner = inner(math)
    // A weight's gradient is the product of what it multiplies with the gradient: (W h + b) g = h (Wᵀ g) + b g.
    layers.inputGradient(name + ".down", gradient, into: innerGradient, accumulate: false)
    var products = math.rowProducts(innerGradient, inner)
    if let bias = layers.bias(name + ".down") {
      products = zip(products, math.rowProducts(gradient, bias)).map { $0 + $1 }
    }
    math.scaleRows(gradient, by: weights)
    math.scaleRows(innerGradient, by: weights)
    layers.addGradient(name + ".down", gradient, input: inner)
    firstLayersBack(input, into: out, accumulate: accumulate, layers)
    return products
  }

  /// From the gradient of what the last layer reads to those of the first layers.
  private func firstLayersBack(_ input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers) {
    let (math, gradient) = (layers.math, innerGradient)
    guard let gate else {
      math.activateBack(activation, up, factor: nil, gradient: gradient, factorGradient: nil)
      layers.linearBack(name + ".up", gradient, input: input, into: out, accumulate: accumulate)
      return
    }
    let upGradient = scratch[.upGradient, spec.size, rows: up.rows]
    if let limit = spec.limit {
      math.gateBack(
        by: activation, gate, factor: up, limit: Float(limit), gradient: gradient, factorGradient: upGradient)
    } else {
      math.activateBack(activation, gate, factor: up, gradient: gradient, factorGradient: upGradient)
    }
    layers.linearBack(name + ".gate", gradient, input: input, into: out, accumulate: accumulate)
    layers.linearBack(name + ".up", upGradient, input: input, into: out, accumulate: true)
  }
}

extension FeedForwardSpec {
  var keptWidths: TrainingMatrices.Widths { isGated ? [.gate: size, .up: size] : [.up: size] }

  func scratchWidths(isTrained: Bool) -> TrainingMatrices.Widths {
    guard isTrained else { return [.inner: size] }
    return isGated
      ? [.inner: size, .innerGradient: size, .upGradient: size] : [.inner: size, .innerGradient: size]
  }
}
