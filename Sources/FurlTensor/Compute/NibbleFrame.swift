import CFurlKernels

/// Huffman coding of symbols of four bits.
package enum NibbleFrame {
  /// Bytes that writing a frame of so many symbols may touch.
  package static func room(_ symbols: Int) -> Int { furl_nibble_frame_room(symbols) }

  /// Writes one zstd frame of literals without matches, the same with every version of zstd.
  ///
  /// - Parameters:
  ///   - symbols: one a byte.
  ///   - frame: ``room(_:)`` bytes.
  /// - Returns: the size of the frame; nil if there is none of this kind: few symbols, all the same, or not below 16.
  package static func write(_ symbols: UnsafeRawBufferPointer, to frame: UnsafeMutableRawBufferPointer) -> Int? {
    precondition(frame.count >= room(symbols.count))
    guard let source = symbols.baseAddress, let target = frame.baseAddress else { return nil }
    let size = furl_nibble_frame(
      source.assumingMemoryBound(to: UInt8.self), symbols.count, target.assumingMemoryBound(to: UInt8.self))
    return size == 0 ? nil : size
  }
}
