import FurlSpec
import FurlTensor

/// Which experts a row goes through, and with which weights.
///
/// Kinds of routing: Shazeer et al. 2017; Mixtral (Jiang et al. 2024); DeepSeek-V2 and V3 (2024); SparseMixer (Liu et al.
/// 2023). In double precision, whatever the kernels are: a choice is no matter of rounding.
package struct ExpertRouting: Sendable {
  /// An expert with its weight.
  package struct ChosenExperts: Sendable, Hashable {
    package let expert: Int
    package let weight: Float
  }

  let spec: ExpertsSpec
  /// Added to scores for the choice alone: [count]; empty for none.
  let choiceBias: [Double]
  /// What weights are multiplied with in the end: [count]; empty for nothing.
  let factors: [Double]
  /// The experts that there are to choose from, ascending, as if there were no others; nil: all.
  let kept: [Int]?

  /// - Parameters:
  ///   - choiceBias, factors: empty for none.
  ///   - kept: the experts that there are to choose from; nil: all.
  init(_ spec: ExpertsSpec, choiceBias: [Float], factors: [Float] = [], keeping kept: [Int]? = nil) {
    self.init(spec, choiceBias: choiceBias.map(Double.init), factors: factors.map(Double.init), keeping: kept)
  }

  private init(_ spec: ExpertsSpec, choiceBias: [Double], factors: [Double], keeping kept: [Int]?) {
    self.spec = spec
    self.choiceBias = choiceBias
    self.factors = factors
    self.kept = kept
  }

  /// The same with these experts alone; nil: with all.
  package func keeping(_ kept: [Int]?) -> ExpertRouting {
    ExpertRouting(spec, choiceBias: choiceBias, factors: factors, keeping: kept)
  }

  /// - Parameter logits: of the router: [count].
  /// - Returns: the chosen experts, in the order of their numbers.
  package func choose(_ logits: [Float]) -> [ChosenExperts] { choose(logits.span) }

  package func choose(_ logits: Span<Float>) -> [ChosenExperts] {
    let choices = weighed(logits)
    guard !factors.isEmpty else { return choices }
    return choices.map { ChosenExperts(expert: $0.expert, weight: Float(Double($0.weight) * factors[$0.expert])) }
  }

  /// The same before weights are multiplied with the experts' own factors.
  func weighed(_ logits: Span<Float>) -> [ChosenExperts] {
    let logits = capped(logits)
    guard let kept else { return choose(logits, choiceBias) }
    return choose(kept.map { logits[$0] }, choiceBias.isEmpty ? [] : kept.map { choiceBias[$0] }).map {
      ChosenExperts(expert: kept[$0.expert], weight: $0.weight)
    }
  }

  /// The experts that a row would choose first, best first.
  package func ranked(_ logits: [Float], count: Int) -> [Int] {
    ExpertRouting.largest(allowed(judged(capped(logits))), count)
  }

  /// Numbers in the order in which experts are chosen.
  private func judged(_ logits: [Double]) -> [Double] {
    if spec.scoring == .sparseMixer { return logits }
    let scores = scores(capped: logits)
    return choiceBias.isEmpty ? scores : zip(scores, choiceBias).map { $0 + $1 }
  }

  private func choose(_ logits: [Double], _ choiceBias: [Double]) -> [ChosenExperts] {
    guard spec.scoring != .sparseMixer else { return sparseMixer(logits) }
    let scores = scores(capped: logits)
    let judged = allowed(choiceBias.isEmpty ? scores : zip(scores, choiceBias).map { $0 + $1 })
    let chosen = ExpertRouting.largest(judged, spec.active).sorted()
    let divisor = spec.normalizesWeights ? divisor(scores, chosen) : 1
    return chosen.map { ChosenExperts(expert: $0, weight: Float(scores[$0] / divisor * spec.weightFactor)) }
  }

  /// What weights are made of: [count].
  func scores(_ logits: [Float]) -> [Double] { scores(capped: capped(logits)) }

  private func scores(capped logits: [Double]) -> [Double] {
    spec.scoring == .softmax ? softmax(logits) : logits.map { 1 / (1 + Elementary.exp(-$0)) }
  }

  /// The router's outputs as experts are judged by them: [count].
  func capped(_ logits: [Float]) -> [Double] { capped(logits.span) }

  private func capped(_ logits: Span<Float>) -> [Double] {
    var numbers = [Double](repeating: 0, count: logits.count)
    for index in logits.indices { numbers[index] = Double(logits[index]) }
    guard let cap = spec.routerSoftCap else { return numbers }
    return numbers.map { cap * ExpertRouting.tanh($0 / cap) }
  }

  private static func tanh(_ number: Double) -> Double {
    let power = Elementary.exp(-2 * abs(number))
    return (number < 0 ? -1 : 1) * (1 - power) / (1 + power)
  }

  /// What makes the weights of those that were chosen add up to one.
  func divisor(_ scores: [Double], _ chosen: [Int]) -> Double {
    chosen.reduce(0) { $0 + scores[$1] } + (spec.scoring == .sigmoid ? 1e-20 : 0)
  }

  private func softmax(_ logits: [Double]) -> [Double] {
    let largest = logits.max() ?? 0
    let powers = logits.map { Elementary.exp($0 - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  /// Scores with those of groups that are left out at minus infinity.
  private func allowed(_ scores: [Double]) -> [Double] {
    guard let groups = spec.groups, groups.active < groups.count else { return scores }
    let size = scores.count / groups.count
    let sums = (0..<groups.count).map { group in
      scores[group * size..<(group + 1) * size].sorted(by: >).prefix(groups.best).reduce(0, +)
    }
    let kept = Set(ExpertRouting.largest(sums, groups.active))
    return scores.enumerated().map { kept.contains($0 / size) ? $1 : -.infinity }
  }

  /// The places of the largest numbers, the first of equals; what is no number comes last.
  private static func largest(_ numbers: [Double], _ count: Int) -> [Int] {
    // The best so far, best first: of the many experts of a model few are active.
    var best: [(key: Double, index: Int)] = []
    best.reserveCapacity(count + 1)
    for (index, number) in numbers.enumerated() {
      let key = number.isNaN ? -.infinity : number
      if best.count == count, let last = best.last, key <= last.key { continue }
      var place = best.count
      while place > 0, best[place - 1].key < key { place -= 1 }
      best.insert((key, index), at: place)
      if best.count > count { best.removeLast() }
    }
    return best.map(\.index)
  }

  private func sparseMixer(_ logits: [Double]) -> [ChosenExperts] {
    sparseShares(logits).map {
      ChosenExperts(expert: $0.expert, weight: Float($0.shares[$0.expert] * spec.weightFactor))
    }
    .sorted { $0.expert < $1.expert }
  }

  /// The two experts that SparseMixer chooses, the best first, each with the softmax that its weight is of: [count], zero for
  /// those that are far behind it or gone already.
  func sparseShares(_ logits: [Double]) -> [(expert: Int, shares: [Double])] {
    var left = logits
    return (0..<2).map { _ in
      let best = ExpertRouting.largest(left, 1)[0]
      let top = left[best]
      let near = logits.indices.map { index -> Double in
        let distance = (top - logits[index]) / max(abs(logits[index]), top)
        return distance > 2 * spec.jitter ? -.infinity : left[index]
      }
      left[best] = -.infinity
      return (best, softmax(near))
    }
  }
}
