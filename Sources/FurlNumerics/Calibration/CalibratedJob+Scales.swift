import FurlBase
import FurlTensor
import CFurlKernels

/// Scales that are numbers of their own.
extension CalibratedJob {
  func tiles(_ slice: CodeSlice) -> Range<Int> {
    slice.rows.lowerBound / Tile.rows..<(slice.rows.upperBound + Tile.rows - 1) / Tile.rows
  }

  /// Whether a row has one scale, which is found before anything is fed back.
  var hasRowScales: Bool { matrix.scheme.block == .row }

  /// What is known of a slice's scales before its first code.
  func findWholeScales(_ slice: CodeSlice) throws {
    if matrix.scheme.scales == .u8 { try findFactors(slice) }
    if hasRowScales { try findScales(slice, tiles(slice), of: slice.weights, places: 0..<source.columns, block: 0) }
  }

  /// - Parameters:
  ///   - tiles: of the slice.
  ///   - values: [places][64]
  func findScales(
    _ slice: CodeSlice, _ tiles: Range<Int>, of values: MatrixView, places: Range<Int>, block: Int
  ) throws {
    for tile in tiles {
      let lanes = (tile - slice.rows.lowerBound / Tile.rows) * Tile.rows
      let (scales, minimums) = (slice.scales + lanes, slice.minimums + lanes)
      if let blocks {
        try choose(values.columns(lanes..<lanes + Tile.rows), places, tile: tile, block: block, with: blocks, scales)
        continue
      }
      var isFound = true
      switch encoder.scales {
      case .extremes, .step:
        let step: Float = if case .step(let step) = encoder.scales { step } else { 0 }
        for lane in 0..<Tile.rows {
          let step = step * rowFactor(tile * Tile.rows + lane)
          guard let extremes = extremes(values.base + lanes + lane, count: places.count, atLeast: step) else {
            isFound = false
            break
          }
          (scales[lane], minimums[lane]) = extremes
        }
      case .search:
        isFound = search(values.columns(lanes..<lanes + Tile.rows), places: places, tile: tile, scales, minimums)
      }
      if isFound, let zeroPoints {
        settle(zeroPoints, values.columns(lanes..<lanes + Tile.rows), places: places, scales, minimums)
      }
      if isFound, matrix.scheme.firstPlane != nil {
        widen(
          scales, for: values.columns(lanes..<lanes + Tile.rows), count: places.count,
          keepingWider: encoder.scales == .search)
      }
      guard isFound, stored.store(scales, minimums, tile: tile, block: block) else { throw tooLarge(tile) }
    }
  }

  func tooLarge(_ tile: Int) -> FurlError {
    FurlError.input(
      source.file.path, "rows \(tile * Tile.rows) and following have values too large for \(matrix.scheme)")
  }

  private func search(
    _ values: MatrixView, places: Range<Int>, tile: Int, _ scales: UnsafeMutablePointer<Float>,
    _ minimums: UnsafeMutablePointer<Float>
  ) -> Bool {
    weights.withUnsafeBufferPointer { weights in
      withUnsafePointer(to: grid) { grid in
        func search(_ rounding: UnsafePointer<furl_rounding>?) -> Bool {
          kernels.search_grid(
            grid, values.base, values.stride, weights.baseAddress! + places.lowerBound, places.count, rounding, scales,
            minimums)
        }
        guard let rounding = stored.rounding(tile: tile) else { return search(nil) }
        return withUnsafePointer(to: rounding) { search($0) }
      }
    }
  }

  /// Makes minimums multiples of scales that have been found for some places.
  private func settle(
    _ zeroPoints: ZeroPoints, _ values: MatrixView, places: Range<Int>, _ scales: UnsafeMutablePointer<Float>,
    _ minimums: UnsafeMutablePointer<Float>
  ) {
    weights.withUnsafeBufferPointer { weights in
      let block = ZeroPoints.ZeroBlock(
        values: values, weights: weights.baseAddress! + places.lowerBound, columns: places.count)
      switch encoder.scales {
      case .search: zeroPoints.refine(block, scales, minimums)
      case .extremes, .step: zeroPoints.extremes(block, scales, minimums)
      }
    }
  }

  private func rowFactor(_ row: Int) -> Float {
    guard let rowFactors = encoder.rowFactors, row < rowFactors.count else { return 1 }
    return rowFactors[row]
  }

  /// The scale and the minimum of one row's numbers as nearest codes have them, before they are rounded: errors have
  /// moved the numbers. Nil where one is not finite.
  private func extremes(
    _ values: UnsafePointer<Float>, count: Int, atLeast step: Float = 0
  ) -> (scale: Float, minimum: Float)? {
    var (least, most) = (values[0], values[0])
    for index in 0..<count {
      let value = values[index * CalibratedJob.sliceRows]
      guard value.isFinite else { return nil }
      (least, most) = (min(least, value), max(most, value))
    }
    if grid.has_minimum { return ((most / 2 - least / 2) * 2 / Float(grid.high), least) }
    // The side with one code more is the one of the larger magnitude.
    let largest = most >= -least ? most : least
    if grid.is_table { return ((grid.is_signed ? largest : abs(largest)) / Float(grid.high), 0) }
    return (grid.low == -grid.high ? max(step, abs(largest) / Float(grid.high)) : largest / Float(grid.low), 0)
  }

  /// How much larger than that of the weights a scale may become when errors are fed back or scales are searched for.
  private var headroom: Float {
    if case .search = encoder.scales { return 1.25 }
    return factor == nil ? 1 : 1.125
  }

  /// What the scales of each row are multiples of, before there are any.
  private func findFactors(_ slice: CodeSlice) throws {
    for tile in tiles(slice) {
      let lanes = (tile - slice.rows.lowerBound / Tile.rows) * Tile.rows
      for lane in 0..<Tile.rows {
        var (scale, minimum): (Float, Float) = (0, 0)
        for (places, _) in panels.lazy.flatMap(\.segments) {
          let values = slice.weights.row(places.lowerBound) + (lanes + lane)
          guard let found = extremes(values, count: places.count) else { throw tooLarge(tile) }
          (scale, minimum) = (max(scale, abs(found.scale)), max(minimum, abs(found.minimum)))
        }
        guard (scale * headroom).isFinite, (minimum * headroom).isFinite else { throw tooLarge(tile) }
        stored.setFactors(scale * headroom, minimum * headroom, row: tile * Tile.rows + lane)
      }
    }
  }
}
