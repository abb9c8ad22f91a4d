import FurlSpec

/// The rows of a model's vocabulary as what can be removed: one of the embedding, one of a head of its own, and one of each
/// table that blocks look tokens up in.
struct VocabularyRows {
  let count: Int
  /// Weights that go with one row.
  let weights: Int

  init(of spec: ModelSpec) {
    count = spec.vocabularySize
    let tables = spec.blocks.flatMap(\.parts).flatMap { $0.tables(vocabulary: 1) }.reduce(0) { $0 + $1.columns }
    weights =
      (spec.tiedEmbeddings ? spec.hiddenSize : 2 * spec.hiddenSize + (spec.hasHeadBias ? 1 : 0)) + tables
  }

  var all: Int { count * weights }

  /// Weights of a share of the rows.
  func target(share: Double) -> Int { Int((share * Double(all)).rounded()) }

  /// Rows that are left when at least so many weights go and a multiple stays.
  ///
  /// - Parameter least: rows that have to stay.
  func left(removing target: Int, multiple: Int, least: Int = 1) -> Int {
    let left = max(0, count - (target + weights - 1) / weights) / multiple * multiple
    // What has to stay is rounded up, and more rows than there are is none less.
    return min(count, max(left, (least + multiple - 1) / multiple * multiple))
  }
}
