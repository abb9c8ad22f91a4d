import FurlBase
import FurlTensor

/// The percentile bootstrap of a mean (Efron and Tibshirani, "An introduction to the bootstrap", 1993), over single
/// values or over clusters of values that belong together.
///
/// Lines of one file and tokens of one chunk resemble each other, so they are drawn together: taken one by one they would
/// make the interval too narrow. The draws are seeded, so the same values give the same limits on every machine.
package struct Bootstrap: Sendable, Hashable {
  /// Values that belong together.
  package struct Cluster: Sendable, Hashable {
    package var sum: Double
    package var count: Int

    package init(sum: Double, count: Int) {
      self.sum = sum
      self.count = count
    }
  }

  /// The means of the resamples, in ascending order.
  private let means: [Double]

  /// Resamples values, which for a paired comparison are the differences of each problem.
  ///
  /// - Precondition: there is at least one value.
  package init(of values: [Double], resamples: Int = 10_000, seed: UInt64 = 0) {
    self.init(clusters: values.map { Cluster(sum: $0, count: 1) }, resamples: resamples, seed: seed)
  }

  /// Resamples whole clusters; the mean of a resample is that of all its values.
  ///
  /// - Precondition: there is at least one cluster, and none is empty.
  package init(clusters: [Cluster], resamples: Int = 10_000, seed: UInt64 = 0) {
    precondition(!clusters.isEmpty && resamples > 0 && clusters.allSatisfy { $0.count > 0 })
    var generator = SplitMix64(seed: seed)
    let count = UInt64(clusters.count)
    means = (0..<resamples).map { _ in
      var sum = 0.0
      var values = 0
      for _ in 0..<clusters.count {
        let cluster = clusters[Int(generator.next().multipliedFullWidth(by: count).high)]
        sum += cluster.sum
        values += cluster.count
      }
      return sum / Double(values)
    }.sorted()
  }

  /// Resamples values in the clusters that their keys name; a value without a key is a cluster of its own.
  package init(of values: [Double], keys: [String?], resamples: Int = 10_000, seed: UInt64 = 0) {
    var places: [String: Int] = [:]
    var clusters: [Cluster] = []
    for (value, key) in zip(values, keys) {
      if let key, let place = places[key] {
        clusters[place].sum += value
        clusters[place].count += 1
      } else {
        if let key { places[key] = clusters.count }
        clusters.append(Cluster(sum: value, count: 1))
      }
    }
    self.init(clusters: clusters, resamples: resamples, seed: seed)
  }

  /// The value below which a share of the resamples' means lies, with linear interpolation between ranks.
  package func quantile(_ share: Double) -> Double { Quantile.of(means, share) }

  /// The two-sided interval of the mean.
  package func interval(confidence: Double = 0.95) -> ClosedRange<Double> {
    quantile(0.5 - confidence / 2)...quantile(0.5 + confidence / 2)
  }

  /// The share of resamples whose mean is at least a value, the observed one counted among them.
  package func tail(atLeast value: Double) -> Double {
    Double(1 + means.count { $0 >= value }) / Double(means.count + 1)
  }

  /// The share of resamples whose mean is at most a value, the observed one counted among them.
  package func tail(atMost value: Double) -> Double {
    Double(1 + means.count { $0 <= value }) / Double(means.count + 1)
  }
}

/// Quantiles of sorted values.
enum Quantile {
  /// The value below which a share of some values lies, with linear interpolation between ranks (as NumPy's default).
  ///
  /// - Precondition: the values are in ascending order, and there is at least one.
  static func of(_ sorted: [Double], _ share: Double) -> Double {
    let rank = min(max(share, 0), 1) * Double(sorted.count - 1)
    let below = Int(rank)
    guard below + 1 < sorted.count else { return sorted[sorted.count - 1] }
    let part = rank - Double(below)
    // Equal neighbours stay exact.
    return sorted[below] + (sorted[below + 1] - sorted[below]) * part
  }
}
