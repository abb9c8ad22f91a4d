import FurlTokenizer
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTransform
import Testing

/// Recipes that choose codes: what they say, and what comes out.
@Suite struct CalibratedRecipeTests {
  private static func recipe(
    _ keys: String, calibration: String? = "{text: 'checkpoint:calibration.txt', samples: 24, length: 128}"
  ) throws -> Recipe {
    try Fixtures.recipe(
      "  - quantize: {weights: int4, embeddings: int8\(keys)}", more: calibration.map { "calibration: \($0)" } ?? "")
  }

  private static func write(
    _ recipe: Recipe, to path: String, from folder: String = TestData.minipy, threads: Int = 2
  ) throws -> CompressionResult {
    try Compressor(Checkpoint(folder: folder), recipe: recipe).write(to: path, pool: WorkerPool(threads: threads))
  }

  static let methods = [
    ", search: true", ", method: imatrix", ", method: awq", ", method: gptq",
    ", method: gptq, order: natural, search: false",
    ", method: gptq, zero: minimum",
    ", method: gptq, block: row",
    ", method: gptq, block: 128, overrides: [{match: mlp.down, weights: int8, block: row}]",
    ", method: gptq, scales: u8, overrides: [{match: mlp.down, weights: nf4, block: row, scales: f16}]",
    ", search: true, scales: u8, block: 64, overrides: [{match: mlp.up, weights: codebook4}]",
    ", method: gptq, zero: minimum, scales: u8, overrides: [{match: mlp.up, weights: int3}, {match: mlp.down, weights: int2}]",
  ]

  // MARK: The recipe

  @Test func defaultsAreSpelledOut() throws {
    let text = try Self.recipe(", method: gptq", calibration: "{}").json.canonicalText
    #expect(
      text.contains(#""calibration":{"length":256,"samples":128,"seed":0,"text":"bundled"}"#),
      "\(text)")
    #expect(
      text.contains(#""damping":0.01"#) && text.contains(#""method":"gptq""#) && text.contains(#""order":"activation""#)
    )
    #expect(text.contains(#""search":true"#))
    // Without calibration the canonical form is what it was before there was one.
    let plain = try Self.recipe("", calibration: nil).json.canonicalText
    #expect(!plain.contains("search") && !plain.contains("calibration") && plain.contains(#""method":"nearest""#))
  }

  /// The canonical form is a recipe, and the same one.
  @Test(arguments: methods)
  func theCanonicalFormIsTheSameRecipe(_ keys: String) throws {
    let recipe = try Self.recipe(keys)
    let again = try Recipe(DocumentReader(recipe.json, file: "again"))
    #expect(again.json == recipe.json && again.digest == recipe.digest)
  }

