import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Families with latent attention, and with gates on heads' outputs, against what Hugging Face transformers computes.
@Suite struct LatentFamilyTests {
  static let families = [
    "deepseek-v2-plain-queries", "deepseek-v2-groups", "deepseek-v3", "glm4-moe-lite", "laguna", "laguna-elements",
  ]

  /// At once, and token by token behind a longer piece.
  @Test(arguments: families, [[128], [11, 1, 2], [1]])
  func logitsEqualTransformers(_ name: String, _ pieces: [Int]) throws {
    let fixture = try FamilyFixture(name)
    let context = try Fixtures.context()
    let session = try Session(
      ModelFile(path: FamilyFixture.folder(name)).load(pool: context.pool), context: context, format: .float32)
    let actual = try Fixtures.logits(session, fixture.ids, pieces: pieces)
    #expect(fixture.difference(actual) <= 2e-4)
  }

  /// An artifact says the same model, and computes the same where its numbers are the same; 8-bit weights load and give
  /// numbers.
  @Test(arguments: families)
  func artifactsHoldTheModel(_ name: String) throws {
    let fixture = try FamilyFixture(name)
    let spec = try Checkpoint(folder: FamilyFixture.folder(name)).spec
    #expect(spec.formVersion == 2)
    try TestData.withTemporaryFolder { folder in
      let context = try Fixtures.context()
      for scheme in [Scheme.float32, .int8(.columns(32))] {
        let path = folder + "/\(scheme == .float32).furl"
        try Fixtures.writeArtifact(FamilyFixture.folder(name), to: path, .init(scheme: scheme))
        let model = try ModelFile(path: path).load(pool: context.pool)
        #expect(model.spec.json == spec.json && model.spec.blocks == spec.blocks)
        let session = try Session(model, context: context, format: .float32)
        let actual = try Fixtures.logits(session, fixture.ids)
        if scheme == .float32 {
          #expect(fixture.difference(actual) <= 2e-4)
        } else {
          let isFinite = actual.joined().allSatisfy(\.isFinite)
          #expect(isFinite)
          // A row's result does not depend on how it was fed.
          let stepped = try Fixtures.logits(session, fixture.ids, pieces: [3, 1])
          #expect(stepped == actual)
        }
      }
    }
  }

  /// What predicts further tokens is left out, and said so; more layers than that are no part of the model.
  @Test func layersBehindTheLastAreLeftOut() throws {
    let source = FamilyFixture.folder("deepseek-v3")
    let checkpoint = try Checkpoint(folder: source)
    #expect(checkpoint.leftOut.count == 8 && checkpoint.leftOut.allSatisfy { $0.hasPrefix("model.layers.2.") })
    #expect(checkpoint.notes.contains { $0.contains("8 tensors of layers that predict further tokens") })
    try TestData.withTemporaryFolder { folder in
      try TestData.write(TestData.bytes(source + "/model.safetensors"), to: folder + "/model.safetensors")
      let config = try JSON.parse(TestData.bytes(source + "/config.json"), file: nil)
      let members = (config.members ?? []).filter { $0.key != "num_nextn_predict_layers" }
      let changed = JSON.object(members + [.init("num_nextn_predict_layers", 0)])
      try TestData.write(Array(changed.prettyText.utf8), to: folder + "/config.json")
      let error = #expect(throws: FurlError.self) { try Checkpoint(folder: folder) }
      #expect(error?.problem.contains("is not part of") == true)
    }
  }

  /// What is unusual is said by the key.
  @Test(
    arguments: [
      ("deepseek-v3", "rope_interleave", false), ("deepseek-v3", "num_key_value_heads", 1),
      ("deepseek-v3", "n_group", 4), ("deepseek-v3", "topk_group", 9), ("deepseek-v3", "moe_layer_freq", 2),
      ("deepseek-v2-groups", "topk_method", "noaux_tc"), ("deepseek-v2-groups", "n_group", .null),
      ("laguna", "gating", false), ("laguna", "num_attention_heads_per_layer", [4]),
      ("laguna", "num_attention_heads_per_layer", [4, 3]), ("laguna", "moe_apply_router_weight_on_input", true),
    ] as [(String, String, JSON)])
  func unsupportedKeysAreNamed(_ name: String, _ key: String, _ value: JSON) throws {
    try TestData.withTemporaryFolder { folder in
      let config = try JSON.parse(TestData.bytes(FamilyFixture.folder(name) + "/config.json"), file: nil)
      let members = (config.members ?? []).filter { $0.key != key }
      try TestData.write(
        Array(JSON.object(members + [.init(key, value)]).prettyText.utf8), to: folder + "/config.json")
      let error = #expect(throws: FurlError.self) { try Checkpoint(folder: folder) }
      #expect(error?.kind == .input && error?.place == key, "\(String(describing: error))")
    }
  }
}
