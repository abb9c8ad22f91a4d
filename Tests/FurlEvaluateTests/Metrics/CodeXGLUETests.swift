import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

@Suite struct CodeXGLUETests {
  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"), arguments: Vectors.list("edit_similarity"))
  func percents(_ vector: JSON) throws {
    let (a, b) = (try #require(vector["a"]?.string), try #require(vector["b"]?.string))
    #expect(try EditSimilarity.percent(a, b) == vector["indel_rounded"]?.integer)
    #expect(SequenceSimilarity.percent(a, b) == vector["difflib_rounded"]?.integer)
  }

  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"), arguments: Vectors.list("codexglue_post_process"))
  func literals(_ vector: JSON) throws {
    #expect(CodeXGLUE.literals(in: try #require(vector["input"]?.string)) == vector["expected"]?.string)
  }

  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"), arguments: Vectors.list("codexglue_strip_quirk"))
  func stripping(_ vector: JSON) throws {
    #expect(CodeXGLUE.stripped(try #require(vector["input"]?.string)) == vector["expected"]?.string)
  }

  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"), arguments: Vectors.list("pass_at_k"))
  func passAtK(_ vector: JSON) throws {
    let (n, c) = (try #require(vector["n"]?.integer), try #require(vector["c"]?.integer))
    let value = PassAtK.estimate(count: n, passed: c, k: try #require(vector["k"]?.integer))
    #expect(abs(value - (vector["expected"]?.number ?? .nan)) < 1e-9)
  }

  /// pass@k is the share of all choices of k completions that hold one that passed.
  @Test func passAtKCountsChoices() {
    for n in 1...7 {
      for c in 0...n {
        for k in 1...n {
          let choices = (0..<(1 << n)).filter { $0.nonzeroBitCount == k }
          let hits = choices.count { $0 & ((1 << c) - 1) != 0 }
          let estimate = PassAtK.estimate(count: n, passed: c, k: k)
          #expect(abs(estimate - Double(hits) / Double(choices.count)) < 1e-12)
        }
      }
    }
  }

  @Test(arguments: [
    ("LOG . info ( x ) <EOL>", "LOG . info ( x )", LineScore.SimilarityMethod.codexglueClean, true),
    ("LOG . info ( x ) <EOL>", "LOG . info ( x )", .codexglue, false),
    ("x = '<STR_LIT:a>' <EOL> y", "x = 'a'", .codexglueClean, true),
    (" x  = 1", "x = <NUM_LIT:1>", .codexglueClean, true), (" x  = 1", "x = <NUM_LIT:1>", .plain, false),
    ("<EOL> return x", "return x", .poster, true), ("return x <EOL>", "return x", .poster, false),
    ("a </s>", "a", .poster, true),
  ])
  func methods(_ completion: String, _ gt: String, _ method: LineScore.SimilarityMethod, _ exact: Bool) throws {
    #expect(try LineScore(completion: completion, gt: gt, method: method).exact == exact)
  }

  /// Over PY150's truths: the mistake costs those that begin or end with one of its characters, and no other.
  @Test(.enabled(if: TestData.shared != nil, "needs PY150's lines"))
  func truthsThatTheMistakeCannotMeet() throws {
    let suite = try Suite(path: try #require(TestData.shared) + "/data/py150-lines-2000.jsonl.gz")
    let problems = try #require(suite.problems.lines)
    #expect(problems.count == 2000)
    var lost = 0
    for problem in problems {
      #expect(try LineScore(completion: problem.gt + " <EOL>", gt: problem.gt, method: .codexglueClean).exact)
      let exact = try LineScore(completion: problem.gt + " <EOL>", gt: problem.gt, method: .codexglue).exact
      let ends = [problem.gt.first, problem.gt.last].contains { "<EOL>".contains($0 ?? " ") }
      if !exact {
        lost += 1
        #expect(ends)
      }
    }
    // As many as with Python's own str.strip.
    #expect(lost == 41)
  }
}
