import CFurlKernels

/// Encodes the weights of a source with a scheme's nearest codes, stripe by stripe. Stripes are independent: any
/// threads may encode them in any order, and the bytes are the same.
public final class MatrixEncoder: @unchecked Sendable {
  /// Complete when every stripe has been encoded.
  public let matrix: PackedMatrix
  private let source: WeightSource
  private let kernel: furl_encode
  /// Row tiles in every stripe but the last.
  private let stripeTiles: Int

  /// About what a stripe reads: small enough to stay in the caches from reading to encoding, and large enough to
  /// make a system call and a lock cost nothing.
  private static let stripeBytes = 2 << 20
  /// A matrix that is stored the other way round is read in pieces of its columns: the wider a stripe, the longer.
  private static let transposedStripeBytes = 16 << 20

  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory for the codes.
  public init(_ source: WeightSource, scheme: Scheme) throws {
    let layout = try PackedLayout(scheme: scheme, shape: [source.rows, source.columns])
    matrix = try PackedMatrix(layout: layout, streams: layout.streams.map { try ByteStorage(zeroed: $0.byteCount) })
    self.source = source
    kernel = scheme.coding.encode(Kernels.forEncoding.table)
    let bytes = source.isTransposed ? MatrixEncoder.transposedStripeBytes : MatrixEncoder.stripeBytes
    stripeTiles = max(1, bytes / source.type.byteCount(source.columns) / Tile.rows)
  }

  /// Stripes that there are to encode.
  public var stripeCount: Int { (matrix.tiles + stripeTiles - 1) / stripeTiles }

  /// The share of the source's bytes that a stripe reads.
  public func sourceBytes(stripe: Int) -> Int { source.type.byteCount(rows(stripe).count * source.columns) }

  private func rows(_ stripe: Int) -> Range<Int> {
    let first = stripe * stripeTiles * Tile.rows
    return first..<min(first + stripeTiles * Tile.rows, source.rows)
  }

  /// - Parameter buffer: memory of the calling thread.
  /// - Throws: ``FurlError`` of kind `input` naming the first weight of the stripe (in row order) that is not finite
  ///   or whose block does not fit in a half, or when the source cannot be read.
  public func encode(stripe: Int, with buffer: ReadBuffer) throws {
    let rows = rows(stripe)
    let loaded = try source.load(rows: rows, with: buffer)
    let size = loaded.type == FURL_FLOAT32 ? 4 : 2
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Tile.rows) {
      var part = loaded
      part.numbers = loaded.numbers + (first - rows.lowerBound) * Int(loaded.stride) * size
      part.rows = min(Tile.rows, rows.upperBound - first)
      guard encode(part, tile: first / Tile.rows) else {
        throw FurlError.input(source.file.path, problem(first..<first + Int(part.rows)))
      }
    }
  }

  private func encode(_ rows: furl_rows, tile: Int) -> Bool {
    let layout = matrix.matrix
    let tiles = Int(layout.column_tiles)
    let halves = tile * Int(layout.blocks) * Tile.rows
    func start(_ stream: Int) -> UnsafeMutablePointer<UInt16>? {
      guard stream < matrix.streams.count else { return nil }
      return matrix.streams[stream].base.assumingMemoryBound(to: UInt16.self) + halves
    }
    var rows = rows
    var target = furl_row_tile(
      codes: matrix.streams[0].base + tile * tiles * matrix.scheme.coding.tileBytes, scales: start(1),
      minimums: start(2), column_tiles: tiles, block_tiles: layout.block_tiles, blocks: layout.blocks)
    return kernel(&rows, &target)
  }

  // MARK: Errors

  /// What is wrong with the weights of a row tile that could not be encoded.
  private func problem(_ rows: Range<Int>) -> String {
    let columns = source.columns
    let weights = source.read(rows: rows)
    if let bad = weights.firstIndex(where: { !$0.isFinite }) {
      return "element [\(rows.lowerBound + bad / columns), \(bad % columns)] is \(weights[bad]), not a finite number"
    }
    let size = Int(matrix.matrix.block_tiles) * Tile.columns
    for (index, row) in rows.enumerated() {
      for start in stride(from: 0, to: columns, by: size) {
        let block = start..<min(start + size, columns)
        if !fits(Array(weights[index * columns + block.lowerBound..<index * columns + block.upperBound])) {
          return "row \(row), columns \(block) have values too large for \(matrix.scheme)"
        }
      }
    }
    return "rows \(rows) have changed while they were read"
  }

  /// Whether one block of one row can be encoded.
  private func fits(_ block: [Float]) -> Bool {
    let tiles = (block.count + Tile.columns - 1) / Tile.columns
    var codes = [UInt8](repeating: 0, count: tiles * matrix.scheme.coding.tileBytes)
    var scales = [UInt16](repeating: 0, count: Tile.rows)
    var minimums = scales
    return block.withUnsafeBufferPointer { values in
      codes.withUnsafeMutableBytes { codes in
        scales.withUnsafeMutableBufferPointer { scales in
          minimums.withUnsafeMutableBufferPointer { minimums in
            var rows = furl_rows(
              numbers: values.baseAddress!, type: FURL_FLOAT32, stride: values.count, rows: 1, columns: values.count)
            var target = furl_row_tile(
              codes: codes.baseAddress!, scales: scales.baseAddress!, minimums: minimums.baseAddress!,
              column_tiles: tiles, block_tiles: tiles, blocks: 1)
            return kernel(&rows, &target)
          }
        }
      }
    }
  }
}
