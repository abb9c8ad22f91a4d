/// A norm over the numbers of a row.
public struct NormSpec: Sendable, Hashable {
  public var kind: ModelSpec.Norm
  /// Added to the variance or the mean square: 0 to 1.
  public var epsilon: Double
  public var hasBias: Bool

  public init(_ kind: ModelSpec.Norm, epsilon: Double, hasBias: Bool = false) {
    self.kind = kind
    self.epsilon = epsilon
    self.hasBias = hasBias
  }
}
