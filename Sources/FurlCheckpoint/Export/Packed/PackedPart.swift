import FurlBase
import FurlSpec
import FurlTensor

/// What is written of a layer whose weights are integers.
enum PackedPart {
  /// Unsigned integers, a row's one after the other in words of 32 bits, the lowest bits first: [rows][words].
  case codesByRow
  /// FP32: [rows][groups].
  case scalesByRow
  /// Rows and columns.
  case shape
  /// Unsigned integers, packed down the columns: [words][rows].
  case codesByColumn
  /// One less than the integer that stands for zero, packed along the rows: [groups][words].
  case zeros
  /// Halves: [groups][rows].
  case scalesByGroup
  /// The group of every column.
  case groupOfColumn
}

/// Writes the parts of layers whose weights are integers.
struct PackedPartWriter {
  let source: any ExportSource
  let tools: ExportTools

  func write(_ part: PackedPart, of layer: PackedLayer, to file: OutputFile) throws {
    switch part {
    case .shape: try file.write(words([layer.rows, layer.columns], bytes: 8))
    case .groupOfColumn:
      try file.write(words((0..<layer.columns).map { $0 / (layer.group ?? layer.columns) }, bytes: 4))
    case .zeros:
      let byte: UInt8 = layer.bits == 4 ? 0x77 : 0x7F
      try file.write([UInt8](repeating: byte, count: layer.groups * layer.rows * layer.bits / 8))
    case .codesByRow:
      try forEachRow(of: layer) { try file.write(PackedPartWriter.packed($0.codes, bits: layer.bits)) }
    case .scalesByRow: try forEachRow(of: layer) { try file.write(SourceType.float32.bytes(of: $0.scales)) }
    case .codesByColumn: try writeColumns(layer, to: file)
    case .scalesByGroup: try writeScales(layer, to: file)
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
      guard let row = matrices[owner.part].integers(row: owner.row) else {
        throw FurlError(.defect, file: source.path, place: parts[owner.part].spec.name, "has no integers")
      }
      try body(row)
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

  private func writeScales(_ layer: PackedLayer, to file: OutputFile) throws {
    var scales: [Float] = []
    try forEachRow(of: layer) { scales += $0.scales }
    for group in 0..<layer.groups {
      let line = (0..<layer.rows).map { scales[$0 * layer.groups + group] }
      try file.write(SourceType.float16.bytes(of: line))
    }
  }
}
