import FurlBase
import FurlEvaluate
import FurlSpec

/// A report as one HTML page that loads nothing and runs no script: table, plots, gates, flips and facts.
///
/// Whatever comes from a document is escaped; the page's policy forbids scripts and requests besides.
package struct HTMLReport {
  let document: ReportDocument
  /// Bytes that completions may take in all.
  let completionBudget: Int

  /// The most that a page has.
  static let sizeLimit = 1_000_000

  /// Ends with a line end.
  private static let style = String(decoding: PackageResources.page_css, as: UTF8.self)

  package static func text(_ document: ReportDocument) -> String {
    let page = HTMLReport(document: document, completionBudget: 450_000).page
    // Figures come first; completions give way to them.
    return page.utf8.count <= sizeLimit ? page : HTMLReport(document: document, completionBudget: 0).page
  }

  /// A part of the page that the list at its top leads to.
  struct Section {
    let id: String
    let title: String
    let content: String
  }

  var page: String {
    let sections =
      [gatesSection, tableSection, tradeSection, costSection, blocksSection, endingsSection, missingSection]
      .compactMap { $0 } + [flipsSection, factsSection].compactMap { $0 }
    let links = sections.map {
      Markup.element("li", [:], Markup.element("a", ["href": "#\($0.id)"], Markup.escape($0.title)))
    }
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
      <meta name="color-scheme" content="light dark">
      <meta name="referrer" content="no-referrer">
      <title>\(Markup.escape(document.title))</title>
      <style>
      \(HTMLReport.style)</style>
      </head>
      <body>
      <a class="skip" href="#main">Skip to the figures</a>
      <header>
      <p class="brand">Furl</p>
      <h1>\(Markup.escape(document.title))</h1>
      \(standing)
      <p class="lede">\(Markup.escape(lede))</p>
      \(subjects)
      <nav aria-label="Sections"><ul>\(links.joined())</ul></nav>
      </header>
      <main id="main">
      \(glance)
      \(notes)
      \(sections.map(draw).joined(separator: "\n"))
      </main>
      <footer><p>Made by Furl \(Markup.escape(furlVersion)) from its own measurements. This page loads nothing and runs no script.</p></footer>
      </body>
      </html>

      """
  }

  private func draw(_ section: Section) -> String {
    """
    <section id="\(section.id)" aria-labelledby="\(section.id)-heading">
    <h2 id="\(section.id)-heading">\(Markup.escape(section.title))</h2>
    \(section.content)
    </section>
    """
  }

  // MARK: The top

  private var lede: String {
    let baselines = Set(document.rows.indices.compactMap { document.baseline(of: $0) }).sorted()
    let others = document.rows.count - baselines.count
    let names = baselines.map { document.rows[$0].name }.joined(separator: ", ")
    let models = "\(others) \(others == 1 ? "model" : "models")"
    guard !baselines.isEmpty else {
      return
        "\(document.rows.count) \(document.rows.count == 1 ? "model" : "models"): size, memory, speed, energy and quality."
    }
    return
      "\(models) beside \(names): what each saves in size, memory, time and energy, and what that costs in quality."
  }

  /// The verdict of all artifacts that were held to gates, in a word and its colour: what the page is opened for.
  private var standing: String {
    let verdicts = document.rows.compactMap(\.verdict)
    // The gravest counts, as it does for one artifact's gates.
    guard let word = ["fail", "inconclusive", "pass"].first(where: verdicts.contains) else { return "" }
    let count = verdicts.count { $0 == word }
    let what = ["fail": "a gate does not hold", "inconclusive": "the data do not decide"][word] ?? "all gates hold"
    let words = verdicts.count == 1 ? what : "\(count) of \(verdicts.count) artifacts: \(what)"
    return "<p class=\"standing\">\(HTMLReport.verdict(word)) <span>\(words)</span></p>"
  }

  private static let subjectsShown = 4

  /// Which artifacts these are, by name and id, and when the page was made, where somebody said so.
  private var subjects: String {
    let artifacts = document.rows.indices.filter { document.baseline(of: $0) != nil }
    var items = artifacts.prefix(HTMLReport.subjectsShown).map { index -> String in
      let row = document.rows[index]
      let id = row.digest.map { " <code>\(Markup.escape(String($0.prefix(16))))</code>" } ?? ""
      return "<li>\(Markup.escape(HTMLReport.short(row.name)))\(id)</li>"
    }
    if artifacts.count > HTMLReport.subjectsShown {
      items.append("<li>and \(artifacts.count - HTMLReport.subjectsShown) more</li>")
    }
    if let date = document.date { items.append("<li>\(Markup.escape(date))</li>") }
    return items.isEmpty ? "" : "<ul class=\"subjects\">\(items.joined())</ul>"
  }

  private var notes: String {
    guard !document.notes.isEmpty else { return "" }
    let items = document.notes.map { Markup.element("li", [:], Markup.escape($0)) }.joined()
    return "<div class=\"notes\" role=\"note\"><ul>\(items)</ul></div>"
  }

  private var glance: String {
    var cards: [(title: String, big: String, small: String)] = []
    let compressed = document.rows.indices.filter { document.baseline(of: $0) != nil }
    // Nothing is called best that no gate has passed.
    let sound = compressed.filter { document.rows[$0].verdict == "pass" }
    let suffix = " of those that pass"
    func name(_ index: Int) -> String { HTMLReport.short(document.rows[index].name) }
    let verdicts = document.rows.compactMap(\.verdict)
    if !verdicts.isEmpty {
      let passed = verdicts.count { $0 == "pass" }
      let others = ["fail", "inconclusive"].map { word in (word, verdicts.count { $0 == word }) }.filter { $0.1 > 0 }
      cards.append(
        (
          "Gates", "\(passed) of \(verdicts.count) pass",
          others.isEmpty ? "every artifact holds" : others.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
        ))
    }
    let sizes = sound.compactMap { index in document.rows[index].diskBytes.map { (index, $0) } }
    if let (best, bytes) = sizes.min(by: { $0.1 < $1.1 }) {
      let other = document.baseline(of: best).flatMap { document.rows[$0].diskBytes }
      let share = other.map { ", \(Figures.percent(Double(bytes) / Double(max(1, $0)))) of the original" } ?? ""
      cards.append(("Smallest" + suffix, Figures.bytes(bytes), name(best) + share))
    }
    let rated = sound.compactMap { index in Rate(document.rows[index].decode).median.map { (index, $0) } }
    if let (best, rate) = rated.max(by: { $0.1 < $1.1 }) {
      let other = document.baseline(of: best).flatMap { Rate(document.rows[$0].decode).median }
      let factor = other.flatMap { $0 > 0 ? ", ×\(Figures.significant(rate / $0)) the original" : nil } ?? ""
      cards.append(("Fastest" + suffix, "\(Figures.significant(rate)) t/s", name(best) + factor))
    }
    let lean = sound.compactMap { index in document.rows[index].peakBytes.map { (index, $0) } }
    if let (best, bytes) = lean.min(by: { $0.1 < $1.1 }) {
      cards.append(("Least memory" + suffix, Figures.bytes(bytes), name(best) + ", the whole process"))
    }
    guard !cards.isEmpty else {
      return compressed.isEmpty
        ? ""
        : "<p class=\"hint\">Nothing is called best here: no artifact was held to gates. furl verify ARTIFACT --json makes the document that says whether it passes.</p>"
    }
    let list = cards.map { card in
      "<div><dt>\(Markup.escape(card.title))</dt><dd class=\"big\">\(Markup.escape(card.big))</dd>"
        + "<dd class=\"small\">\(Markup.escape(card.small))</dd></div>"
    }
    return "<dl class=\"glance\">\(list.joined())</dl>"
  }

  // MARK: The table

  private var tableSection: Section? {
    guard !document.rows.isEmpty else { return nil }
    let content = ReportTable(document).withVerdictsSecond
    let baselines = Set(document.rows.indices.compactMap { document.baseline(of: $0) }).sorted()
    let rows = content.rows.enumerated().map { index, row in
      row.enumerated().map { column, cell in
        let isBaseline = column == 0 && baselines.contains(index)
        let small =
          isBaseline
          ? "<small class=\"baseline\">baseline</small>"
          : cell.detail.map { "<small>\(Markup.escape($0))</small>" } ?? ""
        let words = Markup.escape(cell.text)
        if column == 0 { return "<th scope=\"row\">\(Markup.escape(HTMLReport.short(cell.text)))\(small)</th>" }
        if content.header[column] == ReportTable.verdictTitle {
          return "<td class=\"left\">\(HTMLReport.verdict(cell.text))</td>"
        }
        return "<td>\(words)\(small)</td>"
      }
    }
    let names = baselines.map { document.rows[$0].name }.joined(separator: ", ")
    let caption =
      baselines.isEmpty
      ? "A dash is a figure that nobody measured."
      : "Δ and × compare with \(names) on the same problems, in points; brackets are 95 % limits (Tango). A dash is a figure that nobody measured."
    return Section(
      id: "table", title: "The whole trade",
      content: HTMLReport.table(
        label: "All models", header: content.header, rows: rows,
        left: Set(content.header.indices.filter { content.header[$0] == ReportTable.verdictTitle }), caption: caption,
        isPinned: true))
  }

  /// A table that can be scrolled by keyboard. Cells are whole elements.
  static func table(
    label: String, header: [String], rows: [[String]], left: Set<Int> = [], caption: String? = nil,
    isPinned: Bool = false
  ) -> String {
    let head = header.enumerated().map {
      "<th scope=\"col\"\(left.contains($0) ? " class=\"left\"" : "")>\(Markup.escape($1))</th>"
    }.joined()
    let body = rows.map { "<tr>\($0.joined())</tr>" }.joined(separator: "\n")
    let words = caption.map { "<p class=\"hint\">\(Markup.escape($0))</p>" } ?? ""
    return "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Table: \(Markup.escape(label))\">"
      + "<table\(isPinned ? " class=\"pin\"" : "")><thead><tr>\(head)</tr></thead>\n<tbody>\(body)</tbody></table></div>\(words)"
  }

  /// Whether a model may stand for what can be had: not where a gate refused it, or none could decide.
  func isSound(_ index: Int) -> Bool { ["pass", nil].contains(document.rows[index].verdict) }

  /// A verdict in a word and a sign, so that colour only repeats it.
  static func verdict(_ word: String) -> String {
    let signs = ["pass": "✓", "fail": "✗", "inconclusive": "?", "failed": "✗", "skipped": "↷"]
    guard let sign = signs[word] else { return Markup.escape(word) }
    return "<span class=\"verdict \(word)\"><span aria-hidden=\"true\">\(sign)</span> \(word)</span>"
  }
}
