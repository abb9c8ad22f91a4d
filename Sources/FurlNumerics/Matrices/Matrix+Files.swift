package import FurlBase
package import FurlTensor

extension Matrix {
  /// Sets all rows to those of a source.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a number that is not finite.
  package func load(_ source: WeightSource, with buffer: ReadBuffer) throws {
    precondition(source.rows == rows && source.columns == columns)
    let step = max(1, (1 << 20) / max(1, columns))
    for start in stride(from: 0, to: rows, by: step) {
      let range = start..<min(start + step, rows)
      let values = try source.loadFloats(rows: range, with: buffer)
      if let bad = values.firstIndex(where: { !$0.isFinite }) {
        let place = "element [\(start + bad / columns), \(bad % columns)]"
        throw FurlError.input(source.file.path, "\(place) is \(values[bad]), not a finite number")
      }
      values.withUnsafeBufferPointer { row(start).update(from: $0.baseAddress!, count: values.count) }
    }
  }

  /// Calls `body` with copies of all bytes, a piece at a time.
  package func forEachChunk(_ body: ([UInt8]) throws -> Void) rethrows {
    let step = 1 << 20
    for start in stride(from: 0, to: count, by: step) {
      try body(Array(UnsafeRawBufferPointer(start: numbers + start, count: min(step, count - start) * 4)))
    }
  }

  /// Sets all numbers to those in a file, as ``forEachChunk(_:)`` gives them.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the file cannot be read.
  package func load(_ file: MappedFile, at offset: Int) throws {
    try file.read(offset..<offset + count * 4, into: numbers)
  }

  /// The matrix as kernels read it.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the first number that is not finite.
  package func packed(_ scheme: Scheme = .float32, on pool: WorkerPool) throws -> PackedMatrix {
    let encoder = try TileEncoder(PackedLayout(scheme: scheme, shape: [rows, columns]))
    let failures = FirstFailure()
    pool.forEach(encoder.matrix.tiles) { tile in
      let first = tile * Tile.rows
      let count = min(Tile.rows, rows - first)
      let numbers = Array(UnsafeBufferPointer(start: row(first), count: count * columns))
      if !encoder.encode(numbers, tile: tile) {
        failures.add(
          FurlError.input(nil, "rows \(first)..<\(first + count) hold numbers that are not finite"), at: tile)
      }
    }
    try failures.rethrow()
    return encoder.matrix
  }
}
