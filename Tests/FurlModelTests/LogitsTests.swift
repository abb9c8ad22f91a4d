import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTensor
import FurlTestSupport
import Testing

/// The forward pass against what Hugging Face transformers computes.
@Suite struct LogitsTests {
  /// A case of `expected.json`: token ids, the logits of the last position and, where given, more.
  struct Case: Sendable {
    let ids: [Int]
    let lastLogits: [Double]
    let firstLogits: [Double]?
    let argmax: [Int]?
    let meanNegativeLogLikelihood: Double?
  }

  static func cases(_ path: String) throws -> [Case] {
    let json = try JSON.parse(TestData.bytes(path), file: path)
    return try #require(json["cases"]?.array).map { item in
      Case(
        ids: try #require(item["input_ids"]?.array).compactMap(\.integer),
        lastLogits: try #require(item["last_logits"]?.array).compactMap(\.number),
        firstLogits: item["first_logits"]?.array?.compactMap(\.number),
        argmax: item["argmax"]?.array?.compactMap(\.integer), meanNegativeLogLikelihood: item["nll"]?.number)
    }
  }

  /// The largest logit has to be the same one everywhere.
  ///
  /// - Parameters:
  ///   - bound: the largest difference of a logit.
  ///   - lossBound: that of the mean negative log likelihood.
  static func compare(
    _ folder: String, with expected: String, threads: Int, bound: Double = 1e-3, lossBound: Double = 1e-4
  ) throws {
    let pool = WorkerPool(threads: threads)
    let context = ComputeContext(pool: pool, kernels: try Kernels())
    let session = try Session(LanguageModel(Checkpoint(folder: folder), pool: pool), context: context)
    let cases = try Self.cases(expected)
    #expect(!cases.isEmpty)
    for expected in cases {
      var argmax: [Int?] = []
      var first: [Float] = []
      var last: [Float] = []
      var loss = 0.0
      try Likelihood(session).forEachPosition(expected.ids) { position, logits, row in
        argmax.append(logits[0].argmax(row: row, context.kernels))
        last = logits[0][row]
        if position == 0 { first = last }
        if position + 1 < expected.ids.count {
          loss -= Likelihood.logProbabilities(logits[0], row: row)[expected.ids[position + 1]]
        }
      }
      #expect(difference(last, expected.lastLogits) <= bound)
      if let logits = expected.firstLogits { #expect(difference(first, logits) <= bound) }
      if let mean = expected.meanNegativeLogLikelihood, expected.ids.count > 1 {
        #expect(abs(loss / Double(expected.ids.count - 1) - mean) <= lossBound)
      }
      let best = expected.lastLogits.enumerated().max { ($0.element, $1.offset) < ($1.element, $0.offset) }?.offset
      #expect(argmax.last == best)
      if let all = expected.argmax { #expect(argmax == all) }
    }
  }

  private static func difference(_ logits: [Float], _ expected: [Double]) -> Double {
    guard logits.count == expected.count else { return .infinity }
    return zip(logits, expected).map { abs(Double($0) - $1) }.max() ?? 0
  }

  @Test(
    arguments: [
      (TestData.minipy, "/Tests/Fixtures/minipy/expected-logits.json"),
      (TestData.minimoe, "/Tests/Fixtures/minimoe/expected-logits.json"),
      (TestData.root + "/Tests/Fixtures/gpt2", "/Tests/Fixtures/gpt2/expected.json"),
    ], [1, 2])
  func equalsTransformers(_ model: (checkpoint: String, expected: String), threads: Int) throws {
    try Self.compare(model.checkpoint, with: TestData.root + model.expected, threads: threads)
  }
}
