import FurlArtifact
import FurlBase
@testable import FurlCheckpoint
import FurlEvaluate
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTransform
import Foundation
import Testing

/// Every recipe in `recipes/` runs on a small checkpoint of the architecture that it is for, and what comes out is the
/// model that it declares.
@Suite struct PublishedRecipeTests {
  static let names: [String] =
    ((try? FileManager.default.contentsOfDirectory(atPath: Fixtures.recipes)) ?? []).filter { $0.hasSuffix(".yaml") }
    .map { String($0.dropLast(5)) }.sorted()

  /// Widths that come out of activations are looked at in `PruningRecipeTests`.
  static func isPruned(_ name: String) -> Bool { name.contains("group-lasso") && !isTrained(name) }

  /// Those that train are in `TrainedRecipeTests`.
  static func isTrained(_ name: String) -> Bool { name.hasSuffix("-heal") }

  /// The checkpoint for a recipe, by how its name begins.
  static let folders: [(prefix: String, folder: String?)] = [
    ("minipy", TestData.minipy), ("int8-", TestData.minipy), ("int4-", TestData.minipy),
    ("group-lasso", TestData.minipy), ("codegpt", Fixtures.gpt2),
    ("starcoder2", TestData.shared.map { $0 + "/fixtures/starcoder2" }),
    ("phi-2", TestData.shared.map { $0 + "/fixtures/phi" }),
    ("smollm2", TestData.shared.map { $0 + "/fixtures/llama" }),
  ]

  /// The schemes of linear layers that other words in names declare; their embeddings stay as they are, except minipy's.
  static let linearSchemes: [(word: String, scheme: Scheme?)] = [
    ("llm-int8", .int8(.row)), ("fp4", .fp4(.columns(64))), ("nf4", Scheme.nf4(.columns(64)).withSmallScales),
    ("codebook4", Scheme.codebook4(.columns(64)).withSmallScales),
    ("int3", Scheme.int3Minimum(.columns(32)).withSmallScales),
    ("int2", Scheme.int2Minimum(.columns(32)).withSmallScales),
  ]

  static func folder(_ recipe: String) -> String? {
    folders.first { recipe.hasPrefix($0.prefix) }.flatMap(\.folder)
  }

