/// What groups of a layer's columns stand for by simple rules, to choose by and to compare with.
package enum GroupScores {
  /// The variance of what a group adds to the outputs: tr(W_g C_gg W_gᵀ) (for single columns An et al. 2024, "FLAP").
  package static func variances(_ weight: Matrix, _ covariance: Covariance, groups: [Range<Int>]) -> [Double] {
    let squares = weight.columnSquares
    return groups.map { group in
      if group.count == 1 {
        return squares[group.lowerBound] * Double(max(0, covariance[group.lowerBound, group.lowerBound]))
      }
      var sum = 0.0
      for row in 0..<weight.rows {
        let numbers = weight.row(row)
        for a in group {
          var inner = 0.0
          for b in group { inner += Double(covariance[a, b]) * Double(numbers[b]) }
          sum += inner * Double(numbers[a])
        }
      }
      return max(0, sum)
    }
  }

  /// Mean squares of inputs times squares of weights (Sun et al. 2023, "Wanda", summed over groups).
  package static func wanda(_ weight: Matrix, meanSquares: [Double], groups: [Range<Int>]) -> [Double] {
    let squares = weight.columnSquares
    return groups.map { $0.reduce(0) { $0 + meanSquares[$1] * squares[$1] } }
  }

  /// Squares of weights. Worse than chance on gated MLPs: large activations meet small weights.
  package static func magnitude(_ weight: Matrix, groups: [Range<Int>]) -> [Double] {
    let squares = weight.columnSquares
    return groups.map { $0.reduce(0) { $0 + squares[$1] } }
  }
}
