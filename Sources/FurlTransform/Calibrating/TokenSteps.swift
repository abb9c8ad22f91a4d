import FurlTensor

/// Wider steps for the rows of rarer tokens.
///
/// A row of an embedding or a head counts as often as its token is read or may come next, so the squared errors of rows
/// weigh as their tokens' frequencies, and of all steps that take as many coded bits those do least harm that go with the
/// inverse square root of the weight (reverse water-filling). Most tokens of a vocabulary are rare, so their steps are
/// hardly wider than they would all be; the few frequent ones become much finer.
struct TokenSteps: Sendable {
  /// What each row's step is multiplied with; 1 in the geometric mean.
  let factors: [Float]

  /// A token that the text does not have counts as if it had been seen half a time.
  private static let unseen = 0.5
  /// The finest step is a fraction of the coarsest of at least this.
  private static let range = 16.0

  /// - Parameter sequences: ids inside of the vocabulary.
  init(_ sequences: [[Int]], vocabulary: Int) {
    var counts = Array(repeating: 0.0, count: vocabulary)
    for sequence in sequences { for id in sequence { counts[id] += 1 } }
    self.init(shares: counts)
  }

  /// - Parameter shares: how often every token is seen, or likely to be.
  init(shares: [Double]) {
    let counts = shares.map { $0 + TokenSteps.unseen }
    let most = TokenSteps.unseen * TokenSteps.range * TokenSteps.range
    let logs = counts.map { -0.5 * Elementary.log(min($0, most)) }
    let mean = logs.reduce(0, +) / Double(max(1, shares.count))
    factors = logs.map { Float(Elementary.exp($0 - mean)) }
  }
}
