import CFurlKernels

/// A row of weights as integers and what they are multiples of: weight = (integer - zero) * scale.
package struct IntegerRow: Sendable {
  /// The integers: [columns], of 8 bits -128...127, of 4 bits -8...7.
  package let codes: [Int8]
  /// [blocks].
  package let scales: [Float]
  /// The integer that stands for zero in each block, [blocks], in the range of the integers; nil: 0 in all of them.
  package let zeros: [Int8]?
}

/// Why a row has no integers.
package enum IntegerProblem: Error, Sendable, Hashable {
  /// The scheme has none.
  case scheme
  /// The minimum of a block is no integer times its scale, so that no code stands for zero.
  case minimum(block: Int)
}

extension Scheme {
  /// Bits of the integers that weights are multiples of, for schemes that are nothing else: `int8` and `int4` without columns
  /// that are kept apart, `int4` with minimums that are halves, where these are multiples of the scales; nil for all others.
  package var integerBits: Int? {
    guard let block, outliers == 0 else { return nil }
    func isPlain(_ scheme: Scheme) -> Bool { self == scheme || self == scheme.withSmallScales }
    if isPlain(.int8(block)) { return 8 }
    return isPlain(.int4(block)) || self == .int4Minimum(block) ? 4 : nil
  }
}

extension PackedMatrix {
  /// A row as integers. Those of a block whose scale is zero are the stored ones, too.
  ///
  /// - Throws: ``IntegerProblem`` for schemes that have none (``Scheme/integerBits``), and minimums that have none.
  package func integers(row: Int) throws(IntegerProblem) -> IntegerRow {
    guard let bits = scheme.integerBits, case .uniform(let grid) = scheme.coding.levels else { throw .scheme }
    let (tile, lane) = row.quotientAndRemainder(dividingBy: Tile.rows)
    let middle = grid.has_minimum ? 1 << (bits - 1) : Int(grid.offset)
    let codes = (0..<columns).map { Int8(truncatingIfNeeded: Int(code(tile, lane, $0)) - middle) }
    let scales = scales(row: row)
    guard grid.has_minimum else { return IntegerRow(codes: codes, scales: scales, zeros: nil) }
    var zeros: [Int8] = []
    for (block, scale) in scales.enumerated() {
      let minimum = minimum(tile: tile, block: block, lane: lane)
      guard let zero = PackedMatrix.zero(scale: scale, minimum: minimum, bits: bits) else {
        throw .minimum(block: block)
      }
      zeros.append(Int8(truncatingIfNeeded: zero - middle))
    }
    return IntegerRow(codes: codes, scales: scales, zeros: zeros)
  }

  /// The code that stands for zero: minimum = -code * scale, bit for bit. Nil where there is none; of a block that is all zeros
  /// the one in the middle.
  static func zero(scale: Float, minimum: Float, bits: Int) -> Int? {
    guard scale.isFinite, minimum.isFinite else { return nil }
    guard scale != 0 else { return minimum == 0 ? 1 << (bits - 1) : nil }
    let zero = (-minimum / scale).rounded()
    // The product of a half and a few bits is exact.
    guard (0...Float(1 << bits - 1)).contains(zero), -zero * scale == minimum else { return nil }
    return Int(zero)
  }

  /// The scales of a row: [blocks].
  private func scales(row: Int) -> [Float] {
    precondition((0..<rows).contains(row))
    let (tile, lane) = row.quotientAndRemainder(dividingBy: Tile.rows)
    return (0..<Int(matrix.blocks)).map { scale(tile: tile, block: $0, lane: lane) }
  }

  /// The scale of a block of one of the 16 rows of a row tile, of schemes that have no super-blocks.
  package func scale(tile: Int, block: Int, lane: Int) -> Float {
    let place = place(tile: tile, block: block, lane: lane)
    if let halves = matrix.scales { return furl_float_from_half(halves[place]) }
    guard let bytes = matrix.scale_codes, let factors = matrix.factors else { return 0 }
    return Float(Int(bytes[place]) - Int(matrix.scale_zero)) * factors[tile * Tile.rows + lane]
  }

  /// The same of its minimum, of schemes whose minimums are halves; 0 in others.
  private func minimum(tile: Int, block: Int, lane: Int) -> Float {
    let place = place(tile: tile, block: block, lane: lane)
    return matrix.minimums.map { furl_float_from_half($0[place]) } ?? 0
  }

  private func place(tile: Int, block: Int, lane: Int) -> Int {
    precondition(
      (0..<tiles).contains(tile) && (0..<Int(matrix.blocks)).contains(block) && (0..<Tile.rows).contains(lane))
    return (tile * Int(matrix.blocks) + block) * Tile.rows + lane
  }
}
