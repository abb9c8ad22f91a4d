package import FurlBase

/// Scales of blocks whose codes lie in another tensor: one byte each, in the blocks' order.
///
/// MXFP4 as gpt-oss's checkpoints hold it (Open Compute Project 2023, "OCP Microscaling Formats"): a block is 32 numbers of
/// 4 bits (E2M1), the earlier of two in a byte's lower half, and its scale 2^(byte - 127) (E8M0), where 255 is no number.
/// All products are exact in FP32.
package struct BlockScales: Sendable, Hashable {
  /// The byte of the scale of the block that the codes begin with.
  package let offset: Int

  package init(offset: Int) { self.offset = offset }

  private static let numbers: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]

  /// What a scale's byte says.
  static func scale(_ byte: UInt8) -> Float {
    switch byte {
    // Half of the smallest normal number.
    case 0: Float(bitPattern: 1 << 22)
    case 255: .nan
    default: Float(bitPattern: UInt32(byte) << 23)
    }
  }

  /// A block's numbers with a scale of one.
  static func decode(_ codes: UnsafePointer<UInt8>, _ output: UnsafeMutablePointer<Float>) {
    for index in 0..<16 {
      output[2 * index] = numbers[Int(codes[index] & 15)]
      output[2 * index + 1] = numbers[Int(codes[index] >> 4)]
    }
  }
}

extension WeightSource {
  /// The same with scales of its blocks.
  ///
  /// - Parameters:
  ///   - scales: of a type whose codes stand alone.
  ///   - file: that they lie in.
  /// - Throws: ``FurlError`` of kind `defect` if one lies outside of the file.
  package func scaled(by scales: BlockScales, in file: MappedFile) throws -> WeightSource {
    let blocks = (range.upperBound - offset) / type.blockBytes
    guard type == .mxfp4Codes, scales.offset >= 0, scales.offset <= file.count, blocks <= file.count - scales.offset
    else {
      throw FurlError(.defect, file: file.path, "scales of blocks lie outside of the file")
    }
    return scaling(by: (scales, file))
  }

  /// Multiplies numbers from the number-th on, which begin and end with blocks, with their blocks' scales.
  func applyScales(number: Int, count: Int, to output: UnsafeMutablePointer<Float>) {
    guard let (scales, file) = scales else { return }
    let (first, blocks) = (number / type.blockSize, count / type.blockSize)
    let bytes = file.bytes(scales.offset + first..<scales.offset + first + blocks)
    for block in 0..<blocks {
      let scale = BlockScales.scale(bytes[block])
      for index in block * type.blockSize..<(block + 1) * type.blockSize { output[index] *= scale }
    }
  }
}
