package import FurlBase

/// FP32 numbers: norms and biases.
package final class FloatVector: @unchecked Sendable {
  package let count: Int
  package let storage: ByteStorage

  /// - Throws: ``FurlError`` of kind `defect` if the storage has another size.
  package init(count: Int, storage: ByteStorage) throws {
    guard storage.count == count * 4 else { throw FurlError(.defect, "a vector of \(count) numbers has a wrong size") }
    self.count = count
    self.storage = storage
  }

  /// Reads a source of one row.
  ///
  /// - Throws: ``FurlError`` of kind `input` naming the first number that is not finite.
  package convenience init(_ source: WeightSource) throws {
    let values = try source.loadFloats(rows: 0..<source.rows, with: ReadBuffer())
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw FurlError.input(source.file.path, "element [\(bad)] is \(values[bad]), not a finite number")
    }
    try self.init(values)
  }

  package convenience init(_ values: [Float]) throws {
    let storage = try ByteStorage(zeroed: values.count * 4)
    storage.withMutableBytes(0..<storage.count) { bytes in
      values.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
    try self.init(count: values.count, storage: storage)
  }

  var pointer: UnsafePointer<Float> { UnsafeRawPointer(storage.base).assumingMemoryBound(to: Float.self) }

  package var values: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}