  @Test(arguments: [
    (", method: gptq", nil, ["line 4: steps[0].quantize.method", "needs a calibration"]),
    ("", "{samples: 4}", ["calibration", "is used by no step"]),
    (", order: natural", nil, ["line 4: steps[0].quantize.order", "no meaning without feedback"]),
    (", damping: 0.1", nil, ["line 4: steps[0].quantize.damping", "no meaning without feedback"]),
    (", method: gptq, damping: 0", "{}", ["line 4: steps[0].quantize.damping", "out of range"]),
    (", method: gptq, damping: 2", "{}", ["out of range"]), (", search: 3", nil, ["search", "true or false"]),
    (", method: gptq, order: random", "{}", ["order", "\"random\" is not a known value"]),
    (", method: awq", nil, ["line 4: steps[0].quantize.method", "needs a calibration"]),
    (", method: awq, order: natural", "{}", ["order", "no meaning without feedback"]),
    (", method: imatrix", nil, ["line 4: steps[0].quantize.method", "needs a calibration"]),
    (", method: imatrix, search: false", "{}", ["search", "is what method: imatrix does"]),
    (", method: imatrix, damping: 0.1", "{}", ["damping", "no meaning without feedback"]),
    (", method: gptq", "{samples: 0}", ["line 5: calibration.samples", "out of range"]),
    (", method: gptq", "{length: 7}", ["line 5: calibration.length", "out of range"]),
    (", method: gptq", "{seed: -1}", ["line 5: calibration.seed", "out of range"]),
    (", method: gptq", "{tokens: 5}", ["line 5: calibration.tokens", "unknown key"]),
    (", method: gptq", "{text: ''}", ["line 5: calibration.text", "is empty"]),
    (", method: gptq", "{text: 'checkpoint:'}", ["line 5: calibration.text", "not the name of a file"]),
    (", method: gptq", "{text: 'checkpoint:../x'}", ["line 5: calibration.text", "not the name of a file"]),
    (", method: gptq", "calibration.txt", ["line 5: calibration", "a mapping is expected"]),
  ])
  func mistakesAreNamed(_ sample: (keys: String, calibration: String?, words: [String])) {
    let error = #expect(throws: FurlError.self) { _ = try Self.recipe(sample.keys, calibration: sample.calibration) }
    guard let error else { return }
    for word in ["r.yaml"] + sample.words { #expect(error.description.contains(word), "\(error)") }
  }

  @Test(arguments: [
    ("{samples: 50000}", ["line 5: calibration.samples", "sequences of 256", "at most"]),
    ("{length: 513}", ["line 5: calibration.length", "context of 512"]),
    ("{text: 'checkpoint:none.txt'}", ["line 5: calibration.text", "none.txt does not exist"]),
    ("{text: /nowhere/none.txt}", ["line 5: calibration.text", "/nowhere/none.txt does not exist"]),
    ("{text: 'checkpoint:model.safetensors'}", ["model.safetensors", "is not UTF-8"]),
  ])
  func textsThatDoNotDoAreNamed(_ sample: (calibration: String, words: [String])) throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try Self.recipe(", method: gptq", calibration: sample.calibration)
      let error = #expect(throws: FurlError.self) { _ = try Self.write(recipe, to: folder + "/a.furl") }
      for word in sample.words { #expect(error?.description.contains(word) == true, "\(String(describing: error))") }
    }
  }

  private static func low(_ keys: String, calibration: String? = nil) throws -> Recipe {
    try Fixtures.recipe("  - quantize: {\(keys)}", more: calibration.map { "calibration: \($0)" } ?? "")
  }

