import FurlBase
import FurlEvaluate

extension HTMLReport {
  private static let flipsShown = 24
  private static let idsShown = 200
  private static let completionLimit = 3000
  /// Of a prompt the end is shown, where the models went on: whole tasks, and of files the last lines.
  private static let promptLimit = 2000
  private static let promptLines = (tasks: 40, files: 8)

  var flipsSection: Section? {
    var left = completionBudget
    var blocks: [String] = []
    for index in document.rows.indices {
      guard let place = document.baseline(of: index) else { continue }
      for entry in document.rows[index].quality {
        guard let comparison = document.comparison(index, entry), !comparison.flips.isEmpty else { continue }
        let names = (HTMLReport.short(document.rows[place].name), HTMLReport.short(document.rows[index].name))
        blocks.append(flips(comparison, of: entry, names: names, budget: &left))
      }
    }
    guard !blocks.isEmpty else { return nil }
    return Section(
      id: "flips", title: "Problems that changed",
      content: "<p class=\"hint\">Scores can stay level while single answers change. Each list opens. \(flipsHint)</p>"
        + blocks.joined(separator: "\n"))
  }

  /// What the lists hold, and what would add to them.
  private var flipsHint: String {
    let areKept = document.rows.contains { $0.quality.contains { $0.items.contains { $0.completion != nil } } }
    guard areKept else {
      return "furl eval --samples keeps completions, and furl report --samples shows both side by side."
    }
    let marks = "Both answers stand side by side, words that differ marked"
    return document.shown.isEmpty
      ? "\(marks). furl report --suite adds what was asked and what was expected."
      : "\(marks): from the expected answer where only that one is right, else from one another."
  }

  private func flips(
    _ comparison: ReportComparison, of entry: ReportQuality, names: (before: String, after: String), budget: inout Int
  ) -> String {
    let lost = comparison.flips.filter(\.isRegression)
    let found = comparison.flips.filter { !$0.isRegression }
    var content = ""
    for (title, list) in [("Lost", lost), ("Won", found)] where !list.isEmpty {
      let ids = list.prefix(HTMLReport.idsShown).map { Markup.escape($0.after.id) }.joined(separator: ", ")
      let more = list.count > HTMLReport.idsShown ? " and \(list.count - HTMLReport.idsShown) more" : ""
      content += "<p class=\"ids\"><strong>\(title) (\(list.count)):</strong> \(ids)\(more)</p>"
    }
    let pairs = (lost + found).filter { $0.before.completion != nil || $0.after.completion != nil }
    var shown = 0
    for flip in pairs {
      let article = HTMLReport.article(flip, document.shown[entry.sha256]?[flip.after.id], names: names)
      guard shown < HTMLReport.flipsShown, article.utf8.count <= budget else { break }
      budget -= article.utf8.count
      content += article
      shown += 1
    }
    if shown < pairs.count {
      content += "<p class=\"hint\">\(pairs.count - shown) more are not shown, to keep this page small.</p>"
    }
    let summary =
      "\(names.after) on \(entry.suite): \(lost.count) lost, \(found.count) won of \(comparison.outcomes.count)"
    return "<details><summary>\(Markup.escape(summary))</summary><div>\(content)</div></details>"
  }

  /// One problem: what was asked, what was expected, and both answers beside it.
  private static func article(
    _ flip: ReportComparison.Flip, _ problem: ShownProblem?, names: (before: String, after: String)
  ) -> String {
    let id = flip.after.id
    var (before, after) = marked(flip.before.completion, flip.after.completion)
    var expected = problem?.expected.map { Markup.escape(cut($0)) }
    if let problem, problem.isOnlyAnswer, let answer = problem.expected?.trimmed {
      // White space at the ends decides nothing there. Of two answers one is right: the other shows what differs.
      before = flip.before.completion.flatMap { marked(answer, $0.trimmed).1 }
      after = flip.after.completion.flatMap { marked(answer, $0.trimmed).1 }
      expected = marked(answer, (flip.isRegression ? flip.after : flip.before).completion?.trimmed).0
    }
    func side(_ facts: [String?], _ code: String?, _ label: String) -> String {
      let words = Markup.escape(facts.compactMap { $0 }.joined(separator: " · "))
      let body =
        code.map {
          "<pre tabindex=\"0\" role=\"group\" aria-label=\"\(Markup.escape("\(label) \(id)"))\">\($0)</pre>"
        } ?? "<p>The completion was not kept.</p>"
      return "<div><p>\(words)</p>\(body)</div>"
    }
    func answer(_ name: String, _ item: ReportQuality.Item, _ code: String?) -> String {
      side([name, item.outcome, item.stopReason.map { "ended by \($0)" }], code, "\(name)'s completion of")
    }
    let asked = problem.map { side(["what was asked"], Markup.escape(end(of: $0)), "Prompt of") } ?? ""
    let sides =
      (expected.map { [side(["what was expected"], $0, "Expected answer of")] } ?? [])
      + [answer(names.before, flip.before, before), answer(names.after, flip.after, after)]
    let (style, word) = flip.isRegression ? ("fail", "lost") : ("pass", "won")
    return "<article><h3>\(Markup.escape(id)) <span class=\"verdict \(style)\">\(word)</span></h3>"
      + "\(asked)<div class=\"pair\">\(sides.joined())</div></article>"
  }

  // MARK: Texts

  private static func cut(_ text: String) -> String {
    text.count > completionLimit ? text.prefix(completionLimit) + "\n… cut off here" : text
  }

  private static func end(of problem: ShownProblem) -> String {
    let most = problem.isOnlyAnswer ? promptLines.files : promptLines.tasks
    let all = problem.prompt.split(separator: "\n", omittingEmptySubsequences: false)
    let lines = all.suffix(most).joined(separator: "\n")
    let end = lines.suffix(promptLimit)
    return end.count < lines.count ? "… " + end : all.count > most ? "…\n" + lines : lines
  }

  /// Both texts with the words marked that differ, in the lines between their common beginning and their common end.
  static func marked(_ first: String?, _ second: String?) -> (String?, String?) {
    guard let first, let second else {
      return (first.map { Markup.escape(cut($0)) }, second.map { Markup.escape(cut($0)) })
    }
    func lines(_ text: String) -> [String] {
      cut(text).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
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
}
