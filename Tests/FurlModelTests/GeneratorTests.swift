import FurlBase
@testable import FurlModel
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import Foundation
import Testing

@Suite struct GeneratorTests {
  private let model: LanguageModel
  private let tokenizer: Tokenizer
  private let context: ComputeContext

  init() throws {
    context = try Fixtures.context()
    let file = try ModelFile(path: TestData.minipy)
    model = try file.load(pool: context.pool)
    tokenizer = try file.tokenizer()
  }

  private static let prompts = [
    "def add(a, b):\n    \"\"\"Return the sum of a and b.\"\"\"\n", "def f(xs):\n    return", "import",
    "def longest(words):\n    \"\"\"Return the longest of words.\"\"\"\n", "x = [1, 2, 3]\n", "class A:\n",
  ]

  private func requests(_ sampling: (Int) -> Sampling = { _ in .greedy }, maxTokens: Int = 24) -> [GenerationRequest] {
    Self.prompts.enumerated().map {
      GenerationRequest(
        ids: tokenizer.encode($1, bos: .auto), maxTokens: maxTokens, stops: ["\n\n", "</s>"], sampling: sampling($0))
    }
  }

  /// All completions in the order of the requests, with what was streamed of each.
  private func run(
    _ requests: [GenerationRequest], slots: Int, contextLength: Int? = nil, guesses: Int = 0,
    speculation: ((SpeculationCount) -> Void)? = nil
  ) throws -> (completions: [Generation?], streamed: [String], ended: [Int]) {
    let session = try Session(model, context: context, slots: slots, contextLength: contextLength)
    let generator = Generator(session: session, tokenizer: tokenizer, guesses: guesses)
    defer { speculation?(generator.speculation) }
    var completions = [Generation?](repeating: nil, count: requests.count)
    var streamed = [String](repeating: "", count: requests.count)
    var ended: [Int] = []
    try generator.run(
      requests,
      onText: { index, text in
        #expect(!text.isEmpty && completions[index] == nil)
        streamed[index] += text
      },
      onCompletion: { index, completion in
        #expect(completions[index] == nil)
        completions[index] = completion
        ended.append(index)
      })
    return (completions, streamed, ended)
  }

  /// Guesses change no text, whether they come true or not, alone or beside others, to the end of the context.
  @Test(arguments: [1, 3, 7])
  func completionsDoNotDependOnGuesses(_ guesses: Int) throws {
    let lines = (0..<6).map { "    total = total + values[\($0)]\n" }.joined()
    let repeated = GenerationRequest(ids: tokenizer.encode("def f(values):\n" + lines, bos: .auto), maxTokens: 60)
    let all = requests(maxTokens: 40) + [repeated]
    let plain = try run(all, slots: 1)
    for slots in [1, 3, 7] {
      var count = SpeculationCount()
      let result = try run(all, slots: slots, guesses: guesses) { count = $0 }
      #expect(result.completions == plain.completions && result.streamed == plain.streamed)
      #expect(count.accepted <= count.guessed && (count.guessed > 0 || slots > 4))
      #expect(count.accepted > 0 || slots > 1)
    }
    for room in 1...12 {
      let length = repeated.ids.count + room
      let cut = try run([repeated], slots: 1, contextLength: length).completions
      #expect(try run([repeated], slots: 1, contextLength: length, guesses: guesses).completions == cut)
    }
    var count = SpeculationCount()
    let drawn = requests { Sampling(temperature: 0.9, seed: UInt64($0)) }
    let drawnPlain = try run(drawn, slots: 2).streamed
    #expect(try run(drawn, slots: 2, guesses: guesses, speculation: { count = $0 }).streamed == drawnPlain)
    #expect(count == SpeculationCount() && count.acceptance == nil)
  }

  /// A draft may be right, wrong from somewhere on, or nonsense, and longer than what is generated.
  @Test func completionsDoNotDependOnDrafts() throws {
    let plain = try run(requests(), slots: 1)
    for slots in [1, 4] {
      for cut in [0, 1, 3, 1000] {
        var count = SpeculationCount()
        let drafted = requests().enumerated().map { index, request in
          var request = request
          let right = tokenizer.encode(plain.completions[index]?.text ?? "", bos: .never)
          request.draft = Array(right.prefix(cut)) + Fixtures.ids(150, below: 8192)
          return request
        }
        let result = try run(drafted, slots: slots) { count = $0 }
        #expect(result.completions == plain.completions && result.streamed == plain.streamed)
        #expect(cut < 1000 || count.accepted > 20)
      }
    }
    // Draws are not what a draft can tell.
    let drawn = requests { Sampling(temperature: 0.9, seed: UInt64($0)) }
    let expected = try run(drawn, slots: 2).completions
    let drafted = drawn.map { request in
      var request = request
      request.draft = Fixtures.ids(5, below: 8192)
      return request
    }
    #expect(try run(drafted, slots: 2).completions == expected)
  }

