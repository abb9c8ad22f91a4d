import FurlSpec
import Foundation

/// Which experts a row goes through, in plain loops: after the routers of Mixtral, Qwen 2 MoE, DeepSeek-V2 and V3,
/// gpt-oss and Phi-3.5 MoE as transformers has them.
struct NaiveRouting {
  let spec: ExpertsSpec
  /// [count]; nil for none.
  var choiceBias: [Double]?

  /// What the chosen experts are weighed with, by their numbers, and how near another choice was.
  struct Choice {
    var weights: [Int: Double] = [:]
    /// The least that a score would have to change by for another choice.
    var gap = Double.infinity
  }

  /// - Parameter logits: of the router: [count].
  func choose(_ logits: [Double]) -> Choice {
    if spec.scoring == .sparseMixer { return sparseMixer(logits) }
    var scores = [Double](repeating: 0, count: spec.count)
    for expert in 0..<spec.count {
      switch spec.scoring {
      case .sigmoid: scores[expert] = 1 / (1 + exp(-logits[expert]))
      default: scores[expert] = exp(logits[expert]) / logits.reduce(0) { $0 + exp($1) }
      }
    }
    var choice = Choice()
    var judged = scores
    for expert in 0..<spec.count { judged[expert] += choiceBias?[expert] ?? 0 }
    if let groups = spec.groups { leaveOut(groups, &judged, &choice) }
    for expert in best(spec.active, of: judged, &choice) { choice.weights[expert] = scores[expert] }
    var sum = choice.weights.values.reduce(0, +)
    if spec.scoring == .sigmoid { sum += 1e-20 }
    for expert in choice.weights.keys {
      if spec.normalizesWeights { choice.weights[expert]! /= sum }
      choice.weights[expert]! *= spec.weightFactor
    }
    return choice
  }

  /// Experts of all groups but the best are out of reach.
  private func leaveOut(_ groups: ExpertsSpec.Groups, _ judged: inout [Double], _ choice: inout Choice) {
    let size = spec.count / groups.count
    var sums: [Double] = []
    for group in 0..<groups.count {
      let members = Array(judged[group * size..<(group + 1) * size])
      // Which of equals are added up is all the same.
      var ignored = Choice()
      sums.append(best(groups.best, of: members, &ignored).reduce(0) { $0 + members[$1] })
    }
    let kept = best(groups.active, of: sums, &choice)
    for expert in 0..<spec.count where !kept.contains(expert / size) { judged[expert] = -.infinity }
  }

  /// The places of the largest numbers, one after the other.
  private func best(_ count: Int, of numbers: [Double], _ choice: inout Choice) -> [Int] {
    var left = numbers
    var places: [Int] = []
    for _ in 0..<count {
      var best = 0
      for place in left.indices where left[place] > left[best] { best = place }
      places.append(best)
      left[best] = -.infinity
    }
    let next = left.max() ?? -.infinity
    if next > -.infinity { choice.gap = min(choice.gap, numbers[places[count - 1]] - next) }
    return places
  }

  /// phimoe's `sparsemixer` outside of training.
  private func sparseMixer(_ logits: [Double]) -> Choice {
    var choice = Choice()
    var masked = logits
    for _ in 0..<2 {
      let expert = best(1, of: masked, &choice)[0]
      let threshold = masked[expert]
      var sum = 0.0
      for other in masked.indices where masked[other] > -.infinity {
        let factor = max(abs(logits[other]), threshold)
        let distance = (threshold - logits[other]) / factor - 2 * spec.jitter
        if !(distance > 0) { sum += exp(masked[other]) }
        if other != expert { choice.gap = min(choice.gap, abs(distance)) }
      }
      choice.weights[expert] = exp(threshold) / sum * spec.weightFactor
      masked[expert] = -.infinity
    }
    return choice
  }
}