  @Test(arguments: [
    ("weights: nf4, zero: minimum", ["line 4: steps[0].quantize.zero", "nf4 has no minimum"]),
    ("weights: int3, block: row, scales: u8", ["quantize.scales", "u8 has no meaning with one scale a row"]),
    ("weights: int3, scales: u16", ["quantize.scales", "\"u16\" is not a known value"]),
    ("weights: nvfp4", ["quantize.weights", "not supported yet"]),
    ("goal: disk, bits: 3, scales: u8", ["quantize.scales"]),
    ("weights: int4, outliers: {share: 0.01}", ["quantize.outliers", "int8 weights only"]),
    ("weights: int8, outliers: {}", ["outliers", "says nothing"]),
    ("weights: int8, outliers: {share: 0.6}", ["outliers.share", "out of range"]),
    ("weights: int8, outliers: {threshold: 6.0}", ["outliers.threshold", "needs a calibration"]),
    ("weights: int8, outliers: {columns: 6}", ["outliers.columns", "unknown key"]),
  ])
  func mistakesOfSchemesAreNamed(_ sample: (keys: String, words: [String])) {
    let error = #expect(throws: FurlError.self) { _ = try Self.low(sample.keys) }
    guard let error else { return }
    for word in ["r.yaml"] + sample.words { #expect(error.description.contains(word), "\(error)") }
  }

  @Test(arguments: [
    ("weights: nf4, block: 64, scales: u8", "nf4:64:u8"), ("weights: fp4, block: 64", "fp4:64"),
    ("weights: int3", "int3:32"), ("weights: int2, zero: minimum, block: row", "int2-minimum:row"),
    ("weights: codebook4, block: 128", "codebook4:128"),
    ("weights: int8, block: row, outliers: {share: 0.01}", "int8:row+3"),
  ])
  func schemesAreThoseOfTheRecipe(_ sample: (keys: String, scheme: String)) throws {
    let recipe = try Self.low(
      sample.keys
        + ", embeddings: int8, overrides: [{match: mlp.up, weights: int8, block: row, scales: f16, zero: symmetric}]")
    let again = try Recipe(DocumentReader(recipe.json, file: "again"))
    #expect(again.json == recipe.json && again.digest == recipe.digest)
    try TestData.withTemporaryFolder { folder in
      var source = try SampleCheckpoint(folder: TestData.minipy)
      source.keepBlocks(1)
      try source.write(to: folder + "/source")
      var digests: Set<Digest> = []
      for threads in 1...2 {
        let path = folder + "/\(threads).furl"
        _ = try Self.write(recipe, to: path, from: folder + "/source", threads: threads)
        digests.insert(Digest(of: try TestData.bytes(path)))
        let artifact = try Artifact(path: path)
        try artifact.check()
        for tensor in artifact.tensors where tensor.shape.count == 2 {
          let isLinear = TensorRole(rawValue: tensor.role)?.isBlockLinear == true
          let scheme = tensor.role == "mlp.up" ? "int8:row" : isLinear ? sample.scheme : tensor.scheme.name
          // A hundredth of 256 columns, and of 1024.
          #expect(tensor.scheme.name == (tensor.role == "mlp.down" && scheme.hasSuffix("+3") ? "int8:row+11" : scheme))
          #expect(isLinear || tensor.scheme.codingName == "int8")
        }
      }
      #expect(digests.count == 1)
    }
  }

  /// Columns are kept apart by what the calibration says, and no more of them than may be.
  @Test func outliersFollowTheInputs() throws {
    try TestData.withTemporaryFolder { folder in
      var source = try SampleCheckpoint(folder: TestData.minipy)
      source.keepBlocks(1)
      for column in [5, 200] {
        source.tensors["transformer.h.0.ln_1.weight"]?.values[column] = 60
        source.tensors["transformer.h.0.ln_1.bias"]?.values[column] = 0
      }
      try source.write(to: folder + "/source")
      let calibration = "{samples: 8, length: 64}"
      let recipe = try Self.low(
        "weights: int8, block: row, outliers: {threshold: 30.0, share: 0.05}", calibration: calibration)
      let result = try Self.write(recipe, to: folder + "/a.furl", from: folder + "/source")
      let weights = try ArtifactWeights(Artifact(path: folder + "/a.furl"))
      let pool = WorkerPool(threads: 1)
      for tensor in weights.spec.tensors
      where ["blocks.0.attention.query", "blocks.0.attention.key"].contains(tensor.name) {
        #expect(try weights.matrix(tensor, pool: pool).outlierColumns == [5, 200])
      }
      #expect(result.weightBytes == weights.artifact.tensors.reduce(0) { $0 + $1.weightBytes })
      let few = try Self.low(
        "weights: int8, block: row, outliers: {threshold: 0.1, share: 0.01}", calibration: calibration)
      let notes = try Self.write(few, to: folder + "/b.furl", from: folder + "/source").notes
      #expect(
        notes.contains { $0.contains("attention.query") && $0.contains("the largest 3 are kept apart") }, "\(notes)")
    }
  }

  // MARK: What comes out

