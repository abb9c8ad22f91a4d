import FurlSpec
import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Testing

/// What training programs put before and into the names of tensors is taken off, and said; what is no weight is left
/// out by its name, and what would matter is refused.
@Suite struct WrappedNamesTests {
  /// Opens a family's small checkpoint with other names, and holds every weight against the plain one.
  @discardableResult
  static func open(
    _ family: String = "llama", more: [SafetensorsText.Tensor] = [], _ rename: (String) -> String
  ) throws -> Checkpoint {
    let plain = SmallDecoder(family)
    var wrapped = plain
    for index in wrapped.weights.tensors.indices {
      wrapped.weights.tensors[index].name = rename(wrapped.weights.tensors[index].name)
    }
    wrapped.weights.tensors += more
    let (found, expected) = try (wrapped.open(), plain.open())
    #expect(found.spec == expected.spec)
    for tensor in expected.spec.tensors {
      #expect(try found.source(tensor.name).readAll() == expected.source(tensor.name).readAll(), "\(tensor.name)")
    }
    return found
  }

  @Test(arguments: [
    "_orig_mod.", "module.", "module._orig_mod.", "base_model.model.", "language_model.", "_fsdp_wrapped_module.",
    "model.", "_forward_module.module.", "model.language_model.", "policy.", "module.module.model.",
  ])
  func aPrefixOfAllNamesIsTakenOff(_ prefix: String) throws {
    for family in SmallDecoder.families {
      let checkpoint = try Self.open(family) { prefix + $0 }
      #expect(!checkpoint.notes.isEmpty && checkpoint.notes.allSatisfy { $0.hasSuffix("is taken off") })
    }
  }

  @Test func wrappersWithinNamesAreTakenOff() throws {
    try Self.open { name in
      "_fsdp_wrapped_module."
        + name.replacing("layers.0.", with: "layers.0._fsdp_wrapped_module._checkpoint_wrapped_module.")
        .replacing("self_attn.", with: "self_attn._orig_mod.")
    }
    // The head may stand outside, as newer versions of transformers write models of several parts.
    try Self.open { $0.hasPrefix("lm_head") ? $0 : "model.language_model." + $0.dropFirst("model.".count) }
    // A counter of averages stands beside the wrapped model.
    let counter = SafetensorsText.Tensor("n_averaged", "I64", [], [UInt8](repeating: 1, count: 8))
    #expect(try Self.open(more: [counter]) { "module." + $0 }.leftOut == ["n_averaged"])
  }

  @Test func namesWithoutWrappersAreNotSpokenOf() throws {
    #expect(try Self.open { $0 }.notes.isEmpty)
    #expect(try Self.open { $0.hasPrefix("model.") ? String($0.dropFirst(6)) : $0 }.notes.isEmpty)
    let gpt2 = try SmallGPT2().open()
    #expect(gpt2.notes.isEmpty && gpt2.leftOut.isEmpty)
  }

  /// Two models in one file, or a prefix that not all have, stay errors.
  @Test func aPrefixOfSomeNamesIsRefused() throws {
    var small = SmallDecoder("llama")
    for index in small.weights.tensors.indices where small.weights.tensors[index].name.contains("layers") {
      small.weights.tensors[index].name = "student." + small.weights.tensors[index].name
    }
    #expect(throws: FurlError.self) { try small.open() }
    var twice = SmallDecoder("llama")
    twice.weights.tensors += twice.weights.tensors.map { .init("_orig_mod." + $0.name, $0.type, $0.shape, $0.bytes) }
    #expect(try #require(throws: FurlError.self) { try twice.open() }.problem == "appears twice")
  }

  static func tensor(_ name: String, _ type: String, _ shape: [Int]) -> SafetensorsText.Tensor {
    let sizes = ["F32": 4, "I64": 8, "F16": 2, "BOOL": 1, "U8": 1]
    return .init(name, type, shape, [UInt8](repeating: 0, count: shape.reduce(sizes[type] ?? 4, *)))
  }

