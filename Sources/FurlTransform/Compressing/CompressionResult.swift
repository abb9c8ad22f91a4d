package import FurlBase

/// How far a compression is.
public struct CompressionProgress: Sendable {
  /// The last tensor that was written; empty before the first.
  public let tensor: String
  /// Tensors that were written.
  public let tensorsDone: Int
  /// Tensors that there are.
  public let tensors: Int
  /// Bytes of the checkpoint that have been hashed and encoded.
  public let bytesDone: Int
  /// Bytes of the checkpoint in all.
  public let bytes: Int
  /// Whether a step computes with the model, and blocks are counted and not bytes.
  public var countsBlocks = false
}

/// What came out.
public struct CompressionResult: Sendable {
  package let artifactID: Digest
  /// The size of the file.
  public let diskBytes: Int
  /// The digest of what the artifact holds, as 64 hexadecimal digits.
  public var identifier: String { artifactID.hex }
  /// Bytes of all streams, decoded.
  public let weightBytes: Int
  /// What a reader should know: where a calibration does not cover a layer's inputs.
  public let notes: [String]
  /// For every step that computed with the model: what it made of it.
  package let changes: [JSON]
}
