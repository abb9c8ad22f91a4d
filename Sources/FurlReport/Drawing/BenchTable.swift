import FurlEvaluate

/// The table that `bench` prints: one row for each model, the quality of every suite beside size and speed.
public enum BenchTable {
  public static func text(_ rows: [BenchRow]) -> String {
    let suites = rows.first?.quality ?? []
    var header = ["model", "disk", "bits/weight", "parameters", "peak memory", "load", "prefill", "decode"]
    for suite in suites {
      switch suite.results {
      case .programs: header.append("pass@1 (\(suite.suite.name))")
      case .lines: header += ["EM (\(suite.suite.name))", "ES (\(suite.suite.name))"]
      case .text: header.append("perplexity (\(suite.suite.name))")
      }
    }
    header.append("J/token")
    var table = TextTable(header)
    for row in rows {
      var cells = [
        row.name, Figures.bytes(row.diskBytes), Figures.significant(row.bitsPerWeight),
        Figures.count(row.parameters.total), row.speed.peakBytes.map(Figures.bytes) ?? "-",
        Rate(row.speed.loadSeconds).median.map { Figures.significant($0 * 1000) + " ms" } ?? "-",
        Rate(row.speed.prefill).median.map { Figures.significant($0) + " t/s" } ?? "-",
        Rate(row.speed.decode).median.map { Figures.significant($0) + " t/s" } ?? "-",
      ]
      for report in row.quality {
        switch report.results {
        case .programs: cells.append(report.passAt1.map { Figures.percent($0.value) } ?? "-")
        case .lines:
          cells.append(report.exactMatch.map { Figures.percent($0.value) } ?? "-")
          cells.append(report.editSimilarity.map { Figures.percent($0) } ?? "-")
        case .text: cells.append(report.perplexity.map(Figures.significant) ?? "-")
        }
      }
      cells.append(row.speed.energy.joulesPerToken.map(Figures.significant) ?? "-")
      table.add(cells)
    }
    return table.text
  }

  /// What a reader must know beside the table: energy that was not measured, a machine that was busy.
  public static func notes(_ rows: [BenchRow]) -> [String] {
    var notes: [String] = []
    if let reason = rows.compactMap({ $0.speed.energy.joules == nil ? $0.speed.energy.reason : nil }).first {
      notes.append("energy: not measured, \(reason)")
    }
    if let busiest = rows.compactMap(\.speed.competingLoad).max(), busiest > 0.1 {
      notes.append("speed: other processes took up to \(Figures.percent(busiest, digits: 0)) of the CPU meanwhile")
    }
    if rows.contains(where: { $0.quality.contains { $0.sandbox == "none" } }) {
      notes.append("generated code was run WITHOUT a sandbox")
    }
    return notes
  }
}
