import FurlNumerics
import FurlSpec
import FurlTensor

/// Experts in a pass, each on the rows that chose it, and the one that all rows go through.
///
/// Experts are computed one after the other, each with its rows in their order, so that every sum has one order.
final class TrainingExperts: TrainingMixer {
  private let spec: ExpertsSpec
  private let shape: TrainingShape
  private let kept: TrainingMatrices
  private let scratch: TrainingMatrices
  /// Of the last way there.
  private var rows: [ExpertRows] = []

  init(_ spec: ExpertsSpec, shape: TrainingShape, kept: TrainingMatrices, scratch: TrainingMatrices) {
    self.spec = spec
    self.shape = shape
    self.kept = kept
    self.scratch = scratch
  }

  private var router: Matrix { kept[.router, spec.count] }

  private func routing(_ layers: TrainingLayers) -> ExpertRouting {
    ExpertRouting(
      spec, choiceBias: spec.routerHasChoiceBias ? layers.parameter("mlp.router.choice").values : [])
  }

  /// An expert on its rows.
  private func mlp(_ own: ExpertRows) -> TrainingFeedForward {
    let (size, rows) = (spec.expert.size, shape.rows * spec.active)
    return TrainingFeedForward(
      spec.expert, name: "mlp.experts.\(own.expert)",
      gate: spec.expert.isGated ? kept[.gate, size, rows: rows].rows(own.range) : nil,
      up: kept[.up, size, rows: rows].rows(own.range), scratch: scratch)
  }

  private func shared(_ spec: FeedForwardSpec) -> TrainingFeedForward {
    TrainingFeedForward(
      spec, name: "mlp.shared", gate: spec.isGated ? kept[.sharedGate, spec.size] : nil,
      up: kept[.sharedUp, spec.size], scratch: scratch)
  }

  /// What the shared expert is weighed with.
  private var sharedWeights: [Float] {
    kept[.sharedRouter, 1].values.map { Float(1 / (1 + Elementary.exp(-Double($0)))) }
  }

  /// Room for some rows.
  private func room(_ content: TrainingMatrices.MatrixContent, _ rows: Int) -> Matrix {
    scratch[content, shape.hidden, rows: rows]
  }

  // MARK: Forward

  func forward(_ input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers) {
    let math = layers.math
    if !accumulate { out.clear() }
    layers.linear("mlp.router", input, into: router)
    let routing = routing(layers)
    rows = ExpertRows.all((0..<shape.rows).map { routing.choose(router[$0]) }, experts: spec.count)
    for own in rows {
      let (gathered, given) = (room(.expertInput, own.rows.count), room(.expertOutput, own.rows.count))
      math.gather(input, rows: own.rows, into: gathered)
      mlp(own).forward(gathered, into: given, accumulate: false, layers)
      math.scatter(given, times: own.weights, to: own.rows, addingTo: out)
    }
    guard let mlp = spec.shared else { return }
    guard spec.gatesShared else { return shared(mlp).forward(input, into: out, accumulate: true, layers) }
    layers.linear("mlp.shared.router", input, into: kept[.sharedRouter, 1])
    let given = room(.expertOutput, shape.rows)
    shared(mlp).forward(input, into: given, accumulate: false, layers)
    math.scatter(given, times: sharedWeights, to: Array(0..<shape.rows), addingTo: out)
  }

  // MARK: Backward

  func backward(
    _ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers
  ) {
    let math = layers.math
    if !accumulate { out.clear() }
    var chosen = [Int](repeating: 0, count: shape.rows * spec.active)
    var weightGradients = [Double](repeating: 0, count: shape.rows * spec.active)
    for own in rows {
      let (gathered, above) = (room(.expertInput, own.rows.count), room(.expertGradient, own.rows.count))
      let change = room(.expertOutput, own.rows.count)
      math.gather(input, rows: own.rows, into: gathered)
      math.gather(gradient, rows: own.rows, into: above)
      let products = mlp(own).backward(
        above, weights: own.weights, input: gathered, into: change, accumulate: false, layers)
      math.scatter(change, to: own.rows, addingTo: out)
      for (index, product) in products.enumerated() {
        let place = own.rows[index] * spec.active + own.places[index]
        chosen[place] = own.expert
        weightGradients[place] = Double(product)
      }
    }
    routerBack(chosen, weightGradients, input: input, into: out, layers)
    if let mlp = spec.shared { sharedBack(mlp, gradient, input: input, into: out, layers) }
  }

  /// - Parameters:
  ///   - chosen: the experts of each row: [rows][active].
  ///   - gradients: of their weights.
  private func routerBack(
    _ chosen: [Int], _ gradients: [Double], input: Matrix, into out: Matrix, _ layers: TrainingLayers
  ) {
    let routing = routing(layers)
    let logits = scratch[.routerGradient, spec.count]
    for row in 0..<shape.rows {
      let range = row * spec.active..<(row + 1) * spec.active
      logits[row] = routing.gradient(router[row], chosen: Array(chosen[range]), weights: Array(gradients[range]))
    }
    layers.linearBack("mlp.router", logits, input: input, into: out, accumulate: true)
  }

  private func sharedBack(
    _ spec: FeedForwardSpec, _ gradient: Matrix, input: Matrix, into out: Matrix, _ layers: TrainingLayers
  ) {
    guard self.spec.gatesShared else {
      return shared(spec).backward(gradient, input: input, into: out, accumulate: true, layers)
    }
    let above = room(.expertGradient, shape.rows)
    above.copy(gradient)
    let weights = sharedWeights
    let products = shared(spec).backward(
      above, weights: weights, input: input, into: out, accumulate: true, layers)
    let logits = scratch[.routerGradient, 1]
    logits.values = zip(products, weights).map { $0 * $1 * (1 - $1) }
    layers.linearBack("mlp.shared.router", logits, input: input, into: out, accumulate: true)
  }
}

extension ExpertsSpec {
  var keptWidths: TrainingMatrices.Widths {
    var widths: TrainingMatrices.Widths = [.router: count]
    for (content, size) in expert.keptWidths { widths[content] = active * size }
    if let shared {
      widths[.sharedUp] = shared.size
      if shared.isGated { widths[.sharedGate] = shared.size }
      if gatesShared { widths[.sharedRouter] = 1 }
    }
    return widths
  }

  func scratchWidths(hidden: Int, isTrained: Bool) -> TrainingMatrices.Widths {
    let mlps = expert.scratchWidths(isTrained: isTrained).union(shared?.scratchWidths(isTrained: isTrained) ?? [:])
    let rows: TrainingMatrices.Widths = [.expertInput: hidden, .expertOutput: hidden]
    guard isTrained else { return mlps.union(rows) }
    return mlps.union(rows).union([.expertGradient: hidden, .routerGradient: count])
  }
}
