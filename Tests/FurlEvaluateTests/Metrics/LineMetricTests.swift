import FurlSpec
import FurlBase
@testable import FurlEvaluate
import FurlTensor
import FurlTestSupport
import Testing

@Suite struct LineMetricTests {
  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"), arguments: Vectors.list("edit_similarity"))
  func indel(_ vector: JSON) throws {
    let a = try #require(vector["a"]?.string)
    let b = try #require(vector["b"]?.string)
    let ratio = try EditSimilarity.ratio(a, b)
    // The vectors have six decimals of a percentage.
    #expect(abs(ratio * 100 - (vector["indel"]?.number ?? .nan)) < 1e-6)
    #expect(try EditSimilarity.ratio(b, a) == ratio)
  }

  /// The textbook table, cell by cell.
  private func commonLength(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    var row = [Int](repeating: 0, count: b.count + 1)
    for x in a {
      var diagonal = 0
      for (j, y) in b.enumerated() {
        let above = row[j + 1]
        row[j + 1] = x == y ? diagonal + 1 : max(above, row[j])
        diagonal = above
      }
    }
    return row[b.count]
  }

  @Test func wordsOf64MatchesAgreeWithTheTable() {
    var generator = SplitMix64(seed: 3)
    for length in [0, 1, 2, 5, 63, 64, 65, 66, 127, 128, 129, 200] {
      for letters in [1, 2, 4, 30] {
        let texts = (0..<2).map { which in
          (0..<(which == 0 ? length : length * 3 / 4 + 1)).map { _ in
            Unicode.Scalar(UInt8(97 + generator.next() % UInt64(letters)))
          }
        }
        let expected = commonLength(texts[0], texts[1])
        #expect(EditSimilarity.commonLength(texts[0][...], texts[1][...]) == expected)
        #expect(EditSimilarity.commonLength(texts[1][...], texts[0][...]) == expected)
      }
    }
  }

  @Test func textsThatAreTooLongAreRefused() throws {
    let long = String(repeating: "a", count: EditSimilarity.longest)
    #expect(try EditSimilarity.ratio(long, long + "") == 1)
    #expect(throws: FurlError.self) { try EditSimilarity.ratio(long + "a", "a") }
  }

  @Test(arguments: [
    ("a  b\t c\n", "a b c", true), (" a", "a ", true), ("", " \n", true), ("a b", "ab", false),
    ("a\u{A0}\u{3000}b", "a b", true), ("a\u{1F}b", "a b", true), ("a\u{200B}b", "a b", false),
    // Two spellings of one character are different texts.
    ("\u{E9}", "e\u{301}", false),
  ])
  func whiteSpaceIsNormal(_ completion: String, _ gt: String, _ exact: Bool) throws {
    let score = try LineScore(completion: completion, gt: gt)
    #expect(score.exact == exact)
    #expect((score.editSimilarity == 1) == exact)
  }

  @Test(.enabled(if: TestData.shared != nil, "needs the reference's completions"))
  func linesOfTheReferenceScoreAsThere() throws {
    let folder = try #require(TestData.shared) + "/reference-model"
    let suite = try Suite(path: folder + "/lines.jsonl")
    let problems = try #require(suite.problems.lines)
    #expect(suite.kind == .lines && problems.count == 1000)
    let reference = try #require(try JSON.parse(TestData.bytes(folder + "/reference.json"), file: nil)["fp32"])
    let entries = reference["lines"]?.array ?? []
    let completions = try entries.map { entry in
      Completion(
        id: .integer(try #require(entry["id"]?.integer)), text: try #require(entry["completion"]?.string))
    }
    let results = try EvaluationReport.ReportedResults.scoring(completions, of: problems)
    let items = try #require(results.lines)
    #expect(items.map(\.exact) == entries.map { $0["exact"]?.bool })
    for (item, entry) in zip(items, entries) {
      #expect(abs(item.editSimilarity - (entry["edit_similarity"]?.number ?? .nan)) < 5.1e-7)
    }
    let report = try EvaluationReport(
      suite: suite, model: .init(path: folder + "/minipy", digest: nil), seconds: 1, results: results)
    #expect(report.exactMatch?.value == reference["exact_match"]?.number)
    let similarity = try #require(report.editSimilarity)
    #expect(abs(similarity - (reference["edit_similarity"]?.number ?? .nan)) < 1e-12)
  }
}
