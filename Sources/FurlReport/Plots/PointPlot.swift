/// Points with whiskers between two axes, with labels, lines and a frontier; an SVG that a page holds.
struct PointPlot {
  struct PlottedPoint {
    var label: String
    var x: Double
    var y: Double
    /// The interval of y.
    var whisker: ClosedRange<Double>?
    var series = 0
    /// Whether it may lie on a frontier.
    var isSound = true
  }

  /// What is drawn between the points.
  enum Connection {
    /// Nothing.
    case none
    /// Each series' points in their order.
    case lines
    /// The points that no other one beats in both respects, as steps; the others become hollow.
    case frontier(lowX: Bool)
  }

  /// Identifies the plot in its page.
  let id: String
  let title: String
  /// What a listener is told.
  let summary: String
  let x: Axis
  let y: Axis
  let points: [PlottedPoint]
  let connection: Connection
  let formatX: (Double) -> String
  let formatY: (Double) -> String

  private static let width = 560.0
  private static let height = 380.0
  private static let left = 62.0
  private static let right = 18.0
  private static let top = 16.0
  private static let bottom = 52.0

  private var plotWidth: Double { PointPlot.width - PointPlot.left - PointPlot.right }
  private var plotHeight: Double { PointPlot.height - PointPlot.top - PointPlot.bottom }

  private func px(_ value: Double) -> Double { PointPlot.left + x.position(value) * plotWidth }
  private func py(_ value: Double) -> Double { PointPlot.top + (1 - y.position(value)) * plotHeight }

  /// The sound points that no other such one beats: as far in one direction and better in the other.
  static func frontier(_ points: [PlottedPoint], lowX: Bool) -> Set<Int> {
    Set(
      points.indices.filter { index in
        points[index].isSound
          && !points.indices.contains { other in
            guard other != index, points[other].isSound, points[other].series == points[index].series else {
              return false
            }
            let (a, b) = (points[other], points[index])
            let isNoWorse = (lowX ? a.x <= b.x : a.x >= b.x) && a.y >= b.y
            return isNoWorse && (a.x != b.x || a.y != b.y || other < index)
          }
      })
  }

  var svg: String {
    let attributes: KeyValuePairs = [
      "viewBox": "0 0 \(Markup.point(PointPlot.width)) \(Markup.point(PointPlot.height))", "role": "img",
      "aria-labelledby": "\(id)-title \(id)-desc",
    ]
    var parts = [
      Markup.element("title", ["id": "\(id)-title"], Markup.escape(title)),
      Markup.element("desc", ["id": "\(id)-desc"], Markup.escape(summary)),
    ]
    parts += grid
    parts += lines
    parts += whiskers
    var best = Set(points.indices)
    if case .frontier(let lowX) = connection { best = PointPlot.frontier(points, lowX: lowX) }
    for (index, point) in points.enumerated() {
      let mark = Marker(series: point.series).svg(
        x: px(point.x), y: py(point.y), series: point.series, isFilled: best.contains(index))
      let words = "\(point.label): \(formatX(point.x)), \(formatY(point.y))"
      parts.append(Markup.element("g", [:], Markup.element("title", [:], Markup.escape(words)) + mark))
    }
    return Markup.element("svg", attributes, (parts + labels).joined())
  }

  // MARK: Parts

  private func text(_ words: String, x: Double, y: Double, style: String, anchor: String = "middle") -> String {
    Markup.element(
      "text", ["class": style, "x": Markup.point(x), "y": Markup.point(y), "text-anchor": anchor], Markup.escape(words))
  }

  private func line(_ from: (Double, Double), _ to: (Double, Double), style: String) -> String {
    Markup.shape(
      "line",
      [
        "class": style, "x1": Markup.point(from.0), "y1": Markup.point(from.1), "x2": Markup.point(to.0),
        "y2": Markup.point(to.1),
      ])
  }

  private var grid: [String] {
    let floor = PointPlot.top + plotHeight
    var parts: [String] = []
    var lastX = -Double.infinity
    for tick in x.ticks {
      let words = formatX(tick)
      let place = px(tick)
      parts.append(line((place, PointPlot.top), (place, floor), style: "grid"))
      // Ticks of a logarithmic scale crowd at its upper end.
      let half = Double(words.count) * 3.4
      guard place - half > lastX + 6 else { continue }
      lastX = place + half
      parts.append(text(words, x: place, y: floor + 17, style: "tick"))
    }
    for tick in y.ticks {
      parts.append(line((PointPlot.left, py(tick)), (PointPlot.left + plotWidth, py(tick)), style: "grid"))
      parts.append(text(formatY(tick), x: PointPlot.left - 8, y: py(tick) + 4, style: "tick", anchor: "end"))
    }
    parts.append(line((PointPlot.left, floor), (PointPlot.left + plotWidth, floor), style: "axis"))
    parts.append(line((PointPlot.left, PointPlot.top), (PointPlot.left, floor), style: "axis"))
    parts.append(text(x.title, x: PointPlot.left + plotWidth / 2, y: PointPlot.height - 10, style: "axis-title"))
    let middle = PointPlot.top + plotHeight / 2
    parts.append(
      Markup.element(
        "text",
        [
          "class": "axis-title", "x": "14", "y": Markup.point(middle), "text-anchor": "middle",
          "transform": "rotate(-90 14 \(Markup.point(middle)))",
        ], Markup.escape(y.title)))
    return parts
  }