  @Test func everyRecipeHasACheckpointToRunOn() {
    #expect(Self.names.count >= 42)
    for name in Self.names { #expect(Self.folders.contains { name.hasPrefix($0.prefix) }, "\(name)") }
  }

  /// A checkpoint deep enough to lose three blocks, with a tokenizer.
  static func write(_ source: String, to folder: String, blocks: Int = 6) throws -> SampleCheckpoint {
    var sample = try SampleCheckpoint(folder: source)
    sample.repeatBlocks(blocks)
    sample.keepBlocks(blocks)
    let texts = SyntheticTokenizer.files(count: 400, special: [0: "<s>"], begin: "<s>", end: "<s>", contextLength: 64)
    // What a recipe with `checkpoint:calibration.txt` reads, unless the source has one of its own: about as many tokens
    // as letters.
    var draws = SplitMix64(seed: 9)
    let letters = (0..<60_000).map { _ in UInt8(ascii: "a") + UInt8(draws.next() % 26) }
    let own = try? TestData.bytes(source + "/calibration.txt")
    try sample.write(
      to: folder,
      files: [
        "tokenizer.json": texts.tokenizer, "tokenizer_config.json": texts.config,
        "calibration.txt": String(decoding: own ?? letters, as: UTF8.self),
      ])
    return sample
  }

  /// The recipe with a calibration and a budget as small models have room for.
  static func small(_ recipe: Recipe) throws -> Recipe {
    guard recipe.calibration != nil else { return recipe }
    let text = recipe.json.canonicalText.replacing(#""length":256,"samples":128"#, with: #""length":32,"samples":64"#)
      .replacing(#/"bits_per_weight":[0-9.]+/#, with: #""bits_per_weight":32"#)
    return try Recipe(DocumentReader(JSON.parse(Array(text.utf8), file: nil), file: "small"))
  }

  /// Logits after each of some tokens: [tokens][vocabulary].
  static func logits(_ path: String) throws -> [[Float]] {
    let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels())
    let session = try LoadedModel(path: path, context: context, format: .float32).session()
    var draws = SplitMix64(seed: 4)
    let ids = (0..<24).map { _ in Int(draws.next() % 256) }
    let rows = try session.forward([.init(slot: 0, ids: ids, logits: .all)])
    return rows[0].map { session.logits[$0] }
  }

  @Test(arguments: names.filter { folder($0) != nil && !isPruned($0) && !isTrained($0) })
  func runs(_ name: String) throws {
    let source = try #require(Self.folder(name))
    try TestData.withTemporaryFolder { folder in
      // A budget tries every choice for every tensor.
      let blocks = name.contains("-drop") ? 6 : name.contains("-budget") ? 1 : 2
      var sample = try Self.write(source, to: folder + "/source", blocks: blocks)
      let recipe = try Self.small(Recipe(path: Fixtures.recipes + "/\(name).yaml"))
      let compressor = try Compressor(Checkpoint(folder: folder + "/source"), recipe: recipe)
      let path = folder + "/a.furl"
      _ = try compressor.write(to: path, pool: WorkerPool(threads: 2))
      let artifact = try Artifact(path: path)
      try artifact.check()
      #expect(artifact.storage == (recipe.storage == .mapped ? .mapped : .compact))

      // The blocks that the name declares.
      let gone = name.firstRange(of: "-drop").flatMap { Int(name[$0.upperBound...].prefix(1)) } ?? 0
      sample.keepBlocks(blocks - gone)
      try sample.write(to: folder + "/kept", files: Self.tokenizer(of: folder + "/source"))
      let kept = try Checkpoint(folder: folder + "/kept")
      #expect(try ArtifactWeights(artifact).spec == kept.spec)

      // The schemes that the name declares.
      let isQuantized = gone == 0 || name.hasSuffix("int8")
      let isSmall4 = name.hasSuffix("small4")
      let isInt4 = name.contains("int4") || name.contains("gptq4")
      let isCoded = name.contains("disk") || name.hasSuffix("budget")
      let isMixed = name.hasSuffix("budget-memory")
      let linearScheme = Self.linearSchemes.first { name.contains($0.word) }?.scheme
      let keepsEmbeddings = linearScheme != nil && (!name.hasPrefix("minipy") || name.hasSuffix("llm-int8"))
      for tensor in artifact.tensors {
        let role = try #require(TensorRole(rawValue: tensor.role))
        let expected: [Scheme] =
          if role.isVector || !isQuantized || (keepsEmbeddings && !role.isBlockLinear && role != .head) {
            [.float32]
          } else if keepsEmbeddings, role == .head {
            // bitsandbytes leaves it alone in 4 bits.
            [name.hasSuffix("llm-int8") ? .int8(.row) : .float32]
          } else if let linearScheme, role.isBlockLinear {
            [linearScheme]
          } else if linearScheme != nil, role == .embedding || role == .positions {
            [.int8(.columns(64)).withSmallScales, .int8(.columns(32)).withSmallScales].compactMap { $0 }
          } else if name == "int8-rows" || isCoded {
            [.int8(.row)]
          } else if isMixed {
            [.int4(.columns(64)), .int4(.columns(32)), .int8(.row)]
          } else if isSmall4 {
            [(name.hasPrefix("smollm2") ? Scheme.int4Minimum(.columns(64)) : .int4(.columns(64))).withSmallScales]
              .compactMap { $0 }
          } else if isInt4, role.isBlockLinear {
            [.int4(.columns(32)), .int4Minimum(.columns(32)), .int8(.columns(32))]
          } else { [.int8(.columns(32))] }
        // How many columns are kept apart depends on the model.
        let scheme = tensor.scheme.outliers > 0 ? tensor.scheme.keepingApart(0) : tensor.scheme
        #expect(scheme.map(expected.contains) == true, "\(tensor.name): \(tensor.scheme)")
        #expect(tensor.scheme.outliers == 0 || name.hasSuffix("llm-int8"))
      }
      if isInt4 {
        let linear = artifact.tensors.filter { TensorRole(rawValue: $0.role)?.isBlockLinear == true }
        let inEight = Set(linear.filter { $0.scheme == .int8(.columns(32)) }.map(\.role))
        let declared: Set<String> =
          switch name.prefix(3) {
          case "sta": ["attention.key", "attention.value"]
          case "phi": ["attention.value"]
          default: []
          }
        #expect(inEight == declared)
      }

      // The logits of the model that it was made of: the same in FP32, near in 8 bits, not far in 4.
      let (expected, found) = (try Self.logits(folder + "/kept"), try Self.logits(path))
      let isFine = linearScheme == nil ? !isInt4 && !isSmall4 && !isCoded && !isMixed : name.hasSuffix("llm-int8")
      let bound = isQuantized ? (name.contains("int2") ? 1 : isFine ? 0.03 : 0.3) : 0
      let (error, size) = zip(expected.joined(), found.joined()).reduce((0.0, 0.0)) {
        ($0.0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)), $0.1 + Double($1.0 * $1.0))
      }
      print("\(name): relative error of logits \((error / size).squareRoot())")
      #expect(found.joined().allSatisfy(\.isFinite) && size > 0)
      #expect((error / size).squareRoot() <= bound)
    }
  }

  private static func tokenizer(of folder: String) throws -> [String: String] {
    try ["tokenizer.json", "tokenizer_config.json"].reduce(into: [:]) {
      $0[$1] = String(decoding: try TestData.bytes(folder + "/" + $1), as: UTF8.self)
    }
  }
}
