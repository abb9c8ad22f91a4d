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

  // MARK: Gates

  var gatesSection: Section? {
    guard !document.gates.isEmpty else { return nil }
    let rows = document.gates.map { gate in
      [
        "<th scope=\"row\">\(Markup.escape(HTMLReport.short(gate.artifact)))</th>",
        "<td class=\"left\">\(Markup.escape("\(gate.suite) \(gate.metric)"))</td>",
        "<td class=\"left\">\(Markup.escape(gate.bound))</td>", "<td>\(Markup.escape(gate.valueText))</td>",
        "<td>\(gate.intervalText)</td>",
        "<td>\(gate.regressions.map(String.init) ?? "–")</td>", "<td>\(gate.fixes.map(String.init) ?? "–")</td>",
        "<td class=\"left\">\(HTMLReport.verdict(gate.verdict))</td>",
        "<td class=\"wrap\">\(Markup.escape(gate.reason))</td>",
      ]
    }
    return Section(
      id: "gates", title: "Gates",
      content: HTMLReport.table(
        label: "Gates",
        header: ["artifact", "gate", "bound", "value", "95 %", "regressions", "fixes", "verdict", "why"], rows: rows,
        left: [1, 2, 7, 8], isPinned: true))
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

  // MARK: Flips

  private static let flipsShown = 24
  private static let idsShown = 200
  private static let completionLimit = 3000

  var flipsSection: Section? {
    var left = completionBudget
    var blocks: [String] = []
    for index in document.rows.indices {
      guard let place = document.baseline(of: index) else { continue }
      for entry in document.rows[index].quality {
        guard let comparison = document.comparison(index, entry), !comparison.flips.isEmpty else { continue }
        blocks.append(
          flips(
            comparison, suite: entry.suite, name: HTMLReport.short(document.rows[index].name),
            baseline: HTMLReport.short(document.rows[place].name),
            budget: &left))
      }
    }
    guard !blocks.isEmpty else { return nil }
    return Section(
      id: "flips", title: "Problems that changed",
      content:
        "<p class=\"hint\">Scores can stay level while single answers change. Each list opens; where completions were kept (furl eval --samples) both stand side by side, lines that differ marked.</p>"
        + blocks.joined(separator: "\n"))
  }

  private func flips(
    _ comparison: ReportComparison, suite: String, name: String, baseline: String, budget: inout Int
  ) -> String {
    let lost = comparison.flips.filter(\.isRegression)
    let found = comparison.flips.filter { !$0.isRegression }
    var content = ""
    for (title, list) in [("Lost", lost), ("Won", found)] where !list.isEmpty {
      let ids = list.prefix(HTMLReport.idsShown).map { Markup.escape($0.after.id) }.joined(separator: ", ")
      let more = list.count > HTMLReport.idsShown ? " and \(list.count - HTMLReport.idsShown) more" : ""
      content += "<p class=\"ids\"><strong>\(title) (\(list.count)):</strong> \(ids)\(more)</p>"
    }
    var shown = 0
    let pairs = (lost + found).filter { $0.before.completion != nil || $0.after.completion != nil }
    for flip in pairs {
      let pair = HTMLReport.pair(flip, name: name, baseline: baseline)
      guard shown < HTMLReport.flipsShown, pair.utf8.count <= budget else { break }
      budget -= pair.utf8.count
      content += pair
      shown += 1
    }
    if shown < pairs.count {
      content += "<p class=\"hint\">\(pairs.count - shown) more are not shown, to keep this page small.</p>"
    }
    return
      "<details><summary>\(Markup.escape("\(name) on \(suite): \(lost.count) lost, \(found.count) won of \(comparison.outcomes.count)"))</summary><div>\(content)</div></details>"
  }

  private static func pair(_ flip: ReportComparison.Flip, name: String, baseline: String) -> String {
    let (before, after) = marked(flip.before.completion, flip.after.completion)
    func side(_ name: String, _ item: ReportQuality.Item, _ code: String?) -> String {
      let facts = [
        name, item.outcome, item.stopReason.map { "ended by \($0)" },
      ]
      let words = Markup.escape(facts.compactMap { $0 }.joined(separator: " · "))
      let label = Markup.escape("\(name)'s completion of \(flip.after.id)")
      let body =
        code.map { "<pre tabindex=\"0\" role=\"group\" aria-label=\"\(label)\">\($0)</pre>" }
        ?? "<p>The completion was not kept.</p>"
      return "<div><p>\(words)</p>\(body)</div>"
    }
    return
      "<article><h3>\(Markup.escape(flip.after.id)) <span class=\"verdict \(flip.isRegression ? "fail" : "pass")\">\(flip.isRegression ? "lost" : "won")</span></h3><div class=\"pair\">\(side(baseline, flip.before, before))\(side(name, flip.after, after))</div></article>"
  }

  /// Both texts with the words marked that differ, in the lines between their common beginning and their common end.
  static func marked(_ first: String?, _ second: String?) -> (String?, String?) {
    func lines(_ text: String) -> [String] {
      let cut = text.count > completionLimit ? text.prefix(completionLimit) + "\n… cut off here" : text[...]
      return cut.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }
    guard let first, let second else {
      return (
        first.map { Markup.escape(lines($0).joined(separator: "\n")) },
        second.map { Markup.escape(lines($0).joined(separator: "\n")) }
      )
    }
    let (a, b) = (lines(first), lines(second))
    let head = zip(a, b).prefix { $0 == $1 }.count
    let tail = zip(a.dropFirst(head).reversed(), b.dropFirst(head).reversed()).prefix { $0 == $1 }.count
    // Where both have as many lines there, each is held against its counterpart.
    let areOfOneLength = a.count == b.count
    func draw(_ lines: [String], _ others: [String]) -> String {
      lines.enumerated().map { index, line in
        guard index >= head, index < lines.count - tail, !line.isEmpty else { return Markup.escape(line) }
        return areOfOneLength
          ? markedWords(line, others[index]) : Markup.element("mark", [:], Markup.escape(line))
      }.joined(separator: "\n")
    }
    return (draw(a, b), draw(b, a))
  }

  /// A line with what lies between its and another line's common first and last words marked.
  private static func markedWords(_ line: String, _ other: String) -> String {
    let (a, b) = (words(line), words(other))
    let head = zip(a, b).prefix { $0 == $1 }.count
    let tail = zip(a.dropFirst(head).reversed(), b.dropFirst(head).reversed()).prefix { $0 == $1 }.count
    let middle = a[head..<a.count - tail].joined()
    let mark = middle.isEmpty ? "" : Markup.element("mark", [:], Markup.escape(middle))
    return Markup.escape(a.prefix(head).joined()) + mark + Markup.escape(a.suffix(tail).joined())
  }

  /// Names and numbers whole, all else sign by sign.
  private static func words(_ line: String) -> [String] {
    var words: [String] = []
    var isOpen = false
    for character in line {
      let isName = character.isLetter || character.isNumber || character == "_"
      if isName, isOpen { words[words.count - 1].append(character) } else { words.append(String(character)) }
      isOpen = isName
    }
    return words
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
