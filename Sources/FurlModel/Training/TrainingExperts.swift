import FurlNumerics
import FurlSpec
import FurlTensor

/// Experts in a pass, each on the rows that chose it, and the one that all rows go through.
///
/// Experts are computed one after the other, each with its rows in their order, so that every sum has one order.
final class TrainingExperts: TrainingMixer {
  /// What is added up to what the part gives, each behind a norm of its own where there are such.
  fileprivate enum Branch {
    case experts, shared

    var content: TrainingMatrices.MatrixContent { .given(part: self == .experts ? "mlp.experts" : "mlp.shared") }
    var normName: String { self == .experts ? "mlp.expert_output_norm" : "mlp.shared_output_norm" }
  }

  private let spec: ExpertsSpec
  private let shape: TrainingShape
  /// What the part's stage reads before its norm: [rows][hidden].
  private let stream: Matrix?
  private let kept: TrainingMatrices
  private let scratch: TrainingMatrices
  /// Of the last way there.
  private var rows: [ExpertRows] = []

  /// - Parameter stream: what the part's stage reads before its norm; nil where nothing but the stage's norm reads that.
  init(
    _ spec: ExpertsSpec, shape: TrainingShape, stream: Matrix?, kept: TrainingMatrices, scratch: TrainingMatrices
  ) {
    precondition(spec.ownNorms == nil || stream != nil)
    self.spec = spec
    self.shape = shape
    self.stream = stream
    self.kept = kept
    self.scratch = scratch
  }

  private var router: Matrix { kept[.router, spec.count] }

