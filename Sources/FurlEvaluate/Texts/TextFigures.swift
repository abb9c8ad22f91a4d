import FurlBase
import FurlSpec

extension EvaluationReport {
  /// The figures of a text.
  package struct TextFigures: Sendable, Hashable {
    /// exp of the mean negative log-likelihood of a token.
    package var perplexity: Double
    /// Of the tokens' distributions against the baseline's, in nats; nil without a baseline.
    package var klDivergence: Double?
    /// The interval of the perplexity, from the spread of the tokens' losses.
    package var interval95: ClosedRange<Double>?
    /// How many tokens were scored.
    package var tokens: Int
    /// How many bytes of the text the scored tokens stand for.
    package var bytes: Int?
    /// What was found beside the baseline; nil without one.
    package var comparison: TextComparison?
    /// The windows of the text in their order. Tokens of one resemble each other, so intervals draw whole windows.
    package var chunks: [TextChunk]

    package init(
      perplexity: Double, klDivergence: Double?, interval95: ClosedRange<Double>?, tokens: Int, bytes: Int? = nil,
      comparison: TextComparison? = nil, chunks: [TextChunk] = []
    ) {
      self.perplexity = perplexity
      self.klDivergence = klDivergence
      self.interval95 = interval95
      self.tokens = tokens
      self.bytes = bytes
      self.comparison = comparison
      self.chunks = chunks
    }

    /// What a byte of the text costs, in bits: comparable between tokenizers.
    package var bitsPerByte: Double? {
      bytes.flatMap { $0 > 0 ? log(perplexity) * Double(tokens) / (Double($0) * log(2)) : nil }
    }
  }

  /// The scored tokens of one window.
  package struct TextChunk: Sendable, Hashable {
    package var tokens: Int
    /// The sum of the tokens' negative log-likelihoods, in nats.
    package var loss: Double
    /// The baseline's sum.
    package var baselineLoss: Double?
    /// The sum of the tokens' KL divergences, in nats.
    package var divergence: Double?

    package init(tokens: Int, loss: Double, baselineLoss: Double? = nil, divergence: Double? = nil) {
      self.tokens = tokens
      self.loss = loss
      self.baselineLoss = baselineLoss
      self.divergence = divergence
    }
  }

  /// How a model's predictions of a text differ from its baseline's.
  package struct TextComparison: Sendable, Hashable {
    package var baselinePerplexity: Double
    /// The perplexity by the baseline's.
    package var ratio: Double
    /// By the bootstrap of whole windows, as all intervals here.
    package var ratioInterval95: ClosedRange<Double>
    package var divergenceInterval95: ClosedRange<Double>
    package var divergences: Percentiles
    /// Tokens whose likeliest token is the baseline's.
    package var sameTop: Proportion
    /// How much likelier the true token became: mean, root of the mean square, spread.
    package var deltaMean: Double
    package var deltaRMS: Double
    package var deltas: Percentiles

    package init(
      baselinePerplexity: Double, ratio: Double, ratioInterval95: ClosedRange<Double>,
      divergenceInterval95: ClosedRange<Double>, divergences: Percentiles, sameTop: Proportion, deltaMean: Double,
      deltaRMS: Double, deltas: Percentiles
    ) {
      self.baselinePerplexity = baselinePerplexity
      self.ratio = ratio
      self.ratioInterval95 = ratioInterval95
      self.divergenceInterval95 = divergenceInterval95
      self.divergences = divergences
      self.sameTop = sameTop
      self.deltaMean = deltaMean
      self.deltaRMS = deltaRMS
      self.deltas = deltas
    }
  }

  /// The spread of a figure over all tokens.
  package struct Percentiles: Sendable, Hashable {
    /// Percents, as they are written, with the shares that they are.
    package static let shares: [(name: String, share: Double)] = [
      ("min", 0), ("0.1", 0.001), ("1", 0.01), ("5", 0.05), ("50", 0.5), ("95", 0.95), ("99", 0.99), ("99.9", 0.999),
      ("max", 1),
    ]

    /// In the order of ``shares``.
    package var values: [Double]

    /// - Precondition: one value for each of ``shares``.
    package init(values: [Double]) {
      precondition(values.count == Percentiles.shares.count)
      self.values = values
    }

    /// - Precondition: there is at least one value.
    package init(of values: [Double]) {
      let sorted = values.sorted()
      self.values = Percentiles.shares.map { Quantile.of(sorted, $0.share) }
    }

    /// The value of a percent by its name.
    package subscript(name: String) -> Double? {
      zip(Percentiles.shares, values).first { $0.0.name == name }?.1
    }
  }
}

extension EvaluationReport.ReportedResults {
  package static func text(_ figures: EvaluationReport.TextFigures) -> Self { Self(figures) }

  /// The figures of a text; nil for results of another kind.
  package var text: EvaluationReport.TextFigures? { found as? EvaluationReport.TextFigures }
}

extension EvaluationReport {
  package var perplexity: Double? { results.found.value(.perplexity) }
  package var klDivergence: Double? { results.found.value(.klDivergence) }
}
