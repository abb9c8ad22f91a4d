package import FurlBase

extension MappedFile {
  /// Reads `count` numbers of a source's type as FP32.
  ///
  /// - Parameters:
  ///   - type: how the numbers are stored, little-endian.
  ///   - offset: of the first byte; it needs no alignment.
  ///   - count: a multiple of the type's block.
  package func floats(_ type: SourceType, at offset: Int, count: Int) -> [Float] {
    let source = bytes(offset..<offset + type.byteCount(count))
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if count > 0 { type.convert(source, to: buffer.baseAddress!, count: count) }
      initialized = count
    }
  }
}
