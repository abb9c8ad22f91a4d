/// Writes as many bytes to a descriptor as the system takes now.
///
/// - Returns: how many; -1, and `errno`, for none.
package func writeSome(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int {
  write(descriptor, bytes.baseAddress, bytes.count)
}

/// Writes all bytes to a descriptor.
///
/// - Returns: false, and `errno`, when the system does not take them.
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  bytes.withUnsafeBytes { bytes in
    var done = 0
    while done < bytes.count {
      let count = writeSome(UnsafeRawBufferPointer(rebasing: bytes[done...]), to: descriptor)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }
}
