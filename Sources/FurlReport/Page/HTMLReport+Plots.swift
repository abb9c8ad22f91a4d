import FurlBase
import FurlEvaluate
import FurlSpec

extension HTMLReport {
  /// A figure of each row that plots put on their upright axis: that of the first kind of suite that there is, or, where it
  /// is no share, how near it is to the baseline's.
  private struct Quality {
    let title: String
    let value: (Int) -> (value: Double, interval: ClosedRange<Double>?)?
    let isShare: Bool
  }

  private var quality: Quality? {
    let document = document
    let found = SuiteKind.types.lazy.compactMap { type in document.suites(type).first.map { (type, $0) } }
    guard let (type, suite) = found.first else { return nil }
    let figure = type.headline
    guard figure.unit == .share else {
      return Quality(
        title: "baseline's \(figure.name) over the model's (\(suite))",
        value: { index in
          let other = document.rows[document.baseline(of: index) ?? index].quality(type, suite: suite)
          let ratio = document.rows[index].quality(type, suite: suite)?.ratio(to: other)
          return ratio.flatMap { $0 > 0 ? (1 / $0, nil) : nil }
        }, isShare: false)
    }
    return Quality(
      title: "\(figure.name) on \(suite)",
      value: { index in
        let entry = document.rows[index].quality(type, suite: suite)
        return entry?.value(figure.metric).map { ($0, entry?.interval95) }
      }, isShare: true)
  }

  /// Models that were made from one checkpoint are one series.
  private var series: (of: [Int], names: [String]) {
    var names: [String] = []
    let numbers = document.rows.indices.map { index in
      let name = document.rows[document.baseline(of: index) ?? index].name
      if let place = names.firstIndex(of: name) { return place }
      names.append(name)
      return names.count - 1
    }
    return (numbers, names)
  }

  private func legend(_ names: [String], prefix: String = "made from ") -> String {
    guard names.count > 1 else { return "" }
    let items = names.enumerated().map { number, name in
      let mark = Marker(series: number).svg(x: 8, y: 8, series: number)
      return
        "<li><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\">\(mark)</svg>\(Markup.escape(prefix + name))</li>"
    }
    return "<ul class=\"legend\">\(items.joined())</ul>"
  }

  static func figure(_ title: String, _ svg: String, _ caption: String) -> String {
    "<figure><h3>\(Markup.escape(title))</h3><div class=\"plot\" role=\"group\" tabindex=\"0\" aria-label=\"\(Markup.escape(title))\">\(svg)</div>"
      + "<figcaption>\(Markup.escape(caption))</figcaption></figure>"
  }

  /// `minipy-int8` for `minipy-int8.furl`: what all names end with says nothing.
  static func short(_ name: String) -> String { name.hasSuffix(".furl") ? String(name.dropLast(5)) : name }

  // MARK: Trade-offs

  /// What a plot of quality has on its level axis.
  private struct Trade {
    let id: String
    let title: String
    let axis: String
    let lowX: Bool
    let x: (ReportRow) -> Double?
  }

  var tradeSection: Section? {
    guard let quality else { return nil }
    let trades = [
      Trade(id: "size-plot", title: "Quality over size", axis: "size on disk, MB", lowX: true) {
        $0.diskBytes.map { Double($0) / 1e6 }
      },
      Trade(id: "speed-plot", title: "Quality over speed", axis: "decoding, tokens a second", lowX: false) {
        Rate($0.decode).median
      },
    ]
    let figures = trades.compactMap { plot($0, quality) }
    guard !figures.isEmpty else { return nil }
    return Section(
      id: "trade", title: "Trade-offs", content: legend(series.names) + "<div class=\"plots\">\(figures.joined())</div>"
    )
  }

  private func plot(_ trade: Trade, _ quality: Quality) -> String? {
    let numbers = series.of
    let points = document.rows.indices.compactMap { index -> PointPlot.PlottedPoint? in
      let row = document.rows[index]
      guard let place = trade.x(row), place.isFinite, place > 0, let (value, interval) = quality.value(index) else {
        return nil
      }
      return PointPlot.PlottedPoint(
        label: HTMLReport.short(row.name), x: place, y: value, whisker: interval, series: numbers[index],
        isSound: isSound(index))
    }
    guard points.count > 1 else { return nil }
    let isShare = quality.isShare
    let svg = PointPlot(
      id: trade.id, title: trade.title,
      summary: points.map {
        "\($0.label): \(HTMLReport.round($0.x)), \(isShare ? Figures.percent($0.y) : Figures.significant($0.y))"
      }.joined(separator: "; "),
      x: Axis(trade.axis, values: points.map(\.x)),
      y: Axis(
        quality.title,
        values: points.flatMap { [$0.y, $0.whisker?.lowerBound ?? $0.y, $0.whisker?.upperBound ?? $0.y] },
        limits: isShare ? 0...1 : nil, logarithmic: false),
      points: points, connection: .frontier(lowX: trade.lowX), formatX: HTMLReport.round,
      formatY: { isShare ? Figures.percent($0, digits: 0) : Figures.significant($0) }
    ).svg
    return HTMLReport.figure(trade.title, svg, caption(points, lowX: trade.lowX))
  }

