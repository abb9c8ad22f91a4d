@testable import FurlArtifact
import FurlBase
@testable import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import FurlTransform
import CZstd

/// `.furl` files. Nobody guesses a digest, so that all of them are made right for what the input says.
let artifactTargets = [
  // Furl's own frames: form, whether zeros are apart, how many bytes they become, and frames (as the input has them, or made
  // of what they should decode to), each with its length before it.
  FuzzTarget(name: "streams") {
    try streams()
  } run: { input, workspace in
    guard input.count > 4 else { return }
    let form = SymbolForm.allCases[Int(input[0]) % SymbolForm.allCases.count]
    let count = Int(input[2]) | Int(input[3]) << 8
    var (frames, position): ([[UInt8]], Int) = ([], 4)
    while position + 2 < input.count {
      let end = min(input.count, position + 3 + (Int(input[position]) | Int(input[position + 1]) << 8))
      let bytes = Array(input[position + 3..<end])
      frames.append(input[position + 2] & 1 == 0 ? bytes : try ZstdFrames.make(bytes))
      position = end
    }
    let digest = Digest(of: [])
    let stream = ArtifactStream(
      kind: .codes, codec: input[1] & 1 == 0 ? .zstdHuffman : .zstdBitmap, symbols: form, offset: 0,
      length: frames.reduce(0) { $0 + $1.count }, decodedLength: count, zero: input[1] >> 1, digest: digest,
      decodedDigest: digest, frames: frames.map(\.count))
    // What the index is held to before a stream is read.
    guard stream.chunks.isWhole, stream.chunks.frameCount == frames.count, !frames.contains(where: \.isEmpty),
      input[1] & 1 == 0 || ![.nibbles, .fives, .sixes].contains(form)
    else { return }
    let file = try MappedFile(path: workspace.write(frames.joined(), to: "stream"))
    let compressed = try CompressedStream(stream, of: file, place: "stream", into: nil)
    try CompactCoding.decode([compressed], parallelFor: serialFor)
    _ = Digest(of: compressed.decoded)
  },
  // A whole file, or behind a first byte of "i" an index and sections that a file is made of.
  FuzzTarget(name: "artifact") {
    let whole = try artifacts()
    let parts = try whole.map { bytes in
      try TestData.withTemporaryFile(bytes, "a.furl") { path in
        let file = try MappedFile(path: path)
        let footer = try Footer(of: file)
        let index = try Zstd.decompress(
          file.read(footer.indexOffset..<footer.indexOffset + footer.indexLength), count: footer.indexDecodedLength)
        return Workspace.join([
          [UInt8(ascii: "i")] + index, Array(bytes[Container.headerBytes..<footer.indexOffset]),
        ])
      }
    }
    return whole + parts
  } run: { input, workspace in
    var bytes = input
    if input.first == UInt8(ascii: "i") {
      let parts = Workspace.parts(input.dropFirst(), atMost: 2)
      bytes = try forge(index: parts[0], sections: parts.count > 1 ? parts[1] : [])
    }
    let path = try workspace.write(bytes, to: "input.furl")
    let artifact = try Artifact(path: path)
    FuzzRun.accept { try artifact.check() }
    FuzzRun.accept { try use(Tokenizer(serialized: artifact.tokenizerBytes(), file: path), []) }
    FuzzRun.accept {
      for tensor in artifact.tensors { FuzzRun.accept { _ = try artifact.load(tensor) } }
      let weights = try ArtifactWeights(artifact)
      for tensor in weights.spec.tensors {
        FuzzRun.accept {
          if tensor.shape.count == 1 {
            _ = try weights.vector(tensor)
          } else {
            _ = try weights.matrix(tensor, pool: pool)
          }
        }
      }
    }
  },
]

/// Sixteen bytes, or a tile, in each form: as they are, as frames, and with zeros apart.
private func streams() throws -> [[UInt8]] {
  var seeds: [[UInt8]] = []
  for (number, form) in SymbolForm.allCases.enumerated() {
    let count = form.tileBits == nil ? 16 : form.unit
    let frame = (0..<form.symbols(count)).map { UInt8($0 % 16) }
    let head = { (codec: UInt8) in [UInt8(number), codec, UInt8(count & 255), UInt8(count >> 8)] }
    for (bytes, isMade) in [(frame, true), (try ZstdFrames.make(frame), false)] {
      seeds.append(head(0) + Array(repeating: record(bytes, isMade: isMade), count: form.planes).joined())
    }
    guard form.tileBits == nil, form != .nibbles else { continue }
    // Four elements of 16 / planes are not zero.
    let bitmap: [UInt8] = form == .bytes ? [0xF0, 0] : form == .halves ? [0xF0] : [0x0F]
    let apart = Array(repeating: record([1, 2, 3, 4], isMade: true), count: form.planes).joined()
    seeds.append(head(1) + record(bitmap, isMade: true) + apart)
  }
  return seeds
}

/// A frame as the input has it.
private func record(_ bytes: [UInt8], isMade: Bool) -> [UInt8] {
  [UInt8(bytes.count & 255), UInt8(bytes.count >> 8), isMade ? 1 : 0] + bytes
}

