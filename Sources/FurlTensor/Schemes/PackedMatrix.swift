import CFurlKernels
import Foundation

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
    let layout = try PackedLayout(scheme: scheme, shape: [source.rows, source.columns])
    let streams = try layout.streams.map { try ByteStorage(zeroed: $0.byteCount) }
    let matrix = try PackedMatrix(layout: layout, streams: streams)
    let failures = Failures()
    pool.forEach(matrix.tiles) { tile in
      let rows = tile * Tile.rows..<min((tile + 1) * Tile.rows, source.rows)
      if let problem = matrix.encode(tile: tile, weights: source.read(rows: rows), rows: rows) {
        failures.add(tile, problem)
      }
    }
    source.drop()
    if let problem = failures.first { throw FurlError.input(source.file.path, problem) }
    return matrix
  }

  /// Encodes one row tile; returns what is wrong with its weights.
  private func encode(tile: Int, weights: [Float], rows: Range<Int>) -> String? {
    if let bad = weights.firstIndex(where: { !$0.isFinite }) {
      return "element [\(rows.lowerBound + bad / columns), \(bad % columns)] is \(weights[bad]), not a finite number"
    }
    let coding = scheme.coding
    let isFloat = coding.scaleCount == 0
    let elementSize = isFloat ? 4 : 1
    let stride = Int(matrix.column_tiles) * Tile.columns * elementSize
    let codes = UnsafeMutablePointer<UInt8>.allocate(capacity: stride * Tile.rows)
    defer { codes.deallocate() }
    codes.initialize(repeating: coding.zeroCode, count: stride * Tile.rows)
    let blocks = Int(matrix.blocks)
    let problem: String? = weights.withUnsafeBufferPointer { weights in
      for row in 0..<rows.count {
        let values = UnsafeBufferPointer(rebasing: weights[row * columns..<(row + 1) * columns])
        let output = codes + row * stride
        if isFloat {
          memcpy(output, values.baseAddress!, columns * 4)
          continue
        }
        for block in 0..<blocks {
          let size = Int(matrix.block_tiles) * Tile.columns
          let range = block * size..<min((block + 1) * size, columns)
          guard let scale = coding.encode(UnsafeBufferPointer(rebasing: values[range]), output + range.lowerBound)
          else {
            return "row \(rows.lowerBound + row), columns \(range) have values too large for \(scheme)"
          }
          let at = (tile * blocks + block) * Tile.rows + row
          store(scale.scale, stream: 1, at: at)
          if coding.scaleCount > 1 { store(scale.minimum, stream: 2, at: at) }
        }
      }
      return nil
    }
    if let problem { return problem }
    for column in 0..<Int(matrix.column_tiles) {
      let target = (tile * Int(matrix.column_tiles) + column) * coding.tileBytes
      coding.pack(codes + column * Tile.columns * elementSize, stride: stride, into: streams[0].base + target)
    }
    return nil
  }

  private func store(_ half: UInt16, stream: Int, at index: Int) {
    (streams[stream].base + index * 2).storeBytes(of: half.littleEndian, as: UInt16.self)
  }
}

/// The first of the problems that several threads find.
private final class Failures: @unchecked Sendable {
  private let lock = NSLock()
  private var found: [Int: String] = [:]

  func add(_ index: Int, _ problem: String) {
    lock.withLock { found[index] = problem }
  }

  var first: String? { lock.withLock { found.min { $0.key < $1.key }?.value } }
}
