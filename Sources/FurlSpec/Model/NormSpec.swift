/// A norm over the numbers of a row.
package struct NormSpec: Sendable, Hashable {
  package var kind: ModelSpec.Norm
  /// Added to the variance or the mean square: 0 to 1.
  package var epsilon: Double
  package var hasBias: Bool

  package init(_ kind: ModelSpec.Norm, epsilon: Double, hasBias: Bool = false) {
    self.kind = kind
    self.epsilon = epsilon
    self.hasBias = hasBias
  }
}