  /// At the end of the context a draft has no room.
  @Test func draftsEndWithTheContext() throws {
    let ids = tokenizer.encode(Self.prompts[0].trimmingCharacters(in: .newlines), bos: .auto)
    for room in 0..<4 {
      let plain = try run([GenerationRequest(ids: ids, maxTokens: 100)], slots: 1, contextLength: ids.count + room)
      var request = GenerationRequest(ids: ids, maxTokens: 100)
      request.draft = tokenizer.encode(plain.completions[0]?.text ?? "", bos: .never) + Fixtures.ids(9, below: 8192)
      let drafted = try run([request], slots: 1, contextLength: ids.count + room)
      #expect(drafted.completions == plain.completions)
    }
  }

  @Test func nothingIsAskedFor() throws {
    let result = try run(requests(maxTokens: 0), slots: 2)
    #expect(result.streamed == Array(repeating: "", count: 6) && result.ended == Array(0..<6))
    #expect(result.completions.allSatisfy { $0?.tokenCount == 0 && $0?.stopReason == .length })
    // The last ones of a run, too.
    let mixed = try run(requests(maxTokens: 3) + requests(maxTokens: 0), slots: 3)
    #expect(mixed.ended.sorted() == Array(0..<12) && mixed.completions[11]?.tokenCount == 0)
    expectError(.input, "token -1") {
      _ = try run([GenerationRequest(ids: [1, -1, 2, 3], maxTokens: 2)], slots: 1, guesses: 3)
    }
  }

  /// What prompts share is computed once, and nothing comes out otherwise than by itself in a session of its own.
  @Test(arguments: KeyValueCache.CacheFormat.allCases)
  func sharedPrefixesMakeNoDifference(_ format: KeyValueCache.CacheFormat) throws {
    let common = tokenizer.encode(
      "def shortest(words):\n    return min(words, key=len)\n\n\ndef longest(words):\n    \"\"\"Return the longest of the "
        + "words.\"\"\"\n    best = ''\n", bos: .auto)
    #expect(common.count > 32)
    let tails = ["    for word in words:\n", "", "    return", "    for word in words:\n        if"]
    let prompts = tails.map { common + tokenizer.encode($0, bos: .never) } + [common, Array(common.prefix(9))]
    func generate(_ prompts: [[Int]], slots: Int, guesses: Int) throws -> (texts: [String], shared: Int) {
      let session = try Session(model, context: context, slots: slots, format: format)
      let generator = Generator(session: session, tokenizer: tokenizer, guesses: guesses)
      var texts = [String](repeating: "", count: prompts.count)
      let requests = prompts.enumerated().map { index, ids in
        GenerationRequest(
          ids: ids, maxTokens: ids == [1] ? 1 : 12,
          sampling: index % 3 == 2 ? Sampling(temperature: 0.8, seed: UInt64(index)) : .greedy)
      }
      try generator.run(requests) { texts[$0] = $1.text }
      return (texts, generator.sharedTokens)
    }
    let all = prompts + prompts.reversed()
    let alone = try all.enumerated().map { index, ids in
      // The place in the list decides how it is drawn.
      try generate(Array(repeating: [1], count: index) + [ids], slots: 1, guesses: 0).texts[index]
    }
    for slots in [1, 2, 4, 30] {
      for guesses in [0, 3] {
        let together = try generate(all, slots: slots, guesses: guesses)
        #expect(together.texts == alone, "\(slots) slots")
        // Ten prompts begin with it; the short ones between them take it from a single slot once more.
        #expect(together.shared >= 7 * (common.count - 1), "\(slots) slots: \(together.shared)")
      }
    }
  }

  @Test func whatFollowedBeforeIsGuessed() {
    var lookup = PromptLookup([5, 6, 7, 8, 9, 1, 6, 7], limit: 7)
    #expect(Array(lookup.guess(7)) == [8, 9, 1, 6])
    #expect(Array(lookup.guess(2)) == [8, 9])
    #expect(lookup.guess(0).isEmpty && lookup.guess(-3).isEmpty)
    lookup.learn(guessed: 4, accepted: 4)
    #expect(Array(lookup.guess(7)) == [8, 9, 1, 6, 7])
    for _ in 0..<4 { lookup.learn(guessed: 4, accepted: 0) }
    #expect(Array(lookup.guess(7)) == [8])
    lookup.append(2)
    #expect(lookup.guess(7).isEmpty)
    // Three tokens are surer than two, and what came last is surer than what came before.
    let longer = PromptLookup([1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3], limit: 1)
    #expect(Array(longer.guess(7)) == [4])
    #expect(Array(PromptLookup([2, 3, 4, 2, 3, 5, 2, 3], limit: 1).guess(7)) == [5])
    #expect(PromptLookup([], limit: 7).guess(7).isEmpty && PromptLookup([1], limit: 7).guess(7).isEmpty)
  }

