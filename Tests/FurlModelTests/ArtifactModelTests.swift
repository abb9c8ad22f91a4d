import FurlArtifact
import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Models that are loaded from artifacts.
@Suite struct ArtifactModelTests {
  private static let ids = Fixtures.ids(70, below: 8192, seed: 4)

  private func largestDifference(_ a: [[Float]], _ b: [[Float]]) -> Float {
    zip(a, b).flatMap { zip($0, $1).map { abs($0 - $1) } }.max() ?? .infinity
  }

  @Test(arguments: [Scheme.int8(.columns(32)), .int8(.row), .int4(.columns(32)), .int4Minimum(.columns(128)), .float32])
  func storageDoesNotChangeTheLogits(_ scheme: Scheme) throws {
    try TestData.withTemporaryFolder { folder in
      let context = try Fixtures.context()
      let logits = try ArtifactStorage.allCases.map { storage in
        let path = folder + "/\(storage.rawValue).furl"
        try Fixtures.writeArtifact(TestData.minipy, to: path, .init(scheme: scheme, storage: storage))
        let loaded = try LoadedModel(path: path, context: context)
        #expect(loaded.model.defaultKeyValueFormat == .float16)
        #expect(loaded.model.weightBytes == (try loaded.file.weightBytes))
        return try Fixtures.logits(loaded.session(), Self.ids)
      }
      #expect(logits[0] == logits[1])
      if scheme == .float32 {
        let checkpoint = try LoadedModel(path: TestData.minipy, context: context, format: .float16)
        #expect(try Fixtures.logits(checkpoint.session(), Self.ids) == logits[0])
      }
    }
  }

  @Test func keysAndValuesInHalvesAreClose() throws {
    let context = try Fixtures.context()
    let file = try ModelFile(path: TestData.minipy)
    let model = try file.load(pool: context.pool)
    #expect(model.defaultKeyValueFormat == .float32)
    let whole = try Fixtures.logits(Session(model, context: context), Self.ids)
    let halves = try Fixtures.logits(Session(model, context: context, format: .float16), Self.ids)
    #expect(whole != halves)
    #expect(largestDifference(whole, halves) < 0.02)
    // Most probable tokens may only change where two are nearly equal.
    func best(_ row: [Float]) -> Int? { row.indices.max { row[$0] < row[$1] } }
    #expect(zip(whole, halves).filter { best($0) != best($1) }.count <= 1)
  }

