import FurlBase
import FurlEvaluate
import FurlSpec

extension HTMLReport {
  // MARK: How completions end

  var endingsSection: Section? {
    let entries = document.rows.flatMap { row in row.quality.map { (row, $0) } }.filter { !$0.1.stopReasons.isEmpty }
    guard !entries.isEmpty else { return nil }
    let order = ["eos", "stop_string", "length"]
    let rows = entries.map { row, entry in
      let reasons = entry.stopReasons
      let total = max(1, reasons.reduce(0) { $0 + $1.count })
      func count(_ reason: String) -> Int { reasons.first { $0.reason == reason }?.count ?? 0 }
      let others = reasons.filter { !order.contains($0.reason) }.reduce(0) { $0 + $1.count }
      let counts = order.map(count) + [others]
      let bar = counts.enumerated().filter { $0.element > 0 }.map { place, number in
        "<span class=\"e\(place)\" style=\"width:\(Figures.fixed(Double(number) / Double(total) * 100, digits: 2))%\"></span>"
      }.joined()
      let repeating = entry.repeating.map { Figures.percent(Double($0) / Double(total)) } ?? "–"
      return [
        "<th scope=\"row\">\(Markup.escape(HTMLReport.short(row.name)))</th>",
        "<td class=\"left\">\(Markup.escape(entry.suite))</td>",
        "<td><div class=\"stack\" aria-hidden=\"true\">\(bar)</div></td>",
      ] + counts.map { "<td>\($0)</td>" } + ["<td>\(repeating)</td>"]
    }
    let key = zip(["end of text", "stop text", "token limit", "other"], 0...).map {
      "<li><span class=\"swatch e\($1)\"></span>\($0)</li>"
    }.joined()
    return Section(
      id: "endings", title: "How completions end",
      content:
        "<p class=\"hint\">A model that was cut too far runs into the token limit and repeats itself, often before its pass@1 tells. A completion counts as repeating itself when its last half or more is one piece four times over.</p><ul class=\"legend\">\(key)</ul>"
        + HTMLReport.table(
          label: "How completions end",
          header: [
            "artifact", "suite", "share", "end of text", "stop text", "token limit", "other", "repeat themselves",
          ],
          rows: rows, left: [1, 2]))
  }

  var missingSection: Section? {
    guard !document.missing.isEmpty else { return nil }
    let rows = document.missing.map { cell in
      [
        "<th scope=\"row\">\(Markup.escape(cell.name))</th>",
        "<td class=\"left\">\(HTMLReport.verdict(cell.state))</td>",
        "<td class=\"wrap\">\(Markup.escape(cell.reason))</td>",
      ]
    }
    return Section(
      id: "missing", title: "Cells without figures",
      content: HTMLReport.table(
        label: "Cells without figures", header: ["cell", "state", "why"], rows: rows, left: [1, 2]))
  }

  // MARK: Facts

  var factsSection: Section? {
    var blocks = document.facts.map { block($0.title, $0.pairs) }
    var seen: [(suite: String, pairs: [(key: String, value: String)])] = []
    for entry in document.rows.flatMap(\.quality) {
      var pairs: [(key: String, value: String)] = [
        ("kind", entry.kind.rawValue), ("problems", entry.limit.map { "\($0) of \(entry.count)" } ?? "\(entry.count)"),
        ("sha256", entry.sha256),
      ]
      pairs += ReportDocument.flatten(entry.protocol)
      if let sandbox = entry.sandbox { pairs.append(("sandbox", sandbox)) }
      if let python = entry.python { pairs.append(("python", python)) }
      guard !seen.contains(where: { $0.suite == entry.suite && $0.pairs.elementsEqual(pairs, by: ==) }) else {
        continue
      }
      seen.append((entry.suite, pairs))
    }
    blocks += seen.map { block("Suite \($0.suite)", $0.pairs) }
    let models = document.rows.map { row in
      [
        "<th scope=\"row\">\(Markup.escape(HTMLReport.short(row.name)))</th>",
        "<td class=\"left\">\(Markup.escape(row.recipe ?? "–"))</td>",
        "<td>\(row.layers.map(String.init) ?? "–")</td>",
        "<td class=\"left\">\(Markup.escape(row.kernels ?? "–"))</td>",
        "<td>\(row.threads.map(String.init) ?? "–")</td>",
        "<td class=\"hash\"><code>\(Markup.escape(row.digest ?? "–"))</code></td>",
        "<td class=\"hash\"><code>\(Markup.escape(row.source ?? "–"))</code></td>",
      ]
    }
    guard !models.isEmpty || !blocks.isEmpty else { return nil }
    return Section(
      id: "facts", title: "Protocol and machine",
      content: "<div class=\"facts\">\(blocks.joined())</div><h3>Models</h3>"
        + HTMLReport.table(
          label: "Models", header: ["artifact", "recipe", "blocks", "kernels", "threads", "identity", "made from"],
          rows: models, left: [1, 3, 5, 6], isPinned: true))
  }

  private func block(_ title: String, _ pairs: [(key: String, value: String)]) -> String {
    let list = pairs.map { "<dt>\(Markup.escape($0.key))</dt><dd>\(Markup.escape($0.value))</dd>" }.joined()
    return "<div><h3>\(Markup.escape(title))</h3><dl>\(list)</dl></div>"
  }
}
