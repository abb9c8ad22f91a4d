import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Gemma 4: blocks that take keys and values from earlier ones, values that are keys, what blocks take from the tokens
/// themselves, and experts beside an MLP, each between norms of its own; against what Hugging Face transformers computes.
@Suite struct SharedKeysTests {
  static let models = ["gemma4-shared", "gemma4-keys-alone", "gemma4-experts"]

  /// At once, and token by token behind a longer piece.
  @Test(arguments: models, [[128], [11, 1, 2], [1]])
  func logitsEqualTransformers(_ name: String, _ pieces: [Int]) throws {
    let fixture = try FamilyFixture(name)
    let context = try Fixtures.context()
    let session = try Session(
      ModelFile(path: FamilyFixture.folder(name)).load(pool: context.pool), context: context, format: .float32)
    #expect(fixture.difference(try Fixtures.logits(session, fixture.ids, pieces: pieces)) <= 2e-4)
  }

  /// Rows that no logits are wanted of end before the blocks that store nothing; the others are what they would be.
  @Test(arguments: models)
  func rowsThatNobodyWantsChangeNothing(_ name: String) throws {
    let ids = try FamilyFixture(name).ids
    let context = try Fixtures.context()
    let session = try Session(
      ModelFile(path: FamilyFixture.folder(name)).load(pool: context.pool), context: context, slots: 2, format: .float32
    )
    let all = try Fixtures.logits(session, ids)
    for slot in 0..<2 { session.truncate(slot: slot) }
    // Two sequences at once, of each another tail; then one more token of both.
    let (first, second) = (Array(ids.dropLast(1)), Array(ids.dropLast(4)))
    let ranges = try session.forward([
      .init(slot: 0, ids: first, logits: .tail(3)), .init(slot: 1, ids: second, logits: .last),
    ])
    let tails = ranges.map { $0.map { session.logits[$0] } }
    #expect(tails[0] == Array(all[first.count - 3..<first.count]))
    #expect(tails[1] == [all[second.count - 1]])
    let next = try session.forward([
      .init(slot: 0, ids: [ids[first.count]], logits: .last), .init(slot: 1, ids: [ids[second.count]], logits: .none),
    ])
    #expect(next[0].map { session.logits[$0] } == [all[first.count]] && next[1].isEmpty)
    let last = try session.forward([.init(slot: 1, ids: Array(ids[(second.count + 1)...]), logits: .last)])
    #expect(last[0].map { session.logits[$0] } == [all[ids.count - 1]])
  }

  /// An artifact says the same model, and computes the same where its numbers are the same.
  @Test(arguments: models)
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
        if scheme == .float32 { #expect(fixture.difference(actual) <= 2e-4) }
        let stepped = try Fixtures.logits(session, fixture.ids, pieces: [3, 1])
        #expect(stepped == actual && actual.joined().allSatisfy(\.isFinite))
      }
    }
  }

  /// A cache keeps nothing for blocks that take keys and values, and published files may have such of theirs.
  @Test func onlyOwnKeysAreKept() throws {
    let checkpoint = try Checkpoint(folder: FamilyFixture.folder("gemma4-shared"))
    let spec = checkpoint.spec
    #expect(spec.keyBlocks == [0, 1, 2, 3, 2, 3] && spec.sharedKeyBlocks == [2, 3])
    #expect(spec.blocks.compactMap(\.stored).count == 4 && spec.blocks.compactMap(\.cached).count == 6)
    #expect(spec.blocks.map { $0.feedForward?.size } == [32, 32, 32, 32, 64, 64])
    #expect(
      checkpoint.leftOut.count == 3 && checkpoint.leftOut.allSatisfy { $0.hasPrefix("model.layers.4.self_attn.") })
    var cut = spec
    cut.blocks.removeSubrange(0..<4)
    let error = #expect(throws: FurlError.self) { try cut.validate(file: nil) }
    #expect(error?.problem.contains("makes the keys and values") == true)
  }

  /// What is written for transformers has the same numbers, and what a truncation leaves says so.
  @Test(arguments: models)
  func exportsAreReadBack(_ name: String) throws {
    try TestData.withTemporaryFolder { folder in
      let pool = WorkerPool(threads: 2)
      let source = try Checkpoint(folder: FamilyFixture.folder(name))
      let model = ExportedModel(try ModelFile(path: FamilyFixture.folder(name)))
      _ = try SafetensorsExport(numbers: .f32, shardBytes: .max).write(model, to: folder + "/x", pool: pool)
      let copy = try Checkpoint(folder: folder + "/x")
      #expect(copy.spec == source.spec)
      for tensor in source.spec.tensors {
        let (one, other) = (try source.source(tensor.name).readAll(), try copy.source(tensor.name).readAll())
        #expect(zip(one, other).allSatisfy { abs($0 - $1) <= 1e-6 * max(1, abs($0)) }, "\(tensor.name)")
      }
    }
  }

  /// What is unusual is said by the key.
  @Test(
    arguments: [
      ("enable_moe_block", "yes"), ("use_bidirectional_attention", "all"),
      ("num_kv_shared_layers", 5),
      ("num_kv_shared_layers", 6), ("vocab_size_per_layer_input", 40), ("hidden_size_per_layer_input", .null),
      ("sliding_window", .null), ("rope_scaling", ["rope_type": "linear", "factor": 2]), ("is_causal", false),
      ("kv_sharing_modes", ["reuse"]), ("final_logit_softcapping", 0), ("hidden_activation", "relu2"),
      ("per_layer_config", ["1": ["head_dim": 12]]), ("layer_types", ["full_attention"]),
    ] as [(String, JSON)])
  func unsupportedKeysAreNamed(_ key: String, _ value: JSON) throws {
    try TestData.withTemporaryFolder { folder in
      let config = try JSON.parse(TestData.bytes(FamilyFixture.folder("gemma4-shared") + "/config.json"), file: nil)
      let members = (config.members ?? []).filter { $0.key != key }
      try TestData.write(
        Array(JSON.object(members + [.init(key, value)]).prettyText.utf8), to: folder + "/config.json")
      let error = #expect(throws: FurlError.self) { try Checkpoint(folder: folder) }
      #expect(error?.kind == .input && error?.place == key, "\(String(describing: error))")
    }
  }
}
