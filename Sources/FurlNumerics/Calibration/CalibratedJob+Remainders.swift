import FurlTensor
import CFurlKernels

/// Codes in two planes: when a slice has the codes of the first one, what is left of its weights are their errors, and those get
/// the second one's codes as if they were weights, with the same feedback among columns. So the first plane alone is what the
/// method makes of as many bits, as long as the second one can make up for that: a code is never so far from its weight that
/// the remainders do not reach it.
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

  /// Gives the places of a segment the codes of the first plane: as feedback wants them, but of those whose remainders reach
  /// the weight. What the kernels' feed_back says, with bounds.
  func feedBackWithinReach(
    _ slice: CodeSlice, _ places: Range<Int>, _ segment: FeedbackSegment, _ panel: FeedbackPanel
  ) {
    let (count, width) = (places.count, CalibratedJob.sliceRows)
    if let factor { copyInner(slice, places, factor) }
    let weights = slice.weights.row(places.lowerBound)
    let feedback = slice.feedback.row(places.lowerBound - panel.places.lowerBound)
    let (below, above) = (7.5 * CalibratedJob.remainderUnit, 8.5 * CalibratedJob.remainderUnit)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { memory in
      guard let wanted = memory.baseAddress else { return }
      for index in (0..<count).reversed() {
        let own = weights + index * width
        for lane in 0..<width { wanted[lane] = factor == nil ? own[lane] : own[lane] + feedback[index * width + lane] }
        for later in index + 1..<max(index + 1, factor == nil ? 0 : count) {
          let share = slice.inner[later * count + index]
          let errors = weights + later * width
          for lane in 0..<width { wanted[lane] += share * errors[lane] }
        }
        for lane in 0..<width {
          let scale = slice.scales[lane]
          guard scale != 0 else {
            slice.segmentCodes[index * width + lane] = UInt8(grid.offset)
            continue
          }
          let weight = own[lane] / scale
          var code = (wanted[lane] / scale).rounded(.toNearestOrEven)
          code = max(min(code, (weight + above).rounded(.down)), (weight - below).rounded(.up))
          code = code.isNaN ? 0 : max(min(code, Float(grid.high)), Float(grid.low))
          slice.segmentCodes[index * width + lane] = UInt8(Int32(code) + grid.offset)
          own[lane] -= code * scale
        }
      }
    }
    keepCodes(slice, segment)
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
