import CFurlKernels

/// One matrix on its way into calibrated codes, slice by slice.
///
/// Inside a slice lanes are rows, and columns stand in places: the reverse order of codes, as in a
/// ``FeedbackFactor``'s matrix. A place whose code is known holds the error of its weight.
final class CalibratedJob: @unchecked Sendable {
  /// Rows of a slice: four row tiles.
  static let sliceRows = 64
  private static let panelColumns = FeedbackFactor.segmentColumns

  /// Columns whose feedback from all earlier ones is one product.
  private struct Panel {
    var places: Range<Int>
    var segments: [(places: Range<Int>, segment: FeedbackFactor.Segment)]
  }

  let matrix: PackedMatrix
  private let source: WeightSource
  private let scales: CalibratedEncoder.Scales
  private let rowFactors: [Float]?
  private let columnScales: [Float]?
  private let rowScales: [Float]?
  private let factor: FeedbackFactor?
  /// Of the error in each place.
  private let weights: [Float]
  private let panels: [Panel]
  private let grid: furl_grid
  private let kernels = Kernels.forEncoding.table

  init(_ encoder: CalibratedEncoder, _ source: WeightSource) throws {
    guard let grid = encoder.scheme.coding.grid, let block = encoder.scheme.block else {
      throw FurlError(.defect, "\(encoder.scheme) has no codes to choose")
    }
    self.grid = grid
    self.source = source
    scales = encoder.scales
    rowFactors = encoder.rowFactors
    (columnScales, rowScales) = (encoder.columnScales, encoder.rowScales)
    matrix = try TileEncoder(PackedLayout(scheme: encoder.scheme, shape: [source.rows, source.columns])).matrix
    let segments: [FeedbackFactor.Segment]
    switch encoder.objective {
    case .columns(let weights):
      factor = nil
      self.weights = weights.map { $0.reversed() } ?? Array(repeating: 1, count: source.columns)
      segments = FeedbackFactor.segments(self.weights, order: .natural, block: block)
    case .outputs(let factor):
      self.factor = factor
      weights = factor.variances
      segments = factor.segments
    }
    guard rowFactors == nil || rowFactors?.count == source.rows else {
      throw FurlError(.defect, "\(rowFactors?.count ?? 0) factors for \(source.rows) rows of weights")
    }
    guard columnScales == nil || columnScales?.count == source.columns,
      rowScales == nil || rowScales?.count == source.rows
    else { throw FurlError(.defect, "there are scales for other rows or columns than the weights have") }
    guard weights.count == source.columns else {
      throw FurlError(.defect, "\(weights.count) columns of inputs for \(source.columns) columns of weights")
    }
    panels = CalibratedJob.panels(segments, columns: source.columns)
  }

  var sliceCount: Int { (source.rows + CalibratedJob.sliceRows - 1) / CalibratedJob.sliceRows }

  private static func panels(_ segments: [FeedbackFactor.Segment], columns: Int) -> [Panel] {
    var panels: [Panel] = []
    var end = columns
    for segment in segments {
      let places = end - segment.columns.count..<end
      end = places.lowerBound
      if let last = panels.last, last.places.count + places.count <= panelColumns {
        panels[panels.count - 1].places = places.lowerBound..<last.places.upperBound
        panels[panels.count - 1].segments.append((places, segment))
      } else {
        panels.append(Panel(places: places, segments: [(places, segment)]))
      }
    }
    return panels
  }

  /// Memory of one thread.
  final class Memory {
    fileprivate let reading = ReadBuffer()
    fileprivate let numbers = ReadBuffer()
    fileprivate let codes = ReadBuffer()
  }

  /// A slice's numbers.
  private struct Slice {
    let rows: Range<Int>
    /// [columns][64]: the weight in each place, and then its error.
    let weights: BLAS.Part
    /// [128][64]: what the errors of other panels ask of the places of this one.
    let feedback: BLAS.Part
    /// [128][64]: weights and feedback together.
    let wanted: BLAS.Part
    /// [128][128], packed: a segment's factor with itself.
    let inner: UnsafeMutablePointer<Float>
    /// [columns][64], in the order of the matrix.
    let codes: UnsafeMutablePointer<UInt8>
    /// [128][64]
    let segmentCodes: UnsafeMutablePointer<UInt8>
  }

