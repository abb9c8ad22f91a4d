import FurlBase
import FurlSpec
import FurlTensor

/// What is written of a layer whose weights are integers.
enum PackedPart {
  /// Unsigned integers, a row's one after the other in words of 32 bits, the lowest bits first: [rows][words].
  case codesByRow
  /// The same, an input's one after the other: [columns][words].
  case codesByInput
  /// FP32: [rows][groups].
  case scalesByRow
  /// What was stored: rows and columns, or the other way round.
  case shape
  /// Unsigned integers that stand for zero, packed down the rows: [words][groups].
  case zerosByRow
  /// Unsigned integers, packed down the columns: [words][rows].
  case codesByColumn
  /// One less than the unsigned integer that stands for zero, packed along the rows: [groups][words].
  case zeros
  /// Integers that stand for zero, a byte with a sign each: [groups][rows].
  case zerosByGroup
  /// [groups][rows].
  case scalesByGroup(SourceType)
  /// The group of every column.
  case groupOfColumn
}

/// Writes the parts of layers whose weights are integers.
struct PackedPartWriter {
  let source: any ExportSource
  let tools: ExportTools
  let packing: WeightPacking

  func write(_ part: PackedPart, of layer: PackedLayer, to file: OutputFile) throws {
    switch part {
    case .shape: try file.write(words(layer.layout.shape, bytes: 8))
    case .groupOfColumn:
      try file.write(words((0..<layer.columns).map { $0 / (layer.group ?? layer.columns) }, bytes: 4))
    case .codesByRow:
      try forEachRow(of: layer) { try file.write(PackedPartWriter.packed($0.codes, bits: layer.bits)) }
    case .scalesByRow: try forEachRow(of: layer) { try file.write(SourceType.float32.bytes(of: $0.scales)) }
    case .codesByColumn: try writeColumns(layer, to: file)
    case .codesByInput: try writeInputs(layer, to: file)
    case .scalesByGroup(let type):
      var scales: [Float] = []
      try forEachRow(of: layer) { scales += $0.scales }
      for group in 0..<layer.groups {
        try file.write(type.bytes(of: PackedPartWriter.column(group, of: layer.groups, scales)))
      }
    case .zeros, .zerosByRow, .zerosByGroup: try writeZeros(part, of: layer, to: file)
    }
  }

  private func words(_ values: [Int], bytes: Int) -> [UInt8] {
    values.flatMap { value in (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
  }

  /// Integers from the least one on, which becomes 0, padded to a whole word.
  static func packed(_ codes: [Int8], bits: Int) -> [UInt8] {
    let offset = 1 << (bits - 1)
    var bytes = [UInt8](repeating: 0, count: (codes.count * bits + 31) / 32 * 4)
    for (index, code) in codes.enumerated() {
      let place = index * bits
      bytes[place / 8] |= UInt8(truncatingIfNeeded: Int(code) + offset) << UInt8(place % 8)
    }
    return bytes
  }

  /// Of numbers that lie in rows of `width`.
  private static func column<Element>(_ column: Int, of width: Int, _ numbers: [Element]) -> [Element] {
    stride(from: column, to: numbers.count, by: width).map { numbers[$0] }
  }

  /// Calls `body` with the rows of a layer, in the order in which they are stored.
  private func forEachRow(of layer: PackedLayer, _ body: (IntegerRow) throws -> Void) throws {
    let parts = layer.layout.slices[0]
    var owners = [(part: Int, row: Int)](repeating: (0, 0), count: layer.rows)
    for (index, part) in parts.enumerated() {
      for row in 0..<part.rows { owners[part.output(row)] = (index, row) }
    }
    let matrices = try parts.map { part in
      guard case .matrix(let matrix) = try source.weights(of: part.spec, pool: tools.pool) else {
        throw FurlError(.defect, file: source.path, place: part.spec.name, "is no matrix of codes")
      }
      return matrix
    }
    for owner in owners {
      let row: IntegerRow
      do {
        row = try matrices[owner.part].integers(row: owner.row)
      } catch {
        throw refusal(error, of: parts[owner.part].spec, row: owner.row)
      }
      // What is stored less one has no place for the least integer.
      if packing == .gptq, let block = row.zeros?.firstIndex(of: Int8(-(1 << (layer.bits - 1)))) {
        throw FurlError.input(
          source.path, parts[owner.part].spec.name,
          "has the zero point 0 in row \(owner.row), block \(block), which gptq's first version does not hold",
          remedy: "export it as compressed-tensors")
      }
      try body(row)
    }
  }

  private func refusal(_ problem: IntegerProblem, of tensor: TensorSpec, row: Int) -> FurlError {
    switch problem {
    case .scheme: FurlError(.defect, file: source.path, place: tensor.name, "has no integers")
    case .minimum(let block):
      .input(
        source.path, tensor.name,
        "has a minimum in row \(row), block \(block) that is no whole multiple of its scale, as \(packing.rawValue) wants it",
        remedy: "compress with zero: point, which makes such minimums, or with zero: symmetric")
    }
  }

  private func writeColumns(_ layer: PackedLayer, to file: OutputFile) throws {
    var packed: [UInt8] = []
    packed.reserveCapacity(layer.rows * layer.columns * layer.bits / 8)
    try forEachRow(of: layer) { packed += PackedPartWriter.packed($0.codes, bits: layer.bits) }
    let words = layer.columns * layer.bits / 32
    var line = [UInt8](repeating: 0, count: layer.rows * 4)
    for word in 0..<words {
      for row in 0..<layer.rows {
        for byte in 0..<4 { line[row * 4 + byte] = packed[(row * words + word) * 4 + byte] }
      }
      try file.write(line)
    }
  }

  private func writeInputs(_ layer: PackedLayer, to file: OutputFile) throws {
    var codes: [Int8] = []
    codes.reserveCapacity(layer.rows * layer.columns)
    try forEachRow(of: layer) { codes += $0.codes }
    for column in 0..<layer.columns {
      let line = PackedPartWriter.column(column, of: layer.columns, codes)
      try file.write(PackedPartWriter.packed(line, bits: layer.bits))
    }
  }

  /// The zeros of layers without minimums are in the middle.
  private func writeZeros(_ part: PackedPart, of layer: PackedLayer, to file: OutputFile) throws {
    var zeros: [Int8] = []
    if layer.hasZeros {
      try forEachRow(of: layer) { zeros += $0.zeros ?? [] }
    } else {
      zeros = Array(repeating: 0, count: layer.rows * layer.groups)
    }
    let groups = (0..<layer.groups).map { PackedPartWriter.column($0, of: layer.groups, zeros) }
    switch part {
    case .zerosByGroup:
      for group in groups { try file.write(group.map { UInt8(bitPattern: $0) }) }
    case .zerosByRow:
      let packed = groups.map { PackedPartWriter.packed($0, bits: layer.bits) }
      for word in 0..<(layer.rows * layer.bits + 31) / 32 {
        for group in packed { try file.write(Array(group[4 * word..<4 * word + 4])) }
      }
    default:
      for group in groups { try file.write(PackedPartWriter.packed(group.map { $0 &- 1 }, bits: layer.bits)) }
    }
  }
}
