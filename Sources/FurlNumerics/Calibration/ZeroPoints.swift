import FurlTensor
import CFurlKernels

/// Minimums that are whole multiples of scales, so that one of the codes stands for zero: zero points, as GPTQ, AWQ and
/// compressed-tensors have them (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
/// Integer-Arithmetic-Only Inference").
///
/// Scale and minimum are halves. A scale keeps as many significant bits as let its product with the zero point be one, 11
/// together: 7 beside 9, 11, 13 and 15, all 11 beside 1, 2, 4 and 8. Zero points are 1 to the last code: 0 is what GPTQ's first
/// version, which stores them less one, does not hold. So a block's range contains zero.
struct ZeroPoints: @unchecked Sendable {
  typealias Lanes = SIMD16<Float>

  private let grid: furl_grid
  private let kernels: furl_kernels

  init(_ grid: furl_grid, _ kernels: furl_kernels) { (self.grid, self.kernels) = (grid, kernels) }

  /// The numbers of a block of 16 rows.
  struct ZeroBlock {
    /// [columns][16 of a stride].
    let values: MatrixView
    /// [columns]: what errors count.
    let weights: UnsafePointer<Float>
    let columns: Int
  }

  private struct ZeroChoice {
    var scale: Lanes
    var zero: Lanes
    var loss = Lanes(repeating: .infinity)
    var minimum: Lanes { 0 - zero * scale }
  }

  /// The scale and the minimum whose ends are those of the numbers, zero among them, as nearest codes have them.
  func extremes(_ block: ZeroBlock, _ scales: UnsafeMutablePointer<Float>, _ minimums: UnsafeMutablePointer<Float>) {
    store(ends(block, share: 1), scales, minimums)
  }

  /// The scale and the minimum with the least weighted error that are found from those that are best without a zero point:
  /// zero points beside that one and beside the one of the ends, scales by least squares with the codes.
  ///
  /// - Parameters:
  ///   - scales: [16], in and out.
  ///   - minimums: the same.
  func refine(_ block: ZeroBlock, _ scales: UnsafeMutablePointer<Float>, _ minimums: UnsafeMutablePointer<Float>) {
    var found = ZeroChoice(scale: .zero, zero: .zero)
    for lane in 0..<Tile.rows {
      found.scale[lane] = max(scales[lane], 0)
      found.zero[lane] = scales[lane] > 0 ? (-minimums[lane] / scales[lane]).rounded() : 1
    }
    var best = ends(block, share: 1)
    best.loss = weigh(block, best).loss
    // Of a scale that no half can be.
    best.loss.replace(with: .infinity, where: .!(best.loss .<= .greatestFiniteMagnitude))
    for (start, moves) in [(found, -1...1), (best, -1...1), (ends(block, share: 0.85), 0...0)] {
      for move in moves {
        var tried = clamped(start, by: Float(move))
        for _ in 0..<3 {
          let sums = weigh(block, tried)
          let isBetter = sums.loss .< best.loss
          best.loss.replace(with: sums.loss, where: isBetter)
          best.scale.replace(with: tried.scale, where: isBetter)
          best.zero.replace(with: tried.zero, where: isBetter)
          refit(&tried, sums)
        }
      }
    }
    store(best, scales, minimums)
  }

  /// Rounds a scale so that its product with a zero point is a half where it is one itself, and to a half.
  static func rounded(_ scale: Float, zero: Int) -> Float {
    guard scale > 0, zero > 0 else { return 0 }
    guard scale.isFinite else { return scale }
    let odd = zero >> zero.trailingZeroBitCount
    let bits = odd == 1 ? 11 : 11 - (Int.bitWidth - odd.leadingZeroBitCount)
    // To the nearest number of so many significant bits, ties to even.
    let dropped = UInt32(24 - bits)
    let pattern = scale.bitPattern
    let half = (UInt32(1) << (dropped - 1)) - 1 + (pattern >> dropped & 1)
    let short = Float(bitPattern: (pattern + half) & ~(UInt32(1) << dropped - 1))
    return furl_float_from_half(furl_half_from_float(short))
  }

  // MARK: Choices

  /// - Parameter share: of the distance between the ends that codes reach over.
  private func ends(_ block: ZeroBlock, share: Float) -> ZeroChoice {
    var choice = ZeroChoice(scale: .zero, zero: .zero)
    let high = Float(grid.high)
    for lane in 0..<Tile.rows {
      var (least, most): (Float, Float) = (0, 0)
      for column in 0..<block.columns {
        let value = block.values.row(column)[lane]
        (least, most) = (min(least, value), max(most, value))
      }
      let scale = (most / 2 - least / 2) * 2 * share / high
      let zero = scale > 0 ? (-least * share / scale).rounded() : 1
      // Where the zero point cannot be the first code, one less is left for what lies above.
      (choice.scale[lane], choice.zero[lane]) = zero < 1 ? (scale * high / (high - 1), 1) : (scale, min(zero, high))
    }
    return clamped(choice, by: 0)
  }

  /// With other zero points, as they may be, and scales that fit them.
  private func clamped(_ choice: ZeroChoice, by move: Float) -> ZeroChoice {
    var result = choice
    for lane in 0..<Tile.rows {
      // What is not a number stays none.
      let zero = max(1, min(Float(grid.high), choice.zero[lane] + move))
      result.zero[lane] = zero
      result.scale[lane] = ZeroPoints.rounded(choice.scale[lane], zero: Int(zero))
    }
    return result
  }

  /// The scale that is best for the codes that some sums are of.
  private func refit(_ choice: inout ZeroChoice, _ sums: GridSums) {
    for lane in 0..<Tile.rows {
      let zero = choice.zero[lane]
      let square = sums.squares[lane] - 2 * zero * sums.codes[lane] + zero * zero * sums.weights[lane]
      let product = sums.products[lane] - zero * sums.values[lane]
      guard square > 0, product > 0 else { continue }
      choice.scale[lane] = ZeroPoints.rounded(product / square, zero: Int(zero))
    }
  }

  private func store(
    _ choice: ZeroChoice, _ scales: UnsafeMutablePointer<Float>, _ minimums: UnsafeMutablePointer<Float>
  ) {
    let minimum = choice.minimum
    for lane in 0..<Tile.rows { (scales[lane], minimums[lane]) = (choice.scale[lane], minimum[lane]) }
  }

  private func weigh(_ block: ZeroBlock, _ choice: ZeroChoice) -> GridSums {
    GridSums(
      grid, kernels, values: block.values.base, stride: block.values.stride, weights: block.weights,
      columns: block.columns, scale: choice.scale, minimum: choice.minimum)
  }
}
