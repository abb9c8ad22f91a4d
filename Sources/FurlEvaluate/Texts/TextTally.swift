import FurlBase

/// Collects what is found at every scored token of a text, in double precision.
struct TextTally {
  /// What is found at one token.
  struct TalliedToken {
    /// Negative log-likelihood, in nats.
    var loss: Double
    /// Bytes of text that the token stands for.
    var bytes: Int
    /// Beside the baseline.
    var pair: TalliedPair?
  }

  struct TalliedPair {
    /// The baseline's negative log-likelihood of the token.
    var loss: Double
    /// The KL divergence of the distributions, in nats.
    var divergence: Double
    /// Whether both think the same token the likeliest.
    var isSameTop: Bool
  }

  private var chunks: [EvaluationReport.TextChunk] = []
  private var losses: [Double] = []
  private var divergences: [Double] = []
  private var deltas: [Double] = []
  private var sameTops = 0
  private var bytes = 0

  /// The tokens that follow are of a new window.
  mutating func beginChunk() { chunks.append(.init(tokens: 0, loss: 0)) }

  /// - Precondition: a chunk was begun.
  mutating func add(_ token: TalliedToken) {
    let last = chunks.count - 1
    chunks[last].tokens += 1
    chunks[last].loss += token.loss
    losses.append(token.loss)
    bytes += token.bytes
    guard let pair = token.pair else { return }
    chunks[last].baselineLoss = (chunks[last].baselineLoss ?? 0) + pair.loss
    chunks[last].divergence = (chunks[last].divergence ?? 0) + pair.divergence
    divergences.append(pair.divergence)
    deltas.append(exp(-token.loss) - exp(-pair.loss))
    if pair.isSameTop { sameTops += 1 }
  }

  /// Whether every number so far is one, the candidate's and the baseline's.
  var isFinite: (own: Bool, baseline: Bool) {
    let pairs = chunks.map { ($0.baselineLoss ?? 0) + ($0.divergence ?? 0) }
    return (chunks.allSatisfy(\.loss.isFinite), pairs.allSatisfy(\.isFinite))
  }

  /// - Precondition: at least one token was added.
  func figures() -> EvaluationReport.TextFigures {
    let chunks = chunks.filter { $0.tokens > 0 }
    let count = Double(losses.count)
    let mean = EvaluationReport.TextFigures.meanLoss(chunks)
    let variance = losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(1, count - 1)
    let margin = Normal.quantile(0.975) * (variance / count).squareRoot()
    var figures = EvaluationReport.TextFigures(
      perplexity: exp(mean), klDivergence: nil, interval95: exp(mean - margin)...exp(mean + margin),
      tokens: losses.count, bytes: bytes, chunks: chunks)
    guard !divergences.isEmpty else { return figures }
    let divergence = chunks.map { Bootstrap.Cluster(sum: $0.divergence ?? 0, count: $0.tokens) }
    let ratio = Bootstrap(clusters: chunks.map { .init(sum: $0.loss - ($0.baselineLoss ?? 0), count: $0.tokens) })
    let baselineMean = chunks.reduce(0) { $0 + ($1.baselineLoss ?? 0) } / count
    figures.klDivergence = EvaluationReport.TextFigures.meanDivergence(chunks)
    figures.comparison = EvaluationReport.TextComparison(
      baselinePerplexity: exp(baselineMean), ratio: exp(mean - baselineMean),
      ratioInterval95: exp(ratio.quantile(0.025))...exp(ratio.quantile(0.975)),
      divergenceInterval95: Bootstrap(clusters: divergence).interval(), divergences: .init(of: divergences),
      sameTop: Proportion(successes: sameTops, count: losses.count), deltaMean: deltas.reduce(0, +) / count,
      deltaRMS: (deltas.reduce(0) { $0 + $1 * $1 } / count).squareRoot(), deltas: .init(of: deltas))
    return figures
  }
}

extension EvaluationReport.TextFigures {
  /// The mean loss of a token over windows, in nats.
  static func meanLoss(_ chunks: [EvaluationReport.TextChunk]) -> Double {
    chunks.reduce(0) { $0 + $1.loss } / Double(chunks.reduce(0) { $0 + $1.tokens })
  }

  /// The mean KL divergence of a token over windows, in nats; nil without a baseline.
  static func meanDivergence(_ chunks: [EvaluationReport.TextChunk]) -> Double? {
    guard chunks.contains(where: { $0.divergence != nil }) else { return nil }
    return chunks.reduce(0) { $0 + ($1.divergence ?? 0) } / Double(chunks.reduce(0) { $0 + $1.tokens })
  }
}
