import FurlBase
import FurlEvaluate
@testable import FurlReport
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

@Suite struct ReportDocumentTests {
  @Test func theTableComparesProblemByProblem() throws {
    let document = try ReportFixtures.pair()
    #expect(document.baseline(of: 0) == nil && document.baseline(of: 1) == 0)
    #expect(document.removedBlocks(1) == 2)
    let table = ReportTable(document)
    #expect(
      table.header == [
        "artifact", "MB", "bits/weight", "params (non-zero)", "peak MB", "prefill", "decode", "pass@1 Δ [95 %]",
        "flips",
      ])
    let cells = table.rows[1].map(\.oneLine)
    // The limits for one loss and one gain of four are Tango's; they are held to scipy elsewhere.
    let limits = PairedOutcomes(regressions: 1, fixes: 1, count: 4).interval()
    let words = [limits.lowerBound, limits.upperBound].map(ReportTable.points).joined(separator: ", ")
    #expect(
      cells == [
        "small.furl", "1.00", "8.50", "1.00 k (900)", "22.0", "10.0 t/s", "210 t/s", "75.0 % ±0.0 [\(words)]",
        "50.0 % (−1 +1)",
      ])
    #expect(table.rows[0][7].oneLine == "75.0 %")
    #expect(document.notes == ["Energy was not measured: no counters."])
  }

  @Test func documentsOnOneModelAreOneRow() throws {
    let other = String(repeating: "b", count: 64)
    let verdict: JSON = [
      "furl": 1, "artifact": "renamed.furl", "artifact_id": .string(other), "verdict": "fail",
      "baseline": ["path": "base", "digest": .string(ReportFixtures.original)],
      "gates": [
        [
          "suite": "tiny", "metric": "pass_at_1", "bound": ["min": 0.9], "value": 0.75, "interval_95": [0.3, 0.95],
          "regressions": 1, "fixes": .null, "verdict": "fail", "reason": "3 of 4",
        ],
        [
          "suite": "tiny", "metric": "pass_at_1", "bound": ["min": 0.9], "value": 0.75, "interval_95": [0.3, 0.95],
          "regressions": 1, "fixes": .null, "verdict": "fail", "reason": "settled early",
          "partial": ["put": 2, "of": 4, "value_range": [0.25, 0.75]],
        ],
      ],
      "suites": [],
    ]
    var document = try ReportFixtures.document(
      ReportFixtures.bench([
        ReportFixtures.row("base", digest: ReportFixtures.original), ReportFixtures.row("small.furl", digest: other),
      ]), verdict)
    #expect(document.rows.map(\.name) == ["base", "small.furl"] && document.rows[1].verdict == "fail")
    #expect(document.gates.map(\.bound) == ["min 0.9", "min 0.9"] && document.gates[0].fixes == nil)
    #expect(document.gates.map(\.valueText) == ["75.0 %", "at most 75.0 %"])
    let markdown = MarkdownReport.text(document)
    #expect(markdown.contains("| at most 75.0 % |") && markdown.contains("settled early"))
    // Problems that were left out are no sample: a gate that was settled early has no interval.
    #expect(document.gates.map(\.intervalText) == ["30.0 % to 95.0 %", "–"])
    #expect(ReportTable(document).header.last == "gate")
    // An evaluation without a digest goes by its name.
    try document.add(ReportFixtures.quality([true]), file: nil)
    #expect(document.rows.count == 2 && document.rows[0].quality.count == 1)
    #expect(throws: FurlError.self) { try document.setBaseline("nobody") }
    try document.setBaseline("small")
    #expect(document.baseline(of: 0) == 1 && document.baseline(of: 1) == nil)
  }

  @Test func anotherSuiteIsNotCompared() throws {
    var changed = ReportFixtures.quality([true, false])
    if case .object(var members) = changed {
      members[3].value = ["max_tokens": 7]
      changed = .object(members)
    }
    let document = try ReportFixtures.document(
      ReportFixtures.bench([
        ReportFixtures.row("base", digest: ReportFixtures.original, quality: [ReportFixtures.quality([true, false])]),
        ReportFixtures.row("small", digest: "x", quality: [changed]),
      ]))
    #expect(ReportTable(document).rows[1][7].oneLine == "50.0 %")
    #expect(!ReportTable(document).header.contains("flips"))
  }

  /// Changed answers are counted suite by suite.
  @Test func flipsAreOfEverySuite() throws {
    func row(_ name: String, _ digest: String, _ right: Bool) -> JSON {
      ReportFixtures.row(
        name, digest: digest,
        quality: [
          ReportFixtures.quality([true, right]),
          ReportFixtures.quality([right, right], kind: .lines, suite: "others"),
        ])
    }
    let table = ReportTable(
      try ReportFixtures.document(
        ReportFixtures.bench([row("base", ReportFixtures.original, true), row("small", "x", false)])))
    #expect(table.header.suffix(2) == ["flips (tiny)", "flips (others)"])
    #expect(table.rows[1].suffix(2).map(\.oneLine) == ["50.0 % (−1 +0)", "100.0 % (−2 +0)"])
  }

  @Test(arguments: [
    "[]", "{}", "1", #"{"results": 1}"#, #"{"results": [1]}"#, #"{"results": [{"disk_bytes": "x"}]}"#,
    #"{"results": [{"disk_bytes": -1}]}"#, #"{"suite": 1, "model": {}}"#, #"{"suite": {"name": "x"}, "model": {}}"#,
    #"{"verdict": "pass", "gates": 3}"#, #"{"cells": {}}"#,
    #"{"results": [{"samples": {"decode_tokens_per_second": {"samples": ["fast"]}}}]}"#,
  ])
  func whatIsNoReportIsRefused(_ text: String) throws {
    let json = try JSON.parse(Array(text.utf8), file: nil)
    #expect(throws: FurlError.self) { try ReportFixtures.document(json) }
  }

  @Test func samplesMeetTheirProblems() throws {
    var document = try ReportFixtures.pair()
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/s.jsonl"
      let loop = String(repeating: "x = x + 1\\n", count: 9)
      try TestData.write(
        Array(#"{"task_id": "p/2", "completion": "\#(loop)"}"#.utf8) + [10]
          + Array(#"{"task_id": "p/3", "completion": "return 1"}"#.utf8), to: path)
      try document.addSamples(path: path, model: "small")
      #expect(document.rows[1].quality[0].repeating == 1)
      #expect(document.rows[1].quality[0].items.map { $0.completion != nil } == [false, false, true, true])
      #expect(throws: FurlError.self) { try document.addSamples(path: path, model: "nobody") }
      try TestData.write(Array("{\"x\": 1}\n".utf8), to: path)
      #expect(throws: FurlError.self) { try document.addSamples(path: path, model: "small") }
    }
  }

  @Test func sweepsBringRepeatsAndFailures() throws {
    func cell(_ name: String, _ decode: Double) -> JSON {
      ["name": .string(name), "state": "done", "result": ReportFixtures.row("x.furl", digest: "d", decode: [decode])]
    }
    let document = try ReportFixtures.document([
      "furl": 1, "sweep": "s",
      "cells": [
        cell("m int8", 1), cell("m int8", 2), ["name": "m int3", "state": "failed", "reason": "is not supported yet"],
        ["name": "m drop9", "state": "skipped", "reason": "pass@1 fell to 0"],
      ],
    ])
    #expect(
      document.title == "Sweep s" && document.rows.map(\.name) == ["m int8"] && document.rows[0].decode == [1, 2])
    #expect(document.missing.map(\.state) == ["failed", "skipped"])
    #expect(document.notes.contains("1 cell failed; see below."))
    #expect(MarkdownReport.text(document).contains("| m int3"))
  }

  private static let loops = [
    String(repeating: "abc", count: 30), "x = 1\n" + String(repeating: "y = 2\n", count: 12),
    "    return " + String(repeating: "(a + b) * ", count: 20) + "(a +",
  ]
  /// Three copies are not enough, nor is a short tail or white space.
  private static let texts = [
    "", "def f():\n    return 1\n", String(repeating: " ", count: 200),
    String(repeating: "for item in values:\n    pass\n", count: 3),
    "a long beginning that says many different things before it ends, and goes on" + String(repeating: "z", count: 33),
  ]

  @Test(arguments: loops) func whatRepeatsItself(_ text: String) { #expect(Repetition.isRepeating(text)) }

  @Test(arguments: texts) func whatDoesNot(_ text: String) { #expect(!Repetition.isRepeating(text)) }

  /// Whatever is repeated four times and 32 bytes long is found, with any beginning of at most the same length.
  @Test func repetitionIsFoundWhereverItIs() {
    var generator = SplitMix64(seed: 1)
    for _ in 0..<200 {
      let unit = (0..<1 + Int(generator.next() % 40)).map { _ in UInt8(97 + generator.next() % 26) }
      let copies = 4 + 32 / unit.count
      let body = Array([[UInt8]](repeating: unit, count: copies).joined())
      let head = (0..<Int(generator.next() % UInt64(body.count))).map { _ in UInt8(65 + generator.next() % 26) }
      #expect(Repetition.isRepeating(String(decoding: head + body, as: UTF8.self)))
      let tail = (0..<body.count + head.count + 8).map { _ in UInt8(48 + generator.next() % 10) }
      #expect(!Repetition.isRepeating(String(decoding: head + body + tail, as: UTF8.self)))
    }
  }
}
