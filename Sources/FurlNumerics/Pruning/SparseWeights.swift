package import FurlTensor
import Synchronization

/// Single weights set to zero by what they do to a layer's outputs.
package enum SparseWeights {
  /// The share of each row's weights that matters least goes, by |w| times the root mean square of the input (Sun et al.
  /// 2023, "Wanda"). Weights that stay are as they were.
  package static func wanda(_ weight: Matrix, meanSquares: [Float], sparsity: Double, on pool: WorkerPool) {
    precondition(meanSquares.count == weight.columns)
    let gone = Int((sparsity * Double(weight.columns)).rounded(.down))
    pool.forEach(weight.rows) { index in
      let row = weight.row(index)
      let scores = (0..<weight.columns).map { row[$0] * row[$0] * meanSquares[$0] }
      let order = scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }
      for column in order.prefix(gone) { row[column] = 0 }
    }
  }

  /// The same share goes segment by segment of 128 columns, by w² over the diagonal of the inverse of the second moments,
  /// and the columns to come make up for it (Frantar and Alistarh 2023, "SparseGPT"; here in the form of
  /// ``FeedbackFactor``, without an inverse).
  package static func sparseGPT(_ weight: Matrix, _ factor: FeedbackFactor, sparsity: Double, on math: DenseMath) {
    precondition(factor.columns == weight.columns)
    math.forEachPiece(weight.rows, of: SparseSlice.width) {
      SparseSlice(weight: weight, rows: $0, factor: factor, sparsity: sparsity).prune(with: math)
    }
  }
}

/// Rows that choose together which of a segment's weights go.
private struct SparseSlice {
  /// Rows of a slice at most.
  static let width = 64

  let weight: Matrix
  let rows: Range<Int>
  let factor: FeedbackFactor
  let sparsity: Double

  func prune(with math: DenseMath) {
    let (columns, width) = (weight.columns, SparseSlice.width)
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: (columns + FeedbackFactor.segmentColumns) * width)
    defer { memory.deallocate() }
    // [columns][rows]: by places, what each weight lost; places are columns in the reverse order of turns.
    let losses = MatrixView(memory, rows: columns, columns: width)
    let feedback = MatrixView(memory + columns * width, rows: FeedbackFactor.segmentColumns, columns: width)
    memory.update(repeating: 0, count: (columns + FeedbackFactor.segmentColumns) * width)
    var end = columns
    for segment in factor.segments {
      let places = end - segment.columns.count..<end
      let later = end..<columns
      let here = feedback.rows(0..<places.count)
      here.clear()
      if !later.isEmpty { math.multiplyTransposed(factor.matrix[later, places], losses.rows(later), into: here, .set) }
      let goes = choose(segment.columns, places, feedback)
      for (turn, column) in segment.columns.enumerated() {
        let place = places.upperBound - 1 - turn
        let target = feedback.row(place - places.lowerBound)
        for other in place + 1..<max(place + 1, places.upperBound) {
          let share = factor.matrix.row(other)[place]
          let loss = losses.row(other)
          for lane in 0..<rows.count { target[lane] += share * loss[lane] }
        }
        let loss = losses.row(place)
        for lane in 0..<rows.count {
          let own = weight.row(rows.lowerBound + lane)
          let value = goes[turn * width + lane] ? 0 : own[column] + target[lane]
          loss[lane] = own[column] - value
          own[column] = value
        }
      }
      end = places.lowerBound
    }
  }

  /// Which of a segment's weights go: [turns][64].
  private func choose(_ columns: [Int], _ places: Range<Int>, _ feedback: MatrixView) -> [Bool] {
    var scores: [(score: Float, place: Int)] = []
    scores.reserveCapacity(columns.count * rows.count)
    for (turn, column) in columns.enumerated() {
      let place = places.upperBound - 1 - turn
      let extra = feedback.row(place - places.lowerBound)
      for lane in 0..<rows.count {
        let value = weight.row(rows.lowerBound + lane)[column] + extra[lane]
        scores.append((value * value * factor.variances[place], turn * SparseSlice.width + lane))
      }
    }
    var goes = [Bool](repeating: false, count: columns.count * SparseSlice.width)
    let count = Int((sparsity * Double(scores.count)).rounded(.down))
    for score in scores.sorted(by: { ($0.score, $0.place) < ($1.score, $1.place) }).prefix(count) {
      goes[score.place] = true
    }
    return goes
  }
}
