import CFurlKernels

/// A row of weights as integers and what they are multiples of.
package struct IntegerRow: Sendable {
  /// The integers: [columns], for `int8` -128...127, for `int4` -8...7.
  package let codes: [Int8]
  /// [blocks].
  package let scales: [Float]
}

extension Scheme {
  /// Bits of the integers that weights are multiples of, for schemes that are nothing else: `int8` and `int4` without minimums and
  /// columns that are kept apart; nil for all others.
  package var integerBits: Int? {
    guard let block, outliers == 0 else { return nil }
    func isPlain(_ scheme: Scheme) -> Bool { self == scheme || self == scheme.withSmallScales }
    if isPlain(.int8(block)) { return 8 }
    return isPlain(.int4(block)) ? 4 : nil
  }
}

extension PackedMatrix {
  /// A row as integers; nil for schemes that have none (``Scheme/integerBits``). Those of a block whose scale is zero are the stored
  /// ones, too.
  package func integers(row: Int) -> IntegerRow? {
    guard scheme.integerBits != nil, case .uniform(let grid) = scheme.coding.levels else { return nil }
    let (tile, lane) = row.quotientAndRemainder(dividingBy: Tile.rows)
    let codes = (0..<columns).map { Int8(truncatingIfNeeded: Int(code(tile, lane, $0)) - Int(grid.offset)) }
    return IntegerRow(codes: codes, scales: scales(row: row))
  }

  /// The scales of a row: [blocks].
  private func scales(row: Int) -> [Float] {
    precondition((0..<rows).contains(row))
    let (tile, lane) = row.quotientAndRemainder(dividingBy: Tile.rows)
    return (0..<Int(matrix.blocks)).map { scale(tile: tile, block: $0, lane: lane) }
  }

  /// The scale of a block of one of the 16 rows of a row tile, of schemes that have no super-blocks.
  package func scale(tile: Int, block: Int, lane: Int) -> Float {
    precondition(
      (0..<tiles).contains(tile) && (0..<Int(matrix.blocks)).contains(block) && (0..<Tile.rows).contains(lane))
    let place = (tile * Int(matrix.blocks) + block) * Tile.rows + lane
    if let halves = matrix.scales { return furl_float_from_half(halves[place]) }
    guard let bytes = matrix.scale_codes, let factors = matrix.factors else { return 0 }
    return Float(Int(bytes[place]) - Int(matrix.scale_zero)) * factors[tile * Tile.rows + lane]
  }
}
