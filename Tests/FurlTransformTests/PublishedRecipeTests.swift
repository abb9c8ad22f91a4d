import FurlArtifact
import FurlBase
@testable import FurlCheckpoint
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
  /// The recipes and the checkpoints of the families that they are for.
  static let cases: [(recipe: PublishedRecipe, shape: PublishedRecipe.Shape)] =
    PublishedRecipe.all.filter { recipe in
      // Widths that come out of activations are looked at in `PruningRecipeTests`, training in `TrainedRecipeTests`.
      !recipe.isPruned && !recipe.isTrained
    }.flatMap { recipe in recipe.shapes.filter { $0.folder != nil }.map { (recipe, $0) } }

  @Test func everyRecipeIsHeldToWhatItPromises() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Fixtures.recipes).filter { $0.hasSuffix(".yaml") }
    #expect(files.map { String($0.dropLast(5)) }.sorted() == PublishedRecipe.all.map(\.name).sorted())
    for recipe in PublishedRecipe.all {
      let published = try Recipe(path: Fixtures.recipes + "/\(recipe.name).yaml")
      #expect((published.calibration != nil) == recipe.isCalibrated, "\(recipe.name)")
    }
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

  @Test(arguments: cases)
  func runs(_ sample: (recipe: PublishedRecipe, shape: PublishedRecipe.Shape)) throws {
    let expected = sample.recipe
    let source = try #require(sample.shape.folder)
    try TestData.withTemporaryFolder { folder in
      // A budget tries every choice for every tensor.
      let blocks = expected.removed > 0 ? 6 : expected.isBudgeted ? 1 : 2
      var checkpoint = try Self.write(source, to: folder + "/source", blocks: blocks)
      let recipe = try Self.small(Recipe(path: Fixtures.recipes + "/\(expected.name).yaml"))
      let compressor = try Compressor(Checkpoint(folder: folder + "/source"), recipe: recipe)
      let path = folder + "/a.furl"
      _ = try compressor.write(to: path, pool: WorkerPool(threads: 2))
      let artifact = try Artifact(path: path)
      try artifact.check()
      #expect(artifact.storage == (recipe.storage == .mapped ? .mapped : .compact))

      checkpoint.keepBlocks(blocks - expected.removed)
      try checkpoint.write(to: folder + "/kept", files: Self.tokenizer(of: folder + "/source"))
      let kept = try Checkpoint(folder: folder + "/kept")
      #expect(try ArtifactWeights(artifact).spec == kept.spec)

      for tensor in artifact.tensors {
        let role = try #require(TensorRole(rawValue: tensor.role))
        let scheme = tensor.scheme.outliers > 0 ? tensor.scheme.keepingApart(0) : tensor.scheme
        #expect(scheme.map(expected.schemes(of: role).contains) == true, "\(tensor.name): \(tensor.scheme)")
        #expect(tensor.scheme.outliers == 0 || expected.keepsColumnsApart)
      }
      let roles = Set(artifact.tensors.map(\.role))
      #expect(expected.inEight.allSatisfy { roles.contains($0.rawValue) })

      // The logits of the model that it was made of: the same in FP32, near in 8 bits, not far in 4.
      let (wanted, found) = (try Self.logits(folder + "/kept"), try Self.logits(path))
      let (error, size) = zip(wanted.joined(), found.joined()).reduce((0.0, 0.0)) {
        ($0.0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)), $0.1 + Double($1.0 * $1.0))
      }
      print("\(expected.name), \(sample.shape): relative error of logits \((error / size).squareRoot())")
      #expect(found.joined().allSatisfy(\.isFinite) && size > 0)
      #expect((error / size).squareRoot() <= expected.bound)
    }
  }

  private static func tokenizer(of folder: String) throws -> [String: String] {
    try ["tokenizer.json", "tokenizer_config.json"].reduce(into: [:]) {
      $0[$1] = String(decoding: try TestData.bytes(folder + "/" + $1), as: UTF8.self)
    }
  }
}
