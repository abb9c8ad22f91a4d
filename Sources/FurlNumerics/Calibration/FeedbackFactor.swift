import FurlBase
package import FurlTensor

/// How the error of one column of weights is made up for by those that come after it.
///
/// With H = E[x xᵀ] + damping and the columns in the order in which they get their codes, H = M D Mᵀ with a unit upper
/// triangle M. Column k gets the code nearest to w_k + sum over j < k of (w_j - q_j) M_jk, which leaves an error of
/// (W - Q) H (W - Q)ᵀ that is D times the squared rounding errors and nothing else (Chee et al. 2023, "QuIP", LDLQ;
/// they show it to be what Frantar et al. 2022, "GPTQ", compute through the inverse of H).
package final class FeedbackFactor: @unchecked Sendable {
  package let columns: Int
  let segments: [FeedbackSegment]
  /// D of every column, in the reverse order of codes.
  let variances: [Float]
  /// The second moments' diagonal, in the order of the columns: what a squared error in each of them counts.
  let diagonal: [Float]
  /// The lower triangle that is Mᵀ with rows and columns reversed; on the diagonal and above it nothing is meant.
  let matrix: Matrix

  /// Columns that a segment has at most.
  static let segmentColumns = 128

  /// - Parameters:
  ///   - moments: of kind `full`.
  ///   - block: how many columns share a scale.
  ///   - damping: what is added to the diagonal, as a share of its mean.
  ///   - keepsMoments: false saves a matrix of memory, and leaves no moments.
  /// - Throws: ``FurlError`` of kind `input` when the moments are not finite or, damped, not positive definite;
  ///   `unavailable` when there is no memory.
  package init(
    _ moments: SecondMoments, order: FeedbackOrder, block: Scheme.Block, damping: Double, keepsMoments: Bool = true,
    on math: DenseMath
  ) throws {
    guard let matrix = try moments.takeMatrix(keeping: keepsMoments) else {
      throw FurlError(.defect, "only a diagonal has been kept")
    }
    let diagonal = matrix.diagonal
    columns = moments.columns
    self.diagonal = diagonal
    segments = FeedbackFactor.segments(diagonal, order: order, block: block)
    matrix.mirror(on: math.pool)
    // Cholesky's factor is a lower triangle, so the last code's column comes first.
    matrix.permute(segments.flatMap(\.columns).reversed())
    // The mean of the diagonal is that of the columns in their own order, which its last bits depend on.
    let factor = try Cholesky(
      matrix, adding: Damping(share: .double(damping)).amount(diagonal),
      of: .init(
        name: "this layer's inputs", remedy: "raise damping", remedyWhereNotFinite: "the weights before it are damaged"),
      on: math)
    let roots = factor.lower.diagonal
    variances = roots.map { $0 * $0 }
    math.forEachPiece(columns, of: 64) { rows in
      for index in rows {
        let row = matrix.row(index)
        for column in 0..<index { row[column] /= roots[column] }
      }
    }
    self.matrix = matrix
  }

  /// Columns in the order of codes.
  static func segments(_ diagonal: [Float], order: FeedbackOrder, block: Scheme.Block) -> [FeedbackSegment] {
    let size = if case .columns(let size) = block { size } else { diagonal.count }
    var blocks = stride(from: 0, to: diagonal.count, by: size).enumerated().map { index, start in
      FeedbackSegment(columns: Array(start..<min(start + size, diagonal.count)), block: index)
    }
    // A row that happens to be as long is none.
    if block == .columns(SuperBlockForm.columns) { return superSegments(blocks, diagonal, order) }
    if order == .activation {
      // Stable: equals stay in their order.
      func sorted(_ columns: [Int]) -> [Int] { columns.sorted { (-diagonal[$0], $0) < (-diagonal[$1], $1) } }
      let sums = blocks.map { $0.columns.reduce(Float(0)) { $0 + diagonal[$1] } }
      blocks = blocks.sorted { (-sums[$0.block], $0.block) < (-sums[$1.block], $1.block) }.map {
        FeedbackSegment(columns: sorted($0.columns), block: $0.block)
      }
    }
    return blocks.flatMap { block in
      stride(from: 0, to: block.columns.count, by: segmentColumns).map {
        FeedbackSegment(
          columns: Array(block.columns[$0..<min($0 + segmentColumns, block.columns.count)]), block: block.block)
      }
    }
  }

  /// The same of super-blocks: within each part after part, and within those halves of 32 columns, so that any parts that a
  /// scheme has lie together, and one factor serves all of these schemes.
  private static func superSegments(
    _ blocks: [FeedbackSegment], _ diagonal: [Float], _ order: FeedbackOrder
  ) -> [FeedbackSegment] {
    func sorted(_ groups: [[Int]]) -> [[Int]] {
      guard order == .activation else { return groups }
      let sums = groups.map { $0.reduce(Float(0)) { $0 + diagonal[$1] } }
      return groups.indices.sorted { (-sums[$0], $0) < (-sums[$1], $1) }.map { groups[$0] }
    }
    func cut(_ columns: [Int], _ size: Int) -> [[Int]] {
      stride(from: 0, to: columns.count, by: size).map { Array(columns[$0..<min($0 + size, columns.count)]) }
    }
    return sorted(blocks.map(\.columns)).flatMap { block in
      sorted(cut(block, Tile.columns)).flatMap { sorted(cut($0, Tile.columns / 2)) }.map { half in
        FeedbackSegment(
          columns: sorted(half.map { [$0] }).joined().map { $0 }, block: block[0] / SuperBlockForm.columns)
      }
    }
  }
}

/// Columns that get their codes together, in this order; a block's columns are in one of them or follow each other.
struct FeedbackSegment: Sendable {
  let columns: [Int]
  /// Which of a row's scales is theirs.
  let block: Int
}
