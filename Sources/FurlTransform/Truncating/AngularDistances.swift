import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor

/// By what angle each run of blocks turns the hidden state: arccos of the cosine of the states before and behind it,
/// divided by pi, on average over positions (Gromov et al. 2024, "The Unreasonable Ineffectiveness of the Deeper
/// Layers", who look at the last position of each sequence only).
struct AngularDistances {
  /// For every first block of a run.
  let values: [Double]

  /// Hidden states of so many numbers are kept for each block of a run, so that memory stays within bounds.
  private static let memoryLimit = 1 << 28

  /// - Parameter length: blocks of a run.
  init(_ model: Checkpoint, length: Int, _ context: ChangeContext) throws {
    let spec = model.spec
    let walk = try ModelWalk(model, context.sequences, on: context.math)
    let positions = walk.walk.positionCount
    let every = max(1, positions * spec.hiddenSize * (length + 1) / AngularDistances.memoryLimit)
    // States at the last boundaries, those of boundary b at b modulo their number.
    var states: [[Float]] = Array(repeating: [], count: length + 1)
    var values: [Double] = []
    try walk.run { boundary in
      context.progress("looking at block", boundary, spec.blocks.count)
      var state: [Float] = []
      state.reserveCapacity((positions / every + 1) * spec.hiddenSize)
      walk.walk.visitHidden { rows, count, first in
        for row in 0..<count where (first + row) % every == 0 { state += rows[row] }
      }
      states[boundary % (length + 1)] = state
      guard boundary >= length else { return }
      values.append(
        AngularDistances.mean(states[(boundary - length) % (length + 1)], state, columns: spec.hiddenSize))
    }
    guard values.allSatisfy(\.isFinite) else {
      throw FurlError.input(model.path, "computes hidden states that are not finite", remedy: "its weights are damaged")
    }
    self.values = values
  }

  /// - Parameters:
  ///   - a, b: [positions][columns].
  static func mean(_ a: [Float], _ b: [Float], columns: Int) -> Double {
    var sum = 0.0
    let count = a.count / columns
    for row in 0..<count {
      var (product, squareA, squareB) = (0.0, 0.0, 0.0)
      for index in row * columns..<(row + 1) * columns {
        product += Double(a[index]) * Double(b[index])
        squareA += Double(a[index]) * Double(a[index])
        squareB += Double(b[index]) * Double(b[index])
      }
      let scale = (squareA * squareB).squareRoot()
      // Nothing turns a state of zeros.
      let cosine = scale > 0 ? product / scale : squareA == squareB ? 1 : 0
      sum += acos(min(1, max(-1, cosine))) / Double.pi
    }
    return sum / Double(max(1, count))
  }
}
