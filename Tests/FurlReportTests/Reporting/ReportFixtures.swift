import FurlBase
@testable import FurlReport
import FurlSpec

/// Documents as `bench`, `eval` and `verify` write them, small and made by hand.
enum ReportFixtures {
  static let original = String(repeating: "a", count: 64)

  /// One suite's result: `true` for what was right, in the order of the problems.
  static func quality(_ right: [Bool], kind: SuiteKind = .passAt1, suite: String = "tiny", stops: String = "eos")
    -> JSON
  {
    let key = kind == .passAt1 ? "passed" : "exact"
    let share = Double(right.count { $0 }) / Double(max(1, right.count))
    var members: [JSON.Member] = [
      .init("furl", 1),
      .init(
        "suite",
        [
          "name": .string(suite), "sha256": .string(String(repeating: "5", count: 64)), "kind": .string(kind.rawValue),
          "count": .integer(right.count),
        ]),
      .init("model", ["path": "m", "digest": .string(original)]), .init("protocol", ["max_tokens": 96]),
      .init(kind == .passAt1 ? "pass_at_1" : "exact_match", .number(share)), .init("interval_95", [0.1, 0.9]),
      .init("seconds", 1.5),
    ]
    members.append(
      .init(
        "results",
        .array(
          right.enumerated().map {
            [
              "id": .string("p/\($0)"), .init(stringLiteral: key): .bool($1), "outcome": $1 ? "passed" : "error",
              "stop_reason": .string(stops),
            ]
          })))
    return .object(members)
  }

  static func row(
    _ name: String, digest: String? = nil, source: String? = original, layers: Int = 6, bytes: Int = 1_000_000,
    decode: [Double] = [100], quality: [JSON] = []
  ) -> JSON {
    [
      "path": .string(name), "name": .string(name), "model": .optional(digest), "source": .optional(source),
      "layers": .integer(layers), "disk_bytes": .integer(bytes), "bits_per_weight": 8.5,
      "parameters": ["total": 1000, "nonzero": 900], "peak_rss_bytes": 22_000_000,
      "prefill_tokens_per_second": 10.0, "decode_tokens_per_second": .number(decode[0]),
      "samples": [
        "decode_tokens_per_second": ["samples": .array(decode.map(JSON.number))],
        "cpu_seconds_per_token": ["samples": [0.001, 0.002]],
      ],
      "energy": ["method": "none", "reason": "no counters"], "kernels": "scalar", "threads": 2,
      "quality": .array(quality),
    ]
  }

  static func bench(_ rows: [JSON]) -> JSON { ["furl": "0.1", "results": .array(rows)] }

  static func document(_ documents: JSON...) throws -> ReportDocument {
    var document = ReportDocument()
    for json in documents { try document.add(json, file: "made.json") }
    return document
  }

  /// FP32 with three of four problems solved, and an artifact that loses one and wins one.
  static func pair() throws -> ReportDocument {
    try document(
      bench([
        row("base", digest: original, bytes: 4_000_000, quality: [quality([true, true, true, false])]),
        row(
          "small.furl", digest: String(repeating: "b", count: 64), layers: 4, decode: [200, 220],
          quality: [quality([true, true, false, true], stops: "length")]),
      ]))
  }
}
