import FurlBase
import FurlTensor

extension Artifact {
  /// Whether the file's record has changed since it was opened, though its size and its bytes' time have not.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the file has changed, was replaced or is gone.
  package func hasNewRecord() throws -> Bool { try file.checkUnchangedAndInPlace() }

  /// Re-reads the whole file: every padding byte and every digest, as stored and as decoded. With what opening
  /// has checked (header, footer, index, and the id over the digests), no byte of the file is left out.
  ///
  /// - Parameter progress: called with the bytes that have been checked and the bytes of the file.
  /// - Throws: ``FurlError`` of kind `input` that names the first damage by section and offset.
  package func check(
    parallelFor: ParallelFor = serialFor, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws {
    var end = Container.headerBytes
    for tensor in tensors {
      for stream in tensor.streams {
        let place = "\(tensor.name): \(stream.kind.rawValue)"
        try checkPadding(end..<stream.offset, before: place)
        try check(stream, of: tensor, place, parallelFor)
        end = stream.offset + stream.length
        progress(end, diskBytes)
      }
    }
    try checkPadding(end..<tokenizer.offset, before: "tokenizer")
    try checkDigest(tokenizer.range, tokenizer.digest, "tokenizer")
    _ = try tokenizerBytes()
    try checkPadding(tokenizer.offset + tokenizer.length..<footer.indexOffset, before: "index")
    let indexEnd = footer.indexOffset + footer.indexLength
    try checkPadding(indexEnd..<diskBytes - Container.footerBytes, before: "footer")
    progress(diskBytes, diskBytes)
  }

  private func check(
    _ stream: ArtifactStream, of tensor: ArtifactTensor, _ place: String, _ parallelFor: ParallelFor
  ) throws {
    do {
      try checkDigest(stream.range, stream.digest, place)
    } catch {
      // A frame's own checksum says more exactly where the damage is.
      if stream.codec != .raw { _ = try load(stream, of: tensor, parallelFor) }
      throw error
    }
    guard stream.codec != .raw else { return }
    let decoded = try load(stream, of: tensor, parallelFor)
    guard Digest(of: decoded) == stream.decodedDigest else {
      throw damage(place, "bytes from \(stream.offset) on do not decode to what their digest says")
    }
  }

  private func checkDigest(_ range: Range<Int>, _ digest: Digest, _ place: String) throws {
    guard Digest(of: file, range) == digest else {
      throw damage(place, "bytes \(range.lowerBound) to \(range.upperBound) are not what their digest says")
    }
  }

  private func checkPadding(_ range: Range<Int>, before place: String) throws {
    guard let offset = range.first(where: { !file.isZero($0..<$0 + 1) }) else { return }
    throw damage(place, "the padding before it is not zero at byte \(offset)")
  }

  private func damage(_ place: String, _ problem: String) -> FurlError {
    .input(path, place, problem, remedy: "the file is damaged; copy it again, or compress again")
  }
}
