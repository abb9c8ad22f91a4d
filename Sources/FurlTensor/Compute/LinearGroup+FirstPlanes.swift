extension LinearGroup {
  /// The same layers with the first planes of their codes, in the same memory; nil where no layer's codes are in two planes.
  package var firstPlanes: LinearGroup? {
    guard layers.contains(where: { $0.weight.scheme.firstPlane != nil }) else { return nil }
    return LinearGroup(
      layers.map { GroupedLayer($0.weight.firstPlane ?? $0.weight, bias: $0.bias, epilogue: $0.epilogue) })
  }
}