  /// What the signs of such a plot mean, those that it has.
  private func caption(_ points: [PointPlot.PlottedPoint], lowX: Bool) -> String {
    let best = PointPlot.frontier(points, lowX: lowX)
    let isDashed = Set(points.map(\.series)).contains { number in best.count { points[$0].series == number } > 2 }
    return [
      "Filled: no other model is better in both"
        + (points.allSatisfy(\.isSound) ? "." : ", of those that no gate refused."),
      isDashed ? "A dashed line joins these." : nil,
      points.contains { $0.whisker != nil } ? "Whiskers: 95 % interval." : nil,
    ].compactMap { $0 }.joined(separator: " ")
  }

  /// A tick's figure: no zeros that say nothing.
  static func round(_ value: Double) -> String {
    let text = Figures.significant(value)
    guard text.contains(".") else { return text }
    let trimmed = text.reversed().drop { $0 == "0" }
    return String((trimmed.first == "." ? trimmed.dropFirst() : trimmed).reversed())
  }

  // MARK: Energy or CPU time

  var costSection: Section? {
    let isEnergy = document.rows.contains { $0.energy?.joulesPerToken != nil }
    func samples(_ row: ReportRow) -> [Double] {
      guard isEnergy else { return row.cpuPerToken }
      let own = row.energy?.samples ?? []
      return own.isEmpty ? row.energy?.joulesPerToken.map { [$0] } ?? [] : own
    }
    let bars = document.rows.compactMap { row -> BarPlot.Bar? in
      let own = samples(row)
      guard let mean = SampleMean(own) else { return nil }
      return BarPlot.Bar(
        label: HTMLReport.short(row.name), value: mean.mean, whisker: mean.interval95, samples: own)
    }
    guard !bars.isEmpty else { return nil }
    let unit = isEnergy ? "J" : "ms"
    let title = isEnergy ? "Energy of a decoded token" : "CPU time of a decoded token"
    let plot = BarPlot(
      id: "cost-plot", title: title,
      summary: bars.map { "\($0.label): \(Figures.significant($0.value)) \(unit)" }.joined(separator: "; "),
      axis: Axis(
        isEnergy ? "joules a token" : "milliseconds of CPU time a token, all threads",
        values: bars.flatMap { [$0.value, $0.whisker?.upperBound ?? $0.value] + $0.samples }, fromZero: true),
      bars: bars, format: HTMLReport.round)
    let repeats = bars.map(\.samples.count).max() ?? 1
    let caption =
      "Bars are means\(repeats > 1 ? " of up to \(repeats) repeats (dots); whiskers are the 95 % interval of the mean by Student's t" : "")."
      + (isEnergy ? "" : " Energy could not be measured, so this is processor time, not joules.")
    return Section(
      id: "cost", title: isEnergy ? "Energy" : "CPU time",
      content: HTMLReport.figure(title, plot.svg, caption) + suiteEnergy)
  }

  /// Joules for a problem and for a solved one, where they were measured.
  private var suiteEnergy: String {
    let costs = document.rows.map { ($0.name, $0.energy?.suites ?? []) }.filter { !$0.1.isEmpty }
    var suites: [String] = []
    for cost in costs.flatMap(\.1) where !suites.contains(cost.name) { suites.append(cost.name) }
    guard !suites.isEmpty else { return "" }
    let isMeasured = costs.contains { $0.1.contains { $0.joulesPerSample != nil } }
    let rows = costs.map { name, own in
      ["<th scope=\"row\">\(Markup.escape(HTMLReport.short(name)))</th>"]
        + suites.flatMap { suite -> [String] in
          let cost = own.first { $0.name == suite }
          let joules = isMeasured ? [cost?.joulesPerSample, cost?.joulesPerSolved] : []
          return (joules + [cost?.cpuSeconds]).map { "<td>\($0.map(Figures.significant) ?? "–")</td>" }
        }
    }
    let header = suites.flatMap { suite in
      (isMeasured ? ["J/sample, \(suite)", "J per solved problem, \(suite)"] : []) + ["CPU seconds, \(suite)"]
    }
    return "<h3>Of whole suites</h3>"
      + HTMLReport.table(label: "What suites took", header: ["artifact"] + header, rows: rows)
  }

