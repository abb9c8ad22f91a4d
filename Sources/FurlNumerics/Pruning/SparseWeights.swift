import FurlTensor
import Synchronization

/// Single weights set to zero by what they do to a layer's outputs.
public enum SparseWeights {
  /// The share of each row's weights that matters least goes, by |w| times the root mean square of the input (Sun et al.
  /// 2023, "Wanda"). Weights that stay are as they were.
  public static func wanda(_ weight: FloatMatrix, meanSquares: [Float], sparsity: Double, on pool: WorkerPool) {
    precondition(meanSquares.count == weight.columns)
    let gone = Int((sparsity * Double(weight.columns)).rounded(.down))
    pool.forEach(weight.rows) { index in
      let row = weight.row(index)
      let scores = (0..<weight.columns).map { row[$0] * row[$0] * meanSquares[$0] }
      let order = scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }
      for column in order.prefix(gone) { row[column] = 0 }
    }
  }

  /// Rows that choose together which of a segment's weights go.
  private static let sliceRows = 64

  /// The same share goes segment by segment of 128 columns, by w² over the diagonal of the inverse of the second moments,
  /// and the columns to come make up for it (Frantar and Alistarh 2023, "SparseGPT"; here in the form of
  /// ``FeedbackFactor``, without an inverse).
  public static func sparseGPT(_ weight: FloatMatrix, _ factor: FeedbackFactor, sparsity: Double, on pool: WorkerPool) {
    precondition(factor.columns == weight.columns)
    pool.forEachAsTaken((weight.rows + sliceRows - 1) / sliceRows) { index in
      let first = index * sliceRows
      prune(weight, first..<min(first + sliceRows, weight.rows), factor, sparsity)
    }
  }

  private static func prune(_ weight: FloatMatrix, _ rows: Range<Int>, _ factor: FeedbackFactor, _ sparsity: Double) {
    let (columns, width) = (weight.columns, sliceRows)
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: (columns + FeedbackFactor.segmentColumns) * width)
    defer { memory.deallocate() }
    // [columns][rows]: by places, what each weight lost; places are columns in the reverse order of turns.
    let losses = MatrixMath.Part(base: memory, stride: width)
    let feedback = MatrixMath.Part(base: memory + columns * width, stride: width)
    memory.update(repeating: 0, count: (columns + FeedbackFactor.segmentColumns) * width)
    var end = columns
    for segment in factor.segments {
      let places = end - segment.columns.count..<end
      let later = end..<columns
      feedback.base.update(repeating: 0, count: places.count * width)
      if !later.isEmpty {
        MatrixMath.addTransposed(
          factor.matrix.part(later.lowerBound, places.lowerBound), losses.from(later.lowerBound, 0), to: feedback,
          rows: places.count, columns: width, depth: later.count, accumulate: false)
      }
      let goes = choose(weight, rows, segment.columns, places, feedback, factor, sparsity)
      for (turn, column) in segment.columns.enumerated() {
        let place = places.upperBound - 1 - turn
        let target = feedback.base + (place - places.lowerBound) * width
        for other in place + 1..<max(place + 1, places.upperBound) {
          let share = factor.matrix.row(other)[place]
          let loss = losses.base + other * width
          for lane in 0..<rows.count { target[lane] += share * loss[lane] }
        }
        let loss = losses.base + place * width
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
  private static func choose(
    _ weight: FloatMatrix, _ rows: Range<Int>, _ columns: [Int], _ places: Range<Int>, _ feedback: MatrixMath.Part,
    _ factor: FeedbackFactor, _ sparsity: Double
  ) -> [Bool] {
    var scores: [(score: Float, place: Int)] = []
    scores.reserveCapacity(columns.count * rows.count)
    for (turn, column) in columns.enumerated() {
      let place = places.upperBound - 1 - turn
      let extra = feedback.base + (place - places.lowerBound) * sliceRows
      for lane in 0..<rows.count {
        let value = weight.row(rows.lowerBound + lane)[column] + extra[lane]
        scores.append((value * value * factor.variances[place], turn * sliceRows + lane))
      }
    }
    var goes = [Bool](repeating: false, count: columns.count * sliceRows)
    let count = Int((sparsity * Double(scores.count)).rounded(.down))
    for score in scores.sorted(by: { ($0.score, $0.place) < ($1.score, $1.place) }).prefix(count) {
      goes[score.place] = true
    }
    return goes
  }
}
