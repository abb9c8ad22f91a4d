/// The SHA-256 digest of bytes in memory, made piece by piece between or beside other work. One thread uses it at a
/// time.
package final class MemoryHasher: @unchecked Sendable {
  /// Where the bytes are.
  package enum HashedContent: Sendable {
    case storage(ByteStorage)
    /// One after the other.
    case pieces([[UInt8]])
  }

  private let content: HashedContent
  /// The piece that is being hashed, and where in it.
  private var piece = 0
  private var position = 0
  private var hasher = Digest.Hasher()

  package init(_ content: HashedContent) {
    self.content = content
    skipEnds()
  }

  private var pieceCount: Int {
    switch content {
    case .storage: 1
    case .pieces(let pieces): pieces.count
    }
  }

  private func size(_ piece: Int) -> Int {
    switch content {
    case .storage(let storage): storage.count
    case .pieces(let pieces): pieces[piece].count
    }
  }

  package var isDone: Bool { piece == pieceCount }

  /// The digest; of everything when ``isDone``.
  package var digest: Digest { hasher.finish() }

  /// The rest of the present piece, at most so many bytes.
  private func withNext<Result>(_ count: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    guard !isDone else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    let range = position..<position + min(count, size(piece) - position)
    switch content {
    case .storage(let storage): return storage.withBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    case .pieces(let pieces): return pieces[piece].withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
  }

  private func move(_ count: Int) {
    position += count
    skipEnds()
  }

  private func skipEnds() {
    while !isDone, position == size(piece) { (piece, position) = (piece + 1, 0) }
  }

  /// Hashes some bytes into another digest, and meanwhile as many of this one's as there are.
  func advance(beside other: inout Digest.Hasher, _ bytes: UnsafeRawBufferPointer) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let taken = withNext(rest.count) { own in
        let count = own.isEmpty ? rest.count : own.count
        Digest.Hasher.update(&other, UnsafeRawBufferPointer(rebasing: rest.prefix(count)), &hasher, own)
        return (count, own.count)
      }
      rest = rest.dropFirst(taken.0)
      move(taken.1)
    }
  }

  /// Hashes at most so many bytes, and meanwhile as many of another one's.
  package func advance(by count: Int, beside companion: MemoryHasher? = nil) {
    var left = count
    while left > 0, !isDone {
      let taken = withNext(left) { own in
        if let companion {
          companion.advance(beside: &hasher, own)
        } else {
          hasher.update(raw: own)
        }
        return own.count
      }
      left -= taken
      move(taken)
    }
  }
}
