import FurlTensor
import CFurlKernels

/// Laguna's gates: pieces of a row, each multiplied with log(1 + exp(g)) of a gate of its own.
extension DenseMath {
  /// Sets `out` to x with every piece multiplied by its gate.
  ///
  /// - Parameters:
  ///   - x: [rows][columns].
  ///   - gates: [rows][pieces], a number of pieces that divides the columns.
  ///   - out: as x.
  package func gateSoftly(_ x: Matrix, by gates: Matrix, into out: Matrix) {
    let size = pieceSize(x, gates)
    precondition(out.rows == x.rows && out.columns == x.columns)
    forEachPiece(x.rows, of: DenseMath.rowPiece) { rows in
      for row in rows {
        let (source, gate, target) = (x.row(row), gates.row(row), out.row(row))
        for piece in 0..<gates.columns {
          // As the forward pass of a model that runs computes it.
          let factor = Float(Elementary.softplus(Double(gate[piece])))
          for column in piece * size..<(piece + 1) * size { target[column] = factor * source[column] }
        }
      }
    }
  }

  /// From the gradient of what ``gateSoftly(_:by:into:)`` gives to that of x, in place, and to that of the gates.
  ///
  /// - Parameters:
  ///   - x: [rows][columns], before it was multiplied.
  ///   - gates: [rows][pieces].
  ///   - gradient: as x.
  ///   - gateGradient: as the gates; it is set.
  package func gateSoftlyBack(_ x: Matrix, by gates: Matrix, gradient: Matrix, gateGradient: Matrix) {
    let size = pieceSize(x, gates)
    precondition(gradient.rows == x.rows && gradient.columns == x.columns)
    precondition(gateGradient.rows == gates.rows && gateGradient.columns == gates.columns)
    let dot = table.dot
    forEachPiece(x.rows, of: DenseMath.rowPiece) { rows in
      for row in rows {
        let (source, gate) = (x.row(row), gates.row(row))
        let (change, gateChange) = (gradient.row(row), gateGradient.row(row))
        for piece in 0..<gates.columns {
          let start = piece * size
          let power = Double(gate[piece])
          let small = Elementary.exp(-abs(power))
          let factor = Float(Elementary.softplus(power))
          // The derivative of log(1 + exp(g)) is the sigmoid of g.
          let slope = Float((power < 0 ? small : 1) / (1 + small))
          gateChange[piece] = slope * dot(source + start, change + start, size)
          for column in start..<start + size { change[column] *= factor }
        }
      }
    }
  }

  /// Numbers that share a gate.
  private func pieceSize(_ x: Matrix, _ gates: Matrix) -> Int {
    precondition(gates.columns > 0 && x.columns % gates.columns == 0 && x.rows == gates.rows)
    return x.columns / gates.columns
  }
}
