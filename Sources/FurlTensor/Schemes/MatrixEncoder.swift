package import FurlBase
import CFurlKernels

/// Encodes the weights of a source with a scheme's nearest codes, stripe by stripe. Stripes are independent: any
/// threads may encode them in any order, and the bytes are the same.
package final class MatrixEncoder: @unchecked Sendable {
  private let encoder: TileEncoder
  private let source: WeightSource
  /// Where codes are taken over as they are stored.
  private let taker: CodeTaker?
  /// Row tiles in every stripe but the last.
  private let stripeTiles: Int

  /// About what a stripe reads: small enough to stay in the caches from reading to encoding, and large enough to
  /// make a system call and a lock cost nothing.
  private static let stripeBytes = 2 << 20
  /// A matrix that is stored the other way round is read in pieces of its columns: the wider a stripe, the longer.
  private static let transposedStripeBytes = 16 << 20

  /// - Parameters:
  ///   - takesCodes: whether the stored codes are taken over as they are; the scheme is the one that holds them
  ///     (``WeightSource/holding()``).
  ///   - memory: where the matrix's memory comes from, and goes back to.
  ///   - pool: who makes a table of its own where the scheme has one; nil: the calling thread.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory for the codes, `input` when the source cannot be
  ///   read.
  package init(
    _ source: WeightSource, scheme: Scheme, takesCodes: Bool = false, memory: StoragePool? = nil,
    pool: WorkerPool? = nil
  ) throws {
    let levels = try scheme.levels(for: source, columnWeights: nil, pool: pool ?? WorkerPool(threads: 1))
    encoder = try TileEncoder(
      PackedLayout(scheme: scheme, shape: [source.rows, source.columns]), levels: levels, leavingOut: source.leftOut,
      memory: memory)
    self.source = source
    taker = takesCodes ? CodeTaker(source, into: encoder.matrix) : nil
    let bytes = source.isTransposed ? MatrixEncoder.transposedStripeBytes : MatrixEncoder.stripeBytes
    stripeTiles = max(1, bytes / source.type.byteCount(source.columns) / Tile.rows)
  }

  /// Complete when every stripe has been encoded.
  package var matrix: PackedMatrix { encoder.matrix }

  /// Stripes that there are to encode.
  package var stripeCount: Int { (matrix.tiles + stripeTiles - 1) / stripeTiles }

  /// The share of the source's bytes that a stripe reads.
  package func sourceBytes(stripe: Int) -> Int { source.type.byteCount(rows(stripe).count * source.columns) }

  private func rows(_ stripe: Int) -> Range<Int> {
    let first = stripe * stripeTiles * Tile.rows
    return first..<min(first + stripeTiles * Tile.rows, source.rows)
  }

  /// - Parameter buffer: memory of the calling thread.
  /// - Throws: ``FurlError`` of kind `input` naming the first weight of the stripe (in row order) that is not finite
  ///   or whose block does not fit in a half, or when the source cannot be read.
  package func encode(stripe: Int, with buffer: ReadBuffer) throws {
    let rows = rows(stripe)
    if let taker { return try take(rows, taker, buffer) }
    let loaded = try source.load(rows: rows, with: buffer)
    let size = loaded.type == FURL_FLOAT32 ? 4 : 2
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Tile.rows) {
      var part = loaded
      part.numbers = loaded.numbers + (first - rows.lowerBound) * Int(loaded.stride) * size
      part.rows = min(Tile.rows, rows.upperBound - first)
      guard encoder.encode(part, tile: first / Tile.rows) else {
        throw FurlError.input(source.file.path, problem(first..<first + Int(part.rows)))
      }
    }
  }

  private func take(_ rows: Range<Int>, _ taker: CodeTaker, _ buffer: ReadBuffer) throws {
    for tile in rows.lowerBound / Tile.rows..<(rows.upperBound + Tile.rows - 1) / Tile.rows {
      guard try taker.take(tile: tile, with: buffer) else {
        let last = min((tile + 1) * Tile.rows, source.rows)
        throw FurlError.input(
          source.file.path, "rows \(tile * Tile.rows)..<\(last) have scales that are not finite",
          remedy: "the file is damaged")
      }
    }
  }

  // MARK: Errors

  /// What is wrong with the weights of a row tile that could not be encoded.
  private func problem(_ rows: Range<Int>) -> String {
    let columns = source.columns
    let weights = source.read(rows: rows)
    if let bad = weights.firstIndex(where: { !$0.isFinite }) {
      return "element [\(rows.lowerBound + bad / columns), \(bad % columns)] is \(weights[bad]), not a finite number"
    }
    guard let bad = encoder.firstBadBlock(weights) else { return "rows \(rows) have changed while they were read" }
    return "row \(rows.lowerBound + bad.row), columns \(bad.columns) have values too large for \(matrix.scheme)"
  }
}
