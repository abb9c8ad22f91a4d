import CFurlKernels

/// A matrix of weights as the kernels read it; it stays so in memory.
public final class PackedMatrix: @unchecked Sendable {
  public let layout: PackedLayout
  /// The streams in the order of ``PackedLayout/streams``.
  public let streams: [ByteStorage]
  let matrix: furl_matrix

  public var scheme: Scheme { layout.scheme }
  public var rows: Int { layout.shape[0] }
  public var columns: Int { layout.shape[1] }
  /// Row tiles: what is shared out to threads.
  var tiles: Int { (rows + Tile.rows - 1) / Tile.rows }

  /// - Parameter streams: as many bytes each as the layout says.
  /// - Throws: ``FurlError`` of kind `defect` if they are not.
  public init(layout: PackedLayout, streams: [ByteStorage]) throws {
    guard layout.shape.count == 2, streams.map(\.count) == layout.streams.map(\.byteCount) else {
      throw FurlError(.defect, "the streams of a matrix \(layout.shape) in \(layout.scheme) have wrong sizes")
    }
    self.layout = layout
    self.streams = streams
    func halves(_ kind: PackedLayout.StreamKind) -> UnsafePointer<UInt16>? {
      layout.streams.firstIndex { $0.kind == kind }.map {
        UnsafeRawPointer(streams[$0].base).assumingMemoryBound(to: UInt16.self)
      }
    }
    matrix = furl_matrix(
      codes: streams[0].base, scales: halves(.scales), minimums: halves(.minimums), rows: layout.shape[0],
      column_tiles: (layout.shape[1] + Tile.columns - 1) / Tile.columns,
      block_tiles: layout.scheme.blockTiles(columns: layout.shape[1]),
      blocks: layout.scheme.blocks(columns: layout.shape[1]))
  }

  /// One row as FP32: [columns].
  public func row(_ row: Int) -> [Float] {
    precondition((0..<rows).contains(row))
    return [Float](unsafeUninitializedCapacity: columns) { buffer, count in
      decodeRow(row, into: buffer.baseAddress!)
      count = columns
    }
  }

  /// Writes `columns` floats.
  func decodeRow(_ row: Int, into output: UnsafeMutablePointer<Float>) {
    withUnsafePointer(to: matrix) { scheme.coding.row($0, row, columns, output) }
  }

  // MARK: Encoding

  /// Encodes a source's weights with the scheme's nearest codes.
  ///
  /// The bytes depend on the weights and the scheme only, not on the number of threads.
  ///
  /// - Throws: ``FurlError`` of kind `input` naming the first weight (in row order) that is not finite or whose
  ///   block does not fit in a half.
  public static func encode(_ source: WeightSource, scheme: Scheme, pool: WorkerPool) throws -> PackedMatrix {
    let encoder = try MatrixEncoder(source, scheme: scheme)
    let buffers = (0..<pool.threads).map { _ in ReadBuffer() }
    let failures = FirstFailure()
    pool.run { part, parts in
      for stripe in WorkerPool.share(encoder.stripeCount, part, parts) {
        do {
          try encoder.encode(stripe: stripe, with: buffers[part])
        } catch {
          failures.add(error, at: stripe)
          return
        }
      }
    }
    try failures.rethrow()
    return encoder.matrix
  }
}
