/// Holm's correction for several tests at once ("A simple sequentially rejective multiple test procedure", 1979).
package enum Holm {
  /// The p-values by which each hypothesis is judged as if it were the only one, in the order of `p`: the chance that
  /// any true hypothesis is rejected stays below the level.
  package static func adjusted(_ p: [Double]) -> [Double] {
    var result = p
    var largest = 0.0
    for (rank, index) in p.indices.sorted(by: { (p[$0], $0) < (p[$1], $1) }).enumerated() {
      largest = max(largest, min(1, Double(p.count - rank) * p[index]))
      result[index] = largest
    }
    return result
  }
}
