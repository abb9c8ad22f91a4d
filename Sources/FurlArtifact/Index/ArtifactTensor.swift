package import FurlBase
package import FurlTensor

/// How a stream is stored.
package enum StreamCodec: String, Sendable, Hashable, CaseIterable {
  /// As it is in memory.
  case raw
  /// One-byte symbols in zstd frames, most of them Huffman-coded only.
  case zstdHuffman = "zstd-huffman"
  /// A bitmap of the elements that are not zero, and those elements, in such frames.
  case zstdBitmap = "zstd-bitmap"
}

/// One stream of a tensor in a file.
package struct ArtifactStream: Sendable, Hashable {
  package let kind: PackedLayout.StreamKind
  package let codec: StreamCodec
  /// How the bytes were cut into symbols; of no effect on a raw stream.
  package let symbols: SymbolForm
  /// Where it begins in the file, a multiple of 64.
  package let offset: Int
  /// Bytes in the file.
  package let length: Int
  /// Bytes in memory.
  package let decodedLength: Int
  /// The byte that elements which are zero consist of; of an effect on streams with a bitmap alone.
  var zero: UInt8? = nil
  /// The digest of the bytes in the file.
  package let digest: Digest
  /// The digest of the bytes in memory.
  package let decodedDigest: Digest
  /// Bytes of each frame, in order; empty for a raw stream.
  package let frames: [Int]

  var range: Range<Int> { offset..<offset + length }
  var chunks: StreamChunks { StreamChunks(form: symbols, byteCount: decodedLength, hasBitmap: codec == .zstdBitmap) }
}

/// One tensor of an artifact.
package struct ArtifactTensor: Sendable, Hashable {
  package let name: String
  package let role: String
  package let layout: PackedLayout
  /// In the layout's order.
  package let streams: [ArtifactStream]

  package var scheme: Scheme { layout.scheme }
  /// [count], or [rows, columns].
  package var shape: [Int] { layout.shape }
  /// Numbers in the tensor.
  package var count: Int { shape.reduce(1, *) }
  /// Bytes in the file, without padding.
  package var diskBytes: Int { streams.reduce(0) { $0 + $1.length } }
  /// Bytes in memory when loaded.
  package var weightBytes: Int { streams.reduce(0) { $0 + $1.decodedLength } }
  /// Bits in the file for each number.
  package var bitsPerWeight: Double { Double(diskBytes) * 8 / Double(count) }
  /// One digest for the tensor: of the digests of its decoded streams, one after the other.
  package var digest: Digest { Digest(of: streams.flatMap(\.decodedDigest.bytes)) }
}

/// The tokenizer's section.
struct TokenizerSection: Sendable, Hashable {
  var offset: Int
  var length: Int
  var decodedLength: Int
  var digest: Digest
  var decodedDigest: Digest

  var range: Range<Int> { offset..<offset + length }
}

extension ArtifactStream {
  var json: JSON {
    var members: [JSON.Member] = [
      .init("codec", .string(codec.rawValue)), .init("decoded_length", .integer(decodedLength)),
      .init("decoded_sha256", .string(decodedDigest.hex)), .init("kind", .string(kind.rawValue)),
      .init("length", .integer(length)), .init("offset", .integer(offset)), .init("sha256", .string(digest.hex)),
    ]
    if codec != .raw {
      members.append(.init("frames", .array(frames.map(JSON.integer))))
      members.append(.init("symbols", .string(symbols.rawValue)))
    }
    return .object(members)
  }
}

extension ArtifactTensor {
  var json: JSON {
    [
      "name": .string(name), "role": .string(role), "scheme": .string(scheme.name),
      "shape": .array(shape.map(JSON.integer)), "streams": .array(streams.map(\.json)),
    ]
  }

  /// The part of the manifest that this tensor is: what it holds, not how it is stored.
  var manifest: JSON {
    [
      "name": .string(name), "role": .string(role), "scheme": .string(scheme.name),
      "shape": .array(shape.map(JSON.integer)),
      "streams": .array(
        streams.map {
          [
            "kind": .string($0.kind.rawValue), "length": .integer($0.decodedLength),
            "sha256": .string($0.decodedDigest.hex),
          ]
        }),
    ]
  }
}

extension TokenizerSection {
  var json: JSON {
    [
      "decoded_length": .integer(decodedLength), "decoded_sha256": .string(decodedDigest.hex),
      "length": .integer(length), "offset": .integer(offset), "sha256": .string(digest.hex),
    ]
  }

  init(_ reader: DocumentReader) throws {
    offset = try reader.size("offset")
    length = try reader.size("length")
    decodedLength = try reader.size("decoded_length")
    digest = try reader.digest("sha256")
    decodedDigest = try reader.digest("decoded_sha256")
    try reader.finish()
  }
}
