import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// A model that is walked block by block computes what a session computes.
@Suite struct BlockWalkTests {
  private let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try! Kernels())

  /// Every family: sequential and parallel residuals, plain and gated MLPs, learned and rotary positions, windows; in
  /// FP32 and in blocks of 8 bits, whose products read quantized activations.
  @Test(
    arguments: [
      "families/gpt2-relu", "families/llama-scaled", "families/mistral-window", "families/phi-quarter",
      "families/qwen2-some-windows", "families/starcoder2-plain", "families/deepseek-v2-plain-queries",
      "families/deepseek-v3", "families/laguna", "families/laguna-elements",
    ], [Scheme.float32, .int8(.columns(32))])
  func hiddenStatesAreThoseOfASession(_ fixture: String, _ scheme: Scheme) throws {
    let checkpoint = try Checkpoint(folder: TestData.root + "/Tests/Fixtures/" + fixture)
    let source = Source(checkpoint: checkpoint, scheme: scheme)
    let model = try LanguageModel(source, pool: context.pool)
    let spec = checkpoint.spec
    var draws = SplitMix64(seed: 1)
    let sequences = [spec.contextLength, 5, 1, min(300, spec.contextLength)].map { count in
      (0..<min(count, 400)).map { _ in Int(draws.next() % UInt64(spec.vocabularySize)) }
    }
    let tensors = Dictionary(uniqueKeysWithValues: spec.tensors.map { ($0.name, $0) })
    func matrix(_ name: String) throws -> PackedMatrix {
      try source.matrix(#require(tensors[name]), pool: context.pool)
    }
    func vector(_ name: String) throws -> FloatVector? { try tensors[name].map { try source.vector($0) } }
    func norm(_ name: String) throws -> BlockWalk.WalkedNorm {
      .init(weight: try #require(try vector(name)), bias: try vector(name + ".bias"))
    }
    let walk = try BlockWalk(
      spec, embedding: matrix("embedding"), positions: spec.hasLearnedPositions ? matrix("positions") : nil,
      sequences: sequences, context: context)
    var visited: [ReadingSite: Int] = [:]
    var expectedVisits: [ReadingSite: Int] = [:]
    let total = sequences.reduce(0) { $0 + $1.count }
    for block in spec.blocks.indices {
      try walk.begin(block: block, vector: vector)
      for site in spec.sites(of: block) {
        var count = 0
        walk.visit(site) { count += $1 }
        // Of experts it is known how many rows all of them have together.
        if site.expert == nil {
          visited[site, default: 0] += count
          expectedVisits[site, default: 0] += total
        } else {
          let counts = walk.expertCounts(stage: site.stage, part: site.part ?? 0)
          #expect(count == counts[site.expert ?? 0])
        }
        for layer in spec.readers(of: site, in: block) {
          let name = "blocks.\(block)." + layer.name
          walk.install(layer, try matrix(name), bias: try vector(name + ".bias"))
        }
      }
      walk.finish()
    }
    #expect(walk.positionCount == total && visited == expectedVisits)
    let places = spec.blocks.indices.flatMap { spec.sites(of: $0) }.filter { $0.expert == nil }
    #expect(Set(visited.keys) == Set(places))

    // The head on what the walk gives, against a session's logits.
    let head = LinearGroup([
      .init(try matrix(spec.tiedEmbeddings ? "embedding" : "head"), bias: try vector("head.bias"))
    ])
    let output = try Activations(columns: spec.vocabularySize, capacity: 256)
    var own: [[Float]] = []
    walk.visitHead(try norm("norm")) { input, count in
      if head.readsRounded(context) { input.quantize(count: count, on: context) }
      head(input, count: count, into: [output], on: context)
      own += (0..<count).map { output[$0] }
    }
    var expected: [[Float]] = []
    for sequence in sequences {
      let session = try Session(model, context: context, format: .float16)
      try Likelihood(session).forEachPosition(sequence) { _, logits, row in expected.append(logits[0][row]) }
    }
    #expect(own == expected)
  }

  /// A checkpoint whose linear layers are encoded on the way.
  private struct Source: WeightProvider {
    let checkpoint: Checkpoint
    let scheme: Scheme
    var spec: ModelSpec { checkpoint.spec }
    let defaultKeyValueFormat = KeyValueCache.CacheFormat.float16

    func matrix(_ tensor: TensorSpec, pool: WorkerPool) throws -> PackedMatrix {
      let scheme = tensor.role.isBlockLinear ? scheme : .float32
      return try PackedMatrix.encode(checkpoint.source(tensor.name), scheme: scheme, pool: pool)
    }

    func vector(_ tensor: TensorSpec) throws -> FloatVector { try checkpoint.vector(tensor) }
    func dropPages() {}
  }
}
