import FurlBase
import FurlEvaluate
@testable import FurlReport
import FurlSpec
import FurlTestSupport
import Foundation
import Subprocess
import SystemPackage
import Testing

@Suite struct PageTests {
  /// What Python's parser has against a page: elements, ids, headings, anything that would be loaded.
  private func faults(_ page: String) async throws -> String {
    try await TestData.withTemporaryFolder { folder in
      try TestData.write(Array(page.utf8), to: folder + "/page.html")
      let result = try await Subprocess.run(
        .path(FilePath("/usr/bin/python3")),
        arguments: [TestData.root + "/Tests/Fixtures/report/check_page.py", folder + "/page.html"],
        output: .string(limit: 1 << 20), error: .string(limit: 1 << 16))
      return result.standardOutput + result.standardError
    }
  }

  @Test func aPageIsSoundAndLoadsNothing() async throws {
    var document = try ReportFixtures.pair()
    let page = HTMLReport.text(document)
    #expect(try await faults(page) == "")
    for part in ["Quality over size", "CPU time", "Problems that changed", "How completions end"] {
      #expect(page.contains(part), "\(part)")
    }
    // Two points are no curve.
    #expect(!page.contains("Removed blocks"))
    document.title = "</title><script>alert(1)</script>"
    #expect(try await faults(HTMLReport.text(document)) == "")
    #expect(try await faults(HTMLReport.text(ReportDocument())) == "")
    #expect(HTMLReport.text(try ReportFixtures.pair()) == page)
  }

  /// The verdict stands before everything else, and without one nothing is called best.
  @Test func theVerdictComesFirst() throws {
    var document = try ReportFixtures.pair()
    let silent = HTMLReport.text(document)
    #expect(silent.contains("Nothing is called best here") && !silent.contains("Smallest"))
    #expect(silent.contains("<small class=\"baseline\">baseline</small>"))
    func verdict(_ word: String) -> JSON {
      [
        "furl": 1, "artifact": "small.furl", "artifact_id": .string(String(repeating: "b", count: 64)),
        "verdict": .string(word), "gates": [["metric": "disk_bytes", "verdict": .string(word), "reason": "1 MB"]],
        "suites": [],
      ]
    }
    for (word, says) in [("fail", false), ("inconclusive", false), ("pass", true)] {
      var judged = document
      try judged.add(verdict(word), file: nil)
      let page = HTMLReport.text(judged)
      #expect(page.contains("Smallest of those that pass") == says, "\(word)")
      let standing = try #require(page.range(of: "class=\"standing\""))
      let gates = try #require(page.range(of: "<section id=\"gates\""))
      let table = try #require(page.range(of: "<section id=\"table\""))
      #expect(standing.lowerBound < gates.lowerBound && gates.lowerBound < table.lowerBound)
      #expect(page[standing.upperBound...].prefix(60).contains("verdict \(word)"))
    }
    // Who it is about, and when, where that is said.
    #expect(silent.contains("small <code>bbbbbbbbbbbbbbbb</code>"))
    document.date = "1 December <2026>"
    #expect(HTMLReport.text(document).contains("<li>1 December &lt;2026&gt;</li>"))
  }

  /// Each way of removing blocks is a line that begins with the checkpoint.
  @Test func waysOfRemovingBlocksAreLines() throws {
    func row(_ name: String, _ layers: Int, _ solved: Int) -> JSON {
      ReportFixtures.row(
        name, digest: name == "base" ? ReportFixtures.original : String(name.reversed()), layers: layers,
        quality: [ReportFixtures.quality((0..<4).map { $0 < solved })])
    }
    let cuts = [
      row("m original-drop1", 5, 2), row("m original-drop2", 4, 0), row("m original-drop1-kl", 5, 4),
      row("m original-drop2-kl", 4, 3),
    ]
    let page = HTMLReport.text(try ReportFixtures.document(ReportFixtures.bench([row("base", 6, 4)] + cuts)))
    let section = try #require(page.range(of: "Removed blocks</h2>").map { page[$0.upperBound...] })
    let legend = try #require(section.range(of: "</ul>").map { section[..<$0.lowerBound] })
    #expect(legend.contains("m original-drop</li>") && legend.contains("m original-drop-kl</li>"))
    #expect(!legend.contains("made from"))
    #expect(section.components(separatedBy: "base: 0 blocks removed, 100").count >= 3)
    // One of each is no line: they are drawn by what they were made from.
    let few = HTMLReport.text(
      try ReportFixtures.document(ReportFixtures.bench([row("base", 6, 4), cuts[1], cuts[2]])))
    #expect(!few.contains("m original-drop-kl</li>"))
  }

