import FurlBase
import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

@Suite(.enabled(if: TestData.shared != nil, "needs PY150's literals"))
struct PY150Tests {
  private func form() throws -> PY150 {
    PY150(try PY150.Literals(path: try #require(TestData.shared) + "/data/py150-literals.json"))
  }

  @Test(.enabled(if: Vectors.file != nil, "needs the vectors"))
  func vectorHolds() throws {
    let vector = try #require(Vectors.file?["py150_tokenise_py36_to_311"])
    let source = try #require(vector["source"]?.string)
    #expect(try form().normalForm(of: Array(source.utf8)) == vector["expected"]?.string)
  }

  /// By CPython's tokenizer; see Tests/Fixtures/py150/make_forms.py.
  @Test func formsAreCPythons() throws {
    let file = TestData.root + "/Tests/Fixtures/py150/forms.json"
    let rows = try #require(JSON.parse(TestData.bytes(file), file: file).array)
    #expect(rows.count > 40)
    for row in rows {
      let source = try #require(row[0]?.string)
      #expect(try form().normalForm(of: Array(source.utf8)) == row[1]?.string, "\(source.debugDescription)")
    }
  }

  /// A whole standard library: `FURL_PY150_FOLDER`, and the digests that the script has made of it.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["FURL_PY150_FOLDER"] != nil))
  func wholeLibraryIsCPythons() throws {
    let environment = ProcessInfo.processInfo.environment
    let folder = try #require(environment["FURL_PY150_FOLDER"])
    let digests = try #require(environment["FURL_PY150_DIGESTS"])
    let expected = try #require(JSON.parse(TestData.bytes(digests), file: digests).members)
    var different: [String] = []
    for member in expected {
      let form = try form().normalForm(of: TestData.bytes(folder + "/" + member.key))
      if !Digest(of: Array(form.utf8)).hex.hasPrefix(member.value.string ?? "?") { different.append(member.key) }
    }
    print("\(expected.count) files compared")
    #expect(different == [])
  }

  @Test func suiteOfAFolder() throws {
    try TestData.withTemporaryFolder { folder in
      try FileManager.default.createDirectory(atPath: folder + "/p/q", withIntermediateDirectories: true)
      let files = [
        "a.py": "import os\nx = os.path\n", "p/b.py": "def f(x):\n    return x + 1\n",
        "p/q/same.py": "import os\n\nx=os.path  # again\n",
        "p/bad.py": "def f(:\n  '''", "c.txt": "x = 1\n", "p/one.py": "x\n",
      ]
      for (name, text) in files { try TestData.write(Array(text.utf8), to: folder + "/" + name) }
      let drawn = try LineSuiteBuilder(.init(seed: 7)).build(folder: folder)
      #expect(drawn.files == 5 && drawn.problems.count == 2 && drawn.repeated == 1 && drawn.refused == 2)
      for problem in drawn.problems {
        #expect(problem.input.hasPrefix("<s> ") && !problem.gt.isEmpty && !problem.gt.contains("<EOL>"))
      }
      #expect(try LineSuiteBuilder(.init(seed: 7)).build(folder: folder).jsonl == drawn.jsonl)
      let others = try (0..<20).map { try LineSuiteBuilder(.init(seed: $0)).build(folder: folder).jsonl }
      #expect(Set(others).count > 5)
      // The suite that it makes is one.
      try TestData.write(Array(drawn.jsonl.utf8), to: folder + "/mine.jsonl")
      try TestData.write(Array(LineSuiteCard(name: "mine").text(problems: drawn.jsonl).utf8), to: folder + "/mine.yaml")
      let suite = try Suite(path: folder + "/mine.yaml")
      #expect(suite.count == 2 && suite.protocol.score == .codexglueClean)
      #expect(suite.problems == .lines(drawn.problems))
      // Fewer are the first ones.
      let fewer = try LineSuiteBuilder(.init(seed: 7, count: 1)).build(folder: folder)
      #expect(fewer.problems == Array(drawn.problems.prefix(1)))
      #expect(throws: FurlError.self) { try LineSuiteBuilder().build(folder: folder + "/absent") }
    }
  }

  /// Input and truth together are the file up to the end of the line.
  @Test func cutsAreTokensOfTheFile() throws {
    let source = try TestData.bytes(TestData.root + "/Benchmarks/Models/models.py")
    try TestData.withTemporaryFolder { folder in
      try TestData.write(source, to: folder + "/a.py")
      let whole = PY150().normalForm(of: source)
      for seed in 0..<50 as Range<UInt64> {
        let problem = try LineSuiteBuilder(.init(seed: seed)).build(folder: folder).problems[0]
        let joined = problem.input + " " + problem.gt
        #expect(whole.hasPrefix(joined + " <EOL>") || whole == joined + " </s>")
      }
    }
  }
}
