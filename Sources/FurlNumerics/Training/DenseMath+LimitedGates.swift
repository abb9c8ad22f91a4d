package import FurlTensor
import CFurlKernels

/// gpt-oss's gate: activation(min(x, limit)) * (max(-limit, min(factor, limit)) + 1).
extension DenseMath {
  private static let gatePiece = 1 << 14

  /// Sets `out` to the gate of x and a factor.
  package func gate(
    by activation: LinearGroup.FusedActivation, _ x: Matrix, factor: Matrix, limit: Float, into out: Matrix
  ) {
    precondition(x.count == out.count && factor.count == x.count)
    let kernel = table.activate
    forEachPiece(x.count, of: DenseMath.gatePiece) { range in
      let start = range.lowerBound
      let (source, up, target) = (x.numbers + start, factor.numbers + start, out.numbers + start)
      withUnsafeTemporaryAllocation(of: Float.self, capacity: range.count) { factors in
        for index in 0..<range.count {
          target[index] = min(source[index], limit)
          factors[index] = max(-limit, min(up[index], limit)) + 1
        }
        kernel(activation.kind, target, factors.baseAddress!, range.count)
      }
    }
  }

  /// From the gradient of what ``gate(by:_:factor:limit:into:)`` gives to that of x, in place, and to that of the factor:
  /// zero where one was cut off.
  package func gateBack(
    by activation: LinearGroup.FusedActivation, _ x: Matrix, factor: Matrix, limit: Float, gradient: Matrix,
    factorGradient: Matrix
  ) {
    precondition(x.count == gradient.count && factor.count == x.count && factorGradient.count == x.count)
    let kernel = table.activate_back
    forEachPiece(x.count, of: DenseMath.gatePiece) { range in
      let (start, count) = (range.lowerBound, range.count)
      let (source, up) = (x.numbers + start, factor.numbers + start)
      let (first, second) = (gradient.numbers + start, factorGradient.numbers + start)
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * count) { cut in
        let (gates, factors) = (cut.baseAddress!, cut.baseAddress! + count)
        for index in 0..<count {
          gates[index] = min(source[index], limit)
          factors[index] = max(-limit, min(up[index], limit)) + 1
        }
        kernel(activation.kind, gates, factors, count, first, second)
        for index in 0..<count {
          if source[index] > limit { first[index] = 0 }
          if abs(up[index]) > limit { second[index] = 0 }
        }
      }
    }
  }
}
