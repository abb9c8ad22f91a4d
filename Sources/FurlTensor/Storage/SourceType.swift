import CFurlKernels

/// How a checkpoint stores its numbers.
public enum SourceType: String, Sendable, Hashable, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"

  /// Numbers that are stored together: 1 unless the type has blocks.
  public var blockSize: Int { 1 }

  /// Bytes of a block.
  public var blockBytes: Int { self == .float32 ? 4 : 2 }

  /// Bytes of so many numbers, a multiple of ``blockSize``.
  public func byteCount(_ numbers: Int) -> Int { numbers / blockSize * blockBytes }

  /// How the kernels call the type, if they read it as it lies.
  var number: furl_number? {
    self == .float32 ? FURL_FLOAT32 : self == .float16 ? FURL_FLOAT16 : self == .bfloat16 ? FURL_BFLOAT16 : nil
  }

  func convert(_ source: UnsafeRawBufferPointer, to output: UnsafeMutablePointer<Float>, count: Int) {
    guard let base = source.baseAddress else { return }
    if self == .float32 {
      memcpy(output, base, count * 4)
      return
    }
    let halves: (UnsafePointer<UInt16>) -> Void = {
      self == .float16 ? furl_floats_from_halves($0, count, output) : furl_floats_from_bfloats($0, count, output)
    }
    if UInt(bitPattern: base) % 2 == 0 {
      halves(base.assumingMemoryBound(to: UInt16.self))
    } else {
      let aligned = source.withMemoryRebound(to: UInt8.self) { bytes in
        (0..<count).map { UInt16(bytes[2 * $0]) | UInt16(bytes[2 * $0 + 1]) << 8 }
      }
      aligned.withUnsafeBufferPointer { halves($0.baseAddress!) }
    }
  }
}
