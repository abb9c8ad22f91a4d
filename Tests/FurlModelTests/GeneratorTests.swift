import Foundation
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import Testing

@testable import FurlModel

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
    _ requests: [GenerationRequest], slots: Int, contextLength: Int? = nil
  ) throws -> (completions: [Generation?], streamed: [String], ended: [Int]) {
    let session = try Session(model, context: context, slots: slots, contextLength: contextLength)
    var completions = [Generation?](repeating: nil, count: requests.count)
    var streamed = [String](repeating: "", count: requests.count)
    var ended: [Int] = []
    try Generator(session: session, tokenizer: tokenizer).run(
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
