import FurlBase
import FurlEvaluate
import FurlSpec

/// The table that `bench` prints: one row for each model, the quality of every suite beside size and speed.
package enum BenchTable {
  /// - Parameter width: columns of the terminal; nil where there is none.
  package static func text(_ rows: [BenchRow], width: Int? = nil) -> String {
    let suites = rows.first?.quality ?? []
    let names = ["model", "disk", "bits/weight", "parameters", "peak memory", "load", "prefill", "decode"]
    let isBatched = rows.contains { $0.speed?.batched.isEmpty == false }
    var table = TextTable(names + (isBatched ? ["batched"] : []) + suites.flatMap(titles) + ["J/token"])
    for row in rows {
      table.add(
        figures(row, isBatched) + row.quality.flatMap(figures) + [
          row.speed?.energy.joulesPerToken.map(Figures.significant) ?? "-"
        ])
    }
    return table.text(width: width)
  }

  /// What a suite's reports say without a baseline.
  private static func columns(_ report: EvaluationReport) -> [SuiteFigure] {
    report.suite.kind.type.figures.filter { $0.heading != nil && !$0.needsBaseline }
  }

  private static func titles(_ report: EvaluationReport) -> [String] {
    columns(report).map { "\($0.heading ?? "") (\(report.suite.name))" }
  }

  private static func figures(_ report: EvaluationReport) -> [String] {
    columns(report).map { figure in report.value(figure.metric).map(figure.unit.text) ?? "-" }
  }

  private static func figures(_ row: BenchRow, _ isBatched: Bool) -> [String] {
    let speed = row.speed
    func rate(_ samples: [Double]?, _ unit: String, times factor: Double = 1) -> String {
      Rate(samples ?? []).median.map { Figures.significant($0 * factor) + unit } ?? "-"
    }
    return [
      row.name, Figures.bytes(row.diskBytes), Figures.significant(row.bitsPerWeight),
      Figures.count(row.parameters.total), speed?.peakBytes.map(Figures.bytes) ?? "-",
      rate(speed?.loadSeconds, " ms", times: 1000), rate(speed?.prefill, " t/s"), rate(speed?.decode, " t/s"),
    ] + (isBatched ? [rate(speed?.batched, " t/s")] : [])
  }

  /// What a reader must know beside the table: energy that was not measured, a machine that was busy.
  package static func notes(_ rows: [BenchRow]) -> [String] {
    var notes: [String] = []
    let readings = rows.compactMap(\.speed?.energy)
    if let reason = readings.lazy.compactMap({ $0.joules == nil ? $0.reason : nil }).first {
      notes.append("energy: not measured, \(reason)")
    }
    if let busiest = rows.compactMap(\.speed?.competingLoad).max(), busiest > 0.1 {
      notes.append("speed: other processes took up to \(Figures.percent(busiest, digits: 0)) of the CPU meanwhile")
    }
    if rows.contains(where: { $0.quality.contains { $0.sandbox == "none" } }) {
      notes.append("generated code was run WITHOUT a sandbox")
    }
    return notes
  }
}
