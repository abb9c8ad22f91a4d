import FurlSpec
import FurlBase
import FurlEvaluate
@testable import FurlReport
import FurlTensor
import FurlTestSupport
import Testing

@Suite struct DrawingTests {
  @Test(arguments: [
    (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.00 kB"), (1234, "1.23 kB"), (9994, "9.99 kB"), (9999, "10.0 kB"),
    (99_949, "99.9 kB"), (99_951, "100 kB"), (999_499, "999 kB"), (999_500, "1.00 MB"), (7_380_110, "7.38 MB"),
    (27_876_672, "27.9 MB"), (12_000_000_000, "12.0 GB"), (3_000_000_000_000_000, "3000 TB"),
  ])
  func bytes(_ sample: (count: Int, text: String)) { #expect(Figures.bytes(sample.count) == sample.text) }

  @Test(arguments: [
    (0.0, "0.00"), (1, "1.00"), (1.2345, "1.23"), (9.994, "9.99"), (9.996, "10.0"), (12.345, "12.3"), (99.96, "100"),
    (123.4, "123"),
    (1234.4, "1234"), (0.01234, "0.0123"), (0.009996, "0.0100"), (0.9996, "1.00"), (-1.5, "-1.50"), (-9.999, "-10.0"),
    (1e-12, "0.000000000"), (.infinity, "inf"), (.nan, "nan"),
  ])
  func threeDigits(_ sample: (value: Double, text: String)) {
    #expect(Figures.significant(sample.value) == sample.text)
  }

  @Test(arguments: [(0.0, "0.0 %"), (0.97561, "97.6 %"), (1, "100.0 %"), (-0.005, "-0.5 %"), (.nan, "nan %")])
  func percent(_ sample: (value: Double, text: String)) { #expect(Figures.percent(sample.value) == sample.text) }

  @Test(arguments: [
    (0, "0"), (999, "999"), (1000, "1.00 k"), (6_967_296, "6.97 M"), (9_999_999, "10.0 M"), (7_000_000_000, "7.00 B"),
  ])
  func counts(_ sample: (count: Int, text: String)) { #expect(Figures.count(sample.count) == sample.text) }

  @Test func aTableIsMarkdown() {
    var table = TextTable(["name", "size", "note"], leftAligned: [0, 2])
    table.add(["a", "1.00 MB", "first"])
    table.add(["longer name", "9 B", ""])
    table.add(["é", "12", "x|y\n\u{1B}[31m"])
    #expect(
      table.text == #"""
        | name        |    size | note                |
        | ----------- | ------: | ------------------- |
        | a           | 1.00 MB | first               |
        | longer name |     9 B |                     |
        | é           |      12 | x\|y\u{a}\u{1b}[31m |
        """#)
  }

  @Test func aTableWithoutRows() {
    #expect(TextTable(["a", "b"]).text == "| a | b |\n| -- | -: |")
  }

  @Test func medians() {
    #expect(Rate([]).median == nil && Rate([3]).median == 3)
    #expect(Rate([5, 1, 3]).median == 3 && Rate([4, 1, 3, 2]).median == 2.5)
    #expect(Rate([5, 1, 3]).samples == [1, 3, 5])
    #expect(Rate([2, 1]).json.canonicalText == #"{"max":2.0,"median":1.5,"min":1.0,"samples":[1.0,2.0]}"#)
    #expect(Rate([]).json.canonicalText == #"{"max":null,"median":null,"min":null,"samples":[]}"#)
  }

  static func speed(_ decode: [Double], energy: EnergyReading, load: Double? = nil) throws -> SpeedMeasurement {
    var speed = try SpeedMeasurement(
      JSON.parse(
        Array(
          """
          {"load_seconds": [0.0123], "prefill_tokens_per_second": [2000, 1000.4], "kernels": "scalar",
           "decode_tokens_per_second": \(decode), "loaded_rss_bytes": 10000000, "peak_rss_bytes": 22200000,
           "energy": {"tokens": 1}}
          """.utf8), file: nil))
    speed.energy = energy
    speed.competingLoad = load
    return speed
  }

  @Test func theTableOfBench() throws {
    let pool = WorkerPool(threads: 2)
    let suite = Suite(
      name: "tiny", file: "tiny.jsonl", sha256: Digest(of: [UInt8(1)]), protocol: SuiteProtocol(defaultsOf: .lines),
      problems: .lines([.init(id: .integer(1), input: "a", gt: "b c"), .init(id: .integer(2), input: "a", gt: "b")]))
    let results = try EvaluationReport.ReportedResults.scoring(
      [Completion(id: .integer(1), text: "b c"), Completion(id: .integer(2), text: "c")],
      of: [.init(id: .integer(1), input: "a", gt: "b c"), .init(id: .integer(2), input: "a", gt: "b")])
    let report = try EvaluationReport(
      suite: suite, model: .init(path: "m", digest: nil), seconds: 0.5, results: results)
    let measured = try Self.speed([100, 300, 200], energy: .init(method: .powercap, joules: 10, tokens: 40))
    let busy = try Self.speed(
      [], energy: .init(method: .none, joules: nil, tokens: 40, reason: "no counters"), load: 0.25)
    let rows = try [measured, busy].map {
      try BenchRow(path: TestData.minipy, speed: $0, quality: [report], threads: 2, pool: pool)
    }
    #expect(rows[0].samplesPerSecond == 4)
    #expect(
      BenchTable.text(rows) == """
        | model  |    disk | bits/weight | parameters | peak memory |    load |  prefill |  decode | EM (tiny) | ES (tiny) | J/token |
        | ------ | ------: | ----------: | ---------: | ----------: | ------: | -------: | ------: | --------: | --------: | ------: |
        | minipy | 28.4 MB |        32.0 |     6.97 M |     22.2 MB | 12.3 ms | 1500 t/s | 200 t/s |    50.0 % |    50.0 % |   0.250 |
        | minipy | 28.4 MB |        32.0 |     6.97 M |     22.2 MB | 12.3 ms | 1500 t/s |       - |    50.0 % |    50.0 % |       - |
        """)
    #expect(
      BenchTable.notes(rows) == [
        "energy: not measured, no counters", "speed: other processes took up to 25 % of the CPU meanwhile",
      ])
    #expect(BenchTable.notes([rows[0]]).isEmpty)
    let json = rows[0].json
    for key in [
      "path", "disk_bytes", "bits_per_weight", "peak_rss_bytes", "parameters", "load_seconds",
      "prefill_tokens_per_second",
      "decode_tokens_per_second", "samples_per_second", "energy", "threads", "quality",
    ] { #expect(json[key] != nil, "\(key)") }
    #expect(json["decode_tokens_per_second"]?.number == 200 && json["samples_per_second"]?.number == 4)
    #expect(json["energy"]?["joules_per_token"]?.number == 0.25 && json["quality"]?[0]?["exact_match"]?.number == 0.5)
    #expect(rows[1].json["decode_tokens_per_second"] == .null)
  }
}
