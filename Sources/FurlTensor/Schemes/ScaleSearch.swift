import CFurlKernels

/// Chooses the scales of one block, or of all parts of a super-block, of 16 rows by the weighted squared error of their
/// nearest codes.
///
/// Each part first gets the scale and the minimum that are best for it alone. The unit of a super-block, which these have to
/// be multiples of, is the one of several under which rounding them costs least by the curvature of the error. Then each part
/// tries the multiples that least squares with its codes, and its neighbours, ask for; and last the units are fitted to the
/// codes.
package struct ScaleSearch: @unchecked Sendable {
  package typealias Lanes = SIMD16<Float>

  private let form: ScaleForm
  private let grid: furl_grid
  private let kernels: furl_kernels

  /// Units that are tried: the largest wanted multiple is the end of the range, or so much below it.
  private static let unitSteps = 24
  /// With 8 bits rounding costs next to nothing.
  private static let fineSteps = 6

  /// - Throws: ``FurlError`` of kind `defect` for a scheme that says how its scales are found by itself.
  init(_ matrix: PackedMatrix, kernels: furl_kernels) throws {
    self.kernels = kernels
    form = matrix.scheme.coding.scaleForm
    switch matrix.scheme.coding.levels {
    case .uniform(let uniform): grid = uniform
    case .none, .table, .learned:
      guard let table = matrix.table else { throw matrix.scheme.noCodes }
      grid = table.grid.pointee
    }
  }

  /// The weights of some columns, places first: [columns][stride], the first 16 of each stride are taken.
  struct LaneBlock {
    let values: UnsafePointer<Float>
    let stride: Int
    /// [columns], none negative.
    let weights: UnsafePointer<Float>

    func part(_ places: Range<Int>) -> LaneBlock {
      LaneBlock(values: values + places.lowerBound * stride, stride: stride, weights: weights + places.lowerBound)
    }
  }

  /// - Parameter parts: the places of every part, in the order of the matrix's columns; one where there are no super-blocks.
  /// - Returns: nil when a number is not finite, or no half can be a scale.
  func choose(_ block: LaneBlock, parts: [Range<Int>]) -> ChosenScales? {
    switch form {
    case .open, .halves: return scale(block.part(parts[0]), parts[0].count)
    case .exponents: return exponent(block.part(parts[0]), parts[0].count)
    case .parts(let form): return choose(block, parts: parts, form)
    }
  }

  // MARK: One block

  private func search(_ block: LaneBlock, _ columns: Int) -> (scale: Lanes, minimum: Lanes)? {
    var (scale, minimum) = (Lanes.zero, Lanes.zero)
    let isFound = withUnsafePointer(to: grid) { grid in
      scale.withFloats { scale in
        minimum.withFloats { minimum in
          kernels.search_grid(grid, block.values, block.stride, block.weights, columns, nil, scale, minimum)
        }
      }
    }
    return isFound ? (scale, minimum) : nil
  }

  /// The halves of a block without a calibration: a few scales about the one that takes the largest value to an end, and
  /// least squares with the codes of the best.
  private func scale(_ block: LaneBlock, _ columns: Int) -> ChosenScales? {
    var (scale, minimum) = (Lanes.zero, Lanes.zero)
    let isFound = withUnsafePointer(to: grid) { grid in
      scale.withFloats { scale in
        minimum.withFloats { minimum in
          kernels.search_few(grid, block.values, block.stride, block.weights, columns, scale, minimum)
        }
      }
    }
    // Zero has one sign.
    minimum.replace(with: 0, where: minimum .== 0)
    return isFound ? ChosenScales(scales: [scale], minimums: [minimum]) : nil
  }

  private func weigh(_ block: LaneBlock, _ columns: Int, _ scale: Lanes, _ minimum: Lanes) -> GridSums {
    GridSums(
      grid, kernels, values: block.values, stride: block.stride, weights: block.weights, columns: columns, scale: scale,
      minimum: minimum)
  }

  /// The power of two with the least error, near the one that takes the largest magnitude to the table's end.
  private func exponent(_ block: LaneBlock, _ columns: Int) -> ChosenScales? {
    var largest = Lanes.zero
    var areFinite = SIMDMask<SIMD16<Int32>>(repeating: true)
    for column in 0..<columns {
      let numbers = UnsafeRawPointer(block.values + column * block.stride).loadUnaligned(as: Lanes.self)
      let sizes = numbers.replacing(with: 0 - numbers, where: numbers .< 0)
      areFinite .&= sizes .<= .greatestFiniteMagnitude
      largest.replace(with: sizes, where: sizes .> largest)
    }
    guard all(areFinite) else { return nil }
    var first = SIMD16<Int32>.one
    for lane in 0..<Tile.rows where largest[lane] > 0 {
      // A table's end is 12: 1.5 times the power of its octave.
      first[lane] = min(max(Int32(largest[lane].exponent) + 128 - 3, 1), 253)
    }
    var best = (loss: Lanes(repeating: .infinity), codes: first)
    for step: Int32 in -1...1 {
      let codes = first &+ SIMD16(repeating: step)
      var scales = Lanes.zero
      for lane in 0..<Tile.rows { scales[lane] = furl_exponent(UInt8(codes[lane])) }
      let loss = weigh(block, columns, scales, .zero).loss
      let better = loss .< best.loss
      best.loss.replace(with: loss, where: better)
      best.codes.replace(with: codes, where: better)
    }
    var chosen = ChosenScales(scales: [.zero], minimums: [.zero])
    chosen.codes = [SIMD16(truncatingIfNeeded: best.codes)]
    for lane in 0..<Tile.rows { chosen.scales[0][lane] = furl_exponent(UInt8(best.codes[lane])) }
    return chosen
  }

  // MARK: Super-blocks

  /// A part of a super-block: what it wants, and what it has.
  private struct SearchedPart {
    let block: LaneBlock
    let columns: Int
    var scale: Lanes
    var minimum: Lanes
    var sums: GridSums
    /// The whole numbers of its scale and its minimum.
    var multiple = Lanes.zero
    var drop = Lanes.zero
  }

  private func choose(_ block: LaneBlock, parts places: [Range<Int>], _ form: SuperBlockForm) -> ChosenScales? {
    var parts: [SearchedPart] = []
    for places in places {
      guard let part = part(block.part(places), places.count) else { return nil }
      parts.append(part)
    }
    let hasMinimum = grid.has_minimum
    let scales = parts.map(\.scale)
    let curvatures = parts.map { part in
      hasMinimum
        ? part.sums.squares - part.sums.codes * part.sums.codes / positive(part.sums.weights) : part.sums.squares
    }
    guard var units = halves(unit(of: scales, curvatures, form.range)) else { return nil }
    var drops = Lanes.zero
    if hasMinimum {
      let wanted = parts.map { part in -minimum(of: part, scale: units * multiple(part.scale, units, form.range)) }
      guard let found = halves(unit(of: wanted, parts.map(\.sums.weights), SuperBlockForm.minimumRange)) else {
        return nil
      }
      drops = found
    }
    for index in parts.indices { settle(&parts[index], units, drops, form) }
    refit(&parts, &units, &drops)
    var chosen = ChosenScales(
      scales: parts.map { $0.multiple * units }, minimums: parts.map { $0.drop * -drops })
    for part in parts {
      chosen.codes.append(bytes(part.multiple + Float(form.zero)))
      chosen.minimumCodes.append(bytes(Float(SuperBlockForm.minimumZero) - part.drop))
    }
    (chosen.unit, chosen.minimumUnit) = (units, drops)
    return chosen
  }

  private func bytes(_ numbers: Lanes) -> SIMD16<UInt8> {
    SIMD16<UInt8>(truncatingIfNeeded: SIMD16<Int32>(numbers))
  }

  /// Its own best scale and minimum, which is not above zero.
  private func part(_ block: LaneBlock, _ columns: Int) -> SearchedPart? {
    guard let (scale, minimum) = search(block, columns) else { return nil }
    var part = SearchedPart(
      block: block, columns: columns, scale: scale, minimum: minimum, sums: weigh(block, columns, scale, minimum))
    let isAbove = minimum .> 0
    guard grid.has_minimum, any(isAbove) else { return part }
    part.minimum.replace(with: 0, where: isAbove)
    // With codes as far as the grid has them.
    let reached = (scale * Float(grid.high) + minimum) / Float(grid.high)
    part.scale.replace(with: reached, where: isAbove)
    for _ in 0..<3 {
      part.sums = weigh(block, columns, part.scale, part.minimum)
      part.scale.replace(with: part.sums.products / positive(part.sums.squares), where: isAbove)
    }
    part.sums = weigh(block, columns, part.scale, part.minimum)
    return part
  }

  /// The minimum that is best for a part's codes under another scale.
  private func minimum(of part: SearchedPart, scale: Lanes) -> Lanes {
    let moved = part.minimum + part.sums.codes / positive(part.sums.weights) * (part.scale - scale)
    return pointwiseMin(moved, .zero)
  }

  /// Of the units that are tried the one with the least error of what is wanted.
  private func unit(of wanted: [Lanes], _ weights: [Lanes], _ range: ClosedRange<Int32>) -> Lanes {
    let steps = range.count > 128 ? ScaleSearch.fineSteps : ScaleSearch.unitSteps
    let count = wanted.count
    var unit = Lanes.zero
    unit.withFloats { unit in
      wanted.withUnsafeBytes { wanted in
        weights.withUnsafeBytes { weights in
          guard let wanted = wanted.baseAddress, let weights = weights.baseAddress else { return }
          kernels.search_unit(
            wanted.assumingMemoryBound(to: Float.self), weights.assumingMemoryBound(to: Float.self), count,
            range.lowerBound, range.upperBound, steps, unit)
        }
      }
    }
    return unit
  }

  private func multiple(_ wanted: Lanes, _ unit: Lanes, _ range: ClosedRange<Int32>) -> Lanes {
    let isZero = unit .== 0
    var steps = wanted / unit.replacing(with: 1, where: isZero)
    steps = pointwiseMax(steps, Lanes(repeating: Float(range.lowerBound)))
    steps = pointwiseMin(steps, Lanes(repeating: Float(range.upperBound)))
    // To the nearest whole number, ties to even: magnitudes are far below 2^22.
    return ((steps + 0x1.8p23) - 0x1.8p23).replacing(with: 0, where: isZero)
  }

  /// Finds the multiples of a part under units that are given.
  private func settle(_ part: inout SearchedPart, _ units: Lanes, _ drops: Lanes, _ form: SuperBlockForm) {
    var best = (loss: Lanes(repeating: .infinity), sums: GridSums(), multiple: Lanes.zero, drop: Lanes.zero)
    func attempt(_ multiple: Lanes) {
      let scale = multiple * units
      let drop =
        grid.has_minimum
        ? self.multiple(-minimum(of: part, scale: scale), drops, SuperBlockForm.minimumRange) : .zero
      let sums = weigh(part.block, part.columns, scale, drop * -drops)
      let better = sums.loss .< best.loss
      best.loss.replace(with: sums.loss, where: better)
      best.multiple.replace(with: multiple, where: better)
      best.drop.replace(with: drop, where: better)
      best.sums.replace(with: sums, where: better)
    }
    attempt(multiple(part.scale, units, form.range))
    for _ in 0..<2 {
      fit(&part, best.sums, old: (best.multiple * units, best.drop * -drops))
      attempt(multiple(part.scale, units, form.range))
    }
    let middle = best.multiple
    for step: Float in [-1, 1] {
      let moved = pointwiseMin(middle + step, Lanes(repeating: Float(form.range.upperBound)))
      attempt(pointwiseMax(moved, Lanes(repeating: Float(form.range.lowerBound))))
    }
    (part.multiple, part.drop, part.sums) = (best.multiple, best.drop, best.sums)
  }

  /// The scale and the minimum, which is not above zero, of a part by least squares with the codes that some sums are of.
  private func fit(
    _ part: inout SearchedPart, _ sums: GridSums, old: (scale: Lanes, minimum: Lanes)
  ) {
    part.sums = sums
    (part.scale, part.minimum) = old
    guard grid.has_minimum else {
      part.scale.replace(with: sums.products / positive(sums.squares), where: sums.squares .> 0)
      return
    }
    let determinant = sums.weights * sums.squares - sums.codes * sums.codes
    let isSolved = determinant .> 0
    let divisor = positive(determinant)
    part.scale.replace(
      with: (sums.weights * sums.products - sums.codes * sums.values) / divisor, where: isSolved)
    part.minimum.replace(
      with: (sums.squares * sums.values - sums.codes * sums.products) / divisor, where: isSolved)
    let isAbove = part.minimum .> 0
    part.minimum.replace(with: 0, where: isAbove)
    part.scale.replace(with: sums.products / positive(sums.squares), where: isAbove .& (sums.squares .> 0))
  }

  /// Fits the units to all codes of the super-block, where that makes the error smaller.
  private func refit(_ parts: inout [SearchedPart], _ units: inout Lanes, _ drops: inout Lanes) {
    var (a, b, c, x, y, old) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
    for part in parts {
      a += part.multiple * part.multiple * part.sums.squares
      b -= part.multiple * part.drop * part.sums.codes
      c += part.drop * part.drop * part.sums.weights
      x += part.multiple * part.sums.products
      y -= part.drop * part.sums.values
      old += part.sums.loss
    }
    let determinant = a * c - b * b
    let isSolved = determinant .> 0
    // Without minimums, or where all are zero, it is one equation.
    var newUnits = units.replacing(with: (x - b * drops) / positive(a), where: a .> 0)
    var newDrops = drops
    newUnits.replace(with: (c * x - b * y) / positive(determinant), where: isSolved)
    newDrops.replace(with: (a * y - b * x) / positive(determinant), where: isSolved)
    newDrops.replace(with: drops, where: newDrops .< 0)
    guard let newUnits = halves(newUnits), let newDrops = halves(newDrops) else { return }
    var total = Lanes.zero
    let sums = parts.map { weigh($0.block, $0.columns, $0.multiple * newUnits, $0.drop * -newDrops) }
    for sums in sums { total += sums.loss }
    let better = total .< old
    units.replace(with: newUnits, where: better)
    drops.replace(with: newDrops, where: better)
  }

  // MARK: Lanes

  /// Halves as numbers; nil where one is not finite.
  private func halves(_ numbers: Lanes) -> Lanes? {
    var result = Lanes.zero
    for lane in 0..<Tile.rows {
      let half = furl_half_from_float(numbers[lane])
      guard half & 0x7c00 != 0x7c00 else { return nil }
      result[lane] = half & 0x7fff == 0 ? 0 : furl_float_from_half(half)
    }
    return result
  }

  /// What is above zero, and 1 for what is not.
  private func positive(_ lanes: Lanes) -> Lanes { lanes.replacing(with: 1, where: .!(lanes .> 0)) }

  private func magnitude(_ lanes: Lanes) -> Lanes { pointwiseMax(lanes, -lanes) }
}

/// The scales and minimums of the parts of a super-block, or of one block, of 16 rows.
package struct ChosenScales: Sendable {
  /// As they are stored: what codes are multiplied with, and what is added.
  package internal(set) var scales: [ScaleSearch.Lanes]
  package internal(set) var minimums: [ScaleSearch.Lanes]
  /// The bytes of each part, and the halves that they are multiples of, where there are any.
  var codes: [SIMD16<UInt8>] = []
  var minimumCodes: [SIMD16<UInt8>] = []
  var unit = ScaleSearch.Lanes.zero
  var minimumUnit = ScaleSearch.Lanes.zero

  init(scales: [ScaleSearch.Lanes], minimums: [ScaleSearch.Lanes]) {
    self.scales = scales
    self.minimums = minimums
  }
}
