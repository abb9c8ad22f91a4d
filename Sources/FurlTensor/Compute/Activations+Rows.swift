import CFurlKernels
import FurlBase

// What is done to rows beside products. Numbers are taken one by one in a fixed order, so that a row's bits depend on
// nothing else.
extension Activations {
  /// Makes zeros of the first rows.
  package func clear(count: Int) {
    precondition((0...capacity).contains(count))
    values.update(repeating: 0, count: count * stride)
  }

  /// Adds another set's first rows, times a factor.
  package func add(_ other: Activations, times factor: Float = 1, count: Int, on context: ComputeContext) {
    precondition(other.columns == columns && count <= capacity && count <= other.capacity)
    context.forEachRow(count) { addRow($0, other, row: $0, times: factor) }
  }

  /// Adds a row of another set, times a factor, to one of this set.
  package func addRow(_ row: Int, _ other: Activations, row source: Int, times factor: Float) {
    precondition(other.columns == columns && (0..<capacity).contains(row) && (0..<other.capacity).contains(source))
    let (target, added) = (values + row * stride, other.values + source * other.stride)
    if factor == 1 {
      for column in 0..<columns { target[column] += added[column] }
    } else {
      for column in 0..<columns { target[column] += factor * added[column] }
    }
  }

  /// Where pieces of a row lie: heads.
  package struct Pieces: Sendable {
    /// The first number of the first.
    package let start: Int
    /// Numbers from one to the next; 0: all pieces are one.
    package let step: Int

    package init(start: Int = 0, step: Int) {
      self.start = start
      self.step = step
    }
  }

  /// Copies pieces of another set's first rows.
  ///
  /// - Parameters:
  ///   - size: numbers of a piece.
  ///   - pieces: how many a row has.
  ///   - source: where they lie in the other set; target: where in this one.
  package func copyPieces(
    of size: Int, _ pieces: Int, _ other: Activations, from source: Pieces, to target: Pieces, count: Int
  ) {
    precondition(size > 0 && pieces > 0 && count <= capacity && count <= other.capacity)
    precondition(source.start >= 0 && source.step >= 0 && target.start >= 0 && target.step >= size)
    precondition(source.start + (pieces - 1) * source.step + size <= other.columns)
    precondition(target.start + (pieces - 1) * target.step + size <= columns)
    for row in 0..<count {
      let from = other.values + row * other.stride + source.start
      let to = values + row * stride + target.start
      for piece in 0..<pieces { (to + piece * target.step).update(from: from + piece * source.step, count: size) }
    }
  }

  /// Multiplies pieces of the first rows with log(1 + exp(gate)), each with its own.
  ///
  /// - Parameter gates: as many columns as a row has pieces.
  package func gateSoftly(by gates: Activations, count: Int, on context: ComputeContext) {
    precondition(gates.columns > 0 && columns % gates.columns == 0 && count <= capacity && count <= gates.capacity)
    let size = columns / gates.columns
    context.forEachRow(count) { row in
      let (numbers, gate) = (values + row * stride, gates.values + row * gates.stride)
      for piece in 0..<gates.columns {
        let factor = Float(Elementary.softplus(Double(gate[piece])))
        for column in piece * size..<(piece + 1) * size { numbers[column] *= factor }
      }
    }
  }

  /// Multiplies the first rows with a factor each.
  package func scaleRows(by factors: [Float]) {
    precondition(factors.count <= capacity)
    for (row, factor) in factors.enumerated() where factor != 1 {
      let numbers = values + row * stride
      for column in 0..<columns { numbers[column] *= factor }
    }
  }

  /// Multiplies all of the first rows with a factor.
  package func scaleRows(by factor: Float, count: Int, on context: ComputeContext) {
    precondition(count <= capacity)
    context.forEachRow(count) { row in
      let numbers = values + row * stride
      for column in 0..<columns { numbers[column] *= factor }
    }
  }

  /// Multiplies the first rows with those of another set, number by number.
  package func multiply(by other: Activations, count: Int, on context: ComputeContext) {
    precondition(other.columns == columns && count <= capacity && count <= other.capacity)
    context.forEachRow(count) { row in
      let (numbers, factors) = (values + row * stride, other.values + row * other.stride)
      for column in 0..<columns { numbers[column] *= factors[column] }
    }
  }

  /// Normalizes pieces of the first rows in place, each by itself: the heads of queries and keys.
  ///
  /// - Parameters:
  ///   - size: numbers of a piece, which divides the columns.
  ///   - weight: [size], the same for all pieces, or [columns].
  ///   - bias: the same, where there is one.
  package func normalizePieces(
    of size: Int, count: Int, by norm: RowNorm, weight: FloatVector, bias: FloatVector?, epsilon: Float,
    on context: ComputeContext
  ) {
    precondition(size > 0 && columns % size == 0 && count <= capacity)
    precondition(weight.count == size || weight.count == columns)
    precondition(bias == nil || bias?.count == weight.count)
    let table = context.kernels.table
    let kernel = norm == .layerNorm ? table.layer_norm : table.rms_norm
    let ownWeights = weight.count == size ? 0 : 1
    context.forEachRow(count) { row in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { piece in
        for start in Swift.stride(from: row * stride, to: row * stride + columns, by: size) {
          piece.baseAddress!.update(from: values + start, count: size)
          let own = ownWeights * (start - row * stride)
          kernel(
            piece.baseAddress!, size, weight.pointer + own, bias.map { $0.pointer + own }, epsilon, values + start)
        }
      }
    }
  }

  /// Makes cap * tanh(x / cap) of the first rows.
  package func capSoftly(at cap: Float, count: Int, on context: ComputeContext) {
    precondition(count <= capacity && cap > 0)
    context.forEachRow(count) { row in
      let numbers = values + row * stride
      for column in 0..<columns { numbers[column] /= cap }
      context.kernels.table.activate(FURL_TANH, numbers, nil, columns)
      for column in 0..<columns { numbers[column] *= cap }
    }
  }

  /// gpt-oss's gate, in place: activation(min(gate, limit)) * (max(-limit, min(up, limit)) + 1).
  package func gate(
    by activation: LinearGroup.FusedActivation, _ up: Activations, limit: Float, count: Int, on context: ComputeContext
  ) {
    precondition(up.columns == columns && count <= capacity && count <= up.capacity)
    context.forEachRow(count) { row in
      let (gate, factor) = (values + row * stride, up.values + row * up.stride)
      for column in 0..<columns {
        gate[column] = min(gate[column], limit)
        factor[column] = max(-limit, min(factor[column], limit)) + 1
      }
      context.kernels.table.activate(activation.kind, gate, factor, columns)
    }
  }
}