  // MARK: Removed blocks

  var blocksSection: Section? {
    guard let quality, quality.isShare else { return nil }
    let removed = document.rows.indices.map { document.removedBlocks($0) }
    guard removed.contains(where: { ($0 ?? 0) > 0 }) else { return nil }
    // The checkpoint itself begins the line; other whole models are no part of it.
    let places = document.rows.indices.filter {
      removed[$0] != nil && ((removed[$0] ?? 0) > 0 || document.baseline(of: $0) == nil) && quality.value($0) != nil
    }.sorted { (removed[$0] ?? 0, $0) < (removed[$1] ?? 0, $1) }
    let lines = cutLines(places, removed)
    let points = lines.places.flatMap { place -> [PointPlot.PlottedPoint] in
      guard let (value, interval) = quality.value(place.index), let count = removed[place.index] else { return [] }
      return [
        .init(
          label: HTMLReport.short(document.rows[place.index].name), x: Double(count), y: value, whisker: interval,
          series: place.line)
      ]
    }
    // Two points are no curve, and stand in the table.
    guard points.count > 2 else { return nil }
    func draw(
      _ id: String, _ title: String, _ points: [PointPlot.PlottedPoint], _ y: Axis,
      _ format: @escaping (Double) -> String
    )
      -> String
    {
      PointPlot(
        id: id, title: title,
        summary: points.map { "\($0.label): \(Int($0.x)) blocks removed, \(format($0.y))" }.joined(separator: "; "),
        x: Axis("blocks removed", values: points.map(\.x), logarithmic: false), y: y, points: points,
        connection: .lines,
        formatX: { $0.rounded() == $0 ? String(Int($0)) : "" }, formatY: format
      ).svg
    }
    let percent: (Double) -> String = { Figures.percent($0, digits: 0) }
    var figures = [
      HTMLReport.figure(
        "\(quality.title) over removed blocks",
        draw(
          "blocks-plot", "\(quality.title) over removed blocks", points,
          Axis(quality.title, values: points.flatMap { [$0.y, $0.whisker?.upperBound ?? $0.y] } + [0], limits: 0...1),
          percent),
        "Whiskers: 95 % interval (Wilson).")
    ]
    let isEnergy = document.rows.contains { $0.energy?.joulesPerToken != nil }
    let costs = lines.places.compactMap { place -> PointPlot.PlottedPoint? in
      let row = document.rows[place.index]
      let own = isEnergy ? row.energy?.samples ?? [] : row.cpuPerToken
      guard let mean = SampleMean(own), let count = removed[place.index] else { return nil }
      return .init(
        label: HTMLReport.short(row.name), x: Double(count), y: mean.mean, whisker: mean.interval95,
        series: place.line)
    }
    if costs.count > 2 {
      let title = isEnergy ? "Energy of a token over removed blocks" : "CPU time of a token over removed blocks"
      figures.append(
        HTMLReport.figure(
          title,
          draw(
            "blocks-cost-plot", title, costs,
            Axis(
              isEnergy ? "joules a token" : "CPU milliseconds a token",
              values: costs.flatMap { [$0.y, $0.whisker?.upperBound ?? $0.y] }, fromZero: true), HTMLReport.round),
          "Whiskers: 95 % interval of the mean by Student's t."))
    }
    return Section(
      id: "blocks", title: "Removed blocks",
      content: legend(lines.names, prefix: lines.prefix) + "<div class=\"plots\">\(figures.joined())</div>")
  }

  /// The lines that rows with removed blocks lie on: one for each way of removing them, which begins with the
  /// checkpoint; or one for each checkpoint where every row was made in a way of its own.
  private func cutLines(
    _ places: [Int], _ removed: [Int?]
  ) -> (places: [(index: Int, line: Int)], names: [String], prefix: String) {
    // `model-drop2-kl` and `model-drop3-kl` were made in the same way.
    func way(_ index: Int) -> String {
      HTMLReport.short(document.rows[index].name).replacing(/-drop[0-9]+/, with: "-drop")
    }
    let cut = places.filter { (removed[$0] ?? 0) > 0 }
    var ways: [String] = []
    for place in cut where !ways.contains(way(place)) { ways.append(way(place)) }
    guard ways.count > 1, ways.count < cut.count else {
      let numbers = series.of
      return (places.map { ($0, numbers[$0]) }, series.names, "made from ")
    }
    let lines = ways.enumerated().flatMap { number, name in
      let own = cut.filter { way($0) == name }
      let bases = places.filter { base in
        (removed[base] ?? 0) == 0 && own.contains { document.baseline(of: $0) == base }
      }
      return (bases + own).map { (index: $0, line: number) }
    }
    return (lines, ways, "")
  }
}
