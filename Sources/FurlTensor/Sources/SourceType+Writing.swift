import CFurlKernels

extension SourceType {
  /// The largest magnitude that a number of this type can have without rounding away from it.
  private var largest: Float {
    switch self {
    case .float16: 65504
    case .bfloat16: 0x1.FEp127
    default: .greatestFiniteMagnitude
    }
  }

  /// The first of some numbers that is not finite or too large for this type; nil if all can be written.
  package func firstMisfit(in values: [Float]) -> Int? {
    let largest = largest
    // Not a number compares as false.
    return values.firstIndex { !(abs($0) <= largest) }
  }

  /// Numbers as files hold them: little-endian, rounded to the nearest, ties to even.
  ///
  /// - Parameter values: without a ``firstMisfit(in:)``. The type must be one without blocks.
  package func bytes(of values: [Float]) -> [UInt8] {
    precondition(blockSize == 1)
    return [UInt8](unsafeUninitializedCapacity: values.count * blockBytes) { buffer, count in
      let output = UnsafeMutableRawBufferPointer(buffer)
      switch self {
      case .float16:
        for (index, value) in values.enumerated() {
          output.storeBytes(of: furl_half_from_float(value).littleEndian, toByteOffset: index * 2, as: UInt16.self)
        }
      case .bfloat16:
        for (index, value) in values.enumerated() {
          let bits = value.bitPattern
          let rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
          output.storeBytes(
            of: UInt16(truncatingIfNeeded: rounded).littleEndian, toByteOffset: index * 2, as: UInt16.self)
        }
      case .float64:
        for (index, value) in values.enumerated() {
          output.storeBytes(of: Double(value).bitPattern.littleEndian, toByteOffset: index * 8, as: UInt64.self)
        }
      default: values.withUnsafeBytes { output.copyMemory(from: $0) }
      }
      count = values.count * blockBytes
    }
  }
}
