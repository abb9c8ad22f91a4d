import FurlSpec
import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Testing

/// How GPT-2's names and layouts map to the tensors of a spec.
@Suite struct GPT2Tests {
  /// A stored [inputs][outputs] matrix, some outputs of it, as [outputs][inputs].
  static func transposed(_ stored: [Float], inputs: Int, outputs: Range<Int>, of total: Int) -> [Float] {
    outputs.flatMap { output in (0..<inputs).map { stored[$0 * total + output] } }
  }

  @Test(arguments: ["transformer.", ""], ["F32", "F16"])
  func everyTensorIsWhereItShouldBe(_ prefix: String, _ type: String) throws {
    let small = SmallGPT2(prefix: prefix, mlpSize: 40, type: type)
    var sized = small
    sized.config["n_inner"] = "40"
    let checkpoint = try sized.open()
    #expect(
      checkpoint.spec.uniform?.blocks
        == Array(repeating: .init(heads: 2, kvHeads: 2, headSize: 8, mlpSize: 40), count: 2))
    func check(_ name: String, _ expected: [Float]) throws {
      #expect(try checkpoint.source(name).readAll() == expected, "\(name)")
    }
    try check("embedding", small.values(prefix + "wte.weight"))
    try check("positions", small.values(prefix + "wpe.weight"))
    try check("norm", small.values(prefix + "ln_f.weight"))
    try check("norm.bias", small.values(prefix + "ln_f.bias"))
    for block in 0..<2 {
      let (ours, theirs) = ("blocks.\(block).", prefix + "h.\(block).")
      let fused = small.values(theirs + "attn.c_attn.weight")
      let fusedBias = small.values(theirs + "attn.c_attn.bias")
      for (part, name) in ["query", "key", "value"].enumerated() {
        let outputs = part * 16..<(part + 1) * 16
        try check(ours + "attention.\(name)", Self.transposed(fused, inputs: 16, outputs: outputs, of: 48))
        try check(ours + "attention.\(name).bias", Array(fusedBias[outputs]))
      }
      for (name, stored, inputs, outputs) in [
        ("attention.output", "attn.c_proj", 16, 16), ("mlp.up", "mlp.c_fc", 16, 40), ("mlp.down", "mlp.c_proj", 40, 16),
      ] {
        let weight = small.values(theirs + stored + ".weight")
        try check(ours + name, Self.transposed(weight, inputs: inputs, outputs: 0..<outputs, of: outputs))
        try check(ours + name + ".bias", small.values(theirs + stored + ".bias"))
      }
      for (name, stored) in [("attention.norm", "ln_1"), ("mlp.norm", "ln_2")] {
        try check(ours + name, small.values(theirs + stored + ".weight"))
        try check(ours + name + ".bias", small.values(theirs + stored + ".bias"))
      }
    }
    #expect(throws: FurlError.self) { try checkpoint.source("head") }
  }

  @Test func theConfigurationIsTheSpec() throws {
    var small = SmallGPT2()
    small.config["layer_norm_epsilon"] = "0.001"
    small.config["n_inner"] = "null"
    small.config["something_else"] = "[1, {}]"
    let spec = try small.open().spec
    #expect(
      spec.architecture == "gpt2" && spec.vocabularySize == 10 && spec.hiddenSize == 16 && spec.contextLength == 6)
    #expect(spec.norm.epsilon == 0.001 && spec.tiedEmbeddings && spec.blocks.count == 2)
    #expect(spec.uniform?.activation == .geluTanh && spec.blocks[0].widths.mlpSize == 64)
    // What transformers assumes when nothing is said.
    for key in ["activation_function", "layer_norm_epsilon", "tie_word_embeddings"] { small.config[key] = nil }
    let assumed = try small.open().spec
    #expect(assumed.norm.epsilon == 1e-5 && assumed.tiedEmbeddings && assumed.uniform?.activation == .geluTanh)
  }

  @Test(arguments: ["transformer.", ""])
  func theHeadMayBeStoredOrTied(_ prefix: String) throws {
    var draws = SplitMix64(seed: 5)
    let head = draws.floats(160)
    // A copy of a tied head is of no interest (``HeadTieTests`` has what is no copy).
    var small = SmallGPT2(prefix: prefix)
    small.weights.tensors.append(.init("lm_head.weight", [10, 16], small.values(prefix + "wte.weight")))
    let tied = try small.open()
    #expect(tied.spec.tiedEmbeddings && !tied.spec.tensors.contains { $0.name == "head" })
    small.weights.tensors[small.weights.tensors.count - 1] = .init("lm_head.weight", [10, 16], head)
    // An untied one is the head.
    small.config["tie_word_embeddings"] = "false"
    let untied = try small.open()
    #expect(try untied.source("head").readAll() == head)
    #expect(try untied.source("embedding").readAll() == small.values(prefix + "wte.weight"))
    // An untied one has to be there.
    small.weights.tensors.removeLast()
    let error = try #require(throws: FurlError.self) { try small.open() }
    #expect(error.place?.hasSuffix("lm_head.weight") == true && error.problem.contains("is missing"))
  }

  @Test(arguments: ["transformer.", ""])
  func masksAreIgnored(_ prefix: String) throws {
    var small = SmallGPT2(prefix: prefix)
    for block in 0..<2 {
      small.weights.tensors.append(
        .init(prefix + "h.\(block).attn.bias", "BOOL", [1, 1, 6, 6], [UInt8](repeating: 1, count: 36)))
      small.weights.tensors.append(.init(prefix + "h.\(block).attn.masked_bias", [], [-10_000]))
    }
    #expect(try small.open().spec.parameterCount == SmallGPT2().open().spec.parameterCount)
  }

  @Test(arguments: [
    "h.2.ln_1.weight", "extra", "transformer.h.0.attn.c_attn.scale", "v_head.bias", "lm_head.bias",
    "transformer.transformer.wte.weight",
  ])
  func anUnknownTensorIsRefusedByName(_ name: String) throws {
    var small = SmallGPT2()
    small.weights.tensors.append(.init(name, [16], [Float](repeating: 0, count: 16)))
    let error = try #require(throws: FurlError.self) { try small.open() }
    #expect(error.kind == .input && error.place == name, "\(error)")
  }

  @Test(arguments: ["transformer.", ""])
  func aMissingTensorIsNamed(_ prefix: String) throws {
    let whole = SmallGPT2(prefix: prefix)
    for index in whole.weights.tensors.indices {
      var small = whole
      let removed = small.weights.tensors.remove(at: index)
      let error = try #require(throws: FurlError.self) { try small.open() }
      let bare = removed.name.dropFirst(prefix.count)
      #expect(
        error.kind == .input && error.place?.hasSuffix(bare) == true && error.problem.contains("is missing"), "\(error)"
      )
    }
  }

  @Test func aWrongShapeIsNamed() throws {
    let whole = SmallGPT2()
    for index in whole.weights.tensors.indices {
      var small = whole
      // As many numbers in another shape.
      small.weights.tensors[index].shape = whole.weights.tensors[index].shape + [1]
      let error = try #require(throws: FurlError.self) { try small.open() }
      #expect(error.place == whole.weights.tensors[index].name && error.problem.contains("has shape"), "\(error)")
    }
    // The transposed layout of other families is not taken for GPT-2's.
    var small = SmallGPT2()
    let index = try #require(small.weights.tensors.firstIndex { $0.name.hasSuffix("h.0.attn.c_attn.weight") })
    small.weights.tensors[index].shape = [48, 16]
    let error = try #require(throws: FurlError.self) { try small.open() }
    #expect(error.problem.contains("[48, 16]") && error.problem.contains("[16, 48]"))
  }

  @Test(arguments: [("I32", 4), ("I64", 8), ("U8", 1), ("C64", 8)])
  func weightsOfAnotherTypeAreRefused(_ type: String, _ size: Int) throws {
    var small = SmallGPT2()
    small.weights.tensors[3].type = type
    small.weights.tensors[3].bytes = [UInt8](repeating: 0, count: 16 * size)
    let error = try #require(throws: FurlError.self) { try small.open() }
    #expect(error.place == small.weights.tensors[3].name && error.problem.contains(type), "\(error)")
  }

  @Test func filesAreListedWithTheirDigests() throws {
    var small = SmallGPT2()
    small.config["note"] = "1"
    try small.withFolder { folder in
      try TestData.write(Array("{}".utf8), to: folder + "/tokenizer.json")
      try TestData.write(Array("other".utf8), to: folder + "/README.md")
      let sides = [
        "generation_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
      ]
      for name in sides { try TestData.write(Array(name.utf8), to: folder + "/" + name) }
      let checkpoint = try Checkpoint(folder: folder)
      let files = try checkpoint.sourceFiles()
      #expect(files[0].name == "model.safetensors" && files[0].bytes == small.weights.bytes.count)
      #expect(Set(files.map(\.name)) == Set(["model.safetensors", "config.json", "tokenizer.json"] + sides))
      #expect(files.first { $0.name == "config.json" }?.bytes == small.configText.utf8.count)
      let tokenizer = try #require(files.first { $0.name == "tokenizer.json" })
      // printf '{}' | sha256sum
      #expect(tokenizer.bytes == 2)
      #expect(tokenizer.digest.hex == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
      #expect(checkpoint.weightFileBytes == small.weights.bytes.count)
      #expect(checkpoint.diskBytes == files.reduce(0) { $0 + $1.bytes })
    }
  }

  /// A real checkpoint: the parts of a fused tensor are the bytes at their places of the file.
  @Test func minipyIsReadWhereItLies() throws {
    let checkpoint = try Checkpoint(folder: TestData.minipy)
    let file = try SafetensorsFile(path: TestData.minipy + "/model.safetensors")
    let fused = try #require(file.entries.first { $0.name.hasSuffix("h.3.attn.c_attn.weight") })
    let stored = file.file.floats(try #require(fused.type), at: fused.range.lowerBound, count: 256 * 768)
    for (part, name) in ["query", "key", "value"].enumerated() {
      #expect(
        try checkpoint.source("blocks.3.attention.\(name)").readAll()
          == Self.transposed(stored, inputs: 256, outputs: part * 256..<(part + 1) * 256, of: 768))
    }
    #expect(checkpoint.spec.parameterCount == file.entries.reduce(0) { $0 + $1.shape.reduce(1, *) })
  }
}
