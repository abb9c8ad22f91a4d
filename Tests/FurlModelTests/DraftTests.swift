import FurlBase
@testable import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import Foundation
import Testing

/// Drafts of a cheaper model: they change no text, whoever makes them and however the next token is chosen.
@Suite struct DraftTests {
  /// minipy with codes in two planes.
  private let model: LanguageModel
  private let loaded: LoadedModel

  init() throws {
    loaded = try DraftTests.load(.nested8(.columns(32)))
    model = loaded.model
  }

  private static func load(_ scheme: Scheme, threads: Int = 2) throws -> LoadedModel {
    try TestData.withTemporaryFolder { folder in
      try Fixtures.writeArtifact(TestData.minipy, to: folder + "/a.furl", .init(scheme: scheme))
      return try LoadedModel(path: folder + "/a.furl", context: Fixtures.context(threads: threads))
    }
  }

  /// The prompts of minipy's suites, as far as they are asked for.
  private static func prompts(_ count: Int) throws -> [String] {
    let lines = try String(decoding: TestData.bytes(TestData.minipy + "/minieval.jsonl"), as: UTF8.self)
    return try lines.split(separator: "\n").prefix(count).map {
      let prompt = try #require(try JSON.parse(Array($0.utf8), file: "minieval.jsonl")["prompt"]?.string)
      return prompt.trimmingCharacters(in: .whitespacesAndNewlines)
    }
  }

  private func requests(_ count: Int, _ sampling: (Int) -> Sampling = { _ in .greedy }) throws -> [GenerationRequest] {
    try Self.prompts(count).enumerated().map {
      GenerationRequest(
        ids: loaded.tokenizer.encode($1, bos: .auto), maxTokens: 48, stops: ["\n\n", "</s>"], sampling: sampling($0))
    }
  }

  private func run(
    _ session: Session, _ requests: [GenerationRequest], guesses: Int = 0, drafts: DraftSource? = nil,
    count: ((SpeculationCount) -> Void)? = nil
  ) throws -> [Generation?] {
    let generator = Generator(session: session, tokenizer: loaded.tokenizer, guesses: guesses, drafts: drafts)
    var completions = [Generation?](repeating: nil, count: requests.count)
    try generator.run(requests) { completions[$0] = $1 }
    count?(generator.speculation)
    return completions
  }

  // MARK: The first plane

