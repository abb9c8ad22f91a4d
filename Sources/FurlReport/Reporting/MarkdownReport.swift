import FurlBase

/// A report as Markdown: the signature table, what must be said beside it, and the gates.
package enum MarkdownReport {
  package static func text(_ document: ReportDocument) -> String {
    let content = ReportTable(document)
    var table = TextTable(content.header)
    for row in content.rows {
      // Only the name is a text of the documents; everything between is figures.
      table.add(row.enumerated().map { $0 == 0 ? plain($1.oneLine) : $1.oneLine })
    }
    var parts = ["# \(MarkdownReport.plain(document.title))", table.text]
    let baselines = Set(document.rows.indices.compactMap { document.baseline(of: $0) }).sorted()
    if !baselines.isEmpty {
      let names = baselines.map { document.rows[$0].name }.joined(separator: ", ")
      parts.append(
        "Δ: difference from \(plain(names)) in points, on the same problems; brackets are 95 % limits (Tango).")
    }
    if !document.notes.isEmpty { parts.append(document.notes.map { "- " + plain($0) }.joined(separator: "\n")) }
    if !document.gates.isEmpty { parts += ["## Gates", gates(document)] }
    if !document.missing.isEmpty {
      var list = TextTable(["cell", "state", "reason"], leftAligned: [0, 1, 2])
      for cell in document.missing { list.add([plain(cell.name), plain(cell.state), plain(cell.reason)]) }
      parts += ["## Cells without figures", list.text]
    }
    return parts.joined(separator: "\n\n")
  }

  private static func gates(_ document: ReportDocument) -> String {
    var table = TextTable(
      ["artifact", "gate", "bound", "value", "95 %", "regressions", "fixes", "verdict", "why"],
      leftAligned: [0, 1, 2, 7, 8])
    for gate in document.gates {
      table.add([
        plain(gate.artifact), plain("\(gate.suite) \(gate.metric)"), plain(gate.bound), gate.valueText,
        gate.intervalText,
        gate.regressions.map(String.init) ?? "–", gate.fixes.map(String.init) ?? "–", plain(gate.verdict),
        plain(gate.reason),
      ])
    }
    return table.text
  }

  /// A text on one line in which Markdown sees no markup. A table sees to its bars itself.
  static func plain(_ text: String) -> String {
    var result = ""
    for character in text.escapingControlCharacters {
      if "\\`*[]<>~".contains(character) { result.append("\\") }
      result.append(character)
    }
    return result
  }
}
