import FurlSpec
import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// `config.json` as an enemy or another program would write it: an error that names the key, at once.
@Suite struct HostileConfigTests {
  static func error(_ key: String, _ value: String?) throws -> FurlError {
    var small = SmallGPT2()
    small.config[key] = value
    return try #require(throws: FurlError.self) { try small.open() }
  }

  @Test(arguments: [
    ("model_type", "\"bloom\""), ("model_type", "7"), ("model_type", "null"), ("model_type", "\"GPT2\""),
    ("model_type", "\"gpt2\\n\""), ("scale_attn_weights", "false"), ("scale_attn_by_inverse_layer_idx", "true"),
    ("add_cross_attention", "true"), ("add_cross_attention", "1"), ("activation_function", "\"relu6\""),
    ("activation_function", "\"linear\""), ("activation_function", "\"magic\""), ("activation_function", "[]"),
    ("layer_norm_epsilon", "-1"), ("layer_norm_epsilon", "2"), ("layer_norm_epsilon", "\"x\""),
    ("tie_word_embeddings", "\"true\""), ("n_inner", "0"), ("n_inner", "-5"), ("n_inner", "\"64\""),
    ("n_inner", "64.5"),
  ])
  func whatIsNotSupportedIsRefusedByKey(_ key: String, _ value: String) throws {
    let error = try Self.error(key, value)
    #expect(error.kind == .input && error.place == key && error.file?.hasSuffix("/config.json") == true, "\(error)")
    #expect(!error.description.contains("\n"))
  }

  @Test(arguments: ["model_type", "vocab_size", "n_positions", "n_embd", "n_layer", "n_head"])
  func sizesThatAreMissingOrWrongAreRefused(_ key: String) throws {
    #expect(try Self.error(key, nil).place == key)
    guard key != "model_type" else { return }
    for value in [
      "null", "\"12\"", "1.5", "-1", "true", "[]", "{}", "1e3", "9223372036854775807", "9223372036854775808",
      "-9223372036854775808", "4611686018427387904", "2305843009213693952", "4294967296", "1099511627776",
    ] {
      let error = try Self.error(key, value)
      #expect(error.kind == .input && error.file != nil, "\(key) = \(value): \(error)")
    }
  }

  @Test(arguments: [
    ("n_head", "0"), ("n_head", "3"), ("n_head", "16"), ("n_embd", "0"), ("n_embd", "15"),
    ("vocab_size", "0"),
    ("vocab_size", "9"), ("vocab_size", "16777217"), ("n_positions", "0"), ("n_positions", "7"), ("n_layer", "3"),
    ("n_layer", "4097"), ("n_layer", "1"), ("n_inner", "63"), ("n_inner", "1048577"),
    ("n_inner", "9223372036854775807"),
  ])
  func sizesThatDoNotFitAreRefused(_ key: String, _ value: String) throws {
    let error = try Self.error(key, value)
    #expect(error.kind == .input && error.file != nil && error.place != nil, "\(error)")
  }

  /// Sizes that are allowed one by one and absurd together cost no memory: the weights do not match.
  @Test func hugeSizesAreRefusedAtOnce() throws {
    var small = SmallGPT2()
    for (key, value) in [
      ("vocab_size", 1 << 24), ("n_positions", 1 << 24), ("n_embd", 1 << 17), ("n_layer", 4096), ("n_head", 4096),
      ("n_inner", 1 << 20),
    ] {
      small.config[key] = String(value)
    }
    let time = try ContinuousClock().measure {
      let error = try #require(throws: FurlError.self) { try small.open() }
      #expect(error.kind == .input)
    }
    #expect(time < .seconds(2))
  }

  @Test(arguments: ["", "[]", "null", "{", "{\"model_type\":\"gpt2\"", "\u{FEFF}{}", "{\"n_head\":1,\"n_head\":2}"])
  func aConfigThatIsNoMappingIsRefused(_ text: String) throws {
    try SmallGPT2().withFolder { folder in
      try TestData.write(Array(text.utf8), to: folder + "/config.json")
      #expect(try #require(throws: FurlError.self) { try Checkpoint(folder: folder) }.file == folder + "/config.json")
    }
  }

  @Test func whatIsNoCheckpointIsRefused() throws {
    try TestData.withTemporaryFolder { folder in
      #expect(
        try #require(throws: FurlError.self) { try Checkpoint(folder: folder + "/absent") }.problem == "does not exist")
      #expect(try #require(throws: FurlError.self) { try Checkpoint(folder: folder) }.problem == "has no config.json")
      try TestData.write([1], to: folder + "/file")
      let error = try #require(throws: FurlError.self) { try Checkpoint(folder: folder + "/file") }
      #expect(error.problem == "is neither a checkpoint's folder nor a .furl artifact nor a GGUF file")
      try FileManager.default.createDirectory(atPath: folder + "/config.json", withIntermediateDirectories: false)
      #expect(throws: FurlError.self) { try Checkpoint(folder: folder) }
    }
  }

  /// Flipped bits in either file: an error, or a checkpoint whose every tensor can be read.
  @Test func noChangedBitsCrash() throws {
    let small = SmallGPT2()
    let header = small.weights.header.utf8.count + 8
    var draws = SplitMix64(seed: 6)
    try small.withFolder { folder in
      for _ in 0..<600 {
        var config = Array(small.configText.utf8)
        var weights = small.weights.bytes
        if Bool.random(using: &draws) {
          config[Int.random(in: 0..<config.count, using: &draws)] = UInt8.random(in: 0x20..<0x7F, using: &draws)
        } else {
          weights[Int.random(in: 8..<header, using: &draws)] = UInt8.random(in: 0x20..<0x7F, using: &draws)
        }
        try TestData.write(config, to: folder + "/config.json")
        try TestData.write(weights, to: folder + "/model.safetensors")
        guard let checkpoint = try? Checkpoint(folder: folder) else { continue }
        for tensor in checkpoint.spec.tensors {
          #expect(try checkpoint.source(tensor.name).readAll().count == tensor.elementCount)
        }
      }
    }
  }
}
