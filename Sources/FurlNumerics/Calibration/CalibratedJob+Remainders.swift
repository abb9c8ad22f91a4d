import FurlTensor
import CFurlKernels

/// Codes in two planes: when a slice has the codes of the first one, what is left of its weights are their errors, and those get
/// the second one's codes as if they were weights, with the same feedback among columns. So the first plane alone is what the
/// method makes of as many bits, and both together make up for what that did to it.
extension CalibratedJob {
  /// Makes scales wide enough that both planes together reach the largest numbers of a block.
  ///
  /// - Parameters:
  ///   - values: [places][16 and more].
  ///   - scales: of 16 rows; their signs stay.
  ///   - isSearched: whether scales stay that are wider.
  func widen(_ scales: UnsafeMutablePointer<Float>, for values: MatrixView, count: Int, keepingWider isSearched: Bool) {
    for lane in 0..<Tile.rows {
      var (least, most): (Float, Float) = (0, 0)
      for place in 0..<count {
        let value = values.base[place * values.stride + lane]
        (least, most) = (min(least, value), max(most, value))
      }
      let (low, high) = (8 + 8 * CalibratedJob.remainderUnit, 7 + 7 * CalibratedJob.remainderUnit)
      let isNegative = scales[lane] < 0
      let reach = isNegative ? max(most / low, -least / high) : max(-least / low, most / high)
      let scale = isSearched ? max(abs(scales[lane]), reach) : reach
      scales[lane] = isNegative ? -scale : scale
    }
  }

  /// A step of the remainders in one of the codes.
  private static let remainderUnit = 1 / Float(FURL_NESTED_STEPS)

  /// Gives a slice whose places hold the errors of its codes the remainders; the codes must have been packed.
  func chooseRemainders(_ slice: CodeSlice) {
    for panel in panels {
      let places = panel.places
      if let factor {
        collect(slice, from: places.upperBound..<source.columns, for: places, factor, accumulate: false, panel)
      }
      for (place, segment) in panel.segments {
        if let factor, place.upperBound < places.upperBound {
          collect(slice, from: place.upperBound..<places.upperBound, for: place, factor, accumulate: true, panel)
        }
        for tile in tiles(slice) {
          let lanes = lanes(tile..<tile + 1, of: slice)
          for lane in lanes {
            slice.scales[lane] =
              CalibratedJob.remainderUnit
              * matrix.scale(tile: tile, block: hasRowScales ? 0 : segment.block, lane: lane - lanes.lowerBound)
          }
        }
        feedBack(slice, place, segment, panel)
      }
    }
    pack(slice, .remainders)
  }
}
