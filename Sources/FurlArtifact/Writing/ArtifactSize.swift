import FurlBase
package import FurlTensor

/// How many bytes an artifact takes, when it is known what its streams take.
package enum ArtifactSize {
  /// A tensor that would be written.
  package struct TensorSize: Sendable {
    package let name: String
    package let role: String
    package let layout: PackedLayout
    /// Bytes of each stream in the file, in the layout's order; as many as in memory for one that lies raw.
    package let storedBytes: [Int]

    package init(name: String, role: String, layout: PackedLayout, storedBytes: [Int]) {
      self.name = name
      self.role = role
      self.layout = layout
      self.storedBytes = storedBytes
    }
  }

  /// Bytes of the whole file. Its index is made and compressed with digests and frame lengths that are made up; the
  /// true ones are as hard to compress.
  ///
  /// - Throws: ``FurlError`` of kind `defect` when sizes and layout do not agree.
  package static func bytes(
    of tensors: [TensorSize], storage: ArtifactStorage, description: ArtifactDescription, tokenizer: [UInt8]
  ) throws -> Int {
    var offset = Container.headerBytes
    let written = try tensors.map { tensor in
      guard tensor.storedBytes.count == tensor.layout.streams.count else {
        throw FurlError(.defect, place: tensor.name, "has \(tensor.storedBytes.count) sizes")
      }
      let streams = zip(tensor.layout.streams, tensor.storedBytes).map { stream, length in
        offset = Container.aligned(offset)
        defer { offset += length }
        return made(stream, length, offset: offset, tensor: tensor.name)
      }
      return ArtifactTensor(name: tensor.name, role: tensor.role, layout: tensor.layout, streams: streams)
    }
    let stored = try Zstd.compress(tokenizer)
    let section = TokenizerSection(
      offset: Container.aligned(offset), length: stored.count, decodedLength: tokenizer.count,
      digest: Digest(of: stored), decodedDigest: Digest(of: tokenizer))
    let index = ArtifactIndex(storage: storage, description: description, tokenizer: section, tensors: written)
    let indexStart = Container.aligned(section.offset + section.length)
    let text = try Zstd.compress(index.text, isAwaited: true)
    return Container.aligned(indexStart + text.count) + Container.footerBytes
  }

  private static func made(
    _ stream: PackedLayout.Stream, _ length: Int, offset: Int, tensor: String
  ) -> ArtifactStream {
    let isRaw = length == stream.byteCount
    let digests = ["stored", "decoded"].map { Digest(of: Array("\($0) \(tensor) \(stream.kind)".utf8)) }
    let count = isRaw ? 0 : StreamChunks(form: stream.symbols, byteCount: stream.byteCount).frameCount
    // Frames of a stream differ by less than a hundredth.
    var draws = SplitMix64(seed: UInt64(offset))
    let frames = (0..<count).map { _ in
      let mean = length / count
      return mean + Int(draws.next() % UInt64(mean / 100 + 1)) - mean / 200
    }
    return ArtifactStream(
      kind: stream.kind, codec: isRaw ? .raw : .zstdHuffman, symbols: stream.symbols, offset: offset,
      length: length, decodedLength: stream.byteCount, zero: stream.zero, digest: digests[0],
      decodedDigest: isRaw ? digests[0] : digests[1],
      frames: frames)
  }
}
