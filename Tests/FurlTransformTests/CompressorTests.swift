import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTransform
import Foundation
import Testing

@Suite struct CompressorTests {
  private let checkpoint: Checkpoint

  init() throws { checkpoint = try Checkpoint(folder: TestData.minipy) }

  /// What a budget chooses is in no plan: `BudgetTests` and `PublishedRecipeTests` hold those recipes.
  static let published: [String] = PublishedRecipe.all.filter { recipe in
    guard case .planned = recipe.kind else { return false }
    return recipe.shapes.contains(.minipy) && !recipe.keepsColumnsApart
  }.map { $0.name + ".yaml" }

  private func files(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  /// A published recipe with a tenth of the calibration by default: its amount decides how good the codes are, which
  /// other tests look at, and nothing of what is checked here.
  private func recipe(_ name: String) throws -> Recipe {
    let recipe = try Recipe(path: Fixtures.recipes + "/" + name)
    guard recipe.calibration != nil, !TestData.isThorough else { return recipe }
    let text = recipe.json.canonicalText.replacing(#""samples":128"#, with: #""samples":12"#)
    #expect(text != recipe.json.canonicalText)
    return try Recipe(DocumentReader(JSON.parse(Array(text.utf8), file: nil), file: name))
  }

  /// Every recipe that is for minipy or for any model runs, keeps to its plan, and gives a file that is whole.
  @Test(arguments: published)
  func publishedRecipesRun(_ name: String) throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try recipe(name)
      let compressor = try Compressor(checkpoint, recipe: recipe)
      let plan = compressor.plan
      let path = folder + "/a.furl"
      var steps: [CompressionProgress] = []
      let result = try compressor.write(to: path, pool: WorkerPool(threads: 2)) { steps.append($0) }
      // Every tensor is reported in order, and bytes only grow; before them, what counts blocks.
      steps = Array(steps.drop(while: \.countsBlocks))
      let names = steps.map(\.tensor).filter { !$0.isEmpty }
      #expect(
        names.enumerated().filter { $0 == 0 || names[$0 - 1] != $1 }.map(\.element) == plan.tensors.map(\.spec.name))
      #expect(zip(steps, steps.dropFirst()).allSatisfy { $0.bytesDone <= $1.bytesDone })
      #expect(steps.last?.bytesDone == steps.last?.bytes && steps.last?.bytes == checkpoint.diskBytes)
      #expect(try files(in: folder) == ["a.furl"])

      let artifact = try Artifact(path: path)
      try artifact.check()
      #expect(artifact.id == result.artifactID)
      let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
      #expect(artifact.diskBytes == size && result.diskBytes == size)
      #expect(artifact.storage == (recipe.storage == .mapped ? .mapped : .compact))
      // The plan's figures hold: raw bytes exactly, the file's size as a bound that is not idle.
      #expect(plan.rawBytes == artifact.tensors.flatMap(\.streams).reduce(0) { $0 + $1.decodedLength })
      #expect(result.weightBytes == plan.rawBytes)
      let bound = try compressor.fileUpperBound()
      #expect(result.diskBytes <= bound && bound < plan.rawBytes + 1_000_000)
      #expect(artifact.tensors.map(\.name) == plan.tensors.map(\.spec.name))
      #expect(artifact.tensors.map(\.scheme) == plan.tensors.map(\.scheme))
      #expect(artifact.description.recipe.text == recipe.json.canonicalText)
      #expect(artifact.description.recipe.digest == recipe.digest)
      // It is a model.
      #expect(try ModelFile(path: path).load(pool: WorkerPool(threads: 2)).spec == plan.spec)
    }
  }

  /// What the README promises of size.
  @Test(arguments: [("minipy-int8", 0.27), ("minipy-int4", 0.19)])
  func filesAreSmall(_ sample: (name: String, share: Double)) throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try Recipe(path: Fixtures.recipes + "/\(sample.name).yaml")
      let result = try Compressor(checkpoint, recipe: recipe).write(
        to: folder + "/a.furl", pool: WorkerPool(threads: 2))
      let source = try #require(
        FileManager.default.attributesOfItem(atPath: TestData.minipy + "/model.safetensors")[.size] as? Int)
      let share = Double(result.diskBytes) / Double(source)
      print("\(sample.name): \(share) of model.safetensors")
      #expect(share <= sample.share)
    }
  }

  @Test(arguments: Recipe.Storage.allCases)
  func theSameInputGivesTheSameBytes(_ storage: Recipe.Storage) throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try Fixtures.recipe(
        "  - truncate: {blocks: [1, 2, 3]}\n  - quantize: {weights: int4, zero: minimum, embeddings: int8}",
        more: "storage: \(storage.rawValue)")
      // Another folder and another name for the same checkpoint, and the second file over another one.
      let copy = folder + "/copy of the checkpoint"
      try FileManager.default.createSymbolicLink(atPath: copy, withDestinationPath: TestData.minipy)
      var digests: [Digest] = []
      for (index, threads) in [1, 2, 1, 2].enumerated() {
        let path = folder + "/\(index == 3 ? 2 : index).furl"
        let source = try Checkpoint(folder: index < 2 ? TestData.minipy : copy)
        _ = try Compressor(source, recipe: recipe).write(to: path, pool: WorkerPool(threads: threads))
        digests.append(Digest(of: try TestData.bytes(path)))
      }
      #expect(Set(digests).count == 1)
    }
  }

  @Test func storageDoesNotChangeWhatIsStored() throws {
    try TestData.withTemporaryFolder { folder in
      let decoded = try Recipe.Storage.allCases.map { storage in
        let path = folder + "/\(storage.rawValue).furl"
        let recipe = try Fixtures.recipe(
          "  - truncate: {blocks: 5}\n  - quantize: {weights: int8}", more: "storage: \(storage.rawValue)")
        _ = try Compressor(checkpoint, recipe: recipe).write(to: path, pool: WorkerPool(threads: 2))
        return try Artifact(path: path).tensors.map(\.digest)
      }
      #expect(decoded[0] == decoded[1])
    }
  }

  /// Unquantized, every tensor of the artifact is the source's, bit for bit, whatever blocks were removed.
  @Test(arguments: [
    ([Int](), [0, 1, 2, 3, 4, 5]), ([5], [0, 1, 2, 3, 4]), ([0, 3], [1, 2, 4, 5]), ([0, 1, 2, 3, 4], [5]),
  ])
  func truncationTakesTheRightTensors(_ sample: (gone: [Int], left: [Int])) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      let everything = "\"*\""
      let steps =
        sample.gone.isEmpty
        ? "  - quantize: {weights: int8, keep: [norm, bias, \(everything)]}" : "  - truncate: {blocks: \(sample.gone)}"
      _ = try Compressor(checkpoint, recipe: Fixtures.recipe(steps)).write(to: path, pool: WorkerPool(threads: 2))
      let source = try SampleCheckpoint(folder: TestData.minipy)
      let decoded = try Fixtures.decoded(path)
      #expect(decoded.count == 4 + 16 * sample.left.count)
      for (name, rows) in decoded {
        var origin = name
        for (new, old) in sample.left.enumerated() where name.hasPrefix("blocks.\(new).") {
          origin = "blocks.\(old)." + name.dropFirst("blocks.\(new).".count)
        }
        #expect(try rows == Fixtures.source(origin, of: source), "\(name)")
      }
    }
  }

  /// Codes are the nearest ones: no weight is further off than half a step of its block.
  @Test(arguments: [("int8", 127.0), ("int4", 8.0)])
  func codesAreTheNearest(_ sample: (weights: String, steps: Double)) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      let recipe = try Fixtures.recipe("  - truncate: {blocks: 5}\n  - quantize: {weights: \(sample.weights)}")
      _ = try Compressor(checkpoint, recipe: recipe).write(to: path, pool: WorkerPool(threads: 2))
      let source = try SampleCheckpoint(folder: TestData.minipy)
      for (name, rows) in try Fixtures.decoded(path) {
        let original = try Fixtures.source(name, of: source)
        #expect(rows.count == original.count)
        var worst = 0.0
        for (row, expected) in zip(rows, original) {
          for start in stride(from: 0, to: row.count, by: 32) {
            let range = start..<min(start + 32, row.count)
            let largest = expected[range].reduce(0) { max($0, Double(abs($1))) }
            let off = range.reduce(0) { max($0, Double(abs(row[$1] - expected[$1]))) }
            // Half a step, and what rounding the scale to a half may cost the largest weight; in int4 the side
            // opposite of the largest weight ends one step earlier.
            let step = largest / sample.steps
            let allowed = sample.weights == "int4" ? step * 1.01 : step * 0.5 + largest * 0.001
            if off > allowed { worst = max(worst, off / step) }
          }
        }
        #expect(worst == 0, "\(name): \(worst) steps")
      }
    }
  }

  // MARK: What goes wrong

  @Test(
    arguments: [
      ("transformer.h.2.attn.c_attn.weight", 768 * 3 + 256 + 9, "blocks.2.attention.key", "[9, 3]"),
      ("transformer.wpe.weight", 256 * 511 + 255, "positions", "[511, 255]"),
      ("transformer.ln_f.bias", 17, "norm.bias", "[17]"),
    ], [Float.nan, -.infinity])
  func damagedWeightsLeaveNothingBehind(
    _ place: (tensor: String, index: Int, name: String, element: String), value: Float
  ) throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.tensors[place.tensor]?.values[place.index] = value
      try sample.write(to: folder + "/source")
      let compressor = try Compressor(
        Checkpoint(folder: folder + "/source"), recipe: Fixtures.recipe("  - quantize: {weights: int8}"))
      try TestData.write(Array("old".utf8), to: folder + "/a.furl")
      expectError(.input, "model.safetensors", place.name, "element \(place.element) is \(value)") {
        _ = try compressor.write(to: folder + "/a.furl", pool: WorkerPool(threads: 2))
      }
      #expect(try files(in: folder) == ["a.furl", "source"])
      #expect(try TestData.bytes(folder + "/a.furl") == Array("old".utf8))
    }
  }

  @Test func weightsTooLargeForAScaleAreNamed() throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.tensors["transformer.h.0.mlp.c_fc.weight"]?.values[5] = 1e30
      try sample.write(to: folder + "/source")
      let compressor = try Compressor(
        Checkpoint(folder: folder + "/source"), recipe: Fixtures.recipe("  - quantize: {weights: int8}"))
      expectError(.input, "blocks.0.mlp.up", "row 5", "too large for int8:32") {
        _ = try compressor.write(to: folder + "/a.furl", pool: WorkerPool(threads: 2))
      }
      #expect(try files(in: folder) == ["source"])
    }
  }

  /// Of several errors the first one in the artifact's order is reported, whatever the threads are at.
  @Test func theFirstErrorDoesNotDependOnThreads() throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      for block in [1, 3, 5] {
        sample.tensors["transformer.h.\(block).mlp.c_fc.weight"]?.values[77] = .nan
        sample.tensors["transformer.h.\(block).mlp.c_proj.weight"]?.values[5] = .infinity
        sample.tensors["transformer.h.\(block).ln_2.bias"]?.values[9] = .infinity
      }
      try sample.write(to: folder + "/source")
      let compressor = try Compressor(
        Checkpoint(folder: folder + "/source"), recipe: Fixtures.recipe("  - quantize: {weights: int8}"))
      for threads in [1, 2, 3, 4, 2, 3, 4] {
        expectError(.input, "blocks.1.mlp.norm.bias", "element [9] is inf") {
          _ = try compressor.write(to: folder + "/a.furl", pool: WorkerPool(threads: threads))
        }
      }
      #expect(try files(in: folder) == ["source"])
    }
  }

  /// The weights are cut off, written to or removed while they are read.
  @Test(arguments: [1, 2])
  func sourcesThatChangeMeanwhile(_ threads: Int) throws {
    try TestData.withTemporaryFolder { folder in
      let weights = folder + "/source/model.safetensors"
      func compress(_ change: (String) -> Int32) throws {
        try SampleCheckpoint(folder: TestData.minipy).write(to: folder + "/source")
        defer { try? FileManager.default.removeItem(atPath: folder + "/source") }
        let compressor = try Compressor(
          Checkpoint(folder: folder + "/source"), recipe: Fixtures.recipe("  - quantize: {weights: int8}"))
        var isChanged = false
        _ = try compressor.write(to: folder + "/a.furl", pool: WorkerPool(threads: threads)) { _ in
          if !isChanged { #expect(change(weights) == 0) }
          isChanged = true
        }
      }
      expectError(.input, "model.safetensors", "has become shorter") { try compress { truncate($0, 4096) } }
      expectError(.input, "model.safetensors", "has changed") {
        try compress {
          let date = Date(timeIntervalSince1970: 1e6)
          let isSet: Void? = try? FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: $0)
          return isSet == nil ? -1 : 0
        }
      }
      #expect(try files(in: folder).isEmpty)
      // What has been opened is still there.
      try compress { unlink($0) }
      #expect(try files(in: folder) == ["a.furl"])
      try Artifact(path: folder + "/a.furl").check()
    }
  }

  @Test func theCheckpointsOwnFilesAreNotReplaced() throws {
    try TestData.withTemporaryFolder { folder in
      try SampleCheckpoint(folder: TestData.minipy).write(to: folder + "/source")
      let compressor = try Compressor(
        Checkpoint(folder: folder + "/source"), recipe: Fixtures.recipe("  - quantize: {weights: int8}"))
      let before = try files(in: folder + "/source")
      try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: folder + "/source")
      for path in [
        "/source/model.safetensors", "/source/config.json", "/link/tokenizer.json", "/source/../source/config.json",
      ] {
        expectError(.cannotCreate, "is a file of the checkpoint") {
          _ = try compressor.write(to: folder + path, pool: WorkerPool(threads: 2))
        }
      }
      #expect(try files(in: folder + "/source") == before)
      // An artifact may lie beside them, and be replaced.
      for _ in 0..<2 {
        _ = try compressor.write(to: folder + "/source/a.furl", pool: WorkerPool(threads: 2))
        try Artifact(path: folder + "/source/a.furl").check()
      }
      #expect(try files(in: folder + "/source") == (before + ["a.furl"]).sorted())
    }
  }

  @Test func placesThatCannotBeWrittenTo() throws {
    try TestData.withTemporaryFolder { folder in
      let compressor = try Compressor(checkpoint, recipe: Fixtures.recipe("  - quantize: {weights: int8}"))
      try TestData.write([1], to: folder + "/file")
      for path in ["/none/a.furl", "/file/a.furl", "/", ""] {
        expectError(.cannotCreate) { _ = try compressor.write(to: folder + path, pool: WorkerPool(threads: 1)) }
      }
      // Nobody, not even root, creates files there.
      if FileManager.default.fileExists(atPath: "/proc/self") {
        expectError(.cannotCreate, "/proc/a.furl") {
          _ = try compressor.write(to: "/proc/a.furl", pool: WorkerPool(threads: 1))
        }
      }
      #expect(try files(in: folder) == ["file"])
    }
  }

  @Test func aFolderWithoutATokenizerIsRefused() throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try Fixtures.recipe("  - quantize: {weights: int8}")
      let compressor = try Compressor(Checkpoint(folder: Fixtures.gpt2), recipe: recipe)
      expectError(.input, "tokenizer.json") {
        _ = try compressor.write(to: folder + "/a.furl", pool: WorkerPool(threads: 1))
      }
      #expect(try files(in: folder).isEmpty)
    }
  }

  @Test func lineageNamesNoFolder() throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      _ = try Compressor(checkpoint, recipe: Fixtures.recipe("  - quantize: {weights: int8}")).write(
        to: path, pool: WorkerPool(threads: 2))
      let lineage = try Artifact(path: path).description.lineage
      #expect(
        lineage.map(\.name) == [
          "model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        ])
      for file in lineage {
        let bytes = try TestData.bytes(TestData.minipy + "/" + file.name)
        #expect(file.bytes == bytes.count && file.digest == Digest(of: bytes))
      }
    }
  }
}
