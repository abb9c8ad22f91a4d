import FurlBase

/// The bytes that a tensor takes in a scheme: what the plan adds up, the writer writes and a reader expects.
///
/// A matrix has `codes` in tiles and, by scheme, `remainders` that make more bits of them (as many bytes), `scales` and `minimums` ([row tile][block][16 rows], halves or bytes), what
/// bytes are multiples of (`factors` and `minimum_factors`: [row tile][16 rows], FP32; of GGUF's super-blocks [row
/// tile][super-block][16 rows], halves), and the 16 signed bytes of a table of
/// its own (`levels`). Columns that are kept apart have `outliers` ([row tile][column][16 rows], halves) and their numbers
/// (`outlier_columns`, ascending, 4 bytes each). A vector (norms, biases) has its FP32 `values`.
package struct PackedLayout: Sendable, Hashable {
  /// What a stream holds.
  package enum StreamKind: String, Sendable, Hashable, CaseIterable {
    case codes, remainders, scales, minimums, factors
    case minimumFactors = "minimum_factors"
    case levels, outliers
    case outlierColumns = "outlier_columns"
    case values
  }

  package struct Stream: Sendable, Hashable {
    package let kind: StreamKind
    /// Bytes in memory and, decoded, in a file.
    package let byteCount: Int
    package let symbols: SymbolForm
    /// The byte that weights of zero consist of; nil where they have no bytes of their own.
    package let zero: UInt8?

    package init(kind: StreamKind, byteCount: Int, symbols: SymbolForm, zero: UInt8? = nil) {
      (self.kind, self.byteCount, self.symbols, self.zero) = (kind, byteCount, symbols, zero)
    }
  }

  package let scheme: Scheme
  /// [count], or [rows, columns].
  package let shape: [Int]
  package let streams: [Stream]

  /// The index of the stream of a kind; nil where there is none.
  package func place(of kind: StreamKind) -> Int? { streams.firstIndex { $0.kind == kind } }

  /// The most numbers that a tensor may have; no size computed from it overflows.
  package static let elementLimit = 1 << 40

  /// - Throws: ``FurlError`` of kind `input` when the shape is not one or two positive extents of at most 2^40
  ///   numbers, or a vector is to be quantized.
  package init(scheme: Scheme, shape: [Int]) throws {
    guard (1...2).contains(shape.count), shape.allSatisfy({ $0 > 0 && $0 <= PackedLayout.elementLimit }),
      shape.count == 1 || shape[0] <= PackedLayout.elementLimit / shape[1]
    else { throw FurlError.input(nil, "the shape \(shape) is not that of a vector or a matrix") }
    self.scheme = scheme
    self.shape = shape
    guard shape.count == 2 else {
      guard scheme == .float32 else { throw FurlError.input(nil, "a vector cannot be stored as \(scheme)") }
      streams = [Stream(kind: .values, byteCount: shape[0] * 4, symbols: .floats)]
      return
    }
    let coding = scheme.coding
    let rowTiles = (shape[0] + Tile.rows - 1) / Tile.rows
    let columnTiles = (shape[1] + Tile.columns - 1) / Tile.columns
    guard shape[1] % scheme.columnUnit == 0 else {
      throw FurlError.input(
        nil, "\(scheme) has blocks of \(scheme.columnUnit) columns, and the rows have \(shape[1])",
        remedy: "use a scheme with blocks of 32, such as q5_0 or int4")
    }
    let isSmall = scheme.hasScaleCodes
    let scaleBytes = rowTiles * scheme.blocks(columns: shape[1]) * Tile.rows * (isSmall ? 1 : 2)
    let scaleForm = isSmall ? SymbolForm.bytes : .halves
    var streams = [
      Stream(
        kind: .codes, byteCount: rowTiles * columnTiles * coding.tileBytes, symbols: coding.symbols,
        zero: coding.zeroByte)
    ]
    if coding.firstPlane != nil {
      streams.append(Stream(kind: .remainders, byteCount: streams[0].byteCount, symbols: coding.symbols))
    }
    for kind in [StreamKind.scales, .minimums].prefix(coding.scaleCount) {
      streams.append(Stream(kind: kind, byteCount: scaleBytes, symbols: scaleForm))
    }
    let factorCount = if case .exponents = coding.scaleForm { 0 } else { isSmall ? coding.scaleCount : 0 }
    for kind in [StreamKind.factors, .minimumFactors].prefix(factorCount) {
      let (count, form) =
        scheme.superBlock == nil ? (4, SymbolForm.floats) : (shape[1] / SuperBlockForm.columns * 2, .halves)
      streams.append(Stream(kind: kind, byteCount: rowTiles * Tile.rows * count, symbols: form))
    }
    if scheme.hasOwnTable { streams.append(Stream(kind: .levels, byteCount: CodeTable.count, symbols: .bytes)) }
    if scheme.outliers > 0 {
      guard scheme.outliers <= shape[1] else {
        throw FurlError.input(nil, "\(scheme) keeps more columns apart than the \(shape[1]) that there are")
      }
      streams.append(
        Stream(kind: .outliers, byteCount: rowTiles * scheme.outliers * Tile.rows * 2, symbols: .halves))
      streams.append(Stream(kind: .outlierColumns, byteCount: scheme.outliers * 4, symbols: .floats))
    }
    self.streams = streams
  }

  /// Bits in memory for each number, scales included.
  package var bitsPerWeight: Double { 8 * Double(byteCount) / Double(shape.reduce(1, *)) }

  /// All streams together.
  package var byteCount: Int { streams.reduce(0) { $0 + $1.byteCount } }
}
