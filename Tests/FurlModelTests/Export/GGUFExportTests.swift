import FurlCheckpoint
import FurlSpec
import FurlBase
import FurlModel
import FurlTensor
import FurlTestSupport
import Testing

/// GGUF files, read by the tests' own reader.
@Suite struct GGUFExportTests {
  @Test(arguments: [
    (Scheme.int8(.columns(32)), 8), (.int8(.columns(128)), 8), (.int8(.row), 8), (.int4(.columns(32)), 2),
    (.int4(.columns(64)), 2), (.int4Minimum(.columns(32)), 3), (.int4Minimum(.row), 3), (.float32, 0),
  ])
  func holdsExactlyTheArtifactsWeights(_ scheme: Scheme, _ type: Int) throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/m.furl"
      try Fixtures.writeArtifact(TestData.minipy, to: path, .init(scheme: scheme))
      let model = try ModelFile(path: path)
      let (file, result) = try ExportFixtures.gguf(ExportedModel(model), in: folder)
      #expect(result.encodedAnew.isEmpty)
      guard case .artifact(let artifact) = model else { return }
      func rows(_ name: String) throws -> [Float] {
        let tensor = try #require(artifact.spec.tensors.first { $0.name == name })
        guard tensor.shape.count == 2 else { return try artifact.vector(tensor).values }
        let matrix = try artifact.matrix(tensor, pool: ExportFixtures.pool)
        return (0..<matrix.rows).flatMap { matrix.row($0) }
      }
      var seen = 0
      func expect(_ name: String, _ parts: [String], isMatrix: Bool) throws {
        let tensor = try #require(file.tensors[name])
        #expect(tensor.type == (isMatrix ? type : 0), "\(name)")
        #expect(try tensor.weights == parts.flatMap(rows), "\(name)")
        seen += 1
      }
      try expect("token_embd.weight", ["embedding"], isMatrix: true)
      try expect("position_embd.weight", ["positions"], isMatrix: true)
      for (name, suffix, isMatrix) in [("weight", "", true), ("bias", ".bias", false)] {
        try expect("output_norm.\(name)", ["norm" + suffix], isMatrix: false)
        for block in 0..<6 {
          let (ours, theirs) = ("blocks.\(block).", "blk.\(block).")
          try expect(
            theirs + "attn_qkv.\(name)", ["query", "key", "value"].map { ours + "attention.\($0)" + suffix },
            isMatrix: isMatrix)
          try expect(theirs + "attn_norm.\(name)", [ours + "attention.norm" + suffix], isMatrix: false)
          try expect(theirs + "ffn_norm.\(name)", [ours + "mlp.norm" + suffix], isMatrix: false)
          try expect(theirs + "attn_output.\(name)", [ours + "attention.output" + suffix], isMatrix: isMatrix)
          try expect(theirs + "ffn_up.\(name)", [ours + "mlp.up" + suffix], isMatrix: isMatrix)
          try expect(theirs + "ffn_down.\(name)", [ours + "mlp.down" + suffix], isMatrix: isMatrix)
        }
      }
      #expect(seen == file.tensors.count)
    }
  }

  @Test func saysWhatTheModelIs() throws {
    try TestData.withTemporaryFolder { folder in
      let (file, _) = try ExportFixtures.gguf(ExportedModel(ModelFile(path: TestData.minipy)), in: folder)
      #expect(file.version == 3)
      let expected: [String: ParsedGGUF.Value] = [
        "general.architecture": .text("gpt2"), "general.type": .text("model"), "general.name": .text("minipy"),
        "general.file_type": .integer(0), "general.quantization_version": .integer(2),
        "gpt2.block_count": .integer(6), "gpt2.context_length": .integer(512), "gpt2.embedding_length": .integer(256),
        "gpt2.feed_forward_length": .integer(1024), "gpt2.attention.head_count": .integer(4),
        "gpt2.attention.head_count_kv": .integer(4), "gpt2.attention.layer_norm_epsilon": .real(1e-5),
        "gpt2.vocab_size": .integer(8192), "tokenizer.ggml.model": .text("gpt2"),
        "tokenizer.ggml.pre": .text("gpt-2"), "tokenizer.ggml.bos_token_id": .integer(1),
        "tokenizer.ggml.eos_token_id": .integer(2), "tokenizer.ggml.add_bos_token": .bool(true),
        "tokenizer.ggml.padding_token_id": .integer(0),
        "furl.generation_config": .text(
          String(decoding: try TestData.bytes(TestData.minipy + "/generation_config.json"), as: UTF8.self)),
      ]
      for (key, value) in expected { #expect(file.metadata[key] == value, "\(key)") }
      let lists = ["tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges"]
      #expect(file.metadata.count == expected.count + lists.count)
      guard case .list(let tokens) = file.metadata[lists[0]], case .list(let kinds) = file.metadata[lists[1]] else {
        Issue.record("no tokens")
        return
      }
      let document = try JSON.parse(TestData.bytes(TestData.minipy + "/tokenizer.json"), file: nil)
      let pieces = try #require(document["model"]?["vocab"]?.members)
      #expect(tokens.count == 8192)
      for piece in pieces { #expect(tokens[try #require(piece.value.integer)] == .text(piece.key)) }
      let special = Set(try #require(document["added_tokens"]?.array).compactMap { $0["id"]?.integer })
      for (id, kind) in kinds.enumerated() { #expect(kind == .integer(special.contains(id) ? 3 : 1)) }
    }
  }

  @Test(arguments: ExportFixtures.converted)
  func isWhatTheConverterWrites(_ path: String) throws {
    try TestData.withTemporaryFolder { folder in
      var theirs = try ParsedGGUF(path: path)
      for part in 2...3 where path.contains("-00001-") {
        let more = try ParsedGGUF(path: path.replacing("-00001-", with: "-0000\(part)-"))
        theirs.add(more)
      }
      let source = try SampleSource(path)
      let (ours, result) = try ExportFixtures.gguf(source, in: folder)
      #expect(result.tensors == ours.tensors.count)
      for (name, tensor) in ours.tensors {
        // The converter was asked to fuse these once.
        guard let other = theirs.tensors[name] else {
          #expect(theirs.tensors[name.replacing(/attn_[qkv]\./, with: "attn_qkv.")] != nil, "\(name)")
          continue
        }
        #expect(tensor.extents == other.extents && tensor.type == other.type, "\(name)")
        // Divisors of frequencies are computed, in other precisions.
        let bound: Float = name.hasPrefix("rope_freqs") ? 1e-6 : 0
        #expect(zip(tensor.weights, other.weights).allSatisfy { abs($0 - $1) <= bound * abs($1) }, "\(name)")
      }
      for (key, value) in theirs.metadata where !key.hasPrefix("general.") && !key.hasPrefix("tokenizer.") {
        // What is not needed for the model itself.
        if key.hasPrefix("split.") { continue }
        // Left out where it follows from the other sizes.
        let follows = ["attention.key_length", "attention.value_length"].contains { key.hasSuffix($0) }
        if follows, ours.metadata[key] == nil { continue }
        #expect(ours.metadata[key] == value, "\(key)")
      }
    }
  }

  @Test func encodesAnewOnlyWhenAsked() throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/m.furl"
      try Fixtures.writeArtifact(TestData.minipy, to: path, .init(scheme: .int4(.columns(32))))
      let model = ExportedModel(try ModelFile(path: path))
      let (file, result) = try ExportFixtures.gguf(model, .q8_0, in: folder)
      // Positions stay as they are: they are added, not multiplied.
      #expect(result.forms == ["q8_0": 25, "q4_0": 1, "f32": 50])
      #expect(result.encodedAnew == ["int4:32": 25])
      #expect(file.metadata["general.file_type"] == .integer(7))
      let (kept, _) = try ExportFixtures.gguf(model, in: folder)
      for (name, tensor) in file.tensors {
        // Nine codes for two of the others: half a step of 1/127.
        let before = try #require(kept.tensors[name]).weights
        let most = before.map(abs).max() ?? 0
        for (new, old) in zip(tensor.weights, before) { #expect(abs(new - old) <= most / 200, "\(name)") }
      }
    }
  }

  @Test func choosesMoreBitsForEmbeddings() throws {
    try TestData.withTemporaryFolder { folder in
      let model = ExportedModel(try ModelFile(path: TestData.minipy))
      let (file, result) = try ExportFixtures.gguf(model, .q4_0, in: folder)
      #expect(file.tensors["token_embd.weight"]?.type == 8)
      #expect(file.tensors["position_embd.weight"]?.type == 0)
      #expect(file.tensors["blk.0.attn_qkv.weight"]?.type == 2)
      #expect(result.encodedAnew.isEmpty)
      let (halves, _) = try ExportFixtures.gguf(model, .f16, in: folder)
      let (whole, _) = try ExportFixtures.gguf(model, .f32, in: folder)
      let name = "blk.3.ffn_down.weight"
      #expect(try #require(halves.tensors[name]).type == 1)
      #expect(
        try #require(halves.tensors[name]).weights == #require(whole.tensors[name]).weights.map { Float(Float16($0)) })
    }
  }

  @Test func padsTheVocabulary() throws {
    try TestData.withTemporaryFolder { folder in
      let (file, _) = try ExportFixtures.gguf(SampleSource(Fixtures.gpt2), in: folder)
      guard case .list(let tokens) = file.metadata["tokenizer.ggml.tokens"],
        case .list(let kinds) = file.metadata["tokenizer.ggml.token_type"]
      else {
        Issue.record("no tokens")
        return
      }
      #expect(tokens.count == 512)
      #expect(tokens[2...3] == [.text("ab"), .text("[PAD3]")])
      #expect(kinds[2...3] == [.integer(1), .integer(5)])
      // config.json says what the tokenizer does not.
      #expect(file.metadata["tokenizer.ggml.eos_token_id"] == nil)
    }
  }
}
