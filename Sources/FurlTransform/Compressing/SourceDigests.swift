import FurlBase
import FurlCheckpoint

/// The files of a source, with the digests that are known from an earlier time.
struct SourceDigests: Sendable {
  let files: [MappedFile]
  private let memory: DigestMemory?
  private let known: [Digest?]

  /// - Parameter memory: where digests are remembered, if anywhere.
  init(_ files: [MappedFile], memory: DigestMemory?) {
    self.files = files
    self.memory = memory
    known = files.map { memory?.recall($0) }
  }

  /// The files that have to be hashed, by their index.
  var open: [Int] { files.indices.filter { known[$0] == nil } }

  /// All files with their digests.
  ///
  /// - Parameter digest: of a file that had to be hashed, by its index.
  /// - Throws: ``FurlError`` of kind `input` when a file has changed meanwhile.
  func complete(_ digest: (Int) throws -> Digest) throws -> [Checkpoint.SourceFile] {
    for file in files { try file.checkUnchanged() }
    return try files.enumerated().map { index, file in
      if let digest = known[index] { return Checkpoint.SourceFile(file, digest: digest) }
      let digest = try digest(index)
      memory?.remember(file, digest)
      return Checkpoint.SourceFile(file, digest: digest)
    }
  }
}
