import FurlBase
import FurlTensor

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
  /// - Parameter best: the index of the row's largest number; nil where a logit is not a finite number.
  /// - Throws: ``FurlError`` of kind `input` in that case: the weights are damaged.
  mutating func next(_ logits: Activations, row: Int, best: Int?) throws -> Int {
    guard let best else {
      throw FurlError.input(
        nil, "the model computes logits that are not finite numbers", remedy: "its weights are damaged")
    }
    guard sampling.temperature > 0 else { return best }
    return logits.withRow(row) { sample($0, best: best) }
  }

  /// A candidate and its probability, up to a common factor.
  private struct Candidate {
    let id: Int
    let weight: Double

    /// More probable, the first of equals.
    func precedes(_ other: Candidate) -> Bool { (other.weight, id) < (weight, other.id) }
  }

  private mutating func sample(_ logits: Span<Float>, best: Int) -> Int {
    let top = Double(logits[best])
    // What is this far below the best adds nothing to a sum of doubles; most of a vocabulary is.
    let floor = top - 41.5 * sampling.temperature
    var candidates: [Candidate] = []
    for id in logits.indices where Double(logits[id]) > floor {
      candidates.append(Candidate(id: id, weight: exp((Double(logits[id]) - top) / sampling.temperature)))
    }
    let isCut = sampling.topP < 1 || sampling.topK.map { $0 < candidates.count } ?? false
    if isCut {
      candidates.sort { $0.precedes($1) }
      if let topK = sampling.topK { candidates = Array(candidates.prefix(max(1, topK))) }
      candidates = nucleus(candidates)
    }
    return draw(candidates) ?? best
  }

  /// The most probable candidates that together reach the probability `topP`.
  private func nucleus(_ candidates: [Candidate]) -> [Candidate] {
    guard sampling.topP < 1 else { return candidates }
    let enough = sampling.topP * candidates.reduce(0) { $0 + $1.weight }
    var sum = 0.0
    let last = candidates.firstIndex { candidate in
      sum += candidate.weight
      return sum >= enough
    }
    return last.map { Array(candidates[...$0]) } ?? candidates
  }

  private mutating func draw(_ candidates: [Candidate]) -> Int? {
    var threshold = generator.unit() * candidates.reduce(0) { $0 + $1.weight }
    for candidate in candidates {
      threshold -= candidate.weight
      if threshold < 0 { return candidate.id }
    }
    return candidates.last?.id
  }
}
