/// The unbiased estimator of pass@k from n completions of a problem, c of which passed: 1 - C(n - c, k) / C(n, k) (Chen et al.,
/// "Evaluating large language models trained on code", 2021).
package enum PassAtK {
  /// - Precondition: 0 <= passed <= count, 1 <= k <= count.
  package static func estimate(count n: Int, passed c: Int, k: Int) -> Double {
    precondition((0...n).contains(c) && (1...max(1, n)).contains(k))
    guard n - c >= k else { return 1 }
    var none = 1.0
    for i in (n - c + 1)..<(n + 1) { none *= 1 - Double(k) / Double(i) }
    return 1 - none
  }
}
