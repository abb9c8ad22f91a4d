import FurlBase
import FurlEvaluate
import FurlModel
import FurlTestSupport
import Foundation
import Testing

/// Texts against transformers in double precision: minipy's first five blocks beside minipy.
@Suite struct TextReferenceTests {
  @Test(arguments: SuiteProtocol.Chunking.allCases)
  func figuresEqualTransformers(_ chunking: SuiteProtocol.Chunking) async throws {
    let path = TestData.root + "/Tests/Fixtures/minipy/text.json"
    let reference = try JSON.parse(TestData.bytes(path), file: path)
    let expected = try #require(reference[chunking.rawValue])
    try await TestData.withTemporaryFolder { folder in
      let text = try TestData.bytes(TestData.minipy + "/validation.txt")
        .prefix(reference["text_bytes"]?.integer ?? 0)
      try TestData.write(Array(text), to: folder + "/text.txt")
      var suite = try Suite(path: folder + "/text.txt")
      suite.protocol.context = reference["context"]?.integer
      suite.protocol.chunking = chunking
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(5)
      try sample.write(to: folder + "/five")
      let five = try LoadedModel(path: folder + "/five", context: Running.context())
      let report = try await Evaluator().run(suite, on: five, baseline: Running.minipy()).report
      let figures = try #require(report.results.text)
      let comparison = try #require(figures.comparison)
      #expect(figures.tokens == expected["tokens"]?.integer && figures.bytes == expected["bytes"]?.integer)
      #expect(comparison.sameTop.successes == expected["same_top"]?.integer)
      func close(_ value: Double?, _ key: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let wanted = expected[key]?.number ?? .nan
        #expect(abs((value ?? .nan) / wanted - 1) < 1e-4, "\(key)", sourceLocation: sourceLocation)
      }
      close(figures.perplexity, "perplexity")
      close(figures.bitsPerByte, "bits_per_byte")
      close(figures.klDivergence, "kl_divergence")
      close(comparison.baselinePerplexity, "baseline_perplexity")
      close(comparison.deltaMean, "delta_mean")
      close(comparison.deltaRMS, "delta_rms")
      for (values, key) in [(comparison.divergences, "kl_percentiles"), (comparison.deltas, "delta_percentiles")] {
        let wanted = try #require(expected[key]?.array).compactMap(\.number)
        #expect(zip(values.values, wanted).allSatisfy { abs($0 - $1) < 1e-4 + 1e-3 * abs($1) }, "\(key)")
      }
      // What can be said without the reference.
      #expect(abs(comparison.ratio - figures.perplexity / comparison.baselinePerplexity) < 1e-12)
      #expect(comparison.ratioInterval95.contains(comparison.ratio))
      #expect(comparison.divergenceInterval95.contains(figures.klDivergence ?? .nan))
      #expect(figures.chunks.reduce(0) { $0 + $1.tokens } == figures.tokens)
      // The report survives its JSON, and a figure that its windows contradict is found.
      #expect(try EvaluationReport(JSON.parse(Array(report.json.compactText.utf8), file: nil), file: nil) == report)
      var changed = report
      var wrong = figures
      wrong.klDivergence = 0.001
      changed.results = .text(wrong)
      #expect(throws: FurlError.self) { try EvaluationReport(changed.json, file: "r.json") }
    }
  }

  /// The vector of `evaluation-vectors.json`, which NumPy made.
  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"))
  func divergenceOfThreeRows() throws {
    let vector = try #require(Vectors.file?["kl_divergence"])
    func rows(_ key: String) throws -> [[Double]] {
      try #require(vector[key]?.array).map { $0.array?.compactMap(\.number) ?? [] }
    }
    func logProbabilities(_ row: [Double]) -> [Double] {
      let sum = row.reduce(0) { $0 + exp($1) }
      return row.map { $0 - log(sum) }
    }
    let base = try rows("base_logits").map(logProbabilities)
    let own = try rows("candidate_logits").map(logProbabilities)
    let expected = try #require(vector["kld_nats"]?.array).compactMap(\.number)
    for (index, wanted) in expected.enumerated() {
      #expect(abs(Likelihood.divergence(of: base[index], from: own[index]) - wanted) < 1e-12)
    }
    let same = try #require(vector["same_top"]?.array).compactMap(\.integer)
    #expect(zip(base, own).map { Likelihood.top($0) == Likelihood.top($1) ? 1 : 0 } == same)
  }
}
