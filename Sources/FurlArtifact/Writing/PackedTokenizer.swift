import FurlBase

/// A tokenizer as it lies in an artifact. Compressing one well takes long enough to be done beside other work.
package struct PackedTokenizer: Sendable {
  let stored: [UInt8]
  let decodedLength: Int
  let digest: Digest
  let decodedDigest: Digest
}

extension TensorPacker {
  /// - Parameter bytes: the tokenizer in the form in which it is used.
  /// - Throws: ``FurlError`` of kind `defect` when it is larger than a reader would believe.
  package func tokenizer(_ bytes: [UInt8]) throws -> PackedTokenizer {
    let stored = try Zstd.compress(bytes)
    guard bytes.count <= min(Container.tokenizerLimit, Container.textLimit(stored: stored.count)) else {
      throw FurlError(.defect, file: path, "the tokenizer of \(bytes.count) bytes is too large")
    }
    return PackedTokenizer(
      stored: stored, decodedLength: bytes.count, digest: Digest(of: stored), decodedDigest: Digest(of: bytes))
  }
}
