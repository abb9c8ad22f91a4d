/// What a point looks like: series differ by shape first and by colour second.
enum Marker: Int, CaseIterable {
  case circle, square, triangle, diamond, cross, hexagon

  init(series: Int) { self = Marker.allCases[series % Marker.allCases.count] }

  /// - Parameter isFilled: hollow points are those that another one is better than in both respects.
  func svg(x: Double, y: Double, series: Int, isFilled: Bool = true, size: Double = 5.5) -> String {
    let style = "mark s\(series % Marker.allCases.count)\(isFilled ? "" : " hollow")"
    func at(_ dx: Double, _ dy: Double) -> String {
      "\(Markup.point(x + dx * size)),\(Markup.point(y + dy * size))"
    }
    func polygon(_ corners: [(Double, Double)]) -> String {
      Markup.shape("polygon", ["class": style, "points": corners.map(at).joined(separator: " ")])
    }
    switch self {
    case .circle:
      return Markup.shape(
        "circle", ["class": style, "cx": Markup.point(x), "cy": Markup.point(y), "r": Markup.point(size)])
    case .square: return polygon([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
    case .triangle: return polygon([(0, -1.15), (1.1, 0.85), (-1.1, 0.85)])
    case .diamond: return polygon([(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)])
    case .cross:
      return polygon([
        (-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35), (0.35, 1), (-0.35, 1),
        (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35),
      ])
    case .hexagon: return polygon([(1.1, 0), (0.55, 0.95), (-0.55, 0.95), (-1.1, 0), (-0.55, -0.95), (0.55, -0.95)])
    }
  }
}