  @Test func hostileTextsStayTexts() async throws {
    let hostile = #"<img src=x onerror=alert(1)>"' & </pre></details> \u{202E}"# + "\u{202E}\u{0}|`*"
    var verdict: [JSON.Member] = []
    for key in ["artifact", "verdict", "artifact_id"] { verdict.append(.init(key, .string(hostile))) }
    verdict.append(
      .init(
        "gates",
        [
          [
            "suite": .string(hostile), "metric": .string(hostile), "bound": [hostile: .string(hostile)],
            "verdict": .string(hostile), "reason": .string(hostile),
          ]
        ]))
    let row: JSON = [
      "name": .string(hostile), "model": .string(hostile), "source": .string(hostile), "recipe": .string(hostile),
      "kernels": .string(hostile), "energy": ["method": .string(hostile), "reason": .string(hostile)],
      "decode_tokens_per_second": 3, "disk_bytes": 7,
      "quality": [ReportFixtures.quality([true], suite: hostile, stops: hostile)],
    ]
    var document = try ReportFixtures.document(
      ReportFixtures.bench([
        ReportFixtures.row(
          hostile, digest: ReportFixtures.original, quality: [ReportFixtures.quality([false], suite: hostile)]), row,
      ]),
      .object(verdict), ["results": [], "machine": [hostile: .string(hostile)], "protocol": [hostile: [hostile: 1]]],
      ["cells": [["name": .string(hostile), "state": .string(hostile), "reason": .string(hostile)]]])
    document.title = hostile
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/s.jsonl"
      let line: JSON = ["task_id": "p/0", "completion": .string(hostile)]
      try TestData.write(Array(line.compactText.utf8), to: path)
      try document.addSamples(path: path, model: hostile)
    }
    let page = HTMLReport.text(document)
    #expect(try await faults(page) == "")
    #expect(!page.contains("<img") && !page.unicodeScalars.contains("\u{202E}") && !page.contains("\u{0}"))
    let markdown = MarkdownReport.text(document)
    #expect(!markdown.contains(" <img") && !markdown.unicodeScalars.contains("\u{202E}"))
    #expect(markdown.split(separator: "\n").filter { $0.hasPrefix("| artifact") }.count == 2)
  }

  @Test func aPageStaysUnderAMegabyte() async throws {
    let count = 400
    var document = try ReportFixtures.document(
      ReportFixtures.bench(
        (0..<8).map { number in
          ReportFixtures.row(
            "m\(number)", digest: number == 0 ? ReportFixtures.original : "d\(number)",
            quality: [ReportFixtures.quality([Bool](repeating: number == 0, count: count))])
        }))
    try TestData.withTemporaryFolder { folder in
      let long = String(repeating: "<&\"'>\n", count: 900)
      let lines = (0..<count).map {
        JSON.object([.init("task_id", .string("p/\($0)")), .init("completion", .string(long))])
      }
      try TestData.write(Array(lines.map(\.compactText).joined(separator: "\n").utf8), to: folder + "/s.jsonl")
      for number in 0..<8 { try document.addSamples(path: folder + "/s.jsonl", model: "m\(number)") }
    }
    let page = HTMLReport.text(document)
    #expect(page.utf8.count < HTMLReport.sizeLimit && page.contains("more are not shown"))
    #expect(try await faults(page) == "")
  }

  /// Beside answers stand what was asked and what was expected, where somebody gives the suite.
  @Test func promptsAndExpectedAnswersAreShown() async throws {
    try await TestData.withTemporaryFolder { folder in
      let problems: [JSON] = [
        ["id": "p/0", "input": "<s> def f ( a ) : <EOL> return", "gt": "a + 1"],
        ["id": "p/1", "input": "x = <", "gt": "y"],
      ]
      try TestData.write(Array(problems.map(\.compactText).joined(separator: "\n").utf8), to: folder + "/lines.jsonl")
      let digest = try Suite(path: folder + "/lines.jsonl").sha256.hex
      func row(_ name: String, _ right: [Bool]) throws -> JSON {
        var quality = ReportFixtures.quality(right, kind: .lines)
        guard case .object(var members) = quality else { return quality }
        members[1].value = ["name": "tiny", "sha256": .string(digest), "kind": "lines", "count": 2]
        quality = .object(members)
        return ReportFixtures.row(
          name, digest: name == "base" ? ReportFixtures.original : "d", quality: [quality])
      }
      var document = try ReportFixtures.document(
        ReportFixtures.bench([try row("base", [true, false]), try row("small", [false, true])]))
      for (model, first, second) in [("base", " a + 1 ", "z"), ("small", " a - 1 ", "y ")] {
        let lines: [JSON] = [
          ["id": "p/0", "completion": .string(first)], ["id": "p/1", "completion": .string(second)],
        ]
        try TestData.write(Array(lines.map(\.compactText).joined(separator: "\n").utf8), to: folder + "/s.jsonl")
        try document.addSamples(path: folder + "/s.jsonl", model: model)
      }
      let without = HTMLReport.text(document)
      #expect(without.contains("furl report --suite adds") && !without.contains("what was expected</p>"))
      try document.addSuite(path: folder + "/lines.jsonl")
      let page = HTMLReport.text(document)
      #expect(try await faults(page) == "")
      // The answers differ from the expected one; white space at their ends does not count.
      for part in [
        ">&lt;s&gt; def f ( a ) :\nreturn</pre>", ">a <mark>+</mark> 1</pre>", ">a <mark>-</mark> 1</pre>",
        "><mark>z</mark></pre>",
        ">x = &lt;</pre>", "><mark>y</mark></pre>", ">y</pre>", ">a + 1</pre>",
      ] { #expect(page.contains(part), "\(part)") }
      // Another file's problems are not these.
      try TestData.write(Array("{\"input\": \"a\", \"gt\": \"b\"}".utf8), to: folder + "/other.jsonl")
      let error = #expect(throws: FurlError.self) { try document.addSuite(path: folder + "/other.jsonl") }
      #expect(error?.remedy?.contains("tiny") == true)
    }
  }

  /// What gates refused stands first, and stands for nothing that can be had.
  @Test func refusedModelsStandFirst() async throws {
    func judged(_ name: String, _ verdict: String) -> JSON {
      let gates: [JSON] = (0..<4).map { number in
        ["metric": "disk_bytes", "bound": ["max": .integer(number)], "verdict": .string(verdict), "reason": "1 MB"]
      }
      return [
        "furl": 1, "artifact": .string(name), "artifact_id": .string(name), "verdict": .string(verdict),
        "gates": .array(gates), "suites": [],
      ]
    }
    let right: [String: [Bool]] = ["base": [true, true], "good": [true, false], "bad": [true, false]]
    let rows = ["base", "good", "bad"].map { name in
      ReportFixtures.row(
        name, digest: name == "base" ? ReportFixtures.original : name, bytes: name == "bad" ? 10 : 1000,
        quality: [ReportFixtures.quality(right[name] ?? [])])
    }
    let page = HTMLReport.text(
      try ReportFixtures.document(ReportFixtures.bench(rows), judged("good", "pass"), judged("bad", "fail")))
    #expect(try await faults(page) == "")
    let gates = try #require(page.range(of: "<section id=\"gates\"").map { page[$0.upperBound...] })
    let bad = try #require(gates.range(of: "<th scope=\"row\">bad"))
    let good = try #require(gates.range(of: "<th scope=\"row\">good"))
    #expect(bad.lowerBound < good.lowerBound)
    #expect(gates.contains("value=\"fail\"> fail (4)</label>") && !gates.contains(">regressions<"))
    #expect(page.contains("of those that no gate refused"))
    // The page's first words say how many.
    #expect(page.contains("1 of 2 artifacts: a gate does not hold"))
    #expect(page.contains("<th scope=\"col\">artifact</th><th scope=\"col\" class=\"left\">gate</th>"))
  }

  @Test func linesThatDifferAreMarked() {
    let (a, b) = HTMLReport.marked("x\ny\nz", "x\n<\nz")
    #expect(a == "x\n<mark>y</mark>\nz" && b == "x\n<mark>&lt;</mark>\nz")
    #expect(HTMLReport.marked("same", "same").0 == "same")
    #expect(HTMLReport.marked(nil, "b") == (nil, "b"))
    let (c, d) = HTMLReport.marked("a\na", "a")
    #expect(c == "a\n<mark>a</mark>" && d == "a")
    // Of lines that are counterparts the words.
    let (e, f) = HTMLReport.marked("return total + 1", "return total - one")
    #expect(e == "return total <mark>+ 1</mark>" && f == "return total <mark>- one</mark>")
    #expect(HTMLReport.marked("f(a, b)", "f(a, bc)").1 == "f(a, <mark>bc</mark>)")
    #expect(HTMLReport.marked("f(a)", "f(a, b)") == ("f(a)", "f(a<mark>, b</mark>)"))
  }
}