  @Test(arguments: [
    ("model.layers.0.self_attn.rotary_emb.inv_freq", "F32", [4]), ("model.rotary_emb.inv_freq", "F16", [4]),
    ("model.layers.1.self_attn.rotary_emb.cos_cached", "F32", [1, 1, 4, 8]),
    ("model.layers.1.self_attn.rotary_emb.sin_cached", "F32", [4, 8]),
    ("model.rotary_emb.original_inv_freq", "F32", [4]), ("freqs_cis", "F32", [4, 4]),
    ("model.layers.0.self_attn.bias", "BOOL", [1, 1, 8, 8]), ("model.layers.0.self_attn.bias", "F32", [1, 1, 8, 8]),
    ("model.layers.0.self_attn.masked_bias", "F32", []), ("model.causal_mask", "BOOL", [8, 8]),
    ("model.position_ids", "I64", [1, 12]), ("model.norm.num_batches_tracked", "I64", []),
    ("model.layers.0.mlp._extra_state", "U8", [9]), ("model.extra", "F32", [0, 4]), ("model.step", "I64", [1]),
  ])
  func whatIsNoWeightIsLeftOutAndListed(_ name: String, _ type: String, _ shape: [Int]) throws {
    #expect(try Self.open(more: [Self.tensor(name, type, shape)]) { $0 }.leftOut == [name])
  }

  @Test(arguments: [
    ("model.layers.0.self_attn.q_proj.bias", "F32", [16]), ("model.layers.2.input_layernorm.weight", "F32", [16]),
    ("model.layers.0.self_attn.bias", "F32", [16]), ("model.layers.0.self_attn.bias", "F32", [1, 2, 8, 8]),
    ("lm_head.bias", "F32", [10]), ("model.layers.0.self_attn.q_norm.weight", "F32", [8]),
    ("v_head.summary.weight", "F32", [1, 16]), ("model.layers.0.mlp.mask", "F32", [8]),
    ("model.layers.0.self_attn.sinks", "F32", [2]), ("model.cos", "F32", [16]), ("model.steps", "I64", [2]),
  ])
  func whatWouldMatterIsRefused(_ name: String, _ type: String, _ shape: [Int]) throws {
    var small = SmallDecoder("llama")
    small.weights.tensors.append(Self.tensor(name, type, shape))
    let error = try #require(throws: FurlError.self) { try small.open() }
    #expect(error.place == name && error.problem.contains("is not part of"), "\(error)")
  }

  /// A mask is told by its shape in GPT-2, too.
  @Test func gpt2MasksAreLeftOut() throws {
    var small = SmallGPT2()
    small.weights.tensors += [
      Self.tensor("transformer.h.0.attn.bias", "U8", [1, 1, 8, 8]), Self.tensor("h.1.attn.masked_bias", "F32", []),
    ]
    #expect(try small.open().leftOut.count == 2)
    small.weights.tensors.append(Self.tensor("transformer.h.1.attn.bias", "F32", [16]))
    #expect(throws: FurlError.self) { try small.open() }
  }

  @Test func doublesAreReadAsSingles() throws {
    var small = SmallDecoder("qwen2")
    let plain = try small.open()
    for index in small.weights.tensors.indices {
      let tensor = small.weights.tensors[index]
      let floats = stride(from: 0, to: tensor.bytes.count, by: 4).map { start in
        Float(bitPattern: tensor.bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
      }
      let bytes = floats.flatMap { value in
        (0..<8).map { UInt8(truncatingIfNeeded: Double(value).bitPattern >> (8 * $0)) }
      }
      small.weights.tensors[index] = .init(tensor.name, "F64", tensor.shape, bytes)
    }
    let doubles = try small.open()
    for tensor in plain.spec.tensors {
      #expect(try doubles.source(tensor.name).readAll() == plain.source(tensor.name).readAll())
    }
  }
}
