import FurlBase
import FurlSpec
import FurlModel
import FurlTensor
import FurlTestSupport
import Testing

/// A row's result never depends on what is computed beside it, nor on how its tokens were cut into calls.
@Suite struct InvarianceTests {
  enum Weights: CaseIterable { case float32, int8, int4, int4Minimum, int8Rows, int8WithFloatActivations, int4WithBF16 }

  /// The bundled model, or one of ``ArchitectureTests/families``.
  enum Subject: Hashable { case minipy, family(Int) }

  /// A model in some weights, ready to run on one and on two threads.
  private func models(
    _ subject: Subject, _ weights: Weights, _ body: (LanguageModel, [ComputeContext]) throws -> Void
  ) throws {
    let form: ActivationForm =
      switch weights {
      case .int8WithFloatActivations: .fp32
      case .int4WithBF16: .bf16
      default: .int8
      }
    let contexts = try [1, 2].map { try Fixtures.context(threads: $0, form) }
    let scheme: Scheme =
      switch weights {
      case .float32: .float32
      case .int4, .int4WithBF16: .int4(.columns(32))
      case .int4Minimum: .int4Minimum(.columns(64))
      case .int8Rows: .int8(.row)
      default: .int8(.columns(32))
      }
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/a.furl"
      switch subject {
      case .minipy where weights == .float32:
        return try body(try ModelFile(path: TestData.minipy).load(pool: contexts[1].pool), contexts)
      case .minipy: try Fixtures.writeArtifact(TestData.minipy, to: path, .init(scheme: scheme))
      case .family(let index):
        try NaiveModel(ArchitectureTests.families[index].spec, seed: 77, scheme: scheme).write(to: path)
      }
      try body(try ModelFile(path: path).load(pool: contexts[1].pool), contexts)
    }
  }

  @Test(arguments: [Subject.minipy] + ArchitectureTests.families.indices.map { .family($0) }, Weights.allCases)
  func aRowIsTheSameWhateverIsBesideIt(_ subject: Subject, _ weights: Weights) throws {
    try models(subject, weights) { model, contexts in try Self.check(model, contexts) }
  }

  /// The same of a model of plain loops.
  static func check(_ spec: ModelSpec, _ scheme: Scheme) throws {
    try TestData.withTemporaryFolder { folder in
      try NaiveModel(spec, seed: 5, scheme: scheme).write(to: folder + "/a.furl")
      let contexts = try [1, 2].map { try Fixtures.context(threads: $0) }
      try check(try ModelFile(path: folder + "/a.furl").load(pool: contexts[1].pool), contexts)
    }
  }

  private static func check(_ model: LanguageModel, _ contexts: [ComputeContext]) throws {
    let ids = Fixtures.ids(40, below: model.spec.vocabularySize)
    let alone = try Fixtures.logits(Session(model, context: contexts[0]), ids)
    #expect(alone.count == 40 && alone.allSatisfy { $0.allSatisfy(\.isFinite) })
    for context in contexts {
      let session = try Session(model, context: context, slots: 5)
      for pieces in [[128], [1], [7, 1, 16, 3], [39, 1]] {
        #expect(try Fixtures.logits(session, slot: 3, ids, pieces: pieces) == alone, "pieces of \(pieces)")
      }
      // In a batch with others that come and go, in any place of it.
      for slot in 0..<5 { session.truncate(slot: slot) }
      var rows: [[Float]] = []
      var draws = SplitMix64(seed: 3)
      var rest = ids[...]
      while !rest.isEmpty {
        var segments = (0..<4).map { slot in
          Session.Segment(
            slot: slot,
            ids: Fixtures.ids(Int(draws.next() % 9), below: model.spec.vocabularySize, seed: draws.next()),
            logits: [.none, .last, .all][Int(draws.next() % 3)])
        }
        let piece = Array(rest.prefix(1 + Int(draws.next() % 8)))
        rest = rest.dropFirst(piece.count)
        let place = Int(draws.next() % 5)
        segments.insert(.init(slot: 4, ids: piece, logits: .all), at: place)
        rows += try session.forward(segments)[place].map { session.logits[$0] }
      }
      #expect(rows == alone)
    }
  }

  @Test(arguments: [Subject.minipy, .family(0), .family(3)], [Weights.float32, .int4])
  func goingBackIsTheSameAsNeverHavingGone(_ subject: Subject, _ weights: Weights) throws {
    try models(subject, weights) { model, contexts in
      let ids = Fixtures.ids(60, below: model.spec.vocabularySize)
      let others = Fixtures.ids(30, below: model.spec.vocabularySize, seed: 9)
      let context = contexts[1]
      let fresh = try Fixtures.logits(Session(model, context: context), Array(ids[..<21]) + others)
      let session = try Session(model, context: context)
      _ = try Fixtures.logits(session, ids)
      try session.truncate(slot: 0, to: 21)
      #expect(session.lengths == [21])
      let rows = try session.forward([.init(slot: 0, ids: others, logits: .all)])
      #expect(rows[0].map { session.logits[$0] } == Array(fresh[21...]))
    }
  }

  @Test func errorsLeaveTheSessionAsItWas() throws {
    let context = try Fixtures.context()
    let model = try ModelFile(path: TestData.minipy).load(pool: context.pool)
    let session = try Session(model, context: context, slots: 2, contextLength: 10)
    let before = try Fixtures.logits(session, [1, 2, 3])
    for bad in [-1, model.spec.vocabularySize, .max, .min] {
      expectError(.input, "token \(bad)", "8192") {
        try session.forward([.init(slot: 1, ids: [5], logits: .all), .init(slot: 0, ids: [4, bad], logits: .all)])
      }
      #expect(session.lengths == [3, 0])
    }
    expectError(.usage, "11 tokens", "context of 10") {
      try session.forward([.init(slot: 0, ids: Array(repeating: 7, count: 8), logits: .none)])
    }
    #expect(try Fixtures.logits(session, slot: 1, [1, 2, 3]) == before)
    try session.forward([.init(slot: 0, ids: Array(repeating: 7, count: 7), logits: .none)])
    #expect(session.lengths == [10, 3])
    expectError(.usage, "context of 10") { try session.forward([.init(slot: 0, ids: [7], logits: .last)]) }
    #expect(try session.forward([.init(slot: 0, ids: [], logits: .last)]) == [0..<0])
    #expect(try session.forward([]).isEmpty)
  }

  @Test(arguments: [0, -1])
  func aSessionOfNothingIsRefused(_ count: Int) throws {
    let context = try Fixtures.context(threads: 1)
    let model = try ModelFile(path: Fixtures.gpt2).load(pool: context.pool)
    expectError(.usage, "slot") { _ = try Session(model, context: context, slots: count) }
    expectError(.usage, "context") { _ = try Session(model, context: context, contextLength: count) }
  }

  @Test func aContextIsAtMostTheModels() throws {
    let context = try Fixtures.context(threads: 1)
    let model = try ModelFile(path: Fixtures.gpt2).load(pool: context.pool)
    #expect(try Session(model, context: context, contextLength: .max).contextLength == model.spec.contextLength)
    expectError(.unavailable, "memory") { _ = try Session(model, context: context, slots: 1 << 50) }
  }
}
