import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import Testing

/// What the tests of models share.
enum Fixtures {
  static let gpt2 = TestData.root + "/Tests/Fixtures/gpt2"

  static func context(threads: Int = 2, _ activations: ActivationForm = .int8) throws -> ComputeContext {
    ComputeContext(pool: WorkerPool(threads: threads), kernels: try Kernels(), activations: activations)
  }

  /// How an artifact is written: schemes, storage, and what is wrong with it.
  struct Recipe {
    var scheme: Scheme = .int8(.columns(32))
    var storage: ArtifactStorage = .compact
    var spec: JSON?
    /// Changes a tensor's streams before they are written.
    var change: (String, inout [PackedLayout.StreamKind: ByteStorage]) throws -> Void = { _, _ in }
  }

  /// Writes a checkpoint as an artifact with one scheme for all matrices.
  static func writeArtifact(_ folder: String, to path: String, _ recipe: Recipe = Recipe()) throws {
    let checkpoint = try Checkpoint(folder: folder)
    let pool = WorkerPool(threads: 2)
    let writer = try ArtifactWriter(
      path: path, storage: recipe.storage, formatVersion: checkpoint.spec.formVersion)
    for tensor in checkpoint.spec.tensors {
      var streams: [PackedLayout.StreamKind: ByteStorage]
      let source = try checkpoint.source(tensor.name)
      if tensor.shape.count == 1 {
        streams = [.values: try FloatVector(source).storage]
      } else {
        let matrix = try PackedMatrix.encode(source, scheme: recipe.scheme, pool: pool)
        streams = Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams))
      }
      try recipe.change(tensor.name, &streams)
      try writer.append(
        name: tensor.name, role: tensor.role.rawValue, shape: tensor.shape,
        scheme: tensor.shape.count == 1 ? .float32 : recipe.scheme, streams: streams, parallelFor: pool.forEach)
    }
    let tokenizer = (try? Tokenizer(checkpoint: folder).serialized()) ?? []
    try writer.finish(description(spec: recipe.spec ?? checkpoint.spec.json), tokenizer: tokenizer)
  }

  static func description(spec: JSON) -> ArtifactDescription {
    ArtifactDescription(
      furl: "test", architecture: "gpt2", spec: spec, config: ["model_type": "gpt2"],
      recipe: .init(name: "test", text: "{}"),
      lineage: [.init(name: "model.safetensors", bytes: 1, digest: Digest(of: [UInt8(1)]))])
  }

  /// Logits after each of some tokens, fed in pieces of the given sizes (the last one is repeated).
  static func logits(
    _ session: Session, slot: Int = 0, _ ids: [Int], pieces: [Int] = [KeyValueCache.defaultRowLimit]
  ) throws -> [[Float]] {
    session.truncate(slot: slot)
    var result: [[Float]] = []
    var rest = ids[...]
    var index = 0
    while !rest.isEmpty {
      let piece = Array(rest.prefix(pieces[min(index, pieces.count - 1)]))
      rest = rest.dropFirst(piece.count)
      index += 1
      let rows = try session.forward([.init(slot: slot, ids: piece, logits: .all)])
      result += rows[0].map { session.logits[$0] }
    }
    return result
  }

  /// Seeded token ids.
  static func ids(_ count: Int, below limit: Int, seed: UInt64 = 1) -> [Int] {
    var draws = SplitMix64(seed: seed)
    return (0..<count).map { _ in Int(draws.next() % UInt64(limit)) }
  }
}

/// Expects an error of Furl's that is one line and says what is asked for.
func expectError(
  _ kind: FurlError.Kind, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  let error = #expect(throws: FurlError.self, sourceLocation: sourceLocation) { try body() }
  guard let error else { return }
  #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
  #expect(!error.description.contains("\n"), sourceLocation: sourceLocation)
  for word in words { #expect(error.description.contains(word), "\(error)", sourceLocation: sourceLocation) }
}
