import FurlSpec
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import Foundation
import Testing

/// What the tests of evaluation and verification share.
enum Running {
  static func context(threads: Int = 2) throws -> ComputeContext {
    ComputeContext(pool: WorkerPool(threads: threads), kernels: try Kernels())
  }

  static func minipy() throws -> LoadedModel { try LoadedModel(path: TestData.minipy, context: context()) }

  /// Writes the first blocks of a checkpoint as an artifact whose recipe has some gates.
  static func writeArtifact(
    of folder: String, to path: String, gates: JSON = [], scheme: Scheme = .int8(.columns(32)),
    storage: ArtifactStorage = .compact
  ) throws {
    let checkpoint = try Checkpoint(folder: folder)
    let pool = WorkerPool(threads: 2)
    let writer = try ArtifactWriter(path: path, storage: storage, formatVersion: checkpoint.spec.formVersion)
    for tensor in checkpoint.spec.tensors {
      let source = try checkpoint.source(tensor.name)
      guard tensor.shape.count == 2 else {
        try writer.append(
          name: tensor.name, role: tensor.role.rawValue, shape: tensor.shape, scheme: .float32,
          streams: [.values: FloatVector(source).storage])
        continue
      }
      let matrix = try PackedMatrix.encode(source, scheme: scheme, pool: pool)
      try writer.append(
        name: tensor.name, role: tensor.role.rawValue, shape: tensor.shape, scheme: scheme,
        streams: Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams)),
        parallelFor: pool.forEach)
    }
    let recipe: JSON = ["furl": 1, "recipe": "test", "steps": [], "gates": gates]
    try writer.finish(
      ArtifactDescription(
        furl: "test", architecture: "gpt2", spec: checkpoint.spec.json, config: checkpoint.config,
        recipe: .init(name: "test", text: recipe.canonicalText),
        lineage: try checkpoint.sourceFiles().map { .init(name: $0.name, bytes: $0.bytes, digest: $0.digest) }),
      tokenizer: try Tokenizer(checkpoint: folder).serialized())
  }

  /// Writes a suite of the first lines of minipy's, with its card, and gives the card's path.
  @discardableResult
  static func writeLines(_ count: Int, named name: String, in folder: String, maxTokens: Int = 24) throws -> String {
    try writeSuite(
      of: "lines.jsonl", count, named: name, in: folder, kind: "lines",
      protocol: #"{prompt: raw, bos: auto, max_tokens: \#(maxTokens), stop: ["<EOL>", "</s>"], context: 512}"#)
  }

  /// Writes a suite of the first programs of minipy's, with its card.
  static func writePrograms(_ count: Int, named name: String, in folder: String) throws {
    _ = try writeSuite(
      of: "minieval.jsonl", count, named: name, in: folder, kind: "pass_at_1",
      protocol: #"{prompt: stripped, bos: auto, max_tokens: 48, stop: ["</s>"], context: 512}"#)
  }

  private static func writeSuite(
    of file: String, _ count: Int, named name: String, in folder: String, kind: String, protocol settings: String
  ) throws -> String {
    let lines = try TestData.bytes(TestData.minipy + "/" + file).split(separator: UInt8(ascii: "\n")).prefix(count)
    let bytes = lines.flatMap { $0 + [UInt8(ascii: "\n")] }
    try TestData.write(bytes, to: "\(folder)/\(name).jsonl")
    let card = """
      furl: 1
      suite: \(name)
      file: \(name).jsonl
      sha256: \(Digest(of: bytes).hex)
      kind: \(kind)
      protocol: \(settings)
      """
    try TestData.write(Array(card.utf8), to: "\(folder)/\(name).yaml")
    return "\(folder)/\(name).yaml"
  }

  /// A copy of minipy with a small suite `tiny` beside it.
  static func withCheckpoint(
    blocks: Int = 6, lines: Int = 40, _ body: (_ folder: String, _ checkpoint: String) async throws -> Void
  ) async throws {
    try await TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      if blocks < 6 { sample.keepBlocks(blocks) }
      try sample.write(to: folder + "/checkpoint")
      try writeLines(lines, named: "tiny", in: folder + "/checkpoint")
      try await body(folder, folder + "/checkpoint")
    }
  }

  /// Expects an error of Furl's that is one line and says what is asked for.
  static func expectError(
    _ kind: FurlError.Kind, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
  ) async {
    let error = await #expect(throws: FurlError.self, sourceLocation: sourceLocation) { try await body() }
    guard let error else { return }
    #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
    #expect(!error.description.contains("\n"), sourceLocation: sourceLocation)
    for word in words { #expect(error.description.contains(word), "\(error)", sourceLocation: sourceLocation) }
  }
}
