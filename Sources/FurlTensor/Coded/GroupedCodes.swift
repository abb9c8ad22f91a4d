package import FurlBase

/// Whole numbers of 2 to 8 bits with a scale, and perhaps a zero or a bias, for each group of inputs of an output: what
/// GPTQ, AWQ, compressed-tensors and MLX store, each in its own order.
///
/// A weight is (code - zero) * scale; in MLX's form scale * code + bias. Both steps are rounded to FP32 by themselves, as
/// the reference code does that computes in FP32; the differences of codes and zeros are exact.
package struct GroupedCodes: CodedMatrix {
  /// What is taken from a code, or added behind the scale.
  package enum CodeZeros: Sendable {
    /// The same for all.
    case constant(Int)
    /// Codes of their own; `perOutput`: a stream for each output, of groups; else a stream for each group, of outputs.
    /// `added` goes to each, and what is then too large begins with zero again.
    case codes(CodeWords, perOutput: Bool, added: Int)
    /// [outputs][groups] of whole numbers, or [groups][outputs], and what is added to each.
    case numbers(StoredGrid, perOutput: Bool, added: Int)
    /// [outputs][groups] of what is added behind the scale.
    case biases(StoredGrid)
  }

  /// Which inputs share a scale.
  package enum CodeGroups: Sendable {
    /// So many neighbours.
    case neighbours(Int)
    /// Those with the same number among 32-bit whole numbers, one for each input, which begin at a byte of a file.
    case listed(MappedFile, offset: Int)
  }

  package let rows: Int
  package let columns: Int
  package let form: String
  let codes: CodeWords
  private let scales: StoredGrid
  /// Whether scales are [outputs][groups], else [groups][outputs].
  private let scalesPerOutput: Bool
  let zeros: CodeZeros
  let groups: CodeGroups
  let groupCount: Int

  /// - Parameters:
  ///   - shape: outputs and inputs.
  ///   - codes: a stream for each output.
  ///   - scales: and whether they are [outputs][groups], else [groups][outputs].
  /// - Throws: ``FurlError`` of kind `defect` when the parts do not fit each other.
  package init(
    form: String, shape: (rows: Int, columns: Int), codes: CodeWords, scales: (grid: StoredGrid, perOutput: Bool),
    zeros: CodeZeros, groups: CodeGroups
  ) throws {
    (rows, columns) = shape
    self.form = form
    self.codes = codes
    self.scales = scales.grid
    scalesPerOutput = scales.perOutput
    self.zeros = zeros
    self.groups = groups
    groupCount = scales.perOutput ? scales.grid.columns : scales.grid.rows
    let outputs = scales.perOutput ? scales.grid.rows : scales.grid.columns
    let fits =
      switch groups {
      case .neighbours(let size): size > 0 && (columns + size - 1) / size == groupCount
      case .listed(let file, let offset): offset >= 0 && offset <= file.count && columns <= (file.count - offset) / 4
      }
    let sameGrid =
      switch zeros {
      case .numbers(let grid, true, _), .biases(let grid): (grid.rows, grid.columns) == (rows, groupCount)
      case .numbers(let grid, false, _): (grid.rows, grid.columns) == (groupCount, rows)
      case .constant, .codes: true
      }
    guard outputs == rows, fits, sameGrid else {
      throw FurlError(.defect, file: codes.part.file.path, "scales and codes do not fit each other")
    }
  }

  package var parts: [StoredPart] {
    var parts = [codes.part, scales.part]
    switch zeros {
    case .constant: break
    case .codes(let words, _, _): parts.append(words.part)
    case .numbers(let grid, _, _), .biases(let grid): parts.append(grid.part)
    }
    if case .listed(let file, let offset) = groups {
      parts.append(StoredPart(file, offset..<offset + 4 * columns))
    }
    return parts
  }

  /// What the scales are stored as.
  var scaleName: String { scales.numberName }

  var isBiased: Bool { if case .biases = zeros { true } else { false } }

  /// Rows that are decoded at once: words of columns are read once for all of them.
  static let tile = 16

  package func decode(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    let most = min(GroupedCodes.tile, range.count)
    guard most > 0 else { return }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: most * columns) { codes in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * most * groupCount) { factors in
        var start = range.lowerBound
        while start < range.upperBound {
          let tile = start..<min(start + most, range.upperBound)
          self.codes.unpack(streams: tile, count: columns, into: codes.baseAddress!)
          let (scales, zeros) = (factors.baseAddress!, factors.baseAddress! + most * groupCount)
          readScales(tile, into: scales)
          readZeros(tile, into: zeros)
          for (index, row) in tile.enumerated() {
            decodeRow(
              codes.baseAddress! + index * columns, scales + index * groupCount, zeros + index * groupCount,
              output + (row - range.lowerBound) * columns)
          }
          start = tile.upperBound
        }
      }
    }
  }

  /// [tile.count][groups].
  func readScales(_ tile: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    guard !scalesPerOutput else {
      for (index, row) in tile.enumerated() {
        scales.read(row: row, columns: 0..<groupCount, into: output + index * groupCount)
      }
      return
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: tile.count) { piece in
      for group in 0..<groupCount {
        scales.read(row: group, columns: tile, into: piece.baseAddress!)
        for index in 0..<tile.count { output[index * groupCount + group] = piece[index] }
      }
    }
  }

  /// [tile.count][groups].
  func readZeros(_ tile: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    for (index, row) in tile.enumerated() {
      let target = output + index * groupCount
      switch zeros {
      case .constant(let zero): for group in 0..<groupCount { target[group] = Float(zero) }
      case .codes(let words, let perOutput, let added):
        let mask = Int32(1) << Int32(words.bits) - 1
        for group in 0..<groupCount {
          let code = perOutput ? words.code(stream: row, at: group) : words.code(stream: group, at: row)
          target[group] = Float((code &+ Int32(added)) & mask)
        }
      case .numbers(let grid, let perOutput, let added):
        for group in 0..<groupCount {
          target[group] =
            Float(added) + (perOutput ? grid.number(row: row, column: group) : grid.number(row: group, column: row))
        }
      case .biases(let grid): grid.read(row: row, columns: 0..<groupCount, into: target)
      }
    }
  }

  private func decodeRow(
    _ codes: UnsafePointer<UInt8>, _ scales: UnsafePointer<Float>, _ zeros: UnsafePointer<Float>,
    _ output: UnsafeMutablePointer<Float>
  ) {
    switch groups {
    case .neighbours(let size):
      for group in 0..<groupCount {
        let (scale, zero) = (scales[group], zeros[group])
        let range = group * size..<min((group + 1) * size, columns)
        if isBiased {
          for column in range { output[column] = scale * Float(codes[column]) + zero }
        } else {
          for column in range { output[column] = (Float(codes[column]) - zero) * scale }
        }
      }
    case .listed(let file, let offset):
      let numbers = file.bytes(offset..<offset + 4 * columns)
      for column in 0..<columns {
        // They were checked when the file was opened; one that has changed since reads no other memory.
        let number = numbers.loadUnaligned(fromByteOffset: 4 * column, as: Int32.self)
        let group = min(max(0, Int(Int32(littleEndian: number))), groupCount - 1)
        output[column] = (Float(codes[column]) - zeros[group]) * scales[group]
      }
    }
  }
}
