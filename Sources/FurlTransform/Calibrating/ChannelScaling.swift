import FurlTensor

/// What a layer's weights are multiplied with before they get their codes, where the layers around it make up for it.
///
/// Columns whose inputs are large matter more; scaled up they lose less to a step that their block shares, and the layer
/// that makes the inputs is scaled down (Lin et al. 2023, "AWQ": Activation-aware Weight Quantization).
struct ChannelScaling: Sendable {
  var columns: [Float]?
  var rows: [Float]?
  /// Of the layer's inputs as they are then, where they are known.
  var meanSquares: [Float]?

  static let none = ChannelScaling()
  /// Powers that are tried lie so many to one.
  static let steps = 10
  /// Rows of a layer that they are tried on.
  static let sampledRows = 256

  /// Weights of columns when inputs are divided by the scales.
  func weights(_ meanSquares: [Float]) -> [Float] {
    guard let columns else { return meanSquares }
    return zip(meanSquares, columns).map { $0 / ($1 * $1) }
  }

  /// Root mean squares to a power, with 1 in the middle of the least and the largest.
  static func scales(_ meanSquares: [Float], power: Double) -> [Float] {
    let least = meanSquares.filter { $0 > 0 }.min() ?? 1
    let roots = meanSquares.map { Elementary.pow(Double(max($0, least)), power / 2) }
    let middle = ((roots.min() ?? 1) * (roots.max() ?? 1)).squareRoot()
    // Inputs that hardly vary in size, or beyond all measure, are not scaled beyond what FP16 scales can follow.
    return roots.map { Float(min(max($0 / middle, 1e-2), 1e2)) }
  }
}
