import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Foundation
import Testing

/// Which files of a folder are the weights, whatever they are called, and what is said where that is not clear.
@Suite struct WeightFilesTests {
  typealias Files = [(name: String, bytes: [UInt8])]

  /// The tensors of a folder with these files, or of the file in it that is named.
  static func open(_ files: Files, weights: String? = nil) throws -> Set<String> {
    try TestData.withTemporaryFolder { folder in
      for file in files { try TestData.write(file.bytes, to: folder + "/" + file.name) }
      return try Set(StoredTensors(folder: folder, weights: weights).tensors.keys)
    }
  }

  static func error(_ files: Files, weights: String? = nil) throws -> FurlError {
    let error = try #require(throws: FurlError.self) { try open(files, weights: weights) }
    #expect(error.kind == .input && !error.description.contains("\n"))
    return error
  }

  static func safetensors(_ name: String) -> [UInt8] { StoredTensorsTests.shard([name]) }

  @Test(arguments: [
    "model.fp16.safetensors", "my-finetune.safetensors", "consolidated.safetensors", "model.bf16.safetensors",
    "diffusion_pytorch_model.safetensors",
  ])
  func theOnlyFileIsTaken(_ name: String) throws {
    let trainer: Files = [
      ("optimizer.pt", [1]), ("scheduler.pt", [1]), ("rng_state.pth", [1]), ("training_args.bin", [1]),
      ("README.md", [1]), ("optimizer.safetensors", [1]),
    ]
    #expect(try Self.open([(name, Self.safetensors("a"))] + trainer) == ["a"])
  }

  @Test(arguments: ["pytorch_model.fp16.bin", "consolidated.00.pth", "model.pt", "weights.bin"])
  func theOnlyFileOfPyTorchIsTaken(_ name: String) throws {
    #expect(try Self.open([(name, PreferenceTests.torch("a")), ("training_args.bin", [1])]) == ["a"])
  }

  @Test(arguments: [
    "model-%d-of-00003.safetensors", "model-%d-of-00003.fp16.safetensors", "model.fp16-%d-of-00003.safetensors",
    "pytorch_model-%d-of-00003.bin",
  ])
  func shardsWithoutAnIndexBelongTogether(_ pattern: String) throws {
    func bytes(_ name: String) -> [UInt8] {
      pattern.hasSuffix(".bin") ? PreferenceTests.torch(name) : Self.safetensors(name)
    }
    let files: Files = [1, 2, 3].map { (pattern.replacing("%d", with: "0000\($0)"), bytes("t\($0)")) }
    #expect(try Self.open(files) == ["t1", "t2", "t3"])
    let error = try Self.error([files[0], files[2]])
    #expect(error.problem.contains("part 2 is missing"), "\(error)")
    // Any part stands for all.
    #expect(try Self.open(files + [("other" + files[0].name, bytes("x"))], weights: files[1].name).count == 3)
  }

  @Test func anIndexOfAVariantIsFollowed() throws {
    let index: Files = [
      ("model.safetensors.index.fp16.json", PreferenceTests.index("a", "model.fp16-00001-of-00001.safetensors"))
    ]
    #expect(try Self.open(index + [("model.fp16-00001-of-00001.safetensors", Self.safetensors("a"))]) == ["a"])
    #expect(try Self.error(index).description.contains("model.fp16-00001-of-00001.safetensors"))
  }

  @Test func severalFilesAreAChoiceForTheUser() throws {
    let files: Files = [
      ("model.fp16.safetensors", Self.safetensors("a")), ("other.safetensors", Self.safetensors("b")),
    ]
    let error = try Self.error(files)
    #expect(error.problem.contains("model.fp16.safetensors, other.safetensors"))
    #expect(error.remedy?.contains("--weights") == true)
    #expect(try Self.open(files, weights: "other.safetensors") == ["b"])
    #expect(try Self.open(files + [("model.safetensors", Self.safetensors("c"))]) == ["c"])
  }

  @Test(arguments: ["model.safetensors", "pytorch_model.bin"])
  func anIndexBesideAWholeFileIsAChoiceForTheUser(_ whole: String) throws {
    func bytes(_ name: String) -> [UInt8] {
      whole.hasSuffix(".bin") ? PreferenceTests.torch(name) : Self.safetensors(name)
    }
    let files: Files = [
      (whole, bytes("whole")), (whole + ".index.json", PreferenceTests.index("part", "shard")),
      ("shard", bytes("part")),
    ]
    for given in [files, Array(files.prefix(2))] {
      let error = try Self.error(given)
      #expect(error.problem.contains(whole) && error.problem.contains(whole + ".index.json"), "\(error)")
      #expect(error.remedy?.contains("--weights") == true)
    }
    #expect(try Self.open(files, weights: whole) == ["whole"])
    #expect(try Self.open(files, weights: whole + ".index.json") == ["part"])
    // An index of one file is no other statement.
    #expect(try Self.open([files[0], (whole + ".index.json", PreferenceTests.index("whole", whole))]) == ["whole"])
  }

