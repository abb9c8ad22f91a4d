import Foundation
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// Codes of quantized checkpoints that stay what they are, on the way in and out again: `Fixtures/kept/make_kept.py`.
@Suite struct KeptCodesTests {
  static let root = TestData.root + "/Tests/Fixtures/kept"
  private static let pool = WorkerPool(threads: 2)

  private static func expected(_ file: String) throws -> [String: JSON] {
    let members = try JSON.parse(TestData.bytes(root + "/" + file), file: nil).members ?? []
    return Dictionary(uniqueKeysWithValues: members.map { ($0.key, $0.value) })
  }

  /// A fixture that safetensors hold, with a tokenizer beside it.
  private static func folder(_ form: String, root: String = root, in folder: String) throws -> String {
    let copy = folder + "/" + form
    try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
    for name in ["config.json", "model.safetensors"] {
      try TestData.write(TestData.bytes("\(root)/\(form)/\(name)"), to: copy + "/" + name)
    }
    let special = Array(ChainCheckpoint.special.prefix(2))
    let files: [String: JSON] = [
      "tokenizer.json": ChainCheckpoint.tokenizer(special: special),
      "tokenizer_config.json": ["bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false],
    ]
    for (name, json) in files { try TestData.write(Array(json.prettyText.utf8), to: copy + "/" + name) }
    return copy
  }

  private static func compress(_ path: String, _ recipe: Recipe, to output: String) throws -> CompressionResult {
    try Compressor(Checkpoint(path: path), recipe: recipe).write(to: output, pool: pool)
  }

  private static func keeping(_ steps: String) throws -> Recipe {
    var recipe = try Fixtures.recipe(steps)
    recipe.codes = .keep
    return recipe
  }

  private static func bytes(_ file: MappedFile, _ offset: Int, _ count: Int) -> [UInt8] {
    Array(file.bytes(offset..<offset + count))
  }

  // MARK: GGUF

  @Test func blocksOfEveryTypeComeBackAsTheyWere() throws {
    let expected = try Self.expected("blocks.json")
    try TestData.withTemporaryFolder { folder in
      let result = try Self.compress(Self.root + "/blocks.gguf", .keepingCodes, to: folder + "/a.furl")
      let schemes =
        "2 int8:32, 2 q4_k, 2 q6_k, 1 int4-minimum:32, 1 int4:32, 1 iq4_nl, 1 iq4_xs, 1 mxfp4, 1 q3_k, 1 q5_0, 1 q5_1, 1 q5_k"
      #expect(result.notes == ["the codes of 15 tensors are kept as they are (\(schemes))"])
      let model = try ModelFile(path: folder + "/a.furl")
      let exported = try GGUFExport(numbers: nil).write(
        ExportedModel(model), to: folder + "/x.gguf", pool: Self.pool)
      #expect(exported.encodedAnew.isEmpty)
      let file = try GGUFFile(path: folder + "/x.gguf")
      var seen = 0
      for (tensor, mapped) in file.tensors {
        guard let entry = expected[tensor.name], let type = tensor.type else { continue }
        seen += 1
        #expect(entry["type"]?.string == type.rawValue, "\(tensor.name)")
        let count = type.byteCount(tensor.shape.reduce(1, *))
        #expect(
          entry["bytes"]?.string == Digest(of: Self.bytes(mapped, tensor.offset, count)).hex, "\(tensor.name)")
      }
      #expect(seen == expected.count && seen == 15)
    }
  }

