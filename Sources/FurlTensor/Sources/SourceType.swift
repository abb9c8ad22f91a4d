import FurlBase
import CFurlKernels

/// How a checkpoint stores its numbers, by the name that the formats give it.
package enum SourceType: String, Sendable, Hashable, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  /// Read as FP32: the nearest, ties to even.
  case float64 = "F64"
  // Blocks of GGUF files.
  case q80 = "Q8_0"
  case q40 = "Q4_0"
  case q41 = "Q4_1"
  case q50 = "Q5_0"
  case q51 = "Q5_1"
  case iq4nl = "IQ4_NL"
  case q2k = "Q2_K"
  case q3k = "Q3_K"
  case q4k = "Q4_K"
  case q5k = "Q5_K"
  case q6k = "Q6_K"
  case iq4xs = "IQ4_XS"
  case mxfp4 = "MXFP4"
  case iq1s = "IQ1_S"
  case iq1m = "IQ1_M"
  case iq2xxs = "IQ2_XXS"
  case iq2xs = "IQ2_XS"
  case iq2s = "IQ2_S"
  case iq3xxs = "IQ3_XXS"
  case iq3s = "IQ3_S"
  case tq10 = "TQ1_0"
  case tq20 = "TQ2_0"

  /// Numbers that are stored together: 1 unless the type has blocks.
  package var blockSize: Int {
    switch self {
    case .float32, .float16, .bfloat16, .float64: 1
    case .q80, .q40, .q41, .q50, .q51, .iq4nl, .mxfp4: 32
    case .q2k, .q3k, .q4k, .q5k, .q6k, .iq4xs, .iq1s, .iq1m, .iq2xxs, .iq2xs, .iq2s, .iq3xxs, .iq3s, .tq10, .tq20: 256
    }
  }

  /// Bytes of a block.
  package var blockBytes: Int {
    switch self {
    case .float32: 4
    case .float16, .bfloat16: 2
    case .float64: 8
    case .q80: 2 + 32
    case .q40, .iq4nl: 2 + 16
    case .q41: 4 + 16
    case .q50: 2 + 4 + 16
    case .q51: 4 + 4 + 16
    case .q2k: 16 + 64 + 4
    case .q3k: 32 + 64 + 12 + 2
    case .q4k: 4 + 12 + 128
    case .q5k: 4 + 12 + 32 + 128
    case .q6k: 128 + 64 + 16 + 2
    case .iq4xs: 2 + 2 + 4 + 128
    case .mxfp4: 1 + 16
    case .iq1s: 2 + 32 + 16
    case .iq1m: 32 + 16 + 8
    case .iq2xxs: 2 + 64
    case .iq2xs: 2 + 64 + 8
    case .iq2s: 2 + 64 + 8 + 8
    case .iq3xxs: 2 + 64 + 32
    case .iq3s: 2 + 64 + 8 + 32 + 4
    case .tq10: 48 + 4 + 2
    case .tq20: 64 + 2
    }
  }

  /// Bytes of so many numbers, a multiple of ``blockSize``.
  package func byteCount(_ numbers: Int) -> Int { numbers / blockSize * blockBytes }

  /// How the kernels call the type, if they read it as it lies.
  var number: furl_number? {
    self == .float32 ? FURL_FLOAT32 : self == .float16 ? FURL_FLOAT16 : self == .bfloat16 ? FURL_BFLOAT16 : nil
  }

  func convert(_ source: UnsafeRawBufferPointer, to output: UnsafeMutablePointer<Float>, count: Int) {
    guard let base = source.baseAddress else { return }
    switch self {
    case .float32: memcpy(output, base, count * 4)
    case .float16, .bfloat16: convertHalves(source, to: output, count: count)
    case .float64:
      for index in 0..<count { output[index] = Float(source.loadUnaligned(fromByteOffset: 8 * index, as: Double.self)) }
    default: convertBlocks(base.assumingMemoryBound(to: UInt8.self), to: output, count: count)
    }
  }

  private func convertHalves(_ source: UnsafeRawBufferPointer, to output: UnsafeMutablePointer<Float>, count: Int) {
    guard let base = source.baseAddress else { return }
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

  private func convertBlocks(_ source: UnsafePointer<UInt8>, to output: UnsafeMutablePointer<Float>, count: Int) {
    switch self {
    case .float32, .float16, .bfloat16, .float64: return
    case .q80: forEachBlock(source, output, count, SmallBlocks.q80)
    case .q40: forEachBlock(source, output, count, SmallBlocks.q40)
    case .q41: forEachBlock(source, output, count, SmallBlocks.q41)
    case .q50: forEachBlock(source, output, count, SmallBlocks.q50)
    case .q51: forEachBlock(source, output, count, SmallBlocks.q51)
    case .q2k: forEachBlock(source, output, count, SuperBlocks.q2k)
    case .q3k: forEachBlock(source, output, count, SuperBlocks.q3k)
    case .q4k: forEachBlock(source, output, count, SuperBlocks.q4k)
    case .q5k: forEachBlock(source, output, count, SuperBlocks.q5k)
    case .q6k: forEachBlock(source, output, count, SuperBlocks.q6k)
    case .iq4nl: forEachBlock(source, output, count, TableBlocks.iq4nl)
    case .iq4xs: forEachBlock(source, output, count, TableBlocks.iq4xs)
    case .mxfp4: forEachBlock(source, output, count, TableBlocks.mxfp4)
    case .iq1s: forEachBlock(source, output, count, GridBlocks.iq1s)
    case .iq1m: forEachBlock(source, output, count, GridBlocks.iq1m)
    case .iq2xxs: forEachBlock(source, output, count, GridBlocks.iq2xxs)
    case .iq2xs: forEachBlock(source, output, count, GridBlocks.iq2xs)
    case .iq2s: forEachBlock(source, output, count, GridBlocks.iq2s)
    case .iq3xxs: forEachBlock(source, output, count, GridBlocks.iq3xxs)
    case .iq3s: forEachBlock(source, output, count, GridBlocks.iq3s)
    case .tq10: forEachBlock(source, output, count, TernaryBlocks.tq10)
    case .tq20: forEachBlock(source, output, count, TernaryBlocks.tq20)
    }
  }

  @inline(__always)
  private func forEachBlock(
    _ source: UnsafePointer<UInt8>, _ output: UnsafeMutablePointer<Float>, _ count: Int,
    _ decode: (UnsafePointer<UInt8>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let (size, bytes) = (blockSize, blockBytes)
    for block in 0..<count / size { decode(source + block * bytes, output + block * size) }
  }
}
