import FurlBase

/// A matrix of a base model with what an adapter adds to it, merged row by row in FP32 when it is read.
///
/// LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685): W + scaling * B A, with A [rank][inputs] and B [outputs][rank].
/// DoRA (Liu et al. 2024, https://arxiv.org/abs/2402.09353): each output's row of that, brought to a length of its own. Of an
/// embedding, whose rows are tokens, A is [rank][tokens] and B [columns][rank], and what is added is (B A) transposed.
package struct AdaptedMatrix: CodedMatrix {
  /// What an adapter has for a matrix, in the orientation that it is stored in.
  package struct Update: Sendable {
    package let a: StoredGrid
    package let b: StoredGrid
    /// alpha / rank, or what else the product is multiplied with.
    package let scaling: Float
    /// DoRA: the lengths of outputs' rows, one row of numbers.
    package let lengths: StoredGrid?
    /// Whether the matrix is an embedding.
    package let isEmbedding: Bool

    package init(a: StoredGrid, b: StoredGrid, scaling: Float, lengths: StoredGrid?, isEmbedding: Bool) {
      self.a = a
      self.b = b
      self.scaling = scaling
      self.lengths = lengths
      self.isEmbedding = isEmbedding
    }

    /// Outputs and inputs of the matrix that it is for.
    package var shape: [Int] { isEmbedding ? [a.columns, b.rows] : [b.rows, a.columns] }

    var rank: Int { a.rows }
  }

  package let rows: Int
  package let columns: Int
  private let base: WeightSource
  private let update: Update
  /// Which of the update's outputs a row is: counted from `first`.
  private let order: WeightSource.RowOrder
  private let first: Int

  /// - Parameters:
  ///   - base: the rows that are adapted, without anything folded into them.
  ///   - first, order: which of the update's outputs they are.
  /// - Throws: ``FurlError`` of kind `defect` when the update does not fit.
  package init(_ base: WeightSource, _ update: Update, first: Int, order: WeightSource.RowOrder) throws {
    let shape = update.shape
    let lengths = update.lengths?.columns ?? shape[0]
    let isStretched = update.lengths != nil
    guard update.a.rows == update.b.columns, shape[1] == base.columns, first >= 0,
      let last = order.last(of: base.rows), last < shape[0] - first, lengths == shape[0],
      !isStretched || !update.isEmbedding
    else { throw FurlError(.defect, file: base.file.path, "an adapter's matrices do not fit") }
    rows = base.rows
    columns = base.columns
    self.base = base
    self.update = update
    self.first = first
    self.order = order
  }

  /// Whether the base is stored as codes.
  var hasCodes: Bool { base.isCoded || base.type.blockSize > 1 }

  package var form: String { "\(base.storedForm) with \(update.lengths == nil ? "LoRA" : "DoRA")" }
  package var parts: [StoredPart] {
    [StoredPart(base.file, base.range), update.a.part, update.b.part] + (update.lengths.map { [$0.part] } ?? [])
  }
  package var bytes: Int {
    base.storedBytes(rows * columns) + update.a.part.range.count + update.b.part.range.count
  }

  package func decode(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    base.read(rows: range, into: output)
    let rank = update.rank
    withUnsafeTemporaryAllocation(of: Float.self, capacity: (rank + 1) * columns + rank) { room in
      let inner = room.baseAddress!
      let (sum, factors) = (inner + rank * columns, inner + (rank + 1) * columns)
      readInner(into: inner)
      for (index, row) in range.enumerated() {
        let place = first + order.stored(row)
        readFactors(of: place, into: factors)
        for column in 0..<columns { sum[column] = 0 }
        for step in 0..<rank {
          let (factor, numbers) = (factors[step], inner + step * columns)
          for column in 0..<columns { sum[column] += factor * numbers[column] }
        }
        let target = output + index * columns
        for column in 0..<columns { target[column] += sum[column] * update.scaling }
        if let lengths = update.lengths { stretch(target, to: lengths.number(row: 0, column: place)) }
      }
    }
  }

  /// [rank][columns]: what rows are sums of.
  private func readInner(into output: UnsafeMutablePointer<Float>) {
    let rank = update.rank
    guard update.isEmbedding else {
      for step in 0..<rank { update.a.read(row: step, columns: 0..<columns, into: output + step * columns) }
      return
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: rank) { piece in
      for column in 0..<columns {
        update.b.read(row: column, columns: 0..<rank, into: piece.baseAddress!)
        for step in 0..<rank { output[step * columns + column] = piece[step] }
      }
    }
  }

  /// [rank]: how much of each a row has.
  private func readFactors(of place: Int, into output: UnsafeMutablePointer<Float>) {
    guard update.isEmbedding else { return update.b.read(row: place, columns: 0..<update.rank, into: output) }
    for step in 0..<update.rank { output[step] = update.a.number(row: step, column: place) }
  }

  private func stretch(_ row: UnsafeMutablePointer<Float>, to length: Float) {
    var squares = 0.0
    for column in 0..<columns { squares += Double(row[column]) * Double(row[column]) }
    let factor = length / Float(squares.squareRoot())
    for column in 0..<columns { row[column] *= factor }
  }
}
