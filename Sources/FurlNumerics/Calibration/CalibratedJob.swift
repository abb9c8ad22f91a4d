import FurlBase
import FurlTensor
import CFurlKernels

/// One matrix on its way into calibrated codes, slice by slice.
///
/// Inside a slice lanes are rows, and columns stand in places: the reverse order of codes, as in a
/// ``FeedbackFactor``'s matrix. A place whose code is known holds the error of its weight.
final class CalibratedJob: @unchecked Sendable {
  /// Rows of a slice: four row tiles.
  static let sliceRows = 64
  /// Columns of a panel: those that are a segment at most, or a super-block.
  let panelColumns: Int

  /// Columns whose feedback from all earlier ones is one product.
  struct FeedbackPanel {
    var places: Range<Int>
    var segments: [(places: Range<Int>, segment: FeedbackSegment)]
  }

  let matrix: PackedMatrix
  let source: WeightSource
  let math: DenseMath
  let encoder: CalibratedEncoder
  let factor: FeedbackFactor?
  /// Of the error in each place.
  let weights: [Float]
  /// Of a scheme whose scales are not numbers of their own.
  let blocks: BlockEncoder?
  let panels: [FeedbackPanel]
  let grid: furl_grid
  let stored: StoredScales
  /// Of minimums that are multiples of scales; nil: they need not be.
  let zeroPoints: ZeroPoints?
  let kernels = Kernels.forEncoding.table

  init(_ encoder: CalibratedEncoder, _ source: WeightSource, _ math: DenseMath) throws {
    guard let block = encoder.scheme.choiceBlock else {
      throw FurlError(.defect, "\(encoder.scheme) has no codes to choose")
    }
    self.source = source
    self.math = math
    self.encoder = encoder
    let segments: [FeedbackSegment]
    let columnWeights: [Float]?
    switch encoder.objective {
    case .columns(let weights):
      factor = nil
      columnWeights = weights
      self.weights = weights.map { $0.reversed() } ?? Array(repeating: 1, count: source.columns)
      segments = FeedbackFactor.segments(self.weights, order: .natural, block: block)
    case .outputs(let factor):
      self.factor = factor
      columnWeights = factor.diagonal
      weights = factor.variances
      segments = factor.segments
    }
    guard encoder.rowFactors == nil || encoder.rowFactors?.count == source.rows else {
      throw FurlError(.defect, "\(encoder.rowFactors?.count ?? 0) factors for \(source.rows) rows of weights")
    }
    guard encoder.columnScales == nil || encoder.columnScales?.count == source.columns,
      encoder.rowScales == nil || encoder.rowScales?.count == source.rows
    else { throw FurlError(.defect, "there are scales for other rows or columns than the weights have") }
    guard weights.count == source.columns else {
      throw FurlError(.defect, "\(weights.count) columns of inputs for \(source.columns) columns of weights")
    }
    panelColumns = encoder.scheme.superBlock == nil ? FeedbackFactor.segmentColumns : SuperBlockForm.columns
    panels = CalibratedJob.panels(segments, columns: source.columns, limit: panelColumns)
    let levels = try encoder.scheme.levels(for: source, columnWeights: columnWeights, pool: math.pool)
    matrix = try TileEncoder(
      PackedLayout(scheme: encoder.scheme, shape: [source.rows, source.columns]), levels: levels,
      leavingOut: source.leftOut
    ).matrix
    switch encoder.scheme.coding.levels {
    case .uniform(let uniform): grid = uniform
    case .none, .table, .learned:
      guard let table = matrix.table else { throw FurlError(.defect, "\(encoder.scheme) has no codes to choose") }
      grid = table.grid.pointee
    }
    stored = StoredScales(matrix)
    guard !encoder.hasZeroPoints || grid.has_minimum && !encoder.scheme.isFixed && encoder.scheme.scales == .f16 else {
      throw FurlError(.defect, "\(encoder.scheme) has no zero points")
    }
    zeroPoints = encoder.hasZeroPoints ? ZeroPoints(grid, kernels) : nil
    switch encoder.scheme.coding.scaleForm {
    case .exponents, .parts: blocks = try BlockEncoder(matrix)
    case .open, .halves: blocks = nil
    }
  }

  var sliceCount: Int { (source.rows + CalibratedJob.sliceRows - 1) / CalibratedJob.sliceRows }

  private static func panels(_ segments: [FeedbackSegment], columns: Int, limit: Int) -> [FeedbackPanel] {
    var panels: [FeedbackPanel] = []
    var end = columns
    for segment in segments {
      let places = end - segment.columns.count..<end
      end = places.lowerBound
      if let last = panels.last, last.places.count + places.count <= limit {
        panels[panels.count - 1].places = places.lowerBound..<last.places.upperBound
        panels[panels.count - 1].segments.append((places, segment))
      } else {
        panels.append(FeedbackPanel(places: places, segments: [(places, segment)]))
      }
    }
    return panels
  }

