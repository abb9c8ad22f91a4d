/// A text that comes with the program as one zstd frame.
package enum CompressedText {
  /// - Parameter count: bytes of the text.
  /// - Throws: when the frame is damaged.
  package static func decode(_ frame: [UInt8], count: Int) throws -> [UInt8] {
    try Zstd.decompress(frame, count: count)
  }
}
