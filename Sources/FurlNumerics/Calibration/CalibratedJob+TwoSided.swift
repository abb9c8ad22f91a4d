import FurlBase
import FurlTensor
import CFurlKernels

/// Rows that make up for each other's errors, not only columns.
///
/// With E the errors, U_I and U_O the unit upper triangles of both sides' moments, loss(E) = tr(H_O E H_I Eᵀ) is the sum of
/// dO_i dI_j Z_ij², Z = U_Oᵀ E U_I. Taken row by row within column by column, each Z_ij is the distance of one weight to its
/// code when all others that it depends on are known (Tseng et al. 2025, "Model-Preserving Adaptive Rounding"; the greedy
/// optimum, as of one side alone). What rows ask of those below is F = E U_I, times U_O.
extension CalibratedJob {
  /// What a matrix is worked on with.
  private struct SharedRows {
    let factor: FeedbackFactor
    let outputs: OutputFactor
    /// F of all rows: [columns][whole slices].
    let followed: Matrix
    let slices: [CodeSlice]
    let memories: [CodeSliceMemory]
  }

  /// Gives all weights their codes: panels of slices on one diagonal at a time, which do not depend on each other, so that every
  /// sum has one order whatever the number of threads.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names a weight or rows; `unavailable` when there is no memory.
  func encode(with outputs: OutputFactor, _ factor: FeedbackFactor) throws {
    guard outputs.rows == source.rows else {
      throw FurlError(.defect, "\(outputs.rows) outputs for \(source.rows) rows of weights")
    }
    let failures = FirstFailure()
    let memories = (0..<sliceCount).map { _ in CodeSliceMemory() }
    var loaded = [CodeSlice?](repeating: nil, count: sliceCount)
    loaded.withUnsafeMutableBufferPointer { loaded in
      nonisolated(unsafe) let loaded = loaded
      math.pool.run { part, parts in
        let reading = ReadBuffer()
        for index in WorkerPool.share(sliceCount, part, parts) {
          do {
            let first = index * CalibratedJob.sliceRows
            let rows = first..<min(first + CalibratedJob.sliceRows, source.rows)
            let slice = try load(rows, memories[index], reading: reading)
            try findWholeScales(slice)
            loaded[index] = slice
          } catch {
            failures.add(error, at: index)
          }
        }
      }
    }
    try failures.rethrow()
    let rows = SharedRows(
      factor: factor, outputs: outputs,
      followed: try Matrix(rows: source.columns, columns: sliceCount * CalibratedJob.sliceRows),
      slices: loaded.compactMap { $0 }, memories: memories)
    for diagonal in 0..<sliceCount + panels.count - 1 {
      let first = max(0, diagonal - panels.count + 1)
      math.pool.forEachAsTaken(min(diagonal, sliceCount - 1) - first + 1) { offset in
        let slice = first + offset
        do {
          try advance(rows, slice: slice, panel: panels[diagonal - slice])
        } catch {
          failures.add(error, at: slice)
        }
      }
      try failures.rethrow()
    }
    math.pool.forEachAsTaken(sliceCount) { finish(rows.slices[$0]) }
    withExtendedLifetime(memories) {}
  }

  /// Gives a panel of a slice its codes; all that it depends on has them.
  private func advance(_ rows: SharedRows, slice index: Int, panel: FeedbackPanel) throws {
    let slice = rows.slices[index]
    let places = panel.places
    let first = index * CalibratedJob.sliceRows
    collect(slice, from: places.upperBound..<source.columns, for: places, rows.factor, accumulate: false, panel)
    let outputs = slice.outputs.rows(0..<places.count)
    if index > 0 {
      math.multiply(
        rows.followed[places, 0..<first], rows.outputs.matrix[0..<first, first..<first + CalibratedJob.sliceRows],
        into: outputs, .set)
    }
    for tile in tiles(slice) {
      let lanes = lanes(tile..<tile + 1, of: slice)
      if lanes.lowerBound > 0 {
        let above = first..<first + lanes.lowerBound
        math.multiply(
          rows.followed[places, above], rows.outputs.matrix[above, first + lanes.lowerBound..<first + lanes.upperBound],
          into: outputs.columns(lanes), .add)
      }
      let chosen = matrix.scheme.superBlock == nil ? [] : try chooseTogether(slice, tile..<tile + 1, panel, rows.factor)
      for (place, segment) in panel.segments {
        if place.upperBound < places.upperBound {
          collect(
            slice, from: place.upperBound..<places.upperBound, for: place, rows.factor, accumulate: true, panel,
            lanes: lanes)
        }
        if !chosen.isEmpty {
          set(chosen, of: tile..<tile + 1, for: segment, in: slice)
        } else if !hasRowScales {
          let values = anticipate(slice, place, panel, rows.factor, lanes: lanes)
          try findScales(slice, tile..<tile + 1, of: values, places: place, block: segment.block)
        }
        feedBackRows(rows, slice, tile: tile, place, segment, panel)
      }
    }
  }

  /// Gives the places of a segment their codes in the rows of a tile.
  private func feedBackRows(
    _ rows: SharedRows, _ slice: CodeSlice, tile: Int, _ places: Range<Int>, _ segment: FeedbackSegment,
    _ panel: FeedbackPanel
  ) {
    copyInner(slice, places, rows.factor)
    let lanes = lanes(tile..<tile + 1, of: slice)
    let first = tile * Tile.rows
    let local = places.lowerBound - panel.places.lowerBound
    var feedback = furl_row_feedback(
      scales: slice.scales + lanes.lowerBound, minimums: slice.minimums + lanes.lowerBound, factor: slice.inner,
      feedback: slice.feedback.row(local) + lanes.lowerBound, outputs: slice.outputs.row(local) + lanes.lowerBound,
      row_factor: rows.outputs.matrix.row(first) + first, row_stride: rows.outputs.matrix.columns,
      columns: places.count, stride: CalibratedJob.sliceRows,
      weights: slice.weights.row(places.lowerBound) + lanes.lowerBound,
      followed: rows.followed.row(places.lowerBound) + first, followed_stride: rows.followed.columns,
      codes: slice.segmentCodes + lanes.lowerBound)
    withUnsafePointer(to: grid) { kernels.feed_back_rows($0, &feedback) }
    keepCodes(slice, segment, lanes: lanes)
  }
}