  /// No text can say which file that is.
  @Test func filesWhoseNamesAreNotUTF8AreRefused() throws {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Self.safetensors("a"), to: folder + "/x.safetensors")
      let bytes = Array((folder + "/caf").utf8) + [0xE9] + Array(".safetensors".utf8)
      #expect(
        bytes.withUnsafeBufferPointer { name in
          (name + [0]).withUnsafeBytes {
            link(folder + "/x.safetensors", $0.baseAddress!.assumingMemoryBound(to: CChar.self))
          }
        } == 0)
      let error = try #require(throws: FurlError.self) { try StoredTensors(folder: folder) }
      #expect(error.problem.contains("not UTF-8") && error.place == "caf\u{FFFD}.safetensors")
      #expect(FolderListing(folder).names == ["x.safetensors"] && FolderListing(folder).unreadable.count == 1)
      // What is named is taken.
      try TestData.write(Self.safetensors("b"), to: folder + "/model.safetensors")
      #expect(try Set(StoredTensors(folder: folder).tensors.keys) == ["b"])
    }
    #expect(FolderListing("/no/such/folder").names.isEmpty)
  }

  @Test func aFileOfWeightsIsNamedInThePlaceOfItsFolder() throws {
    let small = SmallDecoder("llama")
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(small.configText.utf8), to: folder + "/config.json")
      for name in ["a.safetensors", "b.safetensors"] {
        try TestData.write(small.weights.bytes, to: folder + "/" + name)
      }
      #expect(throws: FurlError.self) { try Checkpoint(path: folder) }
      let checkpoint = try Checkpoint(path: folder + "/b.safetensors")
      #expect(checkpoint.path == folder + "/b.safetensors" && checkpoint.folder == folder)
      #expect(try checkpoint.sourceFiles().map(\.name) == ["b.safetensors", "config.json"])
    }
  }

  // MARK: Adapters

  static let adapter: Files = [
    ("adapter_config.json", Array(#"{"base_model_name_or_path":"some/base","peft_type":"LORA"}"#.utf8)),
    ("adapter_model.safetensors", StoredTensorsTests.shard(["base_model.model.x.lora_A.weight"])),
  ]

  @Test func adaptersAreRefusedWithTheCure() throws {
    for files in [Self.adapter, [Self.adapter[1]], Self.adapter + [("optimizer.pt", [1])]] {
      let error = try Self.error(files)
      #expect(error.problem.contains("adapter") && error.remedy?.contains("merge") == true, "\(error)")
    }
    #expect(try Self.error(Self.adapter).remedy?.contains("some/base") == true)
    let both = Self.adapter + [("model.safetensors", Self.safetensors("a"))]
    #expect(try Self.error(both).remedy?.contains("--weights model.safetensors") == true)
    #expect(try Self.open(both, weights: "model.safetensors") == ["a"])
    try TestData.withTemporaryFolder { folder in
      for file in Self.adapter { try TestData.write(file.bytes, to: folder + "/" + file.name) }
      let error = try #require(throws: FurlError.self) { try Checkpoint(path: folder) }
      #expect(error.problem.contains("adapter"))
    }
  }

  @Test(arguments: [
    "layers.0.self_attn.q_proj.base_layer.weight", "layers.0.self_attn.q_proj.lora_A.default.weight",
    "layers.0.mlp.up_proj.lora_B", "embed_tokens.lora_embedding_A.default", "lm_head.modules_to_save.default.weight",
    "layers.0.mlp.up_proj.hada_w1_a", "prompt_encoder.default.prompt_embeddings.weight",
  ])
  func unmergedAdaptersAreToldByTheirTensors(_ name: String) throws {
    var small = SmallDecoder("llama")
    small.weights.tensors.append(.init("base_model.model.model." + name, [1], [1]))
    let error = try #require(throws: FurlError.self) { try small.open() }
    #expect(error.remedy?.contains("merge") == true && error.place?.hasSuffix(name) == true)
  }

  // MARK: Weights that are quantized

  @Test(
    arguments: [
      (
        "GPTQ",
        ["qweight": ("I32", [2, 16]), "qzeros": ("I32", [1, 2]), "scales": ("F16", [1, 16]), "g_idx": ("I32", [16])]
      ),
      ("GPTQ", ["qweight": ("I32", [2, 16]), "qzeros": ("I32", [1, 2]), "scales": ("F16", [1, 16])]),
      ("AWQ", ["qweight": ("I32", [16, 2]), "qzeros": ("I32", [1, 2]), "scales": ("F16", [1, 16])]),
      (
        "bitsandbytes", ["weight": ("U8", [128, 1]), "weight.absmax": ("F32", [4]), "weight.quant_map": ("F32", [16])]
      ),
      ("bitsandbytes", ["weight": ("I8", [16, 16]), "SCB": ("F32", [16])]),
      ("bitsandbytes", ["weight": ("U8", [128, 1])]),
      ("MLX", ["weight": ("U32", [16, 2]), "scales": ("F16", [16, 1]), "biases": ("F16", [16, 1])]),
      ("FP8", ["weight": ("F8_E4M3", [16, 16])]),
      ("FP8", ["weight": ("F8_E4M3", [16, 16]), "weight_scale_inv": ("F32", [1, 1])]),
      ("FP8", ["weight": ("BF16", [16, 16]), "weight_scale": ("F32", [])]),
      ("INT8", ["weight": ("I8", [16, 16]), "weight_scale": ("F32", [16, 1])]),
      ("compressed-tensors", ["weight_packed": ("I32", [16, 2]), "weight_shape": ("I64", [2])]),
      ("whole numbers", ["weight": ("I8", [16, 16])]),
    ] as [(String, [String: (String, [Int])])])
  func quantizedWeightsAreToldByTheirTensors(_ form: String, _ stored: [String: (String, [Int])]) throws {
    let sizes = ["I32": 4, "U32": 4, "F16": 2, "BF16": 2, "F32": 4, "I64": 8]
    for config in [nil, "null", "{}", #"{"quant_method":"other"}"#] {
      var small = SmallDecoder("llama")
      small.config["quantization_config"] = config
      let prefix = "model.layers.1.self_attn.q_proj."
      small.weights.tensors.removeAll { $0.name.hasPrefix(prefix) }
      for (name, tensor) in stored {
        let count = tensor.1.reduce(sizes[tensor.0] ?? 1, *)
        small.weights.tensors.append(.init(prefix + name, tensor.0, tensor.1, [UInt8](repeating: 0, count: count)))
      }
      let error = try #require(throws: FurlError.self) { try small.open() }
      #expect(error.problem.contains("quantized already") && error.problem.contains(form), "\(error)")
    }
  }

  @Test(arguments: [
    "{}", #"{"quant_method":"bitsandbytes","load_in_4bit":true}"#, #"{"quant_method":"gptq","bits":4}"#,
  ])
  func aQuantizationThatIsLeftOverIsSaid(_ config: String) throws {
    var small = SmallDecoder("mistral")
    small.config["quantization_config"] = config
    let checkpoint = try small.open()
    #expect(checkpoint.notes.count == 1 && checkpoint.notes[0].contains("quantization_config"))
    // Who exports the model again does not say that it is quantized.
    #expect(checkpoint.config["quantization_config"] == nil)
    small.config["quantization_config"] = "null"
    #expect(try small.open().notes.isEmpty)
  }

  @Test func formsOfOtherProgramsAreNamed() throws {
    var small = SmallDecoder("llama")
    small.weights.tensors.append(.init("tok_embeddings.weight", [10, 16], [Float](repeating: 0, count: 160)))
    #expect(try #require(throws: FurlError.self) { try small.open() }.problem.contains("consolidated"))
    small.weights.tensors[small.weights.tensors.count - 1].name = "_fsdp_wrapped_module._flat_param"
    #expect(try #require(throws: FurlError.self) { try small.open() }.problem.contains("FSDP"))
  }

  // MARK: The hub

  @Test func namesOfTheHubAreRecognised() throws {
    for path in ["some-org/some-model", "bigcode/starcoder2-3b", "Qwen/Qwen2.5-Coder-0.5B"] {
      let error = try #require(throws: FurlError.self) { try Checkpoint(path: path) }
      #expect(error.remedy?.contains("hf download \(path)") == true, "\(error)")
    }
    for path in ["/some-org/some-model", "./some-org/model", "a/b/c", "no-such-folder", "x/y.safetensors"] {
      let error = try #require(throws: FurlError.self) { try Checkpoint(path: path) }
      #expect(error.problem.contains("does not exist") && error.remedy == nil, "\(error)")
    }
  }

  @Test func foldersOfTheHubsCacheNameTheirSnapshot() throws {
    try TestData.withTemporaryFolder { folder in
      let model = folder + "/models--org--name"
      for name in ["aaaa", "bbbb"] {
        try FileManager.default.createDirectory(
          atPath: model + "/snapshots/" + name, withIntermediateDirectories: true)
      }
      try FileManager.default.createDirectory(atPath: model + "/refs", withIntermediateDirectories: true)
      func remedy(_ path: String) throws -> String? {
        try #require(throws: FurlError.self) { try Checkpoint(path: path) }.remedy
      }
      #expect(try remedy(model)?.contains("snapshots/aaaa") == true)
      try TestData.write(Array("bbbb\n".utf8), to: model + "/refs/main")
      #expect(try remedy(model)?.contains("snapshots/bbbb") == true)
      #expect(try remedy(model + "/snapshots")?.contains("snapshots/aaaa") == true)
      #expect(try remedy(folder)?.contains("models--org--name") == true)
    }
  }
}