  /// - Throws: ``FurlError`` of kind `input` that names a weight or rows.
  func encode(slice index: Int, _ memory: Memory) throws {
    let first = index * CalibratedJob.sliceRows
    let slice = try load(first..<min(first + CalibratedJob.sliceRows, source.rows), memory)
    let isWhole = matrix.scheme.block == .row
    if isWhole { try findScales(slice, of: slice.weights, places: 0..<source.columns, block: 0) }
    for panel in panels {
      let places = panel.places
      if let factor { collect(slice, from: places.upperBound..<source.columns, for: places, factor, beta: 0, panel) }
      for (place, segment) in panel.segments {
        if let factor, place.upperBound < places.upperBound {
          collect(slice, from: place.upperBound..<places.upperBound, for: place, factor, beta: 1, panel)
        }
        if !isWhole {
          let values = factor.map { anticipate(slice, place, panel, $0) } ?? slice.weights.from(place.lowerBound, 0)
          try findScales(slice, of: values, places: place, block: segment.block)
        }
        feedBack(slice, place, segment, panel)
      }
    }
    pack(slice)
  }

  // MARK: Reading

  private func load(_ rows: Range<Int>, _ memory: Memory) throws -> Slice {
    let width = CalibratedJob.sliceRows
    let panel = CalibratedJob.panelColumns
    let columns = source.columns
    let numbers = try memory.numbers.room(((columns + 2 * panel) * width + panel * panel) * 4)
      .assumingMemoryBound(to: Float.self)
    let codes = try memory.codes.room((columns + panel) * width).assumingMemoryBound(to: UInt8.self)
    let slice = Slice(
      rows: rows, weights: .init(base: numbers, stride: width),
      feedback: .init(base: numbers + columns * width, stride: width),
      wanted: .init(base: numbers + (columns + panel) * width, stride: width),
      inner: numbers + (columns + 2 * panel) * width, codes: codes, segmentCodes: codes + columns * width)
    let values = try source.loadFloats(rows: rows, with: memory.reading)
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      let (row, column) = bad.quotientAndRemainder(dividingBy: columns)
      throw FurlError.input(
        source.file.path,
        "element [\(rows.lowerBound + row), \(column)] is \(values[bad]), not a finite number")
    }
    numbers.update(repeating: 0, count: columns * width)
    for (places, segment) in panels.lazy.flatMap(\.segments) {
      for (offset, column) in segment.columns.enumerated() {
        let target = numbers + (places.upperBound - 1 - offset) * width
        let scale = columnScales?[column] ?? 1
        for row in 0..<rows.count { target[row] = values[row * columns + column] * scale }
        if let rowScales { for row in 0..<rows.count { target[row] *= rowScales[rows.lowerBound + row] } }
      }
    }
    return slice
  }

  // MARK: Feedback

  /// Adds up what the errors in some places ask of others; `beta` 0 begins, 1 goes on.
  private func collect(
    _ slice: Slice, from sources: Range<Int>, for places: Range<Int>, _ factor: FeedbackFactor, beta: Float,
    _ panel: Panel
  ) {
    let target = slice.feedback.from(places.lowerBound - panel.places.lowerBound, 0)
    guard !sources.isEmpty else {
      if beta == 0 { target.base.update(repeating: 0, count: places.count * target.stride) }
      return
    }
    BLAS.addTransposed(
      factor.matrix.part(sources.lowerBound, places.lowerBound), slice.weights.from(sources.lowerBound, 0), to: target,
      rows: places.count, columns: CalibratedJob.sliceRows, depth: sources.count, beta: beta)
  }

  /// What a segment's weights would be if it could make up for all errors so far and made none itself: its own places
  /// follow each other, too. [places][64], in `wanted`.
  private func anticipate(
    _ slice: Slice, _ places: Range<Int>, _ panel: Panel, _ factor: FeedbackFactor
  ) -> BLAS.Part {
    let width = CalibratedJob.sliceRows
    let weights = slice.weights.from(places.lowerBound, 0).base
    let feedback = slice.feedback.from(places.lowerBound - panel.places.lowerBound, 0).base
    for index in (0..<places.count).reversed() {
      let target = slice.wanted.base + index * width
      for lane in 0..<width { target[lane] = weights[index * width + lane] + feedback[index * width + lane] }
      for later in index + 1..<max(index + 1, places.count) {
        let share = factor.matrix.row(places.lowerBound + later)[places.lowerBound + index]
        let (weight, moved) = (weights + later * width, slice.wanted.base + later * width)
        for lane in 0..<width { target[lane] += (weight[lane] - moved[lane]) * share }
      }
    }
    return slice.wanted
  }

  /// Gives the places of a segment their codes.
  private func feedBack(_ slice: Slice, _ places: Range<Int>, _ segment: FeedbackFactor.Segment, _ panel: Panel) {
    let count = places.count
    if let factor {
      for row in 0..<count {
        let source = factor.matrix.row(places.lowerBound + row) + places.lowerBound
        (slice.inner + row * count).update(from: source, count: count)
      }
    }
    let feedback = slice.feedback.from(places.lowerBound - panel.places.lowerBound, 0).base
    withUnsafePointer(to: grid) { grid in
      for tile in tiles(slice) {
        let lanes = (tile - slice.rows.lowerBound / Tile.rows) * Tile.rows
        kernels.feed_back(
          grid, halves(1, tile, segment.block)!, halves(2, tile, segment.block), factor.map { _ in slice.inner },
          factor.map { _ in feedback + lanes }, count, slice.weights.from(places.lowerBound, lanes).base,
          CalibratedJob.sliceRows, slice.segmentCodes + lanes)
      }
    }
    let width = CalibratedJob.sliceRows
    for (offset, column) in segment.columns.enumerated() {
      (slice.codes + column * width).update(from: slice.segmentCodes + (count - 1 - offset) * width, count: width)
    }
  }

  // MARK: Scales

  private func tiles(_ slice: Slice) -> Range<Int> {
    slice.rows.lowerBound / Tile.rows..<(slice.rows.upperBound + Tile.rows - 1) / Tile.rows
  }

  /// Where a row tile's halves of a block go: stream 1 the scales, 2 the minimums.
  private func halves(_ stream: Int, _ tile: Int, _ block: Int) -> UnsafeMutablePointer<UInt16>? {
    guard stream < matrix.streams.count else { return nil }
    return matrix.streams[stream].base.assumingMemoryBound(to: UInt16.self)
      + (tile * Int(matrix.matrix.blocks) + block) * Tile.rows
  }

  /// - Parameter values: [places][64]
  private func findScales(_ slice: Slice, of values: BLAS.Part, places: Range<Int>, block: Int) throws {
    for tile in tiles(slice) {
      let lanes = (tile - slice.rows.lowerBound / Tile.rows) * Tile.rows
      let (target, minimums) = (halves(1, tile, block)!, halves(2, tile, block))
      let isFound =
        switch scales {
        case .extremes: takeExtremes(values.base + lanes, count: places.count, target, minimums)
        case .step(let step):
          takeExtremes(
            values.base + lanes, count: places.count, target, minimums,
            atLeast: (0..<Tile.rows).map { step * (rowFactor(tile * Tile.rows + $0)) })
        case .search:
          weights.withUnsafeBufferPointer { weights in
            withUnsafePointer(to: grid) {
              kernels.search_grid(
                $0, values.base + lanes, values.stride, weights.baseAddress! + places.lowerBound, places.count, target,
                minimums)
            }
          }
        }
      guard isFound else {
        throw FurlError.input(
          source.file.path, "rows \(tile * Tile.rows) and following have values too large for \(matrix.scheme)")
      }
    }
  }

  private func rowFactor(_ row: Int) -> Float {
    guard let rowFactors, row < rowFactors.count else { return 1 }
    return rowFactors[row]
  }

  /// Scales as nearest codes have them, of numbers that errors have moved.
  private func takeExtremes(
    _ values: UnsafePointer<Float>, count: Int, _ scales: UnsafeMutablePointer<UInt16>,
    _ minimums: UnsafeMutablePointer<UInt16>?, atLeast steps: [Float]? = nil
  ) -> Bool {
    for lane in 0..<Tile.rows {
      var (least, most) = (values[lane], values[lane])
      for index in 0..<count {
        let value = values[index * CalibratedJob.sliceRows + lane]
        guard value.isFinite else { return false }
        (least, most) = (min(least, value), max(most, value))
      }
      let scale: Float
      if let minimums {
        scale = (most / 2 - least / 2) * 2 / Float(grid.high)
        minimums[lane] = furl_half_from_float(least)
        guard minimums[lane] & 0x7c00 != 0x7c00 else { return false }
      } else {
        // The side with one code more is the one of the larger magnitude.
        let largest = most >= -least ? most : least
        scale =
          grid.low == -grid.high ? max(steps?[lane] ?? 0, abs(largest) / Float(grid.high)) : largest / Float(grid.low)
      }
      scales[lane] = furl_half_from_float(scale)
      if scales[lane] & 0x7fff == 0 { scales[lane] = 0 }
      guard scales[lane] & 0x7c00 != 0x7c00 else { return false }
    }
    return true
  }

  // MARK: Packing

  private func pack(_ slice: Slice) {
    let coding = matrix.scheme.coding
    let columnTiles = Int(matrix.matrix.column_tiles)
    for tile in tiles(slice) {
      let lanes = (tile - slice.rows.lowerBound / Tile.rows) * Tile.rows
      for column in 0..<columnTiles {
        let start = column * Tile.columns
        let target = matrix.streams[0].base + (tile * columnTiles + column) * coding.tileBytes
        furl_pack_tile(
          coding.symbols == .nibbles, slice.codes + start * CalibratedJob.sliceRows + lanes, CalibratedJob.sliceRows,
          min(Tile.columns, source.columns - start), UInt8(grid.offset), target.assumingMemoryBound(to: UInt8.self))
      }
    }
  }
}