  /// With `--activations fp32`, quantized weights are nothing but the numbers that they stand for.
  @Test(arguments: [Scheme.int8(.columns(32)), .int8(.row), .int4(.columns(64)), .int4Minimum(.columns(32))])
  func floatActivationsMeetTheDecodedWeights(_ scheme: Scheme) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      try Fixtures.writeArtifact(TestData.minipy, to: path, .init(scheme: scheme))
      try writeDecoded(path, to: folder + "/decoded")
      let floats = try Fixtures.context(.fp32)
      let loaded = try LoadedModel(path: path, context: floats, format: .float32)
      let decoded = try LoadedModel(path: folder + "/decoded", context: floats)
      let expected = try Fixtures.logits(decoded.session(), Self.ids)
      let actual = try Fixtures.logits(loaded.session(), Self.ids)
      #expect(largestDifference(actual, expected) < 1e-3)
      // Quantized activations differ, but not by much.
      let quantizing = try Fixtures.context()
      let session = try Session(loaded.model, context: quantizing, format: .float32)
      let quantized = largestDifference(try Fixtures.logits(session, Self.ids), expected)
      #expect(quantized > 1e-3 && quantized < 3)
      // BF16 numbers, by less.
      let rounding = try Session(loaded.model, context: Fixtures.context(.bf16), format: .float32)
      let rounded = largestDifference(try Fixtures.logits(rounding, Self.ids), expected)
      #expect(rounded > 1e-3 && rounded < 1)
    }
  }

  /// Writes what an artifact's weights stand for as a checkpoint: GPT-2 stores input x output, query, key and value
  /// side by side.
  private func writeDecoded(_ path: String, to folder: String) throws {
    let weights = try ArtifactWeights(Artifact(path: path))
    let pool = WorkerPool(threads: 1)
    func rows(_ name: String) throws -> [[Float]] {
      let tensor = try #require(weights.spec.tensors.first { $0.name == name })
      let matrix = try weights.matrix(tensor, pool: pool)
      return (0..<matrix.rows).map { matrix.row($0) }
    }
    var checkpoint = try SampleCheckpoint(folder: TestData.minipy)
    func replace(_ name: String, with rows: [[Float]], transposed: Bool) throws {
      let old = try #require(checkpoint.tensors["transformer." + name])
      let values = transposed ? rows[0].indices.flatMap { column in rows.map { $0[column] } } : rows.flatMap { $0 }
      try #require(values.count == old.values.count)
      checkpoint.tensors["transformer." + name] = .init(shape: old.shape, values: values)
    }
    try replace("wte.weight", with: rows("embedding"), transposed: false)
    try replace("wpe.weight", with: rows("positions"), transposed: false)
    for block in weights.spec.blocks.indices {
      let name = "blocks.\(block)."
      let fused = try ["query", "key", "value"].flatMap { try rows(name + "attention." + $0) }
      try replace("h.\(block).attn.c_attn.weight", with: fused, transposed: true)
      try replace("h.\(block).attn.c_proj.weight", with: rows(name + "attention.output"), transposed: true)
      try replace("h.\(block).mlp.c_fc.weight", with: rows(name + "mlp.up"), transposed: true)
      try replace("h.\(block).mlp.c_proj.weight", with: rows(name + "mlp.down"), transposed: true)
    }
    try checkpoint.write(to: folder)
  }

  /// NaN in the weights of a damaged artifact: an error, never a text.
  @Test(arguments: [
    "blocks.0.attention.norm", "blocks.2.attention.key", "blocks.5.mlp.down", "blocks.5.mlp.up.bias", "embedding",
    "norm",
  ])
  func damagedWeightsAreNotRun(_ name: String) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      var damaged = Fixtures.Recipe(storage: .mapped)
      damaged.change = { tensor, streams in
        guard tensor == name else { return }
        let kind: PackedLayout.StreamKind = streams[.scales] == nil ? .values : .scales
        let stream = try #require(streams[kind])
        let copy = try ByteStorage(zeroed: stream.count)
        copy.withMutableBytes(0..<copy.count) { bytes in
          bytes.copyBytes(from: stream.read(0..<stream.count))
          // 0x7FFF is a NaN as a half, 0x7FFFFFFF as a float.
          for row in 0..<16 where kind == .scales { bytes.copyBytes(from: [0xFF, 0x7F], at: 2 * row) }
          if kind == .values { bytes.copyBytes(from: [0xFF, 0xFF, 0xFF, 0x7F], at: 40) }
        }
        streams[kind] = copy
      }
      try Fixtures.writeArtifact(TestData.minipy, to: path, damaged)
      expectError(.input, "not") {
        let loaded = try LoadedModel(path: path, context: Fixtures.context())
        let request = GenerationRequest(ids: [1, 2, 3], maxTokens: 3)
        try Generator(session: loaded.session(), tokenizer: loaded.tokenizer).run([request]) { _, _ in
          Issue.record("a damaged model has answered")
        }
      }
    }
  }

  @Test func damagedCheckpointsAreRefused() throws {
    try TestData.withTemporaryFolder { folder in
      for (name, index, place) in [
        ("transformer.h.3.mlp.c_fc.weight", 1024 * 7 + 5, "[5, 7]"), ("transformer.h.1.ln_2.bias", 9, "[9]"),
      ] {
        var checkpoint = try SampleCheckpoint(folder: TestData.minipy)
        checkpoint.tensors[name]?.values[index] = .infinity
        let path = folder + "/" + name
        try checkpoint.write(to: path)
        expectError(.input, "model.safetensors", "blocks.", "element \(place) is inf") {
          _ = try LoadedModel(path: path, context: Fixtures.context())
        }
      }
    }
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func copyBytes(from bytes: [UInt8], at offset: Int) {
    for (index, byte) in bytes.enumerated() { self[offset + index] = byte }
  }
}