  private var lines: [String] {
    func path(_ places: [(Double, Double)], style: String) -> String {
      let words = places.enumerated().map { ($0 == 0 ? "M" : "L") + "\(Markup.point($1.0)) \(Markup.point($1.1))" }
      return Markup.shape("path", ["class": style, "d": words.joined(separator: " ")])
    }
    let series = Set(points.map(\.series)).sorted()
    switch connection {
    case .none: return []
    case .lines:
      return series.compactMap { number in
        let own = points.filter { $0.series == number }.map { (px($0.x), py($0.y)) }
        // Two points are no curve.
        return own.count > 2 ? path(own, style: "line s\(number % Marker.allCases.count)") : nil
      }
    case .frontier(let lowX):
      let best = PointPlot.frontier(points, lowX: lowX)
      return series.compactMap { number in
        let own = best.map { points[$0] }.filter { $0.series == number }.sorted { ($0.x, $0.y) < ($1.x, $1.y) }
        guard own.count > 2 else { return nil }
        var places: [(Double, Double)] = []
        for point in own {
          // Smaller is at least as good: what a point reaches, all larger ones reach; of speed it is the other way.
          if let last = places.last { places.append(lowX ? (px(point.x), last.1) : (last.0, py(point.y))) }
          places.append((px(point.x), py(point.y)))
        }
        return path(places, style: "frontier s\(number % Marker.allCases.count)")
      }
    }
  }

  private var whiskers: [String] {
    points.compactMap { point in
      guard let range = point.whisker else { return nil }
      let place = px(point.x)
      let (low, high) = (py(range.lowerBound), py(range.upperBound))
      let style = "whisker s\(point.series % Marker.allCases.count)"
      return line((place, low), (place, high), style: style) + line((place - 4, low), (place + 4, low), style: style)
        + line((place - 4, high), (place + 4, high), style: style)
    }
  }

  /// A rectangle that a label may not meet.
  private struct LabelBox {
    let x0, y0, x1, y1: Double
    func meets(_ other: LabelBox) -> Bool { x0 < other.x1 && other.x0 < x1 && y0 < other.y1 && other.y0 < y1 }
  }

  private static let labelPlaces: [(dx: Double, dy: Double, anchor: String)] = [
    (10, 4, "start"), (-10, 4, "end"), (0, -11, "middle"), (0, 20, "middle"), (9, -9, "start"), (-9, -9, "end"),
    (9, 18, "start"), (-9, 18, "end"), (10, -23, "start"), (-10, -23, "end"), (10, 32, "start"), (-10, 32, "end"),
  ]

  /// Each label at the first of twelve places where it meets no point, no other label and, if that can be, no whisker; without
  /// one it is left out, and the point's title still says it.
  private var labels: [String] {
    var taken = points.map { LabelBox(x0: px($0.x) - 7, y0: py($0.y) - 7, x1: px($0.x) + 7, y1: py($0.y) + 7) }
    let whiskers = points.compactMap { point in
      point.whisker.map {
        LabelBox(x0: px(point.x) - 4, y0: py($0.upperBound), x1: px(point.x) + 4, y1: py($0.lowerBound))
      }
    }
    var parts: [String] = []
    // Where several lines begin with one point, it is named once.
    var named: Set<String> = []
    for point in points where !point.label.isEmpty && named.insert("\(point.label) \(point.x) \(point.y)").inserted {
      let words = String(point.label.count > 34 ? point.label.prefix(33) + "…" : point.label[...])
      let places = PointPlot.labelPlaces.compactMap { place in box(words, of: point, place).map { (place, $0) } }
      let free = places.filter { place in !taken.contains(where: place.1.meets) }
      guard let found = free.first(where: { place in !whiskers.contains(where: place.1.meets) }) ?? free.first else {
        continue
      }
      taken.append(found.1)
      let (dx, dy, anchor) = found.0
      parts.append(text(words, x: px(point.x) + dx, y: py(point.y) + dy, style: "label", anchor: anchor))
    }
    return parts
  }

  /// What a label takes at a place; nil where it would leave the plot.
  private func box(
    _ words: String, of point: PlottedPoint, _ place: (dx: Double, dy: Double, anchor: String)
  ) -> LabelBox? {
    let width = Double(words.count) * 6.3
    let start = px(point.x) + place.dx - (place.anchor == "end" ? width : place.anchor == "middle" ? width / 2 : 0)
    let y = py(point.y) + place.dy
    let box = LabelBox(x0: start, y0: y - 11, x1: start + width, y1: y + 3)
    let isInside =
      box.x0 >= PointPlot.left + 1 && box.x1 <= PointPlot.width - 2 && box.y0 >= 2
      && box.y1 <= PointPlot.top + plotHeight - 1
    return isInside ? box : nil
  }
}
