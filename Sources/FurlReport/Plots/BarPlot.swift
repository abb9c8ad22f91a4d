/// One bar for each name, with whiskers where there are several samples; an SVG that a page holds.
struct BarPlot {
  struct Bar {
    var label: String
    var value: Double
    var whisker: ClosedRange<Double>?
    /// Single samples, drawn as dots.
    var samples: [Double] = []
  }

  let id: String
  let title: String
  let summary: String
  let axis: Axis
  let bars: [Bar]
  let format: (Double) -> String

  private static let width = 560.0
  private static let labelWidth = 178.0
  private static let valueWidth = 62.0
  private static let rowHeight = 30.0
  private static let top = 8.0

  private var floor: Double { BarPlot.top + Double(bars.count) * BarPlot.rowHeight }
  private func px(_ value: Double) -> Double {
    BarPlot.labelWidth + axis.position(value) * (BarPlot.width - BarPlot.labelWidth - BarPlot.valueWidth)
  }

  var svg: String {
    let height = floor + 48
    var parts = [
      Markup.element("title", ["id": "\(id)-title"], Markup.escape(title)),
      Markup.element("desc", ["id": "\(id)-desc"], Markup.escape(summary)),
    ]
    for tick in axis.ticks {
      let place = Markup.point(px(tick))
      parts.append(
        Markup.shape(
          "line",
          ["class": "grid", "x1": place, "x2": place, "y1": Markup.point(BarPlot.top), "y2": Markup.point(floor)]))
      parts.append(label(format(tick), x: px(tick), y: floor + 17, style: "tick", anchor: "middle"))
    }
    for (index, bar) in bars.enumerated() { parts += draw(bar, y: BarPlot.top + Double(index) * BarPlot.rowHeight) }
    parts.append(
      label(
        axis.title, x: (BarPlot.labelWidth + BarPlot.width - BarPlot.valueWidth) / 2, y: height - 8,
        style: "axis-title", anchor: "middle"))
    return Markup.element(
      "svg",
      [
        "viewBox": "0 0 \(Markup.point(BarPlot.width)) \(Markup.point(height))", "role": "img",
        "aria-labelledby": "\(id)-title \(id)-desc",
      ], parts.joined())
  }

  private func label(_ words: String, x: Double, y: Double, style: String, anchor: String) -> String {
    Markup.element(
      "text", ["class": style, "x": Markup.point(x), "y": Markup.point(y), "text-anchor": anchor], Markup.escape(words))
  }

  private func draw(_ bar: Bar, y: Double) -> [String] {
    let middle = y + BarPlot.rowHeight / 2
    let start = px(max(0, axis.domain.lowerBound))
    // Names of a sweep's cells begin alike: what tells them apart is at their end.
    let words = bar.label.count > 26 ? bar.label.prefix(9) + "…" + bar.label.suffix(16) : bar.label[...]
    var parts = [
      label(String(words), x: BarPlot.labelWidth - 9, y: middle + 4, style: "label", anchor: "end"),
      Markup.shape(
        "rect",
        [
          "class": "bar", "x": Markup.point(start), "y": Markup.point(middle - 8),
          "width": Markup.point(max(1, px(bar.value) - start)), "height": "16", "rx": "2",
        ]),
    ]
    for sample in bar.samples {
      parts.append(
        Markup.shape(
          "circle", ["class": "sample", "cx": Markup.point(px(sample)), "cy": Markup.point(middle), "r": "2"]))
    }
    if let range = bar.whisker {
      let (low, high) = (px(range.lowerBound), px(range.upperBound))
      let ends: [(Double, Double, Double, Double)] = [
        (low, middle, high, middle), (low, middle - 5, low, middle + 5), (high, middle - 5, high, middle + 5),
      ]
      parts += ends.map {
        Markup.shape(
          "line",
          [
            "class": "whisker", "x1": Markup.point($0.0), "y1": Markup.point($0.1), "x2": Markup.point($0.2),
            "y2": Markup.point($0.3),
          ])
      }
    }
    // Behind all that is drawn of it.
    let end = px(([bar.value, bar.whisker?.upperBound ?? bar.value] + bar.samples).max() ?? bar.value)
    parts.append(label(format(bar.value), x: end + 8, y: middle + 4, style: "value", anchor: "start"))
    return parts
  }
}