  /// A slice's numbers. A panel has 128 columns, or 256 where there are super-blocks.
  struct CodeSlice {
    let rows: Range<Int>
    /// [columns][64]: the weight in each place, and then its error.
    let weights: MatrixView
    /// [panel][64]: what the errors of other panels ask of the places of this one.
    let feedback: MatrixView
    /// [panel][64]: weights and feedback together.
    let wanted: MatrixView
    /// [panel][64]: by how much those differ from the weights.
    let differences: MatrixView
    /// [panel][64]: what the errors of rows above ask of the places of this panel; zeros where rows are independent.
    let outputs: MatrixView
    /// [128][128], packed: a segment's factor with itself.
    let inner: UnsafeMutablePointer<Float>
    /// [columns][64], in the order of the matrix.
    let codes: UnsafeMutablePointer<UInt8>
    /// [128][64]
    let segmentCodes: UnsafeMutablePointer<UInt8>
    /// [64], [64]: the scales and minimums of the block that is worked on, as they are stored.
    let scales: UnsafeMutablePointer<Float>
    let minimums: UnsafeMutablePointer<Float>
  }

  /// - Throws: ``FurlError`` of kind `input` that names a weight or rows.
  func encode(slice index: Int, _ memory: CodeSliceMemory) throws {
    let first = index * CalibratedJob.sliceRows
    let slice = try load(first..<min(first + CalibratedJob.sliceRows, source.rows), memory, reading: memory.reading)
    try findWholeScales(slice)
    for panel in panels {
      let places = panel.places
      if let factor {
        collect(slice, from: places.upperBound..<source.columns, for: places, factor, accumulate: false, panel)
      }
      let chosen = matrix.scheme.superBlock == nil ? [] : try chooseTogether(slice, tiles(slice), panel, factor)
      for (place, segment) in panel.segments {
        if let factor, place.upperBound < places.upperBound {
          collect(slice, from: place.upperBound..<places.upperBound, for: place, factor, accumulate: true, panel)
        }
        if !chosen.isEmpty {
          set(chosen, of: tiles(slice), for: segment, in: slice)
        } else if !hasRowScales {
          let values = factor.map { anticipate(slice, place, panel, $0) } ?? slice.weights.rows(place)
          try findScales(slice, tiles(slice), of: values, places: place, block: segment.block)
        }
        if matrix.scheme.firstPlane == nil {
          feedBack(slice, place, segment, panel)
        } else {
          feedBackWithinReach(slice, place, segment, panel)
        }
      }
    }
    finish(slice)
  }

  /// Packs the codes of a slice, and chooses what is behind them.
  func finish(_ slice: CodeSlice) {
    pack(slice, .codes)
    if matrix.scheme.firstPlane != nil { chooseRemainders(slice) }
  }

  // MARK: Reading

