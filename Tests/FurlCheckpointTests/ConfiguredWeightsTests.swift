import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Foundation
import Testing

/// What `config.json` says about the files of weights, and what is kept of it.
@Suite struct ConfiguredWeightsTests {
  /// Two models in a folder, the second of them with an embedding of ones; `weights` is what config.json names.
  private static func open(
    _ weights: String?, at path: String = "", files: (SmallDecoder) -> WeightFilesTests.Files
  ) throws -> (Checkpoint, isOther: Bool) {
    var small = SmallDecoder("llama")
    small.config["transformers_weights"] = weights
    var other = small
    let index = try #require(other.weights.tensors.firstIndex { $0.name == "model.embed_tokens.weight" })
    other.weights.tensors[index] = .init("model.embed_tokens.weight", [10, 16], [Float](repeating: 1, count: 160))
    return try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(small.configText.utf8), to: folder + "/config.json")
      try TestData.write(small.weights.bytes, to: folder + "/model.safetensors")
      for file in files(other) { try TestData.write(file.bytes, to: folder + "/" + file.name) }
      let checkpoint = try Checkpoint(path: folder + path)
      return (checkpoint, try checkpoint.source("embedding").readAll().allSatisfy { $0 == 1 })
    }
  }

  @Test func theNamedFileIsFollowed() throws {
    let plain = try Self.open(nil) { [("other.safetensors", $0.weights.bytes)] }
    #expect(!plain.isOther && plain.0.notes.isEmpty)
    let named = try Self.open("\"other.safetensors\"") { [("other.safetensors", $0.weights.bytes)] }
    #expect(named.isOther && named.0.notes.contains { $0.contains("transformers_weights") })
    // The artifact keeps what was said.
    #expect(named.0.config["transformers_weights"] == "other.safetensors")
    #expect(try !Self.open("null") { _ in [] }.isOther)
  }

  @Test func theNamedIndexIsFollowed() throws {
    let index = try Self.open("\"other.safetensors.index.json\"") { other in
      let map = other.weights.tensors.map { "\"\($0.name)\": \"part\"" }.joined(separator: ",")
      return [
        ("part", other.weights.bytes),
        ("other.safetensors.index.json", Array("{\"metadata\": {\"total_size\": NaN}, \"weight_map\": {\(map)}}".utf8)),
      ]
    }
    #expect(index.isOther)
  }

  @Test func whoNamesAFileDecides() throws {
    let files = { (other: SmallDecoder) in [("other.safetensors", other.weights.bytes)] as WeightFilesTests.Files }
    #expect(try !Self.open("\"other.safetensors\"", at: "/model.safetensors", files: files).isOther)
    #expect(try Self.open("\"none.safetensors\"", at: "/other.safetensors", files: files).isOther)
  }

  @Test(arguments: [
    "\"none.safetensors\"", "\"../model.safetensors\"", "\"a/model.safetensors\"", "\"model.bin\"", "\".safetensors\"",
    "\"model.json\"", "7", "[]", "\"\"", "true",
  ])
  func whatIsNoFileOfTheFolderIsRefused(_ value: String) throws {
    let error = try #require(throws: FurlError.self) { try Self.open(value) { _ in [("model.bin", [1])] } }
    #expect(
      error.kind == .input && error.place == "transformers_weights" && error.file?.hasSuffix("config.json") == true)
  }

  // MARK: Whole files and shards

  @Test(arguments: ["model.safetensors", "pytorch_model.bin"])
  func aWholeFileBesideAllShardsIsAChoiceForTheUser(_ whole: String) throws {
    func bytes(_ name: String) -> [UInt8] {
      whole.hasSuffix(".bin") ? PreferenceTests.torch(name) : WeightFilesTests.safetensors(name)
    }
    let (stem, ending) = (whole.split(separator: ".")[0], whole.split(separator: ".")[1])
    let shards: WeightFilesTests.Files = [1, 2].map { ("\(stem)-0000\($0)-of-00002.\(ending)", bytes("t\($0)")) }
    let files = shards + [(whole, bytes("whole"))]
    let error = try WeightFilesTests.error(files)
    #expect(error.problem.contains(whole) && error.problem.contains(shards[0].name) && error.remedy != nil, "\(error)")
    #expect(try WeightFilesTests.open(files, weights: whole) == ["whole"])
    #expect(try WeightFilesTests.open(files, weights: shards[0].name) == ["t1", "t2"])
    // A part alone is what a download has left.
    #expect(try WeightFilesTests.open([files[1], files[2]]) == ["whole"])
  }

  @Test func namesWithOfInThemAreCutAtTheLast() throws {
    let files: WeightFilesTests.Files = [1, 2].map {
      ("best-of-both-0000\($0)-of-00002.safetensors", WeightFilesTests.safetensors("t\($0)"))
    }
    #expect(try WeightFilesTests.open(files) == ["t1", "t2"])
    #expect(try WeightFilesTests.error([files[0]]).problem.contains("part 2 is missing"))
  }

  // MARK: Quantizations

  @Test(arguments: [
    #"{"quant_method":"bitnet","linear_class":"autobitlinear","quantization_mode":"online"}"#,
    #"{"quant_method":"bitnet"}"#, #"{"quant_method":"fp_quant","store_master_weights":true}"#,
  ])
  func whatRoundsPlainWeightsIsRefused(_ config: String) throws {
    var small = SmallDecoder("llama")
    small.config["quantization_config"] = config
    let error = try #require(throws: FurlError.self) { try small.open() }
    #expect(error.place == "quantization_config.quant_method" && error.remedy?.contains("remove") == true)
    small.config["quantization_config"] = #"{"quant_method":"fp_quant","store_master_weights":false}"#
    #expect(try small.open().notes.count == 1)
  }

  @Test(arguments: ["k_scale", "v_scale", "attn.q_scale", "k_proj.output_scale", "v_proj.output_scale"])
  func scalesOfACacheAreLeftOut(_ name: String) throws {
    var small = SmallDecoder("llama")
    small.weights.tensors.append(.init("model.layers.0.self_attn." + name, [1], [0.5]))
    #expect(try small.open().leftOut == ["model.layers.0.self_attn." + name])
    // Beside weights in FP8 they say what those are.
    small.weights.tensors.removeAll { $0.name.hasSuffix("layers.1.self_attn.q_proj.weight") }
    small.weights.tensors.append(
      .init("model.layers.1.self_attn.q_proj.weight", "F8_E4M3", [16, 16], [UInt8](repeating: 0, count: 256)))
    #expect(try #require(throws: FurlError.self) { try small.open() }.problem.contains("FP8"))
  }

  @Test(arguments: [
    "vblora_logits_A.default", "fourierft_spectrum.default", "randlora_A.default", "trainable_tokens_delta",
  ])
  func newerAdaptersAreTold(_ name: String) throws {
    var small = SmallDecoder("llama")
    small.weights.tensors.append(.init("model.layers.0.self_attn.q_proj." + name, [1], [1]))
    #expect(try #require(throws: FurlError.self) { try small.open() }.remedy?.contains("merge") == true)
  }

  // MARK: What is kept

  @Test func whatSaysTheSameTwiceIsKept() throws {
    var small = SmallGPT2()
    let plain = try small.open()
    small.config["hidden_size"] = "16"
    small.config["quantization_config"] = "null"
    let checkpoint = try small.open()
    #expect(checkpoint.spec == plain.spec)
    let expected = try JSON.parse(Array(small.configText.utf8), file: "config.json")
    #expect(checkpoint.config == expected)
    // The other name alone is the one that every reader of artifacts knows.
    small.config["n_embd"] = nil
    let other = try small.open()
    #expect(other.spec == plain.spec && other.config["n_embd"] == 16 && other.config["hidden_size"] == nil)
    small.config["n_embd"] = "32"
    #expect(try #require(throws: FurlError.self) { try small.open() }.place == "hidden_size")
  }

  @Test(arguments: ["attention", "full_attention", "0", "mlp"])
  func rotaryMappingsOfKindsAreRefused(_ kind: String) throws {
    for key in ["rope_parameters", "rope_scaling"] {
      for rest in ["", "\"rope_type\": \"default\", "] {
        let value = "{\(rest)\"\(kind)\": {\"rope_type\": \"linear\", \"factor\": 2}}"
        #expect(try SmallDecoder("llama").error([key: value]).place == "\(key).\(kind)")
      }
    }
  }

  @Test func everyFileThatIsReadIsInTheLineage() throws {
    let names = ["generation_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"]
    try TestData.withTemporaryFolder { folder in
      let small = SmallDecoder("llama")
      try TestData.write(Array(small.configText.utf8), to: folder + "/config.json")
      try TestData.write(small.weights.bytes, to: folder + "/model.safetensors")
      for name in names + ["README.md"] { try TestData.write([0x7B, 0x7D], to: folder + "/" + name) }
      let files = try Checkpoint(path: folder).sourceFiles()
      #expect(Set(files.map(\.name)) == Set(names + ["config.json", "model.safetensors"]))
    }
  }
}