  /// What the artifact computes with is what the blocks stand for, bit for bit, whatever the threads and the storage.
  @Test func weightsAreThoseOfTheBlocks() throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Checkpoint(path: Self.root + "/blocks.gguf")
      _ = try Self.compress(Self.root + "/blocks.gguf", .keepingCodes, to: folder + "/a.furl")
      let decoded = try Fixtures.decoded(folder + "/a.furl")
      for tensor in source.spec.tensors {
        let rows = try #require(decoded[tensor.name])
        let values = try source.source(tensor.name).readAll()
        // Zeros of both signs are equal.
        #expect(rows.joined().elementsEqual(values), "\(tensor.name)")
      }
      #expect(decoded.count == source.spec.tensors.count)
    }
  }

  // MARK: Packed integers

  private static let forms: [(String, WeightPacking)] = [
    ("ct4", .compressedTensors), ("ct8", .compressedTensors), ("gptq4", .gptq), ("ct4-zero", .compressedTensors),
    ("gptq4-zero", .gptq), ("gptq4-zero-v2", .gptq),
  ]

  @Test(arguments: forms)
  func integersComeBackAsTheyWere(_ form: String, _ packing: WeightPacking) throws {
    let expected = try Self.expected("\(form)/codes.json")
    try TestData.withTemporaryFolder { folder in
      let source = try Self.folder(form, in: folder)
      _ = try Self.compress(source, .keepingCodes, to: folder + "/a.furl")
      let model = try ModelFile(path: folder + "/a.furl")
      guard case .artifact(let artifact) = model else { return }
      try Self.check(artifact, expected)
      let export = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30, packing: packing)
      _ = try export.write(ExportedModel(model), to: folder + "/x", pool: Self.pool)
      let (old, new) = (try StoredTensors(folder: source).tensors, try StoredTensors(folder: folder + "/x").tensors)
      var endings = packing == .gptq ? ["qweight", "qzeros", "g_idx", "scales"] : ["weight_packed", "weight_shape"]
      if form == "ct4-zero" { endings.append("weight_zero_point") }
      for name in expected.keys {
        for ending in endings {
          let key = name.replacing("weight", with: ending)
          let (one, other) = (try #require(old[key]), try #require(new[key]))
          #expect(one.shape == other.shape && one.typeName == other.typeName, "\(key)")
          let count = one.shape.reduce(ending == "weight_shape" ? 8 : ending == "scales" ? 2 : 4, *)
          // The second version stores zeros as they are, the first less one.
          let less: UInt8 = form.hasSuffix("v2") && ending == "qzeros" ? 0x11 : 0
          let wanted = Self.bytes(one.file, one.offset, count).map { $0 - less }
          #expect(wanted == Self.bytes(other.file, other.offset, count), "\(key)")
        }
        let scales = name.replacing("weight", with: packing == .gptq ? "scales" : "weight_scale")
        let (one, other) = (try #require(old[scales]), try #require(new[scales]))
        #expect(Self.floats(one) == Self.floats(other), "\(scales)")
      }
    }
  }

  /// The numbers of a tensor.
  private static func floats(_ tensor: StoredTensors.Tensor) -> [Float] {
    let (count, size) = (tensor.shape.reduce(1, *), tensor.typeName == "F32" ? 4 : 2)
    let bytes = bytes(tensor.file, tensor.offset, count * size)
    return (0..<count).map { index in
      let bits = (0..<size).reduce(UInt32(0)) { $0 | UInt32(bytes[index * size + $1]) << UInt32(8 * $1) }
      guard tensor.typeName == "F16" else { return Float(bitPattern: size == 2 ? bits << 16 : bits) }
      return Float(Float16(bitPattern: UInt16(bits)))
    }
  }

  /// What the first version of GPTQ does not hold is said; and what a recipe says of zeros is held to.
  @Test func aZeroPointOfZeroHasNoPlaceInGPTQ() throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.folder("ct4-zero", in: folder)
      let recipe = try Self.keeping("  - quantize: {weights: int4, zero: point, block: 32, embeddings: fp32}")
      _ = try Self.compress(source, recipe, to: folder + "/a.furl")
      let export = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30, packing: .gptq)
      let model = try ExportedModel(ModelFile(path: folder + "/a.furl"))
      let error = #expect(throws: FurlError.self) {
        try export.write(model, to: folder + "/x", pool: Self.pool)
      }
      #expect(error?.problem.contains("has the zero point 0 in row") == true && error?.kind == .input)
      #expect(error?.remedy == "export it as compressed-tensors")
      #expect(!FileManager.default.fileExists(atPath: folder + "/x/config.json"))
    }
  }

  @Test func minimumsOfAnotherKindAreNoZeroPoints() throws {
    let root = TestData.root + "/Tests/Fixtures/packed"
    try TestData.withTemporaryFolder { folder in
      let source = try Self.folder("mlx4", root: root, in: folder)
      let keys = "overrides: [{match: mlp.down, weights: int4, zero: point, block: 32}]"
      let recipe = try Self.keeping(
        "  - quantize: {weights: int4, zero: minimum, block: row, embeddings: fp32, \(keys)}")
      let error = #expect(throws: FurlError.self) { try Compressor(Checkpoint(path: source), recipe: recipe) }
      #expect("\(error!)".contains("are no multiples of their scales"), "\(error!)")
    }
  }

  /// Codes and scales of an artifact, against those that the fixture's script drew.
  private static func check(_ artifact: ArtifactWeights, _ expected: [String: JSON]) throws {
    let names = [
      "self_attn.q_proj": "attention.query", "self_attn.k_proj": "attention.key", "self_attn.v_proj": "attention.value",
      "self_attn.o_proj": "attention.output", "mlp.gate_proj": "mlp.gate", "mlp.up_proj": "mlp.up",
      "mlp.down_proj": "mlp.down",
    ]
    #expect(expected.count == 7)
    for (stored, entry) in expected {
      let module = stored.replacing(".weight", with: "").replacing("model.layers.0.", with: "")
      let name = try "blocks.0." + #require(names[module])
      let tensor = try #require(artifact.spec.tensors.first { $0.name == name })
      let matrix = try artifact.matrix(tensor, pool: pool)
      #expect(entry["scheme"]?.string == matrix.scheme.name)
      let layout = TileLayout(matrix)
      let codes = (0..<matrix.rows).flatMap { row in (0..<matrix.columns).map { UInt8(layout.code(row, $0)) } }
      #expect(entry["codes"]?.string == Digest(of: codes).hex, "\(name)")
      let scales = (0..<matrix.rows).flatMap { row in layout.blockStarts.map { layout.half(0, row, column: $0) } }
      #expect(entry["scales"]?.string == Digest(of: TestData.littleEndian(scales)).hex, "\(name)")
      guard let zeros = entry["zeros"]?.string else { continue }
      let found = try (0..<matrix.rows).flatMap { try matrix.integers(row: $0).zeros?.map { UInt8(Int($0) + 8) } ?? [] }
      #expect(zeros == Digest(of: found).hex, "\(name)")
    }
  }

  // MARK: What a recipe says beside it

  @Test func aRecipeThatFitsSaysTheRest() throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.folder("ct4", in: folder)
      let recipe = try Self.keeping("  - quantize: {weights: int4, block: 32, embeddings: int8}")
      let result = try Self.compress(source, recipe, to: folder + "/a.furl")
      #expect(result.notes == ["the codes of 7 tensors are kept as they are (7 int4:32)"])
      let artifact = try Artifact(path: folder + "/a.furl")
      #expect(artifact.tensors.first { $0.name == "embedding" }?.scheme == .int8(.columns(32)))
      #expect(artifact.description.recipe.details["kept_codes"]?["tensors"]?.integer == 7)
      // The recipe that is kept says so, and is a recipe.
      let text = Array(artifact.description.recipe.text.utf8)
      #expect(try Recipe(YAML.read(text, file: nil)).keepsCodes)
      // What was trained in BF16 stays so where no recipe says otherwise.
      _ = try Self.compress(source, .keepingCodes, to: folder + "/b.furl")
      let alone = try Artifact(path: folder + "/b.furl")
      #expect(alone.tensors.first { $0.name == "embedding" }?.scheme == .bfloat16)
      #expect(try Recipe(YAML.read(Array(alone.description.recipe.text.utf8), file: nil)).steps.isEmpty)
    }
  }

  @Test(arguments: [
    ("weights: int8", "say weights: int4, block: 32"), ("goal: disk, bits: 3", "say weights: int4, block: 32"),
    ("weights: int4, block: 64", "say weights: int4, block: 32"),
  ])
  func aRecipeThatContradictsIsRefused(_ step: String, _ remedy: String) throws {
    try TestData.withTemporaryFolder { folder in
      let source = try Self.folder("ct4", in: folder)
      let recipe = try Self.keeping("  - quantize: {\(step)}")
      let error = #expect(throws: FurlError.self) { try Compressor(Checkpoint(path: source), recipe: recipe) }
      #expect(error?.kind == .input && "\(error!)".contains(remedy) && error?.file == "r.yaml", "\(error!)")
    }
  }

  @Test func whatIsNotHeldIsSaidOrRefused() throws {
    let root = TestData.root + "/Tests/Fixtures/packed"
    try TestData.withTemporaryFolder { folder in
      let source = try Self.folder("awq", root: root, in: folder)
      let error = #expect(throws: FurlError.self) {
        try Compressor(Checkpoint(path: source), recipe: .keepingCodes)
      }
      #expect(error?.problem.contains("no block of Furl's has 16 columns") == true)
      #expect(error?.remedy?.contains("recipe") == true && error?.place?.hasPrefix("blocks.0.") == true)
      let recipe = try Self.keeping("  - quantize: {weights: int8}")
      let result = try Self.compress(source, recipe, to: folder + "/a.furl")
      #expect(
        result.notes == [
          "the codes of 0 tensors are kept as they are",
          "7 tensors compressed anew: AWQ 4 bits, groups of 16: no block of Furl's has 16 columns",
        ])
    }
  }
}
