import FurlBase
import FurlEvaluate
import FurlSpec

/// The cells of the signature table, for Markdown and the page alike.
struct ReportTable {
  /// One cell: its figure, and what stands beside it in small print.
  struct Cell {
    var text: String
    var detail: String?

    static let missing = Cell("–")

    init(_ text: String, detail: String? = nil) {
      self.text = text
      self.detail = detail
    }

    var oneLine: String { [text, detail].compactMap { $0 }.joined(separator: " ") }
  }

  let header: [String]
  let rows: [[Cell]]

  init(_ document: ReportDocument) {
    let programs = document.suites(.passAt1)
    let lines = document.suites(.lines)
    let texts = document.suites(.text)
    func title(_ figure: String, _ suite: String, of suites: [String]) -> String {
      suites.count > 1 ? "\(figure) (\(suite))" : figure
    }
    header =
      ["artifact", "MB", "bits/weight", "params (non-zero)", "peak MB", "prefill", "decode", "J/token"]
      + (programs.isEmpty ? ["pass@1 Δ [95 %]"] : programs.map { title("pass@1 Δ [95 %]", $0, of: programs) })
      + (lines.isEmpty
        ? ["EM Δ", "ES"] : lines.flatMap { [title("EM Δ", $0, of: lines), title("ES", $0, of: lines)] })
      + (texts.isEmpty
        ? ["perplexity x", "KL"]
        : texts.flatMap { [title("perplexity x", $0, of: texts), title("KL", $0, of: texts)] })
      + ["flips", "gate"]
    let isMixed = Set(document.rows.compactMap { $0.energy?.method }).count > 1
    rows = document.rows.indices.map { index in
      let row = document.rows[index]
      var cells = ReportTable.size(row) + [ReportTable.energy(row, namingMethod: isMixed)]
      cells += (programs.isEmpty ? [""] : programs).map { suite in
        row.quality(.passAt1, suite: suite).map { ReportTable.share($0.passAt1, $0, document, index, interval: true) }
          ?? .missing
      }
      for suite in lines.isEmpty ? [""] : lines {
        let entry = row.quality(.lines, suite: suite)
        cells.append(entry.map { ReportTable.share($0.exactMatch, $0, document, index, interval: false) } ?? .missing)
        cells.append(entry?.editSimilarity.map { Cell(Figures.percent($0)) } ?? .missing)
      }
      for suite in texts.isEmpty ? [""] : texts {
        let entry = row.quality(.text, suite: suite)
        cells.append(entry.map { ReportTable.perplexity($0, document, index) } ?? .missing)
        cells.append(entry?.klDivergence.map { Cell(Figures.significant($0)) } ?? .missing)
      }
      return cells + [
        ReportTable.flips(row, document, index), Cell(row.verdict.flatMap(Verdict.init(rawValue:))?.rawValue ?? "–"),
      ]
    }
  }

  private static func size(_ row: ReportRow) -> [Cell] {
    func megabytes(_ bytes: Int?) -> Cell { bytes.map { Cell(Figures.significant(Double($0) / 1e6)) } ?? .missing }
    func rate(_ samples: [Double]) -> Cell {
      Rate(samples).median.map { Cell("\(Figures.significant($0)) t/s") } ?? .missing
    }
    let parameters =
      row.parameters.map { total in
        Cell(
          Figures.count(total),
          detail: row.nonzero.map { $0 == total ? nil : "(\(Figures.count($0)))" } ?? nil)
      } ?? .missing
    return [
      Cell(row.name), megabytes(row.diskBytes), row.bitsPerWeight.map { Cell(Figures.significant($0)) } ?? .missing,
      parameters, megabytes(row.peakBytes), rate(row.prefill), rate(row.decode),
    ]
  }

  private static func energy(_ row: ReportRow, namingMethod: Bool) -> Cell {
    guard let energy = row.energy else { return .missing }
    if let joules = energy.joulesPerToken {
      return Cell(
        Figures.significant(joules), detail: namingMethod ? "(\(energy.method == "perf" ? "perf" : "RAPL"))" : nil)
    }
    return energy.modelledJoulesPerToken.map { Cell("–", detail: "(modelled: \(Figures.significant($0)))") } ?? .missing
  }

  private static func share(
    _ value: Double?, _ entry: ReportQuality, _ document: ReportDocument, _ index: Int, interval: Bool
  ) -> Cell {
    guard let value else { return .missing }
    guard let outcomes = document.comparison(index, entry)?.outcomes else { return Cell(Figures.percent(value)) }
    let limits = outcomes.interval()
    return Cell(
      Figures.percent(value),
      detail: points(outcomes.difference)
        + (interval ? " [\(points(limits.lowerBound)), \(points(limits.upperBound))]" : ""))
  }

  /// `−1.2`: a difference in points, with its sign.
  static func points(_ difference: Double) -> String {
    let text = Figures.fixed(abs(difference) * 100, digits: 1)
    return text == "0.0" ? "±0.0" : (difference < 0 ? "−" : "+") + text
  }

  private static func perplexity(_ entry: ReportQuality, _ document: ReportDocument, _ index: Int) -> Cell {
    guard let value = entry.perplexity else { return .missing }
    let text = Figures.significant(value)
    guard let place = document.baseline(of: index),
      let other = document.rows[place].quality.first(where: { $0.isSame(as: entry) })
    else { return Cell(text) }
    guard let ratio = entry.perplexityRatio(to: other) else {
      // Where there is none, the reader learns why.
      return Cell(text, detail: entry.tokens == other.tokens ? nil : "(other tokens)")
    }
    return Cell("×" + Figures.significant(ratio), detail: "(\(text))")
  }

  /// Of the first suite that can be compared: programs before lines.
  private static func flips(_ row: ReportRow, _ document: ReportDocument, _ index: Int) -> Cell {
    for kind in [SuiteKind.passAt1, .lines] {
      guard let entry = row.quality(kind), let found = document.comparison(index, entry)?.outcomes else { continue }
      return Cell(
        Figures.percent(found.flips), detail: "(−\(found.regressions) +\(found.fixes))")
    }
    return .missing
  }
}
