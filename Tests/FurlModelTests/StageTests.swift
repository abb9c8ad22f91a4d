import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// What stages can say, one by one and in combinations, against plain loops in double precision.
@Suite struct StageTests {
  static let schemes: [Scheme] = [.float32, .int8(.columns(32))]

  /// A model and a sequence for which no router's choice is close.
  static func model(
    _ spec: ModelSpec, scheme: Scheme, count: Int = 30
  ) throws -> (naive: NaiveModel, ids: [Int], expected: [[Double]]) {
    // Where many choices are made, few seeds keep all of them apart.
    for (seed, gap) in (1...50).map({ (UInt64($0), 1e-4) }) + (1...400).map({ (UInt64($0), 1e-5) }) {
      let naive = try NaiveModel(spec, seed: seed, scheme: scheme)
      let ids = Fixtures.ids(count, below: spec.vocabularySize, seed: seed)
      let trace = NaiveModel.Trace()
      let expected = naive.logits(ids, trace: trace)
      if trace.gap > gap { return (naive, ids, expected) }
    }
    throw FurlError(.defect, "every seed makes a router waver")
  }

  /// The largest difference as a share of what is allowed: 2e-4 of the row's largest logit.
  static func worst(_ actual: [[Float]], _ expected: [[Double]]) -> Worst {
    var worst = Worst()
    if actual.count != expected.count { worst.add(.nan, 0, bound: 1, "\(actual.count) rows") }
    for (position, (row, exact)) in zip(actual, expected).enumerated() {
      let largest = exact.reduce(0) { max($0, abs($1)) }
      for (value, right) in zip(row, exact) {
        worst.add(Double(value), right, bound: 2e-4 * largest, "position \(position)")
      }
      if row.count != exact.count { worst.add(.nan, 0, bound: 1, "\(row.count) logits") }
    }
    return worst
  }

  /// A session's logits are the plain loops', and the same bits on one thread and on two, in one pass and in pieces, and
  /// where only the last rows' are wanted.
  static func check(_ spec: ModelSpec, _ scheme: Scheme, _ name: String) throws {
    try spec.validate(file: nil)
    let (naive, ids, expected) = try model(spec, scheme: scheme)
    try TestData.withTemporaryFolder { folder in
      try naive.write(to: folder + "/a.furl")
      var first: [[Float]]?
      for threads in [1, 2] {
        let context = try Fixtures.context(threads: threads, .fp32)
        let file = try ModelFile(path: folder + "/a.furl")
        #expect(file.spec.blocks == spec.blocks && file.spec.tensors == spec.tensors, "\(name)")
        let session = try Session(file.load(pool: context.pool), context: context, format: .float32)
        let actual = try Fixtures.logits(session, ids)
        let worst = Self.worst(actual, expected)
        #expect(worst.share <= 1, "\(name), \(scheme), \(worst.place), \(spec)")
        #expect(try Fixtures.logits(session, ids, pieces: [7, 1, 3]) == actual, "\(name) in pieces")
        #expect(try tails(session, ids) == Array(actual.suffix(4)), "\(name), the last rows only")
        #expect(first == nil || first == actual, "\(name) on two threads")
        first = actual
      }
    }
  }

  /// Logits of the last four of some tokens, where nothing else is asked for.
  private static func tails(_ session: Session, _ ids: [Int]) throws -> [[Float]] {
    session.truncate(slot: 0)
    try session.forward([.init(slot: 0, ids: Array(ids[..<9]), logits: .none)])
    let tail = try session.forward([.init(slot: 0, ids: Array(ids[9..<ids.count - 1]), logits: .tail(3))])
    let rows = tail[0].map { session.logits[$0] }
    let last = try session.forward([.init(slot: 0, ids: [ids[ids.count - 1]], logits: .last)])
    return rows + last[0].map { session.logits[$0] }
  }

  @Test(arguments: StagedModels.all.indices, schemes)
  func eachAloneEqualsPlainLoops(_ index: Int, _ scheme: Scheme) throws {
    try Self.check(StagedModels.all[index].spec, scheme, StagedModels.all[index].name)
  }

  @Test(arguments: 0..<48, schemes)
  func combinationsEqualPlainLoops(_ seed: Int, _ scheme: Scheme) throws {
    var draws = SpecDraws(seed: UInt64(seed))
    try Self.check(draws.spec(), scheme, "combination \(seed)")
  }

  /// A test that does not feel what it is about says nothing.
  @Test(arguments: StagedModels.all.indices)
  func eachIsFelt(_ index: Int) throws {
    let feature = StagedModels.all[index]
    let with = try Self.model(feature.spec, scheme: .float32)
    let without = try NaiveModel(feature.without, seed: 1).logits(with.ids)
    let own = try NaiveModel(feature.spec, seed: 1).logits(with.ids)
    let (largest, difference) = zip(own.joined(), without.joined()).reduce((0, 0)) { sums, pair in
      (max(sums.0, abs(pair.0)), max(sums.1, abs(pair.0 - pair.1)))
    }
    #expect(difference > 0.01 * largest, "\(feature.name): \(difference) of \(largest)")
  }

  /// A row's bits depend neither on the batch nor on the pieces nor on the threads, activations in 8 bits included.
  @Test(arguments: StagedModels.all.indices)
  func rowsDependOnNothingBeside(_ index: Int) throws {
    try InvarianceTests.check(StagedModels.all[index].spec, .int8(.columns(32)))
  }

  @Test(arguments: 0..<24, schemes)
  func rowsOfCombinationsDependOnNothingBeside(_ seed: Int, _ scheme: Scheme) throws {
    var draws = SpecDraws(seed: 1000 + UInt64(seed))
    try InvarianceTests.check(draws.spec(contextLength: 80), scheme)
  }

  /// Frequencies that depend on how many positions there may be are those of the session's context.
  @Test(arguments: ["a longer context's base", "divisors of a long context"])
  func frequenciesAreThoseOfTheSessionsContext(_ name: String) throws {
    let feature = try #require(StagedModels.attention.first { $0.name == name })
    let naive = try NaiveModel(feature.spec, seed: 3)
    let ids = Fixtures.ids(16, below: feature.spec.vocabularySize)
    try TestData.withTemporaryFolder { folder in
      try naive.write(to: folder + "/a.furl")
      let context = try Fixtures.context(.fp32)
      let model = try ModelFile(path: folder + "/a.furl").load(pool: context.pool)
      var all: [[[Float]]] = []
      for length in [16, 20, 30, 80] {
        let session = try Session(model, context: context, contextLength: length, format: .float32)
        let actual = try Fixtures.logits(session, ids)
        let worst = Self.worst(actual, naive.logits(ids, context: length))
        #expect(worst.share <= 1, "\(name), \(length) positions, \(worst.place)")
        all.append(actual)
      }
      #expect(all[0] == all[1] && all[1] != all[2])
      #expect((all[2] != all[3]) == (name == "a longer context's base"))
    }
  }
}
