import FurlBase
import FurlTensor

/// Scales that are not numbers of their own: those of a super-block are chosen together when its first column is reached.
extension CalibratedJob {
  /// The scale of one block, by the way that the scheme has.
  ///
  /// - Parameter values: [places][16].
  func choose(
    _ values: MatrixView, _ places: Range<Int>, tile: Int, block: Int, with blocks: BlockEncoder,
    _ scales: UnsafeMutablePointer<Float>
  ) throws {
    let chosen = weights.withUnsafeBufferPointer { weights in
      blocks.choose(
        values.base, stride: values.stride, weights: weights.baseAddress! + places.lowerBound,
        parts: [0..<places.count],
        tile: tile, index: block)
    }
    guard let chosen else { throw tooLarge(tile) }
    for lane in 0..<Tile.rows { scales[lane] = chosen.scales[0][lane] }
  }

  /// Chooses the scales of a super-block, which is a panel.
  ///
  /// - Parameter tiles: of the slice.
  /// - Returns: those of each of the row tiles.
  func chooseTogether(
    _ slice: CodeSlice, _ tiles: Range<Int>, _ panel: FeedbackPanel, _ factor: FeedbackFactor?
  ) throws -> [ChosenScales] {
    guard let blocks, let block = panel.segments.first?.segment.block else { return [] }
    let values =
      factor.map { anticipate(slice, panel, $0, lanes: lanes(tiles, of: slice)) } ?? slice.weights.rows(panel.places)
    var parts = [Range<Int>?](repeating: nil, count: panel.places.count / blocks.partColumns)
    for (places, segment) in panel.segments {
      let part = segment.columns[0] / blocks.partColumns % parts.count
      let local = places.lowerBound - panel.places.lowerBound..<places.upperBound - panel.places.lowerBound
      // The halves of a part lie beside each other.
      parts[part] =
        parts[part].map {
          min($0.lowerBound, local.lowerBound)..<max($0.upperBound, local.upperBound)
        } ?? local
    }
    return try tiles.map { tile in
      let lanes = (tile - slice.rows.lowerBound / Tile.rows) * Tile.rows
      let chosen = weights.withUnsafeBufferPointer { weights in
        blocks.choose(
          values.base + lanes, stride: values.stride, weights: weights.baseAddress! + panel.places.lowerBound,
          parts: parts.compactMap { $0 }, tile: tile, index: block)
      }
      guard let chosen else { throw tooLarge(tile) }
      return chosen
    }
  }

  /// Makes the scales of a segment's part those that are worked with.
  func set(_ chosen: [ChosenScales], of tiles: Range<Int>, for segment: FeedbackSegment, in slice: CodeSlice) {
    guard let blocks else { return }
    let parts = chosen[0].scales.count
    let part = segment.columns[0] / blocks.partColumns % parts
    let first = lanes(tiles, of: slice).lowerBound
    for (index, chosen) in chosen.enumerated() {
      for lane in 0..<Tile.rows {
        slice.scales[first + index * Tile.rows + lane] = chosen.scales[part][lane]
        slice.minimums[first + index * Tile.rows + lane] = chosen.minimums[part][lane]
      }
    }
  }

  /// Where the rows of some tiles lie in a slice.
  func lanes(_ tiles: Range<Int>, of slice: CodeSlice) -> Range<Int> {
    let first = slice.rows.lowerBound / Tile.rows
    return (tiles.lowerBound - first) * Tile.rows..<(tiles.upperBound - first) * Tile.rows
  }

  /// What a panel's weights would be if it could make up for all errors so far and made none itself: its own places
  /// follow each other, too. [places][64], in `wanted`.
  private func anticipate(
    _ slice: CodeSlice, _ panel: FeedbackPanel, _ factor: FeedbackFactor, lanes: Range<Int>
  ) -> MatrixView {
    let (start, end) = (panel.places.lowerBound, panel.places.upperBound)
    for (places, _) in panel.segments {
      let local = places.lowerBound - start..<places.upperBound - start
      for place in local {
        let (wanted, feedback, outputs) = (slice.wanted.row(place), slice.feedback.row(place), slice.outputs.row(place))
        for lane in lanes { wanted[lane] = feedback[lane] + outputs[lane] }
      }
      if places.upperBound < end {
        math.multiplyTransposed(
          factor.matrix[places.upperBound..<end, places],
          slice.differences.rows(local.upperBound..<end - start).columns(lanes),
          into: slice.wanted.rows(local).columns(lanes), .add)
      }
      for place in places.reversed() {
        let (weight, wanted) = (slice.weights.row(place), slice.wanted.row(place - start))
        for lane in lanes { wanted[lane] += weight[lane] }
        for later in place + 1..<max(place + 1, places.upperBound) {
          let share = factor.matrix.row(later)[place]
          let moved = slice.differences.row(later - start)
          for lane in lanes { wanted[lane] += moved[lane] * share }
        }
        let difference = slice.differences.row(place - start)
        for lane in lanes { difference[lane] = weight[lane] - wanted[lane] }
      }
    }
    return slice.wanted.rows(0..<panel.places.count)
  }
}
