import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Sessions of a model with sliding windows, whose cache holds less than the context.
@Suite struct SlidingWindowTests {
  private static let window = 12

  /// Calls `body` with a model whose blocks see 12 positions and keep 144 of 400.
  private func withModel(_ body: (LanguageModel, ComputeContext) throws -> Void) throws {
    let block = UniformDecoder.DecoderWidths(heads: 4, kvHeads: 2, headSize: 8, mlpSize: 48, window: Self.window)
    let spec = ModelSpec(
      architecture: "gpt2", vocabularySize: 37, hiddenSize: 24, contextLength: 400, norm: .layerNorm,
      normEpsilon: 1e-5, residual: .sequential, positions: .learned, mlp: .plain, activation: .geluTanh,
      biases: [.norm, .up, .down], tiedEmbeddings: true, blocks: [block, block])
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      try NaiveModel(spec, seed: 4).write(to: path, tokenizer: [])
      let context = try Fixtures.context()
      try body(try ModelFile(path: path).load(pool: context.pool), context)
    }
  }

  /// Calls `body` with a session of three slots, some tokens, and their logits in a session of their own.
  private func withSession(
    _ format: KeyValueCache.CacheFormat, tokens: Int, _ body: (Session, [Int], [[Float]]) throws -> Void
  ) throws {
    try withModel { model, context in
      let ids = Fixtures.ids(tokens, below: model.spec.vocabularySize)
      let expected = try Fixtures.logits(Session(model, context: context, format: format), ids)
      try body(Session(model, context: context, slots: 3, format: format), ids, expected)
    }
  }

  @Test(arguments: KeyValueCache.CacheFormat.allCases)
  func chunksAndSlotsMakeNoDifference(_ format: KeyValueCache.CacheFormat) throws {
    try withSession(format, tokens: 400) { session, ids, expected in
      for (slot, pieces) in [(2, [1]), (0, [128, 1, 127]), (2, [7, 100, 16])] {
        let logits = try Fixtures.logits(session, slot: slot, ids, pieces: pieces)
        #expect(logits == expected, "\(pieces)")
      }
    }
  }

  /// What lies before the windows of all blocks does not reach a result.
  @Test func nothingBeforeTheWindowsIsSeen() throws {
    try withModel { model, context in
      var ids = Fixtures.ids(60, below: model.spec.vocabularySize)
      let before = try Fixtures.logits(Session(model, context: context), ids)
      ids[20] = (ids[20] + 1) % model.spec.vocabularySize
      let after = try Fixtures.logits(Session(model, context: context), ids)
      // Two blocks look back 11 positions each.
      let changed = before.indices.filter { before[$0] != after[$0] }
      #expect(changed == Array(20...42))
    }
  }

  /// A slot can be given what another one holds as long as no ring has gone round.
  @Test(arguments: KeyValueCache.CacheFormat.allCases)
  func whatARingHasLostIsNotCopied(_ format: KeyValueCache.CacheFormat) throws {
    try withSession(format, tokens: 200) { session, ids, expected in
      _ = try Fixtures.logits(session, slot: 2, Array(ids.prefix(144)))
      _ = try Fixtures.logits(session, slot: 0, Fixtures.ids(170, below: session.model.spec.vocabularySize, seed: 9))
      for count in [0, 1, 15, 16, 17, 100, 144] {
        #expect(session.copy(slot: 2, to: 0, count: count))
        #expect(session.lengths[0] == count)
        var rest: [[Float]] = []
        for id in ids[count..<min(count + 30, 200)] {
          let rows = try session.forward([.init(slot: 0, ids: [id], logits: .last)])
          rest.append(session.logits[rows[0].lowerBound])
        }
        #expect(rest == Array(expected[count..<count + rest.count]), "\(count)")
      }
      _ = try session.forward([.init(slot: 2, ids: [ids[144]], logits: .none)])
      #expect(!session.copy(slot: 2, to: 1, count: 100))
      #expect(session.lengths == [session.lengths[0], 0, 145])
    }
  }

  @Test func goingBackTooFarIsRefused() throws {
    try withModel { model, context in
      let ids = Fixtures.ids(400, below: model.spec.vocabularySize)
      let others = Fixtures.ids(50, below: model.spec.vocabularySize, seed: 8)
      let session = try Session(model, context: context, slots: 2)
      _ = try Fixtures.logits(session, ids)
      // 12 and 127 positions in sixteens: 256 to 399 are held, and 267 is the first that they suffice for.
      #expect(session.shortestLength(slot: 0) == 267)
      for length in [1, 100, 266] {
        expectError(.usage, "\(length) positions", "267") { try session.truncate(slot: 0, to: length) }
        #expect(session.lengths == [400, 0])
      }
      for length in [399, 300, 267] {
        _ = try Fixtures.logits(session, ids)
        try session.truncate(slot: 0, to: length)
        let more = Array(others.prefix(400 - length))
        let rows = try session.forward([.init(slot: 0, ids: more, logits: .all)])
        let found = rows[0].map { session.logits[$0] }
        let fresh = try Fixtures.logits(Session(model, context: context), Array(ids[..<length]) + more)
        #expect(found == Array(fresh[length...]), "back to \(length)")
      }
      try session.truncate(slot: 0, to: 0)
      #expect(session.lengths == [0, 0])
      let start = try Fixtures.logits(Session(model, context: context), others)
      let again = try session.forward([.init(slot: 0, ids: others, logits: .all)])
      #expect(again[0].map { session.logits[$0] } == start)
      #expect(session.shortestLength(slot: 0) == 0)
    }
  }
}
