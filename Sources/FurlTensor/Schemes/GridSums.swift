package import CFurlKernels

/// What the weighted squares of a block of 16 rows add up to with the nearest codes of a grid under a scale and a minimum: as
/// the kernel gives it, a number for each row.
package struct GridSums {
  package typealias Lanes = SIMD16<Float>

  package private(set) var loss = Lanes.zero
  package private(set) var weights = Lanes.zero
  package private(set) var codes = Lanes.zero
  package private(set) var squares = Lanes.zero
  package private(set) var values = Lanes.zero
  package private(set) var products = Lanes.zero

  init() {}

  /// - Parameters:
  ///   - values: [columns][stride], the first 16 of each stride are taken.
  ///   - weights: [columns]: what errors count, none negative.
  package init(
    _ grid: furl_grid, _ kernels: furl_kernels, values: UnsafePointer<Float>, stride: Int,
    weights: UnsafePointer<Float>, columns: Int, scale: Lanes, minimum: Lanes
  ) {
    var (scale, minimum) = (scale, minimum)
    withUnsafePointer(to: grid) { grid in
      scale.withFloats { scale in
        minimum.withFloats { minimum in
          withUnsafeMutablePointer(to: &self) {
            $0.withMemoryRebound(to: Float.self, capacity: 6 * Tile.rows) { sums in
              kernels.weigh_grid(grid, values, stride, weights, columns, scale, minimum, sums)
            }
          }
        }
      }
    }
  }

  mutating func replace(with other: GridSums, where mask: SIMDMask<SIMD16<Int32>>) {
    loss.replace(with: other.loss, where: mask)
    weights.replace(with: other.weights, where: mask)
    codes.replace(with: other.codes, where: mask)
    squares.replace(with: other.squares, where: mask)
    values.replace(with: other.values, where: mask)
    products.replace(with: other.products, where: mask)
  }
}

extension SIMD16<Float> {
  /// Calls `body` with the numbers as the kernels take them.
  mutating func withFloats<Result>(_ body: (UnsafeMutablePointer<Float>) -> Result) -> Result {
    withUnsafeMutablePointer(to: &self) { $0.withMemoryRebound(to: Float.self, capacity: Tile.rows, body) }
  }
}
