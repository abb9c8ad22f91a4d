import FurlBase
package import FurlSpec

/// A figure of reports on a kind of suites: how it is called, written, compared and judged.
package struct SuiteFigure: Sendable, Hashable {
  /// How values are written.
  package enum Unit: Sendable, Hashable {
    /// From 0 to 1; written in percent.
    case share
    /// Any number; written with three digits.
    case number
  }

  /// What it follows from.
  package enum Basis: Sendable, Hashable {
    /// Problems that were answered rightly, of all.
    case outcomes
    /// The mean of what each problem gave, from 0 to 1.
    case scores
    /// The model's losses on a text.
    case losses
    /// What two models expect of a text, read in lockstep.
    case lockstep
  }

  /// How a table of several models sets it beside the baseline's.
  package enum Comparison: Sendable, Hashable {
    case none
    /// The difference in points, on the same problems; with its 95 % limits, or without.
    case points(limits: Bool)
    /// The value by the baseline's.
    case ratio

    /// What stands behind the heading.
    package var mark: String {
      switch self {
      case .none: ""
      case .points(let limits): limits ? " Δ [95 %]" : " Δ"
      case .ratio: " x"
      }
    }
  }

  /// What gates call it; its key in JSON, too.
  package let metric: Gate.Metric
  /// In a sentence.
  package let name: String
  /// Over a column; nil for what tables do not show.
  package let heading: String?
  package let unit: Unit
  package let basis: Basis
  package let comparison: Comparison

  init(
    _ metric: Gate.Metric, _ name: String, heading: String?, unit: Unit, basis: Basis, comparison: Comparison = .none
  ) {
    self.metric = metric
    self.name = name
    self.heading = heading
    self.unit = unit
    self.basis = basis
    self.comparison = comparison
  }

  /// The key in JSON.
  package var key: String { metric.rawValue }

  /// What values can be; rounding may take a divergence below 0.
  package var range: ClosedRange<Double> {
    if unit == .share { return 0...1 }
    return (basis == .losses ? 0 : -Double.greatestFiniteMagnitude)...Double.greatestFiniteMagnitude
  }

  /// Whether it follows from single problems, which then can be compared pair by pair.
  package var isOfProblems: Bool { basis == .outcomes || basis == .scores }

  /// Whether it is there only where the baseline itself read along.
  package var needsBaseline: Bool { basis == .lockstep }
}

extension SuiteFigure.Unit {
  /// A value for people.
  package func text(_ value: Double) -> String {
    switch self {
    case .share: Figures.percent(value)
    case .number: Figures.significant(value)
    }
  }
}