  /// The same bytes with any number of threads, the layout of the plan, and a lineage that names the text.
  @Test(arguments: methods)
  func theSameInputGivesTheSameBytes(_ keys: String) throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(2)
      try sample.write(to: folder + "/source")
      let recipe = try Self.recipe(
        keys, calibration: "{text: 'checkpoint:calibration.txt', samples: 12, length: 128}")
      var digests: Set<Digest> = []
      for threads in TestData.isThorough ? [1, 2, 3] : [1, 3] {
        let path = folder + "/\(threads).furl"
        let result = try Self.write(recipe, to: path, from: folder + "/source", threads: threads)
        digests.insert(Digest(of: try TestData.bytes(path)))
        let artifact = try Artifact(path: path)
        try artifact.check()
        #expect(artifact.id == result.artifactID)
        let plan = try Plan(recipe, for: Checkpoint(folder: folder + "/source").spec)
        #expect(artifact.tensors.map(\.scheme) == plan.tensors.map(\.scheme))
        #expect(artifact.description.lineage.contains { $0.name == "model.safetensors" })
        let calibration = artifact.description.recipe.details["calibration"]
        let text = try TestData.bytes(TestData.minipy + "/calibration.txt")
        #expect(calibration?["sha256"]?.string == Digest(of: text).hex)
        #expect(calibration?["samples"]?.integer == 12 && calibration?["seed"]?.integer == 0)
        #expect(try ModelFile(path: path).load(pool: WorkerPool(threads: 2)).spec == plan.spec)
      }
      #expect(digests.count == 1)
    }
  }

  /// Another seed draws other sequences; a folder of sources does as well as a file.
  @Test func theTextMatters() throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(1)
      try sample.write(to: folder + "/source")
      try TestData.write(try TestData.bytes(TestData.minipy + "/calibration.txt"), to: folder + "/calibration.py")
      var ids: Set<Digest> = []
      for calibration in [
        "{samples: 8, length: 64}", "{samples: 8, length: 64, seed: 1}", "{samples: 9, length: 64}",
        "{samples: 8, length: 64, text: \(folder)}",
      ] {
        let recipe = try Self.recipe(", method: gptq", calibration: calibration)
        let result = try Self.write(recipe, to: folder + "/a.furl", from: folder + "/source")
        ids.insert(result.artifactID)
        // So few positions do not cover the inputs, and that is said.
        #expect(result.notes.contains { $0.contains("blocks.0.mlp.down") && $0.contains("are few") }, "\(result.notes)")
      }
      #expect(ids.count == 4)
    }
  }

  @Test func deadInputsAreSaid() throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(1)
      for column in [3, 77] {
        sample.tensors["transformer.h.0.ln_1.weight"]?.values[column] = 0
        sample.tensors["transformer.h.0.ln_1.bias"]?.values[column] = 0
      }
      try sample.write(to: folder + "/source")
      let result = try Self.write(Self.recipe(", method: gptq"), to: folder + "/a.furl", from: folder + "/source")
      #expect(
        result.notes.contains { $0.hasPrefix("blocks.0.attention.query: 2 of 256 inputs were zero") }, "\(result.notes)"
      )
    }
  }

  // MARK: Quality

  /// The KL divergence from the checkpoint over text that no calibration has seen.
  ///
  /// A quarter of the usual calibration and half of the text by default: the bounds hold with them, too.
  private func divergence(
    _ keys: String, calibration: String? = TestData.isThorough ? "{}" : "{samples: 32}"
  ) throws -> Double {
    try TestData.withTemporaryFolder { folder in
      _ = try Self.write(Self.recipe(keys, calibration: calibration), to: folder + "/a.furl")
      let pool = WorkerPool(threads: 2)
      let context = ComputeContext(pool: pool, kernels: try Kernels())
      let own = try ModelFile(path: folder + "/a.furl").load(pool: pool)
      let source = try ModelFile(path: TestData.minipy)
      let text = String(decoding: try TestData.bytes(TestData.minipy + "/validation.txt"), as: UTF8.self)
      let ids = try source.tokenizer().encode(text)
      let likelihood = Likelihood(
        try Session(source.load(pool: pool), context: context), try Session(own, context: context))
      var (sum, count) = (0.0, 0)
      for start in stride(from: 0, to: (TestData.isThorough ? 16 : 8) * 256, by: 256) {
        try likelihood.forEachPosition(Array(ids[start..<start + 256])) { _, logits, row in
          sum += Likelihood.divergence(
            of: Likelihood.logProbabilities(logits[0], row: row), from: Likelihood.logProbabilities(logits[1], row: row)
          )
          count += 1
        }
      }
      return sum / Double(count)
    }
  }

  /// The same grid and the same bytes: feedback halves what nearest codes cost, and more.
  @Test func feedbackHalvesTheDivergence() throws {
    let nearest = try divergence("", calibration: nil)
    let searched = try divergence(", search: true", calibration: nil)
    let fed = try divergence(", method: gptq")
    print("KL divergence of int4:32: nearest \(nearest), searched \(searched), gptq \(fed)")
    #expect(searched < nearest)
    #expect(fed <= 0.5 * nearest && fed <= 0.6 * searched)
  }

  // MARK: Coded bits

  static let coded = [
    "bits: 3.5, embedding_bits: 5", "bits: 2.5, method: gptq",
    "bits: 4, method: gptq, order: natural, embeddings: int8",
    "bits: 3, method: gptq, overrides: [{match: mlp.down, bits: 4}, {match: attention.query, weights: int4, block: 32}]",
  ]

  private static func coded(_ keys: String, calibration: String = "{samples: 24, length: 128}") throws -> Recipe {
    try Fixtures.recipe(
      "  - quantize: {goal: disk, \(keys)}", more: keys.contains("gptq") ? "calibration: \(calibration)" : "")
  }

  /// Every tensor takes the bits that the recipe says, in a layout that knows nothing of it, with any number of threads.
  @Test(arguments: coded)
  func codedBitsAreKept(_ keys: String) throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(2)
      try sample.write(to: folder + "/source")
      let recipe = try Self.coded(keys)
      let again = try Recipe(DocumentReader(recipe.json, file: "again"))
      #expect(again.json == recipe.json)
      var digests: Set<Digest> = []
      for threads in 1...2 {
        let path = folder + "/\(threads).furl"
        _ = try Self.write(recipe, to: path, from: folder + "/source", threads: threads)
        digests.insert(Digest(of: try TestData.bytes(path)))
      }
      #expect(digests.count == 1)
      guard case .quantize(let step) = recipe.steps[0], let bits = step.bits else { return #expect(Bool(false)) }
      let artifact = try Artifact(path: folder + "/1.furl")
      for tensor in artifact.tensors where tensor.shape.count == 2 {
        let stored = Double(tensor.streams[0].length) * 8 / Double(tensor.shape.reduce(1, *))
        let isEmbedding = ["embedding", "positions"].contains(tensor.role)
        var expected: Double? = isEmbedding ? step.embeddingBits : bits
        if keys.contains("overrides"), tensor.role == "mlp.down" { expected = 4 }
        if keys.contains("overrides"), tensor.role == "attention.query" { expected = nil }
        #expect(
          tensor.scheme == (expected == nil && !isEmbedding ? .int4(.columns(32)) : .int8(.row)), "\(tensor.name)")
        if let expected { #expect(abs(stored - expected) < 0.03, "\(tensor.name): \(stored) instead of \(expected)") }
      }
      let compressor = try Compressor(Checkpoint(folder: folder + "/source"), recipe: recipe)
      let predicted = try compressor.predictSize(pool: WorkerPool(threads: 2)).fileBytes
      #expect(abs(Double(predicted - artifact.diskBytes)) < 0.01 * Double(artifact.diskBytes))
    }
  }

  @Test(arguments: [
    ("{weights: int8, bits: 3}", "steps[0].quantize.bits", "without goal: disk"),
    ("{weights: int8, embedding_bits: 3}", "steps[0].quantize.embedding_bits", "without goal: disk"),
    ("{goal: disk}", "steps[0].quantize.bits", "is missing"),
    ("{goal: disk, bits: 0.5}", "steps[0].quantize.bits", "out of range"),
    ("{goal: disk, bits: 8}", "steps[0].quantize.bits", "out of range"),
    ("{goal: disk, bits: 3, weights: int4}", "steps[0].quantize.weights", "not a known value"),
    ("{goal: disk, bits: 3, block: 32}", "steps[0].quantize.block", "not a known value"),
    ("{goal: disk, bits: 3, zero: minimum}", "steps[0].quantize.zero", "not a known value"),
    ("{goal: disk, bits: 3, search: true}", "steps[0].quantize.search", "no meaning with goal: disk"),
    ("{goal: disk, bits: 3, embedding_bits: 5, embeddings: int4}", "steps[0].quantize.embeddings", "are int8"),
    ("{goal: speed, bits: 3}", "steps[0].quantize.goal", "not a known value"),
  ])
  func mistakesAboutBitsAreNamed(_ sample: (step: String, place: String, problem: String)) {
    let error = #expect(throws: FurlError.self) { _ = try Fixtures.recipe("  - quantize: \(sample.step)") }
    #expect(error?.description.contains("line 4: \(sample.place)") == true, "\(String(describing: error))")
    #expect(error?.description.contains(sample.problem) == true, "\(String(describing: error))")
  }

  @Test func feedbackHelpsWithAMinimumAndWithWideBlocks() throws {
    for keys in [", zero: minimum", ", block: 128", ", block: row"] {
      let nearest = try divergence(keys, calibration: nil)
      let fed = try divergence(keys + ", method: gptq")
      print("KL divergence of int4\(keys): nearest \(nearest), gptq \(fed)")
      #expect(fed <= 0.5 * nearest)
    }
  }
}