  @Test func completionsDoNotDependOnTheSlots() throws {
    for sampling in [{ _ in .greedy }, { Sampling(temperature: 0.9, topK: 50, topP: 0.95, seed: UInt64($0)) }]
      as [(Int) -> Sampling]
    {
      let alone = try run(requests(sampling), slots: 1)
      #expect(alone.ended == Array(0..<6))
      #expect(alone.streamed == alone.completions.map { $0?.text })
      #expect(Set(alone.streamed).count > 3)
      for slots in [2, 3, 6, 40] {
        let batch = try run(requests(sampling), slots: slots)
        #expect(batch.completions == alone.completions && batch.streamed == alone.streamed)
        #expect(batch.ended.sorted() == Array(0..<6))
      }
    }
  }

  @Test func seedsDecideWhatIsDrawn() throws {
    func text(_ seed: UInt64) throws -> [String] {
      try run(requests { _ in Sampling(temperature: 1.5, seed: seed) }, slots: 4).streamed
    }
    #expect(try text(1) == text(1))
    #expect(try text(1) != text(2))
  }

  @Test func aPromptLongerThanOnePassIsReadWhole() throws {
    let long = GenerationRequest(ids: Fixtures.ids(400, below: 8192), maxTokens: 5)
    let alone = try run([long], slots: 1).completions
    #expect(try run(requests() + [long] + requests(), slots: 8).completions[6] == alone[0])
    // The same from logits: the first token is the most probable one after the prompt.
    let session = try Session(model, context: context)
    let last = try #require(try Fixtures.logits(session, long.ids).last)
    let best = try #require(last.indices.max { (last[$0], $1) < (last[$1], $0) })
    let first = try run([GenerationRequest(ids: long.ids, maxTokens: 1)], slots: 1)
    #expect(first.completions[0]?.text == tokenizer.decode([best]))
  }

  @Test(arguments: [-1, 0])
  func noTokensGiveNoText(_ count: Int) throws {
    let result = try run(requests(maxTokens: count) + requests(maxTokens: 3), slots: 2)
    #expect(result.completions[..<6].allSatisfy { $0 == Generation(text: "", tokenCount: 0, stopReason: .length) })
    #expect(result.completions[6...].allSatisfy { ($0?.tokenCount ?? 0) > 0 })
  }

  @Test func oneTokenGivesOneToken() throws {
    let result = try run(requests(maxTokens: 1), slots: 2)
    #expect(result.completions.allSatisfy { $0?.tokenCount == 1 })
  }

  @Test func theContextEndsACompletion() throws {
    let ids = tokenizer.encode(Self.prompts[0].trimmingCharacters(in: .newlines), bos: .auto)
    for room in 0..<4 {
      let request = GenerationRequest(ids: ids, maxTokens: 100)
      let result = try run([request], slots: 1, contextLength: ids.count + room)
      // The last token needs no place: nothing is computed after it.
      #expect(result.completions[0]?.tokenCount == room + 1)
      #expect(result.completions[0]?.stopReason == .length)
    }
  }

  @Test func promptsThatCannotBeReadAreRefused() throws {
    var started = false
    for (ids, words) in [([], "empty"), (Array(repeating: 5, count: 11), "context holds 10")] as [([Int], String)] {
      expectError(.usage, words) {
        let session = try Session(model, context: context, slots: 2, contextLength: 10)
        try Generator(session: session, tokenizer: tokenizer).run(
          [GenerationRequest(ids: [5], maxTokens: 2), GenerationRequest(ids: ids, maxTokens: 2)]
        ) { _, _ in started = true }
      }
    }
    #expect(!started)
    expectError(.input, "token 8192") { _ = try run([GenerationRequest(ids: [8192], maxTokens: 2)], slots: 1) }
  }

  @Test func nothingToDoIsDone() throws {
    #expect(try run([], slots: 3).ended.isEmpty)
  }

  @Test func aPromptIsCutFromTheLeft() {
    let request = GenerationRequest(ids: Array(0..<20), maxTokens: 6)
    #expect(request.cut(toContext: 16).ids == Array(10..<20))
    #expect(request.cut(toContext: 26).ids == Array(0..<20))
    #expect(request.cut(toContext: 6).ids == [19])
    #expect(request.cut(toContext: 1).ids == [19])
  }

  @Test func aSessionServesAgainAfterAnError() throws {
    struct Stop: Error {}
    let session = try Session(model, context: context, slots: 2)
    let generator = Generator(session: session, tokenizer: tokenizer)
    #expect(throws: Stop.self) { try generator.run(requests()) { _, _ in throw Stop() } }
    var texts = [String](repeating: "", count: 6)
    try generator.run(requests()) { texts[$0] = $1.text }
    #expect(try texts == run(requests(), slots: 1).streamed)
  }
}
