@testable import FurlArtifact
import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// A tensor to write, with bytes as they may be.
struct SampleTensor {
  var name: String
  var role: String
  var shape: [Int]
  var scheme: Scheme
  var streams: [PackedLayout.StreamKind: ByteStorage]

  /// Streams of the right sizes with seeded bytes of low entropy.
  init(_ name: String, _ role: String, _ shape: [Int], _ scheme: Scheme, seed: UInt64 = 1) throws {
    self.name = name
    self.role = role
    self.shape = shape
    self.scheme = scheme
    streams = [:]
    var draws = SplitMix64(seed: seed)
    for stream in try PackedLayout(scheme: scheme, shape: shape).streams {
      streams[stream.kind] = try storage(sampleBytes(stream.byteCount, &draws))
    }
  }
}

/// Bytes whose high bits are mostly the same, as those of weights are.
func sampleBytes(_ count: Int, _ draws: inout SplitMix64) -> [UInt8] {
  (0..<count).map { _ in
    let draw = draws.next()
    return 0x70 &+ UInt8(truncatingIfNeeded: draw & 0x0F) &+ UInt8(truncatingIfNeeded: (draw >> 8) & 0x07)
  }
}

func storage(_ bytes: [UInt8]) throws -> ByteStorage {
  let storage = try ByteStorage(zeroed: bytes.count)
  storage.withMutableBytes(0..<bytes.count) { $0.copyBytes(from: bytes) }
  return storage
}

enum Samples {
  static let description = ArtifactDescription(
    furl: "0.1.0", architecture: "gpt2",
    spec: ["epsilon": 1e-05, "layers": 1, "norm": "layer"],
    config: ["n_layer": 1, "none": nil, "note": "line\nend \u{7F}\u{2028} \"é\"", "vocab_size": 64],
    recipe: .init(name: "int4", text: "furl: 1\nrecipe: int4\n", details: ["seed": 0]),
    lineage: [.init(name: "model.safetensors", bytes: 1234, digest: Digest(of: [1, 2, 3]))])

  static let tokenizer = Array("a tokenizer, a tokenizer, a tokenizer".utf8)

  /// One tensor of every scheme and of both ranks.
  static func tensors() throws -> [SampleTensor] {
    [
      try SampleTensor("wte", "embedding", [50, 40], .int8(.columns(32)), seed: 1),
      try SampleTensor("up", "mlp.up", [33, 70], .int4(.columns(64)), seed: 2),
      try SampleTensor("down", "mlp.down", [70, 33], .int4Minimum(.row), seed: 3),
      try SampleTensor("plain", "head", [5, 7], .float32, seed: 4),
      try SampleTensor("norm", "norm", [333], .float32, seed: 5),
      try SampleTensor("bias", "bias", [1], .float32, seed: 6),
    ]
  }

  /// An artifact of a few kilobytes.
  static func tiny() throws -> [SampleTensor] {
    [
      try SampleTensor("up", "mlp.up", [17, 40], .int4(.columns(32)), seed: 2),
      try SampleTensor("norm", "norm", [13], .float32, seed: 5),
    ]
  }

  @discardableResult
  static func write(
    _ tensors: [SampleTensor], to path: String, _ storage: ArtifactStorage,
    description: ArtifactDescription = description, parallelFor: ParallelFor = serialFor
  ) throws -> Digest {
    let writer = try ArtifactWriter(path: path, storage: storage)
    for tensor in tensors {
      try writer.append(
        name: tensor.name, role: tensor.role, shape: tensor.shape, scheme: tensor.scheme, streams: tensor.streams,
        parallelFor: parallelFor)
    }
    return try writer.finish(description, tokenizer: tokenizer)
  }
}

/// Opens and checks; the error must be one about the input, on one line, that names the file.
func damage(of path: String, sourceLocation: SourceLocation = #_sourceLocation) -> String? {
  do {
    try Artifact(path: path).check()
    return nil
  } catch let error as FurlError {
    #expect(error.kind == .input, "\(error)", sourceLocation: sourceLocation)
    #expect(error.file == path, "\(error)", sourceLocation: sourceLocation)
    #expect(!error.description.contains("\n"), sourceLocation: sourceLocation)
    return error.description
  } catch {
    Issue.record("\(error)", sourceLocation: sourceLocation)
    return nil
  }
}