  private func routing(_ layers: TrainingLayers) -> ExpertRouting {
    ExpertRouting(
      spec, choiceBias: spec.routerHasChoiceBias ? layers.parameter("mlp.router.choice").values : [],
      factors: spec.hasExpertFactors ? layers.parameter("mlp.router.factors").values : [])
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

  // MARK: Norms of their own

  /// What router or experts read: what the stage reads, or the stream through a norm of theirs.
  private func read(_ normName: String, _ input: Matrix, _ layers: TrainingLayers) -> Matrix {
    guard let norm = spec.ownNorms, let stream else { return input }
    let normed = scratch[.ownNormed, shape.hidden]
    layers.normalize(stream, norm, normName, into: normed)
    return normed
  }

  /// Adds what a branch gives, as it is or through its norm.
  ///
  /// - Parameter compute: adds it to a matrix.
  private func add(_ branch: Branch, to out: Matrix, _ layers: TrainingLayers, compute: (Matrix) -> Void) {
    guard let norm = spec.ownNorms else { return compute(out) }
    let given = kept[branch.content, shape.hidden]
    given.clear()
    compute(given)
    let normed = scratch[.ownNormed, shape.hidden]
    layers.normalize(given, norm, branch.normName, into: normed)
    layers.math.add(normed, times: 1, to: out)
  }

  /// The gradient of what a branch gives, from that of what the part gives.
  private func gradient(of branch: Branch, _ above: Matrix, _ layers: TrainingLayers) throws -> Matrix {
    guard let norm = spec.ownNorms else { return above }
    let change = scratch[.ownGradient, shape.hidden]
    change.clear()
    try layers.normalizeBack(
      kept[branch.content, shape.hidden], norm, branch.normName, gradient: above, addingTo: change)
    return change
  }

  /// From the gradient of what router or experts read to that of what the stage reads, or of the stream.
  ///
  /// - Parameter compute: adds the gradient of what is read to a matrix.
  private func addInputGradient(
    _ normName: String, to out: Matrix, _ layers: TrainingLayers, compute: (Matrix) -> Void
  ) throws {
    guard let norm = spec.ownNorms, let stream, let streamGradient else { return compute(out) }
    let change = scratch[.ownNormedGradient, shape.hidden]
    change.clear()
    compute(change)
    try layers.normalizeBack(stream, norm, normName, gradient: change, addingTo: streamGradient)
  }

  var streamGradient: Matrix? { spec.ownNorms == nil ? nil : scratch[.ownStreamGradient, shape.hidden] }

  // MARK: Forward

  func forward(_ input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers) {
    let math = layers.math
    if !accumulate { out.clear() }
    layers.linear("mlp.router", read("mlp.router_norm", input, layers), into: router)
    let routing = routing(layers)
    rows = ExpertRows.all((0..<shape.rows).map { routing.choose(router[$0]) }, experts: spec.count)
    let read = read("mlp.expert_norm", input, layers)
    add(.experts, to: out, layers) { sum in
      for own in rows {
        let (gathered, given) = (room(.expertInput, own.rows.count), room(.expertOutput, own.rows.count))
        math.gather(read, rows: own.rows, into: gathered)
        mlp(own).forward(gathered, into: given, accumulate: false, layers)
        math.scatter(given, times: own.weights, to: own.rows, addingTo: sum)
      }
    }
    guard let mlp = spec.shared else { return }
    add(.shared, to: out, layers) { sum in
      guard spec.gatesShared else { return shared(mlp).forward(input, into: sum, accumulate: true, layers) }
      layers.linear("mlp.shared.router", input, into: kept[.sharedRouter, 1])
      let given = room(.expertOutput, shape.rows)
      shared(mlp).forward(input, into: given, accumulate: false, layers)
      math.scatter(given, times: sharedWeights, to: Array(0..<shape.rows), addingTo: sum)
    }
  }

  // MARK: Backward

  func backward(
    _ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool, _ layers: TrainingLayers
  ) throws {
    let math = layers.math
    if !accumulate { out.clear() }
    streamGradient?.clear()
    var chosen = [Int](repeating: 0, count: shape.rows * spec.active)
    var weightGradients = [Double](repeating: 0, count: shape.rows * spec.active)
    let expertGradient = try self.gradient(of: .experts, gradient, layers)
    let read = read("mlp.expert_norm", input, layers)
    try addInputGradient("mlp.expert_norm", to: out, layers) { out in
      for own in rows {
        let (gathered, above) = (room(.expertInput, own.rows.count), room(.expertGradient, own.rows.count))
        let change = room(.expertOutput, own.rows.count)
        math.gather(read, rows: own.rows, into: gathered)
        math.gather(expertGradient, rows: own.rows, into: above)
        let products = mlp(own).backward(
          above, weights: own.weights, input: gathered, into: change, accumulate: false, layers)
        math.scatter(change, to: own.rows, addingTo: out)
        for (index, product) in products.enumerated() {
          let place = own.rows[index] * spec.active + own.places[index]
          chosen[place] = own.expert
          weightGradients[place] = Double(product)
        }
      }
    }
    let routed = self.read("mlp.router_norm", input, layers)
    try addInputGradient("mlp.router_norm", to: out, layers) {
      routerBack(chosen, weightGradients, input: routed, into: $0, layers)
    }
    guard let mlp = spec.shared else { return }
    try sharedBack(mlp, self.gradient(of: .shared, gradient, layers), input: input, into: out, layers)
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
    guard spec.hasExpertFactors else { return }
    let sums = layers.gradient("mlp.router.factors")
    var values = sums.values.map(Double.init)
    for row in 0..<shape.rows {
      for (place, own) in routing.weighed(router[row].span).enumerated() {
        values[own.expert] += gradients[row * spec.active + place] * Double(own.weight)
      }
    }
    sums.values = values.map { Float($0) }
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
  /// - Parameter hidden: the width of the residual stream.
  func keptWidths(hidden: Int) -> TrainingMatrices.Widths {
    var widths: TrainingMatrices.Widths = [.router: count]
    if ownNorms != nil {
      for branch in [TrainingExperts.Branch.experts, .shared] { widths[branch.content] = hidden }
    }
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
    var widths = mlps.union([.expertInput: hidden, .expertOutput: hidden])
    if ownNorms != nil { widths[.ownNormed] = hidden }
    guard isTrained else { return widths }
    (widths[.expertGradient], widths[.routerGradient]) = (hidden, count)
    if ownNorms != nil {
      for content in [TrainingMatrices.MatrixContent.ownGradient, .ownNormedGradient, .ownStreamGradient] {
        widths[content] = hidden
      }
    }
    return widths
  }
}
