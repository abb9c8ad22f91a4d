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

    /// Whether it has a figure.
    var isTold: Bool { text != Cell.missing.text || detail != nil }

    var oneLine: String { [text, detail].compactMap { $0 }.joined(separator: " ") }
  }

  static let verdictTitle = "gate"

  let header: [String]
  let rows: [[Cell]]

  /// A figure of a suite; of no suite where the documents have none of its kind.
  private struct Column {
    let title: String
    let type: any SuiteType.Type
    let suite: String?
    let figure: SuiteFigure

    static func all(_ document: ReportDocument) -> [Column] {
      SuiteKind.types.flatMap { type in
        let suites = document.suites(type)
        return (suites.isEmpty ? [nil] : suites.map { $0 }).flatMap { suite in
          type.figures.compactMap { figure in
            figure.heading.map { heading in
              let title = heading + figure.comparison.mark
              return Column(
                title: suites.count > 1 ? "\(title) (\(suite ?? ""))" : title, type: type, suite: suite, figure: figure)
            }
          }
        }
      }
    }
  }

  init(_ document: ReportDocument) {
    let columns = Column.all(document)
    let compared = ReportTable.comparedSuites(document)
    let header =
      ["artifact", "MB", "bits/weight", "params (non-zero)", "peak MB", "prefill", "decode", "J/token"]
      + columns.map(\.title) + compared.map { compared.count > 1 ? "flips (\($0))" : "flips" } + [
        ReportTable.verdictTitle
      ]
    let isMixed = Set(document.rows.compactMap { $0.energy?.method }).count > 1
    let rows = document.rows.indices.map { index in
      let row = document.rows[index]
      return ReportTable.size(row) + [ReportTable.energy(row, namingMethod: isMixed)]
        + columns.map { column in
          row.quality(column.type, suite: column.suite).map { ReportTable.cell(column.figure, $0, document, index) }
            ?? .missing
        } + compared.map { ReportTable.flips(row, document, index, suite: $0) }
        + [Cell(row.verdict.flatMap(Verdict.init(rawValue:))?.rawValue ?? "–")]
    }
    // A column that says nothing of any row says nothing.
    let told = header.indices.filter { column in column == 0 || rows.contains { $0[column].isTold } }
    self.header = told.map { header[$0] }
    self.rows = rows.map { row in told.map { row[$0] } }
  }

  private init(header: [String], rows: [[Cell]]) {
    self.header = header
    self.rows = rows
  }

  /// The same with verdicts beside the names, where a narrow screen shows them.
  var withVerdictsSecond: ReportTable {
    guard let place = header.firstIndex(of: ReportTable.verdictTitle), place > 1 else { return self }
    func moved<Element>(_ row: [Element]) -> [Element] {
      var row = row
      row.insert(row.remove(at: place), at: 1)
      return row
    }
    return ReportTable(header: moved(header), rows: rows.map(moved))
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

  private static func cell(
    _ figure: SuiteFigure, _ entry: ReportQuality, _ document: ReportDocument, _ index: Int
  ) -> Cell {
    guard let value = entry.value(figure.metric) else { return .missing }
    let text = figure.unit.text(value)
    switch figure.comparison {
    case .none: return Cell(text)
    case .points(let withLimits):
      guard let outcomes = document.comparison(index, entry)?.outcomes else { return Cell(text) }
      let limits = outcomes.interval()
      return Cell(
        text,
        detail: points(outcomes.difference)
          + (withLimits ? " [\(points(limits.lowerBound)), \(points(limits.upperBound))]" : ""))
    case .ratio:
      guard let place = document.baseline(of: index),
        let other = document.rows[place].quality.first(where: { $0.isSame(as: entry) })
      else { return Cell(text) }
      guard let ratio = entry.ratio(to: other) else {
        // Where there is none, the reader learns why.
        return Cell(text, detail: entry.tokens == other.tokens ? nil : "(other tokens)")
      }
      return Cell("×" + Figures.significant(ratio), detail: "(\(text))")
    }
  }

  /// `−1.2`: a difference in points, with its sign.
  static func points(_ difference: Double) -> String {
    let text = Figures.fixed(abs(difference) * 100, digits: 1)
    return text == "0.0" ? "±0.0" : (difference < 0 ? "−" : "+") + text
  }

  /// The suites whose single answers are compared, in the order of the kinds.
  private static func comparedSuites(_ document: ReportDocument) -> [String] {
    SuiteKind.types.flatMap { document.suites($0) }.filter { suite in
      document.rows.indices.contains { index in
        document.rows[index].quality.contains { $0.suite == suite && document.comparison(index, $0)?.outcomes != nil }
      }
    }
  }

  private static func flips(_ row: ReportRow, _ document: ReportDocument, _ index: Int, suite: String) -> Cell {
    for entry in row.quality where entry.suite == suite {
      guard let found = document.comparison(index, entry)?.outcomes else { continue }
      return Cell(Figures.percent(found.flips), detail: "(−\(found.regressions) +\(found.fixes))")
    }
    return .missing
  }
}
