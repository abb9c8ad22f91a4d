import FurlBase
import FurlModel
import FurlSpec
import FurlTensor

/// What speaks for each expert of a block, by the calibration's positions.
struct ExpertScores: Sendable {
  /// Positions that choose it.
  let tokens: [Int]
  /// The mean of weight times length of the output over those positions.
  let reap: [Double]
  /// The mean over all positions of what the sum of the experts changes by without it, squared, as a share of the
  /// residual stream's square.
  let measured: [Double]
  /// The nats of the predictions' KL divergence that its absence alone costs; nil where that was not measured.
  var divergences: [Double?] = []
  /// Experts that go, by the step's choice, in the order in which they go.
  var removed: [Int]

  var json: JSON {
    let all = max(1, tokens.reduce(0, +))
    return [
      "removed": .array(removed.sorted().map(JSON.integer)),
      "tokens": .array(tokens.map(JSON.integer)),
      "frequency": .array(tokens.map { .number(Double($0) / Double(all)) }),
      "reap": .array(reap.map(JSON.number)), "measured": .array(measured.map(JSON.number)),
      "kl_divergence": .array(divergences.map { $0.map(JSON.number) ?? .null }),
    ]
  }
}

/// Looks at a block's experts, some positions at a time, and says which of them go.
///
/// Of every position the outputs of the experts that it would choose first are known by their products with each other, so
/// what any choice among them gives, and how far that is from what all of them give, is known exactly without computing
/// anything again. With `measured` that one goes whose absence, beside those that are gone already, changes outputs least:
/// positions that went through it choose another one, with the weights that the router then gives.
struct ExpertTally {
  /// A position: what it would choose first, and the products of those experts' outputs.
  private struct Position {
    let logits: [Float]
    let ranked: [Int]
    /// [depth][depth]
    let products: [Float]
    /// The square of the residual stream behind the experts.
    let stream: Double
    let chosen: [ExpertRouting.ChosenExperts]
  }

  private let spec: ExpertsSpec
  private let removed: Int
  private var routing: ExpertRouting?
  private var positions: [Position] = []
  private var tokens: [Int]
  private var lengths: [Double]

  /// Experts beyond those that a position goes through are looked at up to here.
  private static let depthLimit = 6

  init(_ spec: ExpertsSpec, removing removed: Int) {
    self.spec = spec
    self.removed = removed
    tokens = Array(repeating: 0, count: spec.count)
    lengths = Array(repeating: 0, count: spec.count)
  }

  /// How many experts of each position are looked at.
  var depth: Int { min(spec.count, spec.active + min(removed, ExpertTally.depthLimit)) }

  mutating func add(_ routing: ExpertRouting, _ piece: BlockWalk.RankedExperts) {
    self.routing = routing
    for (row, (logits, ranked)) in zip(piece.logits, piece.ranked).enumerated() {
      let chosen = routing.choose(logits)
      let outputs = (0..<ranked.count).map { piece.outputs[row * depth + $0] }
      var products = [Float](repeating: 0, count: ranked.count * ranked.count)
      for one in ranked.indices {
        for other in 0...one {
          var sum: Float = 0
          for (a, b) in zip(outputs[one], outputs[other]) { sum += a * b }
          products[one * ranked.count + other] = sum
          products[other * ranked.count + one] = sum
        }
      }
      var stream = piece.stream[row]
      for choice in chosen {
        tokens[choice.expert] += 1
        guard let rank = ranked.firstIndex(of: choice.expert) else { continue }
        let length = Double(max(0, products[rank * ranked.count + rank])).squareRoot()
        lengths[choice.expert] += Double(abs(choice.weight)) * length
        for (column, value) in outputs[rank].enumerated() { stream[column] += choice.weight * value }
      }
      positions.append(
        Position(
          logits: logits, ranked: ranked, products: products,
          stream: stream.reduce(0) { $0 + Double($1) * Double($1) }, chosen: chosen))
    }
  }

  /// - Parameter choice: what experts go by.
  func scores(by choice: PruneStep.GroupChoice) -> ExpertScores {
    let reap = zip(lengths, tokens).map { $0 / Double(max(1, $1)) }
    let (measured, order) = removal(choice == .measured ? removed : 1)
    func lowest(_ numbers: [Double]) -> [Int] {
      Array(numbers.indices.sorted { (numbers[$0], $0) < (numbers[$1], $1) }.prefix(removed))
    }
    let gone =
      switch choice {
      case .frequency: lowest(tokens.map(Double.init))
      case .reap: lowest(reap)
      default: order
      }
    return ExpertScores(tokens: tokens, reap: reap, measured: measured, removed: gone)
  }

  /// Takes experts away one after the other, each time the one that is missed least.
  ///
  /// - Returns: what the absence of each of all experts costs, and which go.
  private func removal(_ count: Int) -> (single: [Double], order: [Int]) {
    guard let routing else { return (Array(repeating: 0, count: spec.count), Array(0..<count)) }
    var kept = Array(0..<spec.count)
    var chosen = positions.map(\.chosen)
    var costs = [Double](repeating: 0, count: positions.count)
    var single: [Double] = []
    var order: [Int] = []
    for _ in 0..<count {
      var totals = [Double](repeating: costs.reduce(0, +), count: spec.count)
      for expert in kept {
        let others = routing.keeping(kept.filter { $0 != expert })
        for (index, position) in positions.enumerated() where chosen[index].contains(where: { $0.expert == expert }) {
          totals[expert] += cost(of: others.choose(position.logits), at: position) - costs[index]
        }
      }
      if single.isEmpty { single = totals.map { $0 / Double(max(1, positions.count)) } }
      guard let next = kept.min(by: { (totals[$0], $0) < (totals[$1], $1) }) else { break }
      order.append(next)
      kept.removeAll { $0 == next }
      let rest = routing.keeping(kept)
      for (index, position) in positions.enumerated() where chosen[index].contains(where: { $0.expert == next }) {
        chosen[index] = rest.choose(position.logits)
        costs[index] = cost(of: chosen[index], at: position)
      }
    }
    return (single, order)
  }

  /// How far from all experts' sum that of a choice is at a position, squared, as a share of the stream's square.
  private func cost(of choice: [ExpertRouting.ChosenExperts], at position: Position) -> Double {
    let depth = position.ranked.count
    var difference = [Double](repeating: 0, count: depth)
    for one in position.chosen {
      if let rank = position.ranked.firstIndex(of: one.expert) { difference[rank] -= Double(one.weight) }
    }
    // Experts that were not looked at count as if the others shared their weight.
    let known = choice.filter { position.ranked.contains($0.expert) }
    let whole = choice.reduce(0) { $0 + Double($1.weight) }
    let part = known.reduce(0) { $0 + Double($1.weight) }
    let factor = known.count < choice.count && part > 0 ? whole / part : 1
    for one in known {
      if let rank = position.ranked.firstIndex(of: one.expert) { difference[rank] += factor * Double(one.weight) }
    }
    var sum = 0.0
    for row in 0..<depth where difference[row] != 0 {
      for column in 0..<depth {
        sum += difference[row] * difference[column] * Double(position.products[row * depth + column])
      }
    }
    return max(0, sum) / max(position.stream, .leastNormalMagnitude)
  }
}
