import FurlTensor

/// The place of codes and scales in a packed matrix, written down from the layout that `CFurlKernels.h` documents.
struct TileLayout {
  let matrix: PackedMatrix
  private let codes: [UInt8]
  private let halves: [[UInt8]]
  private let columnTiles: Int
  private let blocks: Int
  private let width: Int

  init(_ matrix: PackedMatrix) {
    self.matrix = matrix
    codes = matrix.streams[0].bytes
    halves = matrix.streams.dropFirst().map(\.bytes)
    columnTiles = (matrix.columns + 31) / 32
    width =
      switch matrix.scheme.block {
      case .columns(let size): size
      case .row, nil: matrix.columns
      }
    blocks = (matrix.columns + width - 1) / width
  }

  /// The code of a weight, or of padding.
  func code(_ row: Int, _ column: Int) -> Int {
    let tile = row / 16 * columnTiles + column / 32
    let (r, c) = (row % 16, column % 32)
    if matrix.scheme.codingName == "int8" {
      return Int(codes[tile * 512 + (c / 4 * 16 + r) * 4 + c % 4])
    }
    let byte = codes[tile * 256 + (c % 16 / 4 * 16 + r) * 4 + c % 4]
    return Int(c < 16 ? byte & 15 : byte >> 4)
  }

  /// The bits of the scale (`stream` 0) or minimum (1) of the block that a column is in.
  func half(_ stream: Int, _ row: Int, column: Int) -> UInt16 {
    let at = ((row / 16 * blocks + column / width) * 16 + row % 16) * 2
    return UInt16(halves[stream][at]) | UInt16(halves[stream][at + 1]) << 8
  }

  /// Where blocks begin in a row.
  var blockStarts: [Int] { Array(stride(from: 0, to: matrix.columns, by: width)) }
}
