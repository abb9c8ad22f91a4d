import CFurlKernels

/// A SHA-256 digest.
package struct Digest: Sendable, Hashable, CustomStringConvertible {
  /// The 32 bytes.
  package let bytes: [UInt8]

  /// The digest of some bytes.
  package init(of bytes: some Sequence<UInt8>) {
    var hasher = Hasher()
    hasher.update(Array(bytes))
    self = hasher.finish()
  }

  /// The digest of a range of a mapped file; its pages are dropped on the way.
  package init(of file: MappedFile, _ range: Range<Int>? = nil) {
    let range = range ?? 0..<file.count
    var hasher = Hasher()
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(start + 8 << 20, range.upperBound)
      hasher.update(raw: file.bytes(start..<end))
      file.drop(start..<end)
      start = end
    }
    self = hasher.finish()
  }

  /// The digest of bytes in memory.
  package init(of storage: ByteStorage) {
    var hasher = Hasher()
    storage.withBytes { hasher.update(raw: $0) }
    self = hasher.finish()
  }

  /// From 64 lower-case hexadecimal digits.
  package init?(hex: String) {
    let digits = Array(hex.utf8)
    guard digits.count == 64 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(32)
    for pair in stride(from: 0, to: 64, by: 2) {
      guard let high = Digest.value(digits[pair]), let low = Digest.value(digits[pair + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    self.bytes = bytes
  }

  fileprivate init(raw bytes: [UInt8]) { self.bytes = bytes }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

  /// 64 hexadecimal digits.
  package var hex: String {
    var digits: [UInt8] = []
    digits.reserveCapacity(2 * bytes.count)
    for byte in bytes {
      digits.append(Digest.digit(byte >> 4))
      digits.append(Digest.digit(byte & 15))
    }
    return String(decoding: digits, as: UTF8.self)
  }

  package var description: String { hex }

  /// Builds a digest piece by piece.
  package struct Hasher {
    private var hash = furl_sha256()
    /// Whether this survives that a mapped file becomes shorter, and says so in ``hasLost``.
    private let isGuarded: Bool
    /// Whether bytes of a mapped file were gone when they were to be hashed. The digest is worth nothing then.
    private(set) var hasLost = false

    package init() { self.init(isGuarded: false) }

    /// - Parameters:
    ///   - isGuarded: whether a lost mapping ends in ``hasLost``, which the caller looks at before it uses the digest, and
    ///     not in a signal.
    ///   - isPlain: whether the CPU's instructions for this are left alone. The digest is the same.
    init(isGuarded: Bool, isPlain: Bool = false) {
      self.isGuarded = isGuarded
      furl_sha256_begin(&hash, isPlain)
    }

    package mutating func update(_ bytes: [UInt8]) {
      bytes.withUnsafeBytes { update(raw: $0) }
    }

    mutating func update(raw bytes: UnsafeRawBufferPointer) {
      guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
      if isGuarded {
        if !furl_sha256_update_guarded(&hash, base, bytes.count, nil, nil, 0) { hasLost = true }
      } else {
        furl_sha256_update(&hash, base, bytes.count)
      }
    }

    /// Two digests at once, which on x86-64 takes little longer than the one with more bytes.
    static func update(
      _ first: inout Hasher, _ firstBytes: UnsafeRawBufferPointer, _ second: inout Hasher,
      _ secondBytes: UnsafeRawBufferPointer
    ) {
      guard let a = firstBytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
        let b = secondBytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      else {
        first.update(raw: firstBytes)
        second.update(raw: secondBytes)
        return
      }
      if first.isGuarded || second.isGuarded {
        let isWhole = furl_sha256_update_guarded(&first.hash, a, firstBytes.count, &second.hash, b, secondBytes.count)
        if !isWhole { (first.hasLost, second.hasLost) = (true, true) }
      } else {
        furl_sha256_update_two(&first.hash, a, firstBytes.count, &second.hash, b, secondBytes.count)
      }
    }

    package func finish() -> Digest {
      var hash = hash
      return Digest(
        raw: [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
          furl_sha256_finish(&hash, buffer.baseAddress!)
          count = 32
        })
    }
  }
}
