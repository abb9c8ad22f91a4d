import FurlBase

/// A scale with round ticks, linear or logarithmic.
struct Axis {
  let isLogarithmic: Bool
  let domain: ClosedRange<Double>
  let ticks: [Double]
  let title: String

  /// - Parameters:
  ///   - values: what must lie on it; those that are not finite are left out.
  ///   - limits: what the scale never goes beyond: shares stay between 0 and 1.
  ///   - logarithmic: nil for a choice by the values: when all are positive and the largest is over eight times the smallest.
  init(
    _ title: String, values: [Double], limits: ClosedRange<Double>? = nil, logarithmic: Bool? = nil,
    fromZero: Bool = false
  ) {
    self.title = title
    let finite = values.filter(\.isFinite)
    let low = finite.min() ?? 0
    let high = finite.max() ?? 1
    isLogarithmic = low > 0 && (logarithmic ?? (high / low > 8)) && !fromZero
    if isLogarithmic {
      let padding = max(0.04 * log10(high / low), 0.02)
      domain = Axis.rounded(pow(10, log10(low) - padding)...pow(10, log10(high) + padding))
      ticks = Axis.logarithmicTicks(domain)
    } else {
      let start = fromZero ? min(0, low) : low
      let width = high > start ? high - start : max(abs(high) * 0.2, 1e-9)
      var ends = (fromZero && low >= 0 ? 0 : start - 0.08 * width, high + 0.08 * width)
      if let limits {
        ends = (max(limits.lowerBound, ends.0), min(limits.upperBound, ends.1))
        if ends.0 >= ends.1 { ends = (limits.lowerBound, limits.upperBound) }
      }
      let step = Axis.step(ends.0...ends.1)
      domain = Axis.stretched(ends.0...ends.1, to: step, limits: limits)
      ticks = Axis.linearTicks(domain, step: step)
    }
  }

  /// Where a value stands, from 0 to 1; beyond the ends it is held at them.
  func position(_ value: Double) -> Double {
    let share =
      isLogarithmic
      ? log(max(value, .leastNormalMagnitude) / domain.lowerBound) / log(domain.upperBound / domain.lowerBound)
      : (value - domain.lowerBound) / (domain.upperBound - domain.lowerBound)
    return share.isFinite ? min(1, max(0, share)) : 0
  }

  /// A linear scale that begins and ends at ticks: a reader sees where.
  private static func stretched(
    _ domain: ClosedRange<Double>, to step: Double, limits: ClosedRange<Double>?
  ) -> ClosedRange<Double> {
    guard step > 0, step.isFinite else { return domain }
    var low = (domain.lowerBound / step * (1 + 1e-12)).rounded(.down) * step
    var high = (domain.upperBound / step * (1 - 1e-12)).rounded(.up) * step
    if let limits { (low, high) = (max(low, limits.lowerBound), min(high, limits.upperBound)) }
    // Rounding may not leave a value outside.
    (low, high) = (min(low, domain.lowerBound), max(high, domain.upperBound))
    return low < high && low.isFinite && high.isFinite ? low...high : domain
  }

  /// A logarithmic scale that begins and ends at 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten.
  private static func rounded(_ domain: ClosedRange<Double>) -> ClosedRange<Double> {
    let factors: [Double] = [1, 1.5, 2, 3, 4, 5, 6, 8, 10]
    let (first, last) = (pow(10, floor(log10(domain.lowerBound))), pow(10, floor(log10(domain.upperBound))))
    let low = factors.last { $0 * first <= domain.lowerBound }.map { $0 * first } ?? domain.lowerBound
    let high = factors.first { $0 * last >= domain.upperBound }.map { $0 * last } ?? domain.upperBound
    return low > 0 && high.isFinite && low < high ? low...high : domain
  }

  private static func step(_ domain: ClosedRange<Double>) -> Double {
    let raw = (domain.upperBound - domain.lowerBound) / 5
    let power = pow(10, floor(log10(raw)))
    return [1, 2, 5, 10].map { $0 * power }.first { $0 >= raw * 0.999 } ?? raw
  }

  /// Four to eight round numbers: 1, 2 or 5 times a power of ten apart.
  private static func linearTicks(_ domain: ClosedRange<Double>, step: Double) -> [Double] {
    guard step > 0, step.isFinite else { return [] }
    let first = (domain.lowerBound / step).rounded(.up)
    let last = (domain.upperBound / step * (1 + 1e-12)).rounded(.down)
    guard last - first < 20 else { return [] }
    return stride(from: first, through: last, by: 1).map { $0 * step }
  }

  private static func logarithmicTicks(_ domain: ClosedRange<Double>) -> [Double] {
    let decades = Int(floor(log10(domain.lowerBound)))...Int(ceil(log10(domain.upperBound)))
    let factors: [Double] = decades.count > 4 ? [1] : decades.count > 2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8]
    return decades.flatMap { decade in factors.map { $0 * pow(10, Double(decade)) } }.filter(domain.contains)
  }
}