  /// The first plane of a matrix is `int4` of the same codes and scales, in the same memory, and both planes are near 8 bits.
  @Test(arguments: [Scheme.nested8(.columns(32)), .nested8(.row), .nested8(.columns(64)).withSmallScales ?? .float32])
  func theFirstPlaneIsAModel(_ scheme: Scheme) throws {
    var draws = SplitMix64(seed: 8)
    let weights = draws.floats(40 * 100)
    let whole = try PackedMatrix.encode(
      TestData.source(weights, rows: 40, columns: 100), scheme: scheme, pool: WorkerPool(threads: 1))
    let first = try #require(whole.firstPlane)
    #expect(first.scheme.codingName == "int4" && first.scheme.block == scheme.block)
    #expect(first.streams[0] === whole.streams[0])
    let layout = TileLayout(whole)
    let own = TileLayout(first)
    for row in 0..<40 {
      let (all, part) = (whole.row(row), first.row(row))
      for column in 0..<100 {
        let scale = layout.scale(row, column: column)
        #expect((0...15).contains(layout.code(row, column) - 10 * own.code(row, column)))
        #expect(part[column] == Float(own.code(row, column) - 8) * scale)
        #expect(all[column] == Float(layout.code(row, column) - 88) * (scale * (1 / 10 as Float)))
        #expect(abs(all[column] - part[column]) <= 0.81 * abs(scale))
      }
    }
    #expect(
      try PackedMatrix.encode(
        TestData.source(weights, rows: 40, columns: 100), scheme: .int8(.row), pool: WorkerPool(threads: 1)
      ).firstPlane == nil)
  }

  /// A pass that drafts computes what a model of the first planes does, on keys and values that are the whole model's.
  @Test func draftingPassesReadTheFirstPlane() throws {
    let first = try loaded.firstPlanes()
    let session = try Session(model, context: loaded.context, drafts: first)
    let alone = try Session(first, context: loaded.context)
    let ids = Fixtures.ids(20, below: 8192)
    let whole = try Fixtures.logits(Session(model, context: loaded.context), ids)
    let rows = try session.forward([.init(slot: 0, ids: ids, logits: .all)], drafting: true)
    let drafted = rows[0].map { session.logits[$0] }
    #expect(try Fixtures.logits(alone, ids) == drafted && drafted != whole)
    try session.truncate(slot: 0, to: 0)
    #expect(try Fixtures.logits(session, ids) == whole)
    // Back and forth: what is computed again is as if nothing had been drafted.
    try session.truncate(slot: 0, to: 12)
    try session.forward([.init(slot: 0, ids: [5, 6, 7], logits: .none)], drafting: true)
    try session.truncate(slot: 0, to: 12)
    let again = try session.forward([.init(slot: 0, ids: Array(ids[12...]), logits: .all)])
    #expect(again[0].map { session.logits[$0] } == Array(whole[12...]))
  }

  // MARK: Texts

  @Test(arguments: [1, 2])
  func textsDoNotDependOnDrafts(_ threads: Int) throws {
    let context = try Fixtures.context(threads: threads)
    let first = try loaded.firstPlanes()
    let all = try requests(12)
    let plain = try run(Session(model, context: context), all)
    var count = SpeculationCount()
    for guesses in [0, 7] {
      let session = try Session(model, context: context, drafts: first)
      #expect(try run(session, all, guesses: guesses, drafts: .own) { count = $0 } == plain)
      // How many depends on the time that passes take; there is always a draft to learn from.
      #expect(count.guessed > 10 && count.accepted > 5 && count.passes > 0 && count.accepted <= count.guessed)
      // Beside others nothing is drafted.
      let many = try Session(model, context: context, slots: 3, drafts: first)
      #expect(try run(many, all, guesses: guesses, drafts: .own) == plain)
    }
  }

  /// Draws are those of the plain run, so that the text has its distribution: it is the same.
  @Test(arguments: [
    Sampling(temperature: 0.8, seed: 3), Sampling(temperature: 1.2, topK: 20, seed: 4),
    Sampling(temperature: 1, topP: 0.9, seed: 5),
  ])
  func sampledTextsDoNotDependOnDrafts(_ sampling: Sampling) throws {
    let all = try requests(8) {
      Sampling(
        temperature: sampling.temperature, topK: sampling.topK, topP: sampling.topP, seed: sampling.seed + UInt64($0))
    }
    let plain = try run(Session(model, context: loaded.context), all)
    #expect(Set(plain.compactMap { $0?.text }).count > 6)
    var count = SpeculationCount()
    let session = try Session(model, context: loaded.context, drafts: loaded.firstPlanes())
    #expect(try run(session, all, drafts: .own) { count = $0 } == plain)
    #expect(count.guessed > 5 && count.accepted > 0)
  }

  /// Another model drafts: the same one (nothing is ever wrong), a coarser one, and one that is nonsense.
  @Test func otherModelsDraft() throws {
    // What is drafted beyond a text's end is not accepted.
    let all = try requests(8).map { request in
      var request = request
      (request.stops, request.endsAtEndOfText) = ([], false)
      return request
    }
    let plain = try run(Session(model, context: loaded.context), all)
    for scheme in [Scheme.nested8(.columns(32)), .int3(.columns(64)), .int2(.row)] {
      let other = try Self.load(scheme)
      try other.checkDrafts(for: loaded)
      var count = SpeculationCount()
      let own = try other.session()
      #expect(
        try run(Session(model, context: loaded.context), all, drafts: .other(own)) { count = $0 } == plain)
      #expect(scheme != .nested8(.columns(32)) || count.accepted == count.guessed)
      #expect(count.guessed > 0)
    }
    // A session that holds something else, and is too short for all of it.
    let other = try Self.load(.int4(.columns(32)))
    let short = try other.session(contextLength: 40)
    try short.forward([.init(slot: 0, ids: [1, 2, 3, 4], logits: .none)])
    #expect(try run(Session(model, context: loaded.context), all, guesses: 3, drafts: .other(short)) == plain)
  }

  /// To the last position of a context, and the last token that is asked for.
  @Test func draftsEndWithTheContext() throws {
    let first = try loaded.firstPlanes()
    let ids = loaded.tokenizer.encode(try Self.prompts(1)[0], bos: .auto)
    for room in 1...10 {
      let request = GenerationRequest(ids: ids, maxTokens: 100)
      let length = ids.count + room
      let plain = try run(Session(model, context: loaded.context, contextLength: length), [request])
      let session = try Session(model, context: loaded.context, contextLength: length, drafts: first)
      #expect(try run(session, [request], drafts: .own) == plain)
      let few = GenerationRequest(ids: ids, maxTokens: room)
      let long = try Session(model, context: loaded.context, drafts: first)
      #expect(try run(long, [few], drafts: .own) == run(Session(model, context: loaded.context), [few]))
    }
  }

  // MARK: Refusals

  @Test func whatCannotDraftIsRefused() throws {
    expectError(.usage, "two planes", "nested8") { _ = try Self.load(.int8(.columns(32))).firstPlanes() }
    let file = try ModelFile(path: Fixtures.gpt2)
    let other = LoadedModel(
      file: file, model: try file.load(pool: loaded.context.pool), tokenizer: loaded.tokenizer, context: loaded.context,
      format: nil)
    #expect(other.model.spec.vocabularySize < loaded.model.spec.vocabularySize)
    expectError(.usage, "cannot draft") { try other.checkDrafts(for: loaded) }
  }
}

/// How many tokens are drafted, by what was measured.
@Suite struct DraftPaceTests {
  /// Passes of `verify` seconds and `more` for each further row, drafts of `step`, right with a probability: how many are
  /// drafted in the end.
  private func settled(step: Double, more: Double, right: Double) -> Int {
    var pace = DraftPace(limit: 7)
    var draws = SplitMix64(seed: 4)
    var last = 0
    for round in 0..<600 {
      var (count, all) = (0, 1.0)
      while count < 7, pace.continues(behind: count, all: all) {
        pace.note(stepSeconds: step)
        count += 1
        all *= pace.acceptance(0.9)
      }
      let accepted = (0..<count).prefix { _ in draws.unit() < right }.count
      pace.note(
        rows: count + 1, seconds: 1 + more * Double(count), tokens: accepted + 1, draftSeconds: step * Double(count))
      pace.learn(Array(repeating: 0.9, count: count)[...], accepted: accepted)
      if round >= 500 { last = max(last, count) }
    }
    return last
  }

  @Test func draftsAreAsLongAsTheyPay() {
    // The best lengths by (1 - a^(k + 1)) / (1 - a) / (k step + 1 + k more), counted out by hand.
    #expect((3...5).contains(settled(step: 0.5, more: 0.05, right: 0.92)))
    #expect(settled(step: 0.1, more: 0.02, right: 0.97) == 7)
    // Only to see whether that has changed.
    #expect(settled(step: 0.5, more: 0.05, right: 0.2) <= 1)
    #expect(settled(step: 1.2, more: 0.05, right: 0.99) <= 1)
  }
}
