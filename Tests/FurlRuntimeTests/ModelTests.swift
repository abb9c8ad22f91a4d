import FurlBase
import FurlRuntime
import FurlTestSupport
import Testing

/// What a program gets of a model, beside what Hugging Face transformers computes for the same tokens.
@Suite struct ModelTests {
  private struct Expected {
    let ids: [Int]
    let next: Int
    let meanLoss: Double
  }

  private func expected() throws -> [Expected] {
    let path = TestData.root + "/Tests/Fixtures/minipy/expected-logits.json"
    let cases = try #require(JSON.parse(TestData.bytes(path), file: path)["cases"]?.array)
    let found = cases.compactMap { item -> Expected? in
      guard let ids = item["input_ids"]?.array?.compactMap(\.integer), ids.count > 1, let loss = item["nll"]?.number,
        let next = item["argmax"]?.array?.last?.integer
      else { return nil }
      return Expected(ids: ids, next: next, meanLoss: loss)
    }
    #expect(found.count > 1)
    return found
  }

  private func model() throws -> Model { try Model(contentsOf: TestData.minipy, threads: 2) }

  @Test func tokensAndTextsAreOneAnothers() throws {
    let model = try model()
    for expected in try expected() {
      // The tokenizer puts a token before every text.
      let tokens = try model.tokens(of: model.text(of: expected.ids))
      #expect(tokens.suffix(expected.ids.count) == expected.ids[...])
      #expect(tokens.count == expected.ids.count || model.text(of: [tokens[0]]) == "<s>")
    }
    #expect(model.architecture == "gpt2")
    #expect(model.vocabularySize > 1000)
  }

  @Test func scoresAreThoseOfTransformers() async throws {
    let model = try model()
    for expected in try expected() {
      let score = try await model.score(tokens: expected.ids)
      #expect(score.tokenCount == expected.ids.count - 1)
      #expect(abs(-score.logLikelihood / Double(score.tokenCount) - expected.meanLoss) < 1e-4)
    }
  }

  @Test func theNextTokenIsThatOfTransformers() async throws {
    let model = try model()
    for expected in try expected() {
      let next = try await model.complete(tokens: expected.ids, maxTokens: 1)
      let piece = model.text(of: [expected.next])
      #expect(next.stopReason == .endOfText ? piece == "</s>" : next.text == piece)
      #expect(next.tokenCount == 1)
    }
  }

  @Test func piecesTogetherAreTheCompletion() async throws {
    let model = try model()
    let prompt = "def mean(values):\n"
    var pieces: [String] = []
    for try await piece in model.generate(prompt, maxTokens: 24) { pieces.append(piece) }
    let whole = try await model.complete(prompt, maxTokens: 24)
    #expect(pieces.count > 3)
    #expect(pieces.joined() == whole.text)
  }

  @Test func callsThatAreMadeAtTheSameTimeWaitForEachOther() async throws {
    let model = try model()
    let alone = try await model.complete("def mean(values):\n", maxTokens: 20).text
    let together = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<6 { group.addTask { try await model.complete("def mean(values):\n", maxTokens: 20).text } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(together == Array(repeating: alone, count: 6))
  }

  @Test func aLoopThatEndsEndsTheGeneration() async throws {
    let model = try model()
    for try await _ in model.generate("def add(a, b):\n", maxTokens: 200, sampling: Sampling(temperature: 1, seed: 1)) {
      break
    }
    // The next one does not wait for the rest of the 200 tokens, and gets what it would have got.
    #expect(try await model.complete("x = 1", maxTokens: 1).tokenCount == 1)
  }

  @Test func aCancelledTaskThrows() async throws {
    let model = try model()
    let task = Task { try await model.complete("def add(a, b):\n", maxTokens: 200) }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test func whatCannotBeDoneIsSaid() async throws {
    let model = try model()
    let long = String(repeating: "x = 1\n", count: 2000)
    await #expect(throws: FurlError.self) { try await model.complete(long) }
    await #expect(throws: FurlError.self) { try await model.score(long) }
    await #expect(throws: FurlError.self) { for try await _ in model.generate(long) {} }
    await #expect(throws: FurlError.self) { try await model.score(tokens: [5]) }
    for id in [-1, model.vocabularySize, Int.max] {
      await #expect(throws: FurlError.self) { try await model.score(tokens: [5, id]) }
      await #expect(throws: FurlError.self) { try await model.complete(tokens: [id]) }
      #expect(model.text(of: [id]) == "")
    }
    #expect(throws: FurlError.self) { try Model(contentsOf: TestData.root + "/no/such/file.furl") }
    #expect(throws: FurlError.self) { try Model(contentsOf: TestData.minipy, threads: 0) }
  }
}