  /// - Parameter reading: room for the weights as they are read.
  func load(_ rows: Range<Int>, _ memory: CodeSliceMemory, reading: ReadBuffer) throws -> CodeSlice {
    let width = CalibratedJob.sliceRows
    let panel = panelColumns
    let columns = source.columns
    let innerCount = FeedbackFactor.segmentColumns * FeedbackFactor.segmentColumns
    let rest = (columns + 4 * panel) * width
    let numbers = try memory.numbers.room((rest + 2 * width + innerCount) * 4).assumingMemoryBound(to: Float.self)
    let codes = try memory.codes.room((columns + panel) * width).assumingMemoryBound(to: UInt8.self)
    let slice = CodeSlice(
      rows: rows, weights: MatrixView(numbers, rows: columns, columns: width),
      feedback: MatrixView(numbers + columns * width, rows: panel, columns: width),
      wanted: MatrixView(numbers + (columns + panel) * width, rows: panel, columns: width),
      differences: MatrixView(numbers + (columns + 2 * panel) * width, rows: panel, columns: width),
      outputs: MatrixView(numbers + (columns + 3 * panel) * width, rows: panel, columns: width),
      inner: numbers + rest, codes: codes, segmentCodes: codes + columns * width,
      scales: numbers + rest + innerCount, minimums: numbers + rest + innerCount + width)
    let values = try source.loadFloats(rows: rows, with: reading)
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      let (row, column) = bad.quotientAndRemainder(dividingBy: columns)
      throw FurlError.input(
        source.file.path,
        "element [\(rows.lowerBound + row), \(column)] is \(values[bad]), not a finite number")
    }
    numbers.update(repeating: 0, count: columns * width)
    slice.outputs.clear()
    for (places, segment) in panels.lazy.flatMap(\.segments) {
      for (offset, column) in segment.columns.enumerated() {
        let target = numbers + (places.upperBound - 1 - offset) * width
        let scale = encoder.columnScales?[column] ?? 1
        for row in 0..<rows.count { target[row] = values[row * columns + column] * scale }
        if let rowScales = encoder.rowScales {
          for row in 0..<rows.count { target[row] *= rowScales[rows.lowerBound + row] }
        }
      }
    }
    return slice
  }

  // MARK: Feedback

  /// Adds up what the errors in some places ask of others, from nothing or from what is there.
  ///
  /// - Parameter lanes: the rows that are asked; nil: all.
  func collect(
    _ slice: CodeSlice, from sources: Range<Int>, for places: Range<Int>, _ factor: FeedbackFactor, accumulate: Bool,
    _ panel: FeedbackPanel, lanes: Range<Int>? = nil
  ) {
    let first = places.lowerBound - panel.places.lowerBound
    let lanes = lanes ?? 0..<CalibratedJob.sliceRows
    let target = slice.feedback.rows(first..<first + places.count).columns(lanes)
    guard !sources.isEmpty else {
      if !accumulate { target.clear() }
      return
    }
    math.multiplyTransposed(
      factor.matrix[sources, places], slice.weights.rows(sources).columns(lanes), into: target,
      accumulate ? .add : .set)
  }

  /// What a segment's weights would be if it could make up for all errors so far and made none itself: its own places
  /// follow each other, too. [places][64], in `wanted`.
  func anticipate(
    _ slice: CodeSlice, _ places: Range<Int>, _ panel: FeedbackPanel, _ factor: FeedbackFactor,
    lanes: Range<Int>? = nil
  ) -> MatrixView {
    let width = CalibratedJob.sliceRows
    let lanes = lanes ?? 0..<width
    let first = places.lowerBound - panel.places.lowerBound
    let weights = slice.weights.row(places.lowerBound)
    let (feedback, outputs) = (slice.feedback.row(first), slice.outputs.row(first))
    for index in (0..<places.count).reversed() {
      let target = slice.wanted.row(index)
      for lane in lanes {
        let place = index * width + lane
        target[lane] = weights[place] + feedback[place] + outputs[place]
      }
      for later in index + 1..<max(index + 1, places.count) {
        let share = factor.matrix.row(places.lowerBound + later)[places.lowerBound + index]
        let (weight, moved) = (weights + later * width, slice.wanted.row(later))
        for lane in lanes { target[lane] += (weight[lane] - moved[lane]) * share }
      }
    }
    return slice.wanted
  }

  /// Gives the places of a segment their codes.
  func feedBack(_ slice: CodeSlice, _ places: Range<Int>, _ segment: FeedbackSegment, _ panel: FeedbackPanel) {
    let count = places.count
    if let factor { copyInner(slice, places, factor) }
    let feedback = slice.feedback.row(places.lowerBound - panel.places.lowerBound)
    withUnsafePointer(to: grid) { grid in
      for tile in tiles(slice) {
        let lanes = (tile - slice.rows.lowerBound / Tile.rows) * Tile.rows
        kernels.feed_back(
          grid, slice.scales + lanes, slice.minimums + lanes, factor.map { _ in slice.inner },
          factor.map { _ in feedback + lanes }, count, slice.weights.row(places.lowerBound) + lanes,
          CalibratedJob.sliceRows, slice.segmentCodes + lanes)
      }
    }
    keepCodes(slice, segment)
  }

  /// A segment's factor with itself, where it is read again and again.
  func copyInner(_ slice: CodeSlice, _ places: Range<Int>, _ factor: FeedbackFactor) {
    for row in 0..<places.count {
      let source = factor.matrix.row(places.lowerBound + row) + places.lowerBound
      (slice.inner + row * places.count).update(from: source, count: places.count)
    }
  }

  /// Puts a segment's codes where those of its columns are.
  ///
  /// - Parameter lanes: the rows that have them; nil: all.
  func keepCodes(_ slice: CodeSlice, _ segment: FeedbackSegment, lanes: Range<Int>? = nil) {
    let width = CalibratedJob.sliceRows
    let lanes = lanes ?? 0..<width
    for (offset, column) in segment.columns.enumerated() {
      let source = slice.segmentCodes + (segment.columns.count - 1 - offset) * width
      (slice.codes + column * width + lanes.lowerBound).update(from: source + lanes.lowerBound, count: lanes.count)
    }
  }

  // MARK: Packing

  func pack(_ slice: CodeSlice, _ stream: PackedLayout.StreamKind) {
    guard let base = matrix.target(stream) else { return }
    let coding = matrix.scheme.coding
    let columnTiles = Int(matrix.matrix.column_tiles)
    for tile in tiles(slice) {
      let lanes = (tile - slice.rows.lowerBound / Tile.rows) * Tile.rows
      for column in 0..<columnTiles {
        let start = column * Tile.columns
        let target = base + (tile * columnTiles + column) * coding.tileBytes
        furl_pack_tile(
          Int32(coding.bits), slice.codes + start * CalibratedJob.sliceRows + lanes, CalibratedJob.sliceRows,
          min(Tile.columns, source.columns - start), UInt8(grid.offset), target.assumingMemoryBound(to: UInt8.self))
      }
    }
  }
}

/// Memory of one thread.
final class CodeSliceMemory {
  let reading = ReadBuffer()
  fileprivate let numbers = ReadBuffer()
  fileprivate let codes = ReadBuffer()
}
