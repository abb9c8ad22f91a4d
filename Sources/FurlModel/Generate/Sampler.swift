import FurlTensor

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// How the next token is chosen from logits.
public struct Sampling: Sendable, Hashable {
  /// 0: the most probable token. Otherwise logits are divided by it.
  public var temperature: Double
  /// Only so many of the most probable tokens; nil for all.
  public var topK: Int?
  /// Only the most probable tokens that together reach this probability; 1 for all.
  public var topP: Double
  public var seed: UInt64

  public init(temperature: Double = 0, topK: Int? = nil, topP: Double = 1, seed: UInt64 = 0) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.seed = seed
  }

  /// Always the most probable token, the first of equals.
  public static let greedy = Sampling()
}

/// Chooses tokens for one sequence; the same seed gives the same tokens.
struct Sampler {
  let sampling: Sampling
  private var generator: SplitMix64

  init(_ sampling: Sampling) {
    self.sampling = sampling
    generator = SplitMix64(seed: sampling.seed)
  }

  /// The next token from a row of logits.
  ///
  /// - Throws: ``FurlError`` of kind `input` when a logit is not a finite number: the weights are damaged.
  mutating func next(_ logits: Activations, row: Int, _ kernels: Kernels) throws -> Int {
    guard let best = logits.argmax(row: row, kernels) else {
      throw FurlError.input(nil, "the model computes logits that are not finite numbers", remedy: "its weights are damaged")
    }
    guard sampling.temperature > 0 else { return best }
    return sample(logits[row], best: best)
  }

  private mutating func sample(_ logits: [Float], best: Int) -> Int {
    // Only what can matter is sorted: the probability of the rest is below what a Double adds up.
    let top = Double(logits[best])
    var candidates = logits.enumerated()
      .map { (id: $0.offset, weight: exp((Double($0.element) - top) / sampling.temperature)) }
      .filter { $0.weight > 1e-18 }
      .sorted { ($1.weight, $0.id) < ($0.weight, $1.id) }
    if let topK = sampling.topK { candidates = Array(candidates.prefix(max(1, topK))) }
    let all = candidates.reduce(0) { $0 + $1.weight }
    if sampling.topP < 1 {
      var sum = 0.0
      let kept = candidates.firstIndex {
        sum += $0.weight
        return sum >= sampling.topP * all
      }
      candidates = Array(candidates.prefix((kept ?? candidates.count - 1) + 1))
    }
    var threshold = generator.unit() * candidates.reduce(0) { $0 + $1.weight }
    for candidate in candidates {
      threshold -= candidate.weight
      if threshold < 0 { return candidate.id }
    }
    return candidates.last?.id ?? best
  }
}
