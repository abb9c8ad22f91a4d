import FurlBase
package import FurlTensor

/// The place of codes and scales in a packed matrix, written down from the layout that `CFurlKernels.h` documents.
package struct TileLayout {
  package let matrix: PackedMatrix
  private let streams: [PackedLayout.StreamKind: [UInt8]]
  private let columnTiles: Int
  private let blocks: Int
  private let width: Int

  package init(_ matrix: PackedMatrix) {
    self.matrix = matrix
    streams = Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams.map(\.bytes)))
    columnTiles = (matrix.columns + 31) / 32
    width =
      switch matrix.scheme.block {
      case .columns(let size): size
      case .row, nil: matrix.columns
      }
    blocks = (matrix.columns + width - 1) / width
  }

  /// Bits of a code.
  package var bits: Int {
    switch matrix.scheme.codingName {
    case "int8", "nested8": 8
    case "int6", "int6-minimum": 6
    case "int5", "int5-minimum": 5
    case "int3", "int3-minimum": 3
    case "int2", "int2-minimum": 2
    default: 4
    }
  }

  /// Whether scales have signs.
  package var hasSigns: Bool {
    ["nested8", "int6", "int5", "int4", "int3", "int2", "codebook4"].contains(matrix.scheme.codingName)
  }

  /// The code of zero.
  package var zero: Int {
    switch matrix.scheme.codingName {
    case "nf4": 7
    case "nested8": 88
    case "codebook4": levels.indices.min { (abs(levels[$0]), $0) < (abs(levels[$1]), $1) } ?? 0
    case "int8", "int6", "int5", "int4", "int3", "int2": 1 << (bits - 1)
    default: 0
    }
  }

  /// The levels of a table of its own.
  package var levels: [Int] { (streams[.levels] ?? []).map { Int(Int8(bitPattern: $0)) } }

  /// The code of a weight, or of padding; where codes are in two planes, ten times the first and the second.
  package func code(_ row: Int, _ column: Int) -> Int {
    if let rest = streams[.remainders] {
      return 10 * nibble(streams[.codes] ?? [], row, column) + nibble(rest, row, column)
    }
    let codes = streams[.codes] ?? []
    let tile = (row / 16 * columnTiles + column / 32) * 64 * bits
    let (r, c) = (row % 16, column % 32)
    let (group, i) = (c / 4, c % 4)
    if bits == 8 { return Int(codes[tile + (group * 16 + r) * 4 + i]) }
    if bits >= 4 {
      let byte = codes[tile + (group % 4 * 16 + r) * 4 + i]
      let nibble = Int(c < 16 ? byte & 15 : byte >> 4)
      switch bits {
      case 5: return nibble | (Int(codes[tile + 256 + r * 4 + i]) >> group & 1) << 4
      case 6: return nibble | (Int(codes[tile + 256 + (group % 2 * 16 + r) * 4 + i]) >> (group / 2 * 2) & 3) << 4
      default: return nibble
      }
    }
    let low = Int(codes[tile + (group % 2 * 16 + r) * 4 + i]) >> (group / 2 * 2) & 3
    return bits == 2 ? low : low | (Int(codes[tile + 128 + r * 4 + i]) >> group & 1) << 2
  }

  private func nibble(_ plane: [UInt8], _ row: Int, _ column: Int) -> Int {
    let tile = (row / 16 * columnTiles + column / 32) * 256
    let byte = plane[tile + (column % 16 / 4 * 16 + row % 16) * 4 + column % 4]
    return Int(column % 32 < 16 ? byte & 15 : byte >> 4)
  }

  private func place(_ row: Int, _ column: Int) -> Int { (row / 16 * blocks + column / width) * 16 + row % 16 }

  /// The bits of the scale (`stream` 0) or minimum (1) of the block that a column is in: a half or a byte.
  package func half(_ stream: Int, _ row: Int, column: Int) -> UInt16 {
    let bytes = streams[stream == 0 ? .scales : .minimums] ?? []
    let at = place(row, column)
    if matrix.scheme.scales == .u8 { return UInt16(bytes[at]) }
    return UInt16(bytes[2 * at]) | UInt16(bytes[2 * at + 1]) << 8
  }

  /// What a row's scales or minimums in 8 bits are multiples of.
  package func factor(_ stream: Int, _ row: Int) -> Float {
    let bytes = streams[stream == 0 ? .factors : .minimumFactors] ?? []
    return Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[4 * row + $1]) << UInt32(8 * $1) })
  }

  /// The scale of the block that a column is in.
  package func scale(_ row: Int, column: Int) -> Float {
    let bits = half(0, row, column: column)
    guard matrix.scheme.scales == .u8 else { return Float(Float16(bitPattern: bits)) }
    return Float(Int(bits) - (hasSigns ? 128 : 0)) * factor(0, row)
  }

  /// Where blocks begin in a row.
  package var blockStarts: [Int] { Array(stride(from: 0, to: matrix.columns, by: width)) }
}
