import FurlBase

/// Symmetric codes are those of `int8` to `int2`, others those above a minimum, where scales and minimums are halves.
extension GroupedCodes: CodeHolder {
  var groupColumns: Int { if case .neighbours(let size) = groups { min(size, columns) } else { 1 } }

  /// The scale and the minimum of each group of a row.
  private struct RowFactors {
    let scales: [Float]
    let zeros: [Float]
  }

  private func factors(_ row: Int) -> RowFactors {
    func read(_ body: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
      [Float](unsafeUninitializedCapacity: groupCount) { buffer, count in
        if let base = buffer.baseAddress { body(base) }
        count = groupCount
      }
    }
    return RowFactors(
      scales: read { readScales(row..<row + 1, into: $0) }, zeros: read { readZeros(row..<row + 1, into: $0) })
  }

  /// What codes are added to, behind the scale.
  private func minimum(_ scale: Float, _ zero: Float) -> Float {
    // The product is exact: a zero has 8 bits, and a scale that is held has 11.
    isBiased ? zero : zero == 0 ? 0 : -zero * scale
  }

  func holding() -> CodeHolding {
    guard case .neighbours = groups else { return .unheld("columns share scales in an order of their own") }
    guard let block = Scheme.block(of: groupColumns, columns: columns) else {
      return .unheld(Scheme.noBlock(groupColumns))
    }
    let middle = Float(1 << (codes.bits - 1))
    let isConstant = if case .constant = zeros { true } else { false }
    var (isSymmetric, hasHalves, hasMinimums) = (!isBiased, true, true)
    for row in 0..<rows {
      let factors = factors(row)
      for (scale, zero) in zip(factors.scales, factors.zeros) {
        isSymmetric = isSymmetric && zero == middle
        hasHalves = hasHalves && ExactHalf.bits(scale) != nil
        if !isConstant { hasMinimums = hasMinimums && ExactHalf.bits(minimum(scale, zero)) != nil }
      }
      guard hasHalves else { return .unheld("scales are \(scaleName), and not all of them are halves") }
    }
    guard let scheme = Scheme.grid(bits: codes.bits, hasMinimum: !isSymmetric, block) else {
      return .unheld("no layout has codes of \(codes.bits) bits\(isSymmetric ? "" : " that are not symmetric")")
    }
    guard isSymmetric || hasMinimums else {
      return .unheld("\(isBiased ? "biases" : "zeros times scales") are no halves, which minimums are")
    }
    return .held(scheme)
  }

  func take(rows range: Range<Int>, into rows: HeldRows) {
    codes.unpack(streams: range, count: columns, into: rows.codes)
    for (index, row) in range.enumerated() {
      let factors = factors(row)
      for group in 0..<groupCount {
        let (scale, zero) = (factors.scales[group], factors.zeros[group])
        rows.scales[index * groupCount + group] = ExactHalf.bits(scale) ?? ExactHalf.none
        rows.minimums[index * groupCount + group] = ExactHalf.bits(minimum(scale, zero)) ?? ExactHalf.none
      }
    }
  }
}

/// Whole numbers of 8 bits without zeros, whatever rectangles share a scale.
extension ScaledBytes: CodeHolder {
  var groupColumns: Int { min(block.columns, columns) }

  func holding() -> CodeHolding {
    guard isWhole else { return .unheld("no layout has FP8") }
    guard factor == 1 else { return .unheld("scales are FP32, and not all of them are halves") }
    guard let shared = Scheme.block(of: groupColumns, columns: columns) else {
      return .unheld(Scheme.noBlock(groupColumns))
    }
    for row in 0..<scales.rows {
      for column in 0..<scales.columns {
        guard zeros.map({ $0.number(row: row, column: column) == 0 }) ?? true else {
          return .unheld("no layout has codes of 8 bits that are not symmetric")
        }
        guard ExactHalf.bits(scales.number(row: row, column: column)) != nil else {
          return .unheld("scales are \(scales.numberName), and not all of them are halves")
        }
      }
    }
    return .held(.int8(shared))
  }

  func take(rows range: Range<Int>, into rows: HeldRows) {
    for (index, row) in range.enumerated() {
      let start = codes.range.lowerBound + row * columns
      let bytes = codes.file.bytes(start..<start + columns)
      for column in 0..<columns { rows.codes[index * columns + column] = bytes[column] ^ 0x80 }
      for group in 0..<scales.columns {
        let scale = scales.number(row: row / block.rows, column: group)
        rows.scales[index * scales.columns + group] = ExactHalf.bits(scale) ?? ExactHalf.none
      }
    }
  }
}

/// The tables of NF4 and FP4, where blocks are whole ones of rows.
extension FlatBlocks: CodeHolder {
  var groupColumns: Int { min(block, columns) }

  func holding() -> CodeHolding {
    func has(_ published: CodeTable) -> Bool { (0..<CodeTable.count).allSatisfy { published.values[$0] == table[$0] } }
    guard columns % block == 0, let shared = Scheme.block(of: block, columns: columns) else {
      return .unheld("blocks of \(block) codes are no whole ones of rows of \(columns)")
    }
    let scheme: Scheme? = has(.nf4) ? .nf4(shared) : has(.fp4) ? .fp4(shared) : nil
    guard let scheme else { return .unheld("no layout has this table") }
    guard (0..<scales.count).allSatisfy({ ExactHalf.bits(scale($0)) != nil }) else {
      return .unheld("scales are FP32, and not all of them are halves")
    }
    return .held(scheme)
  }

  func take(rows range: Range<Int>, into rows: HeldRows) {
    let bytes = codes.file.bytes(codes.range)
    let groups = columns / block
    for (index, row) in range.enumerated() {
      for column in 0..<columns {
        let number = row * columns + column
        let byte = bytes[number / 2]
        rows.codes[index * columns + column] = number % 2 == 0 ? byte >> 4 : byte & 15
      }
      for group in 0..<groups {
        rows.scales[index * groups + group] = ExactHalf.bits(scale(row * groups + group)) ?? ExactHalf.none
      }
    }
  }
}

extension MXFP4Codes: CodeHolder {
  var groupColumns: Int { Tile.columns }

  func holding() -> CodeHolding {
    let bytes = scales.part.file.bytes(scales.part.range)
    return bytes.contains(255) ? .unheld("there are scales that are no numbers") : .held(.mxfp4)
  }

  func take(rows range: Range<Int>, into rows: HeldRows) {
    let (start, groups) = (codes.range.lowerBound, scales.columns)
    let exponents = scales.part.file.bytes(scales.part.range)
    for (index, row) in range.enumerated() {
      let bytes = codes.file.bytes(start + row * columns / 2..<start + (row + 1) * columns / 2)
      for pair in 0..<columns / 2 {
        let target = rows.codes + index * columns + 2 * pair
        (target[0], target[1]) = (bytes[pair] & 15, bytes[pair] >> 4)
      }
      for group in 0..<groups { rows.scales[index * groups + group] = UInt16(exponents[row * groups + group]) }
    }
  }
}