private let pool = WorkerPool(threads: 1)

/// A small Llama in artifacts of both kinds.
private func artifacts() throws -> [[UInt8]] {
  try TestData.withTemporaryFolder { folder in
    let workspace = Workspace(folder: folder)
    let checkpoint = try Checkpoint(path: workspace.write(SmallLlama.gguf(type: 0), to: "small.gguf"))
    return try [
      "storage: mapped\nsteps: [{quantize: {weights: int8}}]", "steps: [{quantize: {weights: int4, block: 32}}]",
      "steps: [{quantize: {weights: int8, outliers: {share: 0.2}}}]",
    ].map { steps in
      let recipe = try Recipe(YAML.read(Array("furl: 1\nrecipe: r\n\(steps)\n".utf8), file: nil))
      let path = workspace.path("small.furl")
      unlink(path)
      _ = try Compressor(checkpoint, recipe: recipe).write(to: path, pool: pool)
      return try TestData.bytes(path)
    }
  }
}

/// An artifact of an index and what lies before it, with digests that are right wherever they can be told.
private func forge(index text: [UInt8], sections: [UInt8]) throws -> [UInt8] {
  var bytes = Container.header + sections
  bytes = Container.padded(bytes, to: Container.aligned(bytes.count))
  var index = try JSON.parse(text, file: "index")
  func digest(_ member: JSON) -> JSON? {
    guard let offset = member["offset"]?.integer, let length = member["length"]?.integer, offset >= 0, length >= 0,
      offset <= bytes.count, length <= bytes.count - offset
    else { return nil }
    return .string(Digest(of: bytes[offset..<offset + length]).hex)
  }
  index.change("tensors") { tensors in
    tensors.changeAll { tensor in
      tensor.change("streams") { streams in
        streams.changeAll { stream in
          guard let digest = digest(stream) else { return }
          stream.change("sha256") { $0 = digest }
          if stream["codec"]?.string == "raw" { stream.change("decoded_sha256") { $0 = digest } }
        }
      }
    }
  }
  let section = index["tokenizer"].flatMap(digest)
  index.change("tokenizer") { tokenizer in tokenizer.change("sha256") { $0 = section ?? $0 } }
  index.change("recipe") { recipe in
    let text = recipe["text"]?.string
    recipe.change("sha256") { $0 = text.map { .string(Digest(of: $0.utf8).hex) } ?? $0 }
  }
  let id = JSON.string(Digest(of: manifest(of: index).canonicalBytes).hex)
  index.change("artifact_id") { $0 = id }
  let canonical = index.canonicalBytes
  let stored = try ZstdFrames.make(canonical)
  let footer = Footer(
    indexOffset: bytes.count, indexLength: stored.count, indexDecodedLength: canonical.count,
    indexDigest: Digest(of: stored))
  bytes += stored
  return Container.padded(bytes, to: Container.aligned(bytes.count)) + footer.bytes
}

/// What an artifact's id is the digest of: FORMAT.md, "Identity".
private func manifest(of index: JSON) -> JSON {
  func pick(_ value: JSON?, _ keys: KeyValuePairs<String, String>) -> JSON {
    .object(keys.map { .init($0, value?[$1] ?? .null) })
  }
  var members = ["architecture", "config", "recipe", "spec"].map { JSON.Member($0, index[$0] ?? .null) }
  members.append(.init("manifest", 1))
  let tensors = (index["tensors"]?.array ?? []).map { tensor -> JSON in
    let streams = (tensor["streams"]?.array ?? []).map {
      pick($0, ["kind": "kind", "length": "decoded_length", "sha256": "decoded_sha256"])
    }
    let head = pick(tensor, ["name": "name", "role": "role", "scheme": "scheme", "shape": "shape"]).members ?? []
    return .object(head + [.init("streams", .array(streams))])
  }
  members.append(.init("tensors", .array(tensors)))
  members.append(
    .init("tokenizer", pick(index["tokenizer"], ["length": "decoded_length", "sha256": "decoded_sha256"])))
  return .object(members)
}

extension JSON {
  /// Changes the value of a key of a mapping that has it.
  fileprivate mutating func change(_ key: String, _ body: (inout JSON) -> Void) {
    guard case .object(var members) = self, let index = members.firstIndex(where: { $0.key == key }) else { return }
    body(&members[index].value)
    self = .object(members)
  }

  /// Changes every element of a list.
  fileprivate mutating func changeAll(_ body: (inout JSON) -> Void) {
    guard case .array(var elements) = self else { return }
    for index in elements.indices { body(&elements[index]) }
    self = .array(elements)
  }
}

/// Makes frames with a checksum, quickly.
private enum ZstdFrames {
  private nonisolated(unsafe) static let context = ZSTD_createCCtx()

  static func make(_ bytes: [UInt8]) throws -> [UInt8] {
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    var frame = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
    let count = ZSTD_compress2(context, &frame, frame.count, bytes, bytes.count)
    precondition(ZSTD_isError(count) == 0)
    return Array(frame[..<count])
  }
}
