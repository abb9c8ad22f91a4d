package import FurlTensor
import CFurlKernels

extension DenseMath {
  // MARK: Norms

  /// Normalizes every row.
  ///
  /// - Parameters:
  ///   - x: [rows][columns].
  ///   - weight, bias: [1][columns], or several of those one behind the other, which rows take in turn: of heads, each with
  ///     weights of its own.
  package func normalize(
    _ x: Matrix, by norm: Activations.RowNorm, weight: Matrix, bias: Matrix?, epsilon: Float,
    into out: Matrix
  ) {
    precondition(x.rows == out.rows && x.columns == out.columns && weight.count % x.columns == 0)
    let kernel = norm == .layerNorm ? table.layer_norm : table.rms_norm
    let turns = weight.count / x.columns
    forEachPiece(x.rows, of: DenseMath.rowPiece) { rows in
      for row in rows {
        let place = row * x.columns
        let own = row % turns * x.columns
        kernel(
          x.numbers + place, x.columns, weight.numbers + own, bias.map { $0.numbers + own }, epsilon,
          out.numbers + place)
      }
    }
  }

  /// Adds the gradients of a norm's input, weight and bias, from that of its output: of weights that rows take in turn, each
  /// from its own rows.
  package func normalizeBack(
    _ x: Matrix, by norm: Activations.RowNorm, weight: Matrix, epsilon: Float, gradient: Matrix,
    addingTo out: NormGradients
  ) throws {
    precondition(x.count == gradient.count && out.input.count == x.count && out.weight.count == weight.count)
    precondition(weight.count % x.columns == 0)
    let columns = x.columns
    let all = weight.count
    let turns = all / columns
    let piece = 64
    let pieces = (x.rows + piece - 1) / piece
    // Every piece of rows has sums of its own, which are added up in their order.
    let sums = try Matrix(rows: pieces, columns: 2 * all)
    let kernel = table.norm_back
    forEachPiece(x.rows, of: piece) { rows in
      let own = sums.numbers + rows.lowerBound / piece * 2 * all
      for row in rows {
        let place = row * columns
        let turn = row % turns * columns
        kernel(
          norm == .layerNorm, x.numbers + place, columns, weight.numbers + turn, epsilon, gradient.numbers + place,
          out.input.numbers + place, own + turn, out.bias == nil ? nil : own + all + turn)
      }
    }
    for index in 0..<pieces {
      let own = sums.numbers + index * 2 * all
      for column in 0..<all { out.weight.numbers[column] += own[column] }
      guard let bias = out.bias else { continue }
      for column in 0..<all { bias.numbers[column] += own[all + column] }
    }
  }

  // MARK: Activations

  /// out = activation(x), or activation(x) * factor where there is one.
  package func activate(
    _ activation: LinearGroup.FusedActivation, _ x: Matrix, factor: Matrix?, into out: Matrix
  ) {
    precondition(x.count == out.count && (factor == nil || factor?.count == x.count))
    let kernel = table.activate
    forEachPiece(x.count, of: 1 << 14) { range in
      let start = range.lowerBound
      (out.numbers + start).update(from: x.numbers + start, count: range.count)
      kernel(activation.kind, out.numbers + start, factor.map { UnsafePointer($0.numbers + start) }, range.count)
    }
  }

  /// From the gradient of ``activate(_:_:factor:into:)``'s output to that of x, in place, and to that of the factor.
  package func activateBack(
    _ activation: LinearGroup.FusedActivation, _ x: Matrix, factor: Matrix?, gradient: Matrix,
    factorGradient: Matrix?
  ) {
    precondition(x.count == gradient.count && (factor == nil) == (factorGradient == nil))
    let kernel = table.activate_back
    forEachPiece(x.count, of: 1 << 14) { range in
      let start = range.lowerBound
      kernel(
        activation.kind, x.numbers + start, factor.map { UnsafePointer($0.numbers + start) }, range.count,
        gradient.numbers + start, factorGradient.map { $0.numbers + start })
    }
  }

  // MARK: Embeddings

  /// Sets every row to a row of an embedding, plus that of its position where those are learned.
  ///
  /// - Parameters:
  ///   - ids: of all sequences, one behind the other.
  ///   - length: of each sequence.
  package func embed(
    _ ids: [Int], length: Int, _ embedding: Matrix, positions: Matrix?, into out: Matrix
  ) {
    precondition(ids.count == out.rows && embedding.columns == out.columns && ids.allSatisfy { $0 < embedding.rows })
    precondition(positions == nil || (positions?.rows ?? 0) >= length)
    let columns = out.columns
    forEachPiece(ids.count, of: DenseMath.rowPiece) { rows in
      for row in rows {
        let target = out.numbers + row * columns
        target.update(from: embedding.numbers + ids[row] * columns, count: columns)
        guard let positions else { continue }
        let source = positions.numbers + row % length * columns
        for column in 0..<columns { target[column] += source[column] }
      }
    }
  }

  /// Adds the gradients of the embedding's rows and the positions' rows.
  package func embedBack(
    _ ids: [Int], length: Int, gradient: Matrix, addingTo embedding: Matrix, positions: Matrix?
  ) {
    precondition(ids.count == gradient.rows && embedding.columns == gradient.columns)
    let width = gradient.columns
    // Columns are split, not rows: rows of one token are added in their order.
    forEachPiece(width, of: 64) { columns in
      for (row, id) in ids.enumerated() {
        let source = gradient.numbers + row * width + columns.lowerBound
        let target = embedding.numbers + id * width + columns.lowerBound
        for index in 0..<columns.count { target[index] += source[index] }
        guard let positions else { continue }
        let place = positions.numbers + row % length * width + columns.lowerBound
        for index in 0..<columns.count { place[index] += source[index] }
      }
    }
  }

  // MARK: Rotary positions

  /// Turns every head by its position's angles, or back.
  ///
  /// - Parameter angles: [positions][cosines, sines].
  package func rotate(
    _ matrix: Matrix, headSize: Int, length: Int, angles: RotaryAngles, back: Bool
  ) {
    precondition(matrix.columns % headSize == 0 && angles.count >= length && 2 * angles.half <= headSize)
    let kernel = table.rotate
    let half = angles.half
    forEachPiece(matrix.rows, of: DenseMath.rowPiece) { rows in
      for row in rows {
        let cosines = angles.row(row % length)
        let start = matrix.numbers + row * matrix.columns
        for head in stride(from: 0, to: matrix.columns, by: headSize) {
          kernel(start + head, half, cosines, cosines + (back ? 2 * half : half))
        }
      }
    }
  }
}

/// Where the gradients of a norm go; all are added to.
package struct NormGradients {
  /// As the input of the norm.
  let input: Matrix
  /// As the weights of the norm.
  let weight: Matrix
  let bias: Matrix?

  package init(input: Matrix, weight: Matrix, bias: Matrix?) {
    self.input = input
    self.weight = weight
    self.bias = bias
  }
}
