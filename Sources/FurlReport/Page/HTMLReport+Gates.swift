import FurlBase

extension HTMLReport {
  /// The least that anybody wants to choose among.
  private static let filteredFrom = 8

  var gatesSection: Section? {
    guard !document.gates.isEmpty else { return nil }
    let gates = gravestFirst
    let cells: [(title: String, cell: (ReportDocument.ReportedGate) -> String?)] = [
      ("gate", { Markup.escape("\($0.suite) \($0.metric)") }), ("bound", { Markup.escape($0.bound) }),
      ("value", { HTMLReport.told(Markup.escape($0.valueText)) }), ("95 %", { HTMLReport.told($0.intervalText) }),
      ("regressions", { $0.regressions.map(String.init) }), ("fixes", { $0.fixes.map(String.init) }),
      ("why", { Markup.escape($0.reason) }),
    ]
    // A column that says nothing of any gate says nothing.
    let columns = cells.filter { column in gates.contains { column.cell($0) != nil } }
    let styles = ["gate": " class=\"left\"", "bound": " class=\"left\"", "why": " class=\"wrap\""]
    let rows = gates.map { gate in
      [
        "<th scope=\"row\">\(Markup.escape(HTMLReport.short(gate.artifact)))</th>",
        "<td class=\"left\">\(HTMLReport.verdict(gate.verdict))</td>",
      ] + columns.map { "<td\(styles[$0.title] ?? "")>\($0.cell(gate) ?? "–")</td>" }
    }
    let left = columns.indices.filter { styles[columns[$0].title] != nil }.map { $0 + 2 }
    return Section(
      id: "gates", title: "Gates",
      content: filter(gates.map(\.verdict))
        + HTMLReport.table(
          label: "Gates", header: ["artifact", "verdict"] + columns.map(\.title), rows: rows, left: Set([1] + left),
          isPinned: true))
  }

  private static func told(_ text: String) -> String? { text == "–" ? nil : text }

  /// Gates of the artifacts that are refused, then those that nobody knows of, then those that pass; within one as they came.
  private var gravestFirst: [ReportDocument.ReportedGate] {
    let order = ["fail", "inconclusive"]
    func gravity(_ artifact: String) -> Int {
      let own = Set(document.gates.filter { $0.artifact == artifact }.map(\.verdict))
      return order.firstIndex(where: own.contains) ?? order.count
    }
    let places = document.gates.enumerated().map { (gravity: gravity($1.artifact), place: $0) }
    return places.sorted { ($0.gravity, $0.place) < ($1.gravity, $1.place) }.map { document.gates[$0.place] }
  }

  /// A choice of verdicts, which the style sheet follows (`:has`): no script. Nothing where there is little to choose from.
  private func filter(_ verdicts: [String]) -> String {
    let words = ["fail", "inconclusive", "pass"].filter(verdicts.contains)
    guard verdicts.count >= HTMLReport.filteredFrom, words.count > 1 else { return "" }
    let choices = (["all"] + words).map { word in
      let count = word == "all" ? verdicts.count : verdicts.count { $0 == word }
      return "<label><input type=\"radio\" name=\"gates-shown\" value=\"\(word)\"\(word == "all" ? " checked" : "")> "
        + "\(word) (\(count))</label>"
    }
    return "<fieldset class=\"filter\"><legend>Show</legend>\(choices.joined(separator: "\n"))</fieldset>"
  }
}
