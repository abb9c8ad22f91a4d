import FurlBase
import FurlTensor

/// Which columns of the linear layers are kept apart: `outliers` of a step.
public struct OutlierSettings: Sendable, Hashable {
  /// The most columns of a matrix that are kept apart, as a share of them; without a threshold, how many.
  public let share: Double
  /// Those whose inputs reach this magnitude in the calibration; nil: those with the largest weights.
  public let threshold: Double?

  init(_ reader: DocumentReader) throws {
    threshold = try reader.number("threshold", in: 0.001...1e6)
    let share = try reader.number("share", in: 0.0001...0.5)
    try reader.finish()
    if threshold == nil, share == nil {
      throw reader.error(nil, "says nothing", remedy: "give a threshold, such as 6.0, or a share of the columns")
    }
    self.share = share ?? 0.02
  }

  /// Columns of a matrix that may be kept apart.
  package func limit(columns: Int) -> Int { min(Scheme.outlierLimit, Int((share * Double(columns)).rounded(.up))) }

  /// The columns of a matrix that are kept apart.
  ///
  /// - Parameter largest: the largest magnitude of each of its inputs; nil where there has been no calibration.
  package func columns(of source: WeightSource, largest: [Float]?) throws -> [Int] {
    let count = limit(columns: source.columns)
    guard let threshold, let largest else { return try OutlierColumns.ofWeights(source, count: count) }
    return OutlierColumns.ofInputs(largest, count: count, atLeast: Float(threshold))
  }

  var json: JSON {
    .object((threshold.map { [.init("threshold", .number($0))] } ?? []) + [.init("share", .number(share))])
  }
}
