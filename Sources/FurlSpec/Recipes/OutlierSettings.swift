package import FurlBase
package import FurlTensor

/// Which columns of the linear layers are kept apart: `outliers` of a step.
package struct OutlierSettings: DeclaredDocument, Sendable, Hashable {
  /// The most columns of a matrix that are kept apart, as a share of them; without a threshold, how many.
  package private(set) var share = 0.02
  /// Those whose inputs reach this magnitude in the calibration; nil: those with the largest weights.
  package private(set) var threshold: Double?

  package init() {}

  package static let declaration = Declaration<OutlierSettings>(
    "outliers", "Which columns of the linear layers are kept apart in floating point."
  ) {
    Field(
      "threshold", \.threshold, .number(in: 0.001...1e6), "Those whose inputs reach this magnitude in the calibration.",
      absent: .means("those with the largest weights"))
    Field(
      "share", \.share, .number(in: 0.0001...0.5),
      "The most columns of a matrix, as a share of them; needed without `threshold`.")
  }

  package func settle(_ reader: DocumentReader) throws {
    guard threshold == nil, reader.optional("share") == nil else { return }
    throw reader.error(nil, "says nothing", remedy: "give a threshold, such as 6.0, or a share of the columns")
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
}
