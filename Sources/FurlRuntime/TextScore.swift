import FurlTensor

/// How probable a model takes a text to be.
public struct TextScore: Sendable, Hashable {
  /// The sum of log p of all tokens but the first, each given those before it, in nats.
  public let logLikelihood: Double
  /// The tokens that were predicted: all but the first.
  public let tokenCount: Int

  /// The exponential of the mean of -log p: 1 where every token was certain.
  public var perplexity: Double { Elementary.exp(-logLikelihood / Double(tokenCount)) }
}
