import FurlTensor
import CFurlKernels

/// Writes the scales and minimums of a matrix, and says what has become of them by that.
struct StoredScales: @unchecked Sendable {
  private let matrix: PackedMatrix
  private let steps: Int32

  init(_ matrix: PackedMatrix) {
    self.matrix = matrix
    steps = matrix.scheme.coding.hasSignedScales ? FURL_SIGNED_SCALE_STEPS : FURL_SCALE_STEPS
  }

  private func target<Element>(_ kind: PackedLayout.StreamKind, _ type: Element.Type) -> UnsafeMutablePointer<Element>?
  {
    matrix.target(kind)?.assumingMemoryBound(to: type)
  }

  /// What the scales of a row tile are rounded to; nil: halves.
  func rounding(tile: Int) -> furl_rounding? {
    guard let factors = target(.factors, Float.self) else { return nil }
    return furl_rounding(
      factors: factors + tile * Tile.rows,
      minimum_factors: target(.minimumFactors, Float.self).map { UnsafePointer($0 + tile * Tile.rows) },
      low: matrix.scheme.coding.hasSignedScales ? -steps : 0, high: steps)
  }

  /// Sets what a row's scales are multiples of.
  ///
  /// - Parameters: the largest scale and minimum that the row is to have.
  func setFactors(_ scale: Float, _ minimum: Float, row: Int) {
    target(.factors, Float.self)?[row] = scale / Float(steps)
    target(.minimumFactors, Float.self)?[row] = minimum / Float(FURL_SIGNED_SCALE_STEPS)
  }

  /// Stores the scales and minimums of a block of 16 rows and puts what is stored in their place.
  ///
  /// - Returns: false when a half cannot be one of them.
  func store(
    _ scales: UnsafeMutablePointer<Float>, _ minimums: UnsafeMutablePointer<Float>, tile: Int, block: Int
  ) -> Bool {
    let place = (tile * Int(matrix.matrix.blocks) + block) * Tile.rows
    guard let rounding = rounding(tile: tile) else {
      guard store(scales, to: target(.scales, UInt16.self).map { $0 + place }, hasOneZero: true) else { return false }
      return store(minimums, to: target(.minimums, UInt16.self).map { $0 + place }, hasOneZero: false)
    }
    let zero = matrix.scheme.coding.hasSignedScales ? 128 : 0
    for lane in 0..<Tile.rows {
      let factor = rounding.factors[lane]
      let code = StoredScales.code(scales[lane], factor, rounding.low...rounding.high)
      target(.scales, UInt8.self)?[place + lane] = UInt8(Int(code) + zero)
      scales[lane] = Float(code) * factor
      guard let factors = rounding.minimum_factors else { continue }
      let steps = FURL_SIGNED_SCALE_STEPS
      let minimum = StoredScales.code(minimums[lane], factors[lane], -steps...steps)
      target(.minimums, UInt8.self)?[place + lane] = UInt8(Int(minimum) + 128)
      minimums[lane] = Float(minimum) * factors[lane]
    }
    return true
  }

  private func store(
    _ numbers: UnsafeMutablePointer<Float>, to halves: UnsafeMutablePointer<UInt16>?, hasOneZero: Bool
  ) -> Bool {
    guard let halves else { return true }
    for lane in 0..<Tile.rows {
      var half = furl_half_from_float(numbers[lane])
      if hasOneZero, half & 0x7fff == 0 { half = 0 }
      guard half & 0x7c00 != 0x7c00 else { return false }
      halves[lane] = half
      numbers[lane] = furl_float_from_half(half)
    }
    return true
  }

  /// The nearest multiple, never zero of what is not zero unless the range ends there.
  static func code(_ number: Float, _ factor: Float, _ range: ClosedRange<Int32>) -> Int32 {
    guard number != 0, factor != 0 else { return 0 }
    let steps = min(max(number / factor, Float(range.lowerBound)), Float(range.upperBound))
    let code = Int32(steps.rounded(.toNearestOrEven))
    return code != 0 ? code : number > 0 ? 1 : max(-1, range.lowerBound)
  }
}
