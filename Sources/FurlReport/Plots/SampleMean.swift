/// The mean of repeated measurements with its interval.
struct SampleMean {
  let mean: Double
  /// The 95 % interval of the mean by Student's t; nil for a single sample.
  let interval95: ClosedRange<Double>?
  let count: Int

  /// Nil without samples.
  init?(_ samples: [Double]) {
    guard !samples.isEmpty, samples.allSatisfy(\.isFinite) else { return nil }
    let n = Double(samples.count)
    let mean = samples.reduce(0, +) / n
    self.mean = mean
    count = samples.count
    guard samples.count > 1 else {
      interval95 = nil
      return
    }
    let variance = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
    let margin = SampleMean.quantile(samples.count - 1) * (variance / n).squareRoot()
    interval95 = mean - margin...mean + margin
  }

  /// Student's t for 97.5 % (two-sided 95 %) by degrees of freedom: the table up to 30, beyond it Cornish and Fisher's
  /// expansion, which is exact there to four digits.
  static func quantile(_ degrees: Int) -> Double {
    let table = [
      12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ]
    if table.indices.contains(degrees - 1) { return table[degrees - 1] }
    let z = 1.959964
    let v = Double(max(1, degrees))
    let cube = z * z * z
    return z + (cube + z) / (4 * v) + (5 * cube * z * z + 16 * cube + 3 * z) / (96 * v * v)
  }
}
