/// The unbiased estimator of pass@k from n completions of a problem, c of which passed: 1 - C(n - c, k) / C(n, k) (Chen et al.,
/// "Evaluating large language models trained on code", 2021).
public enum PassAtK {
  /// - Precondition: 0 <= passed <= count, 1 <= k <= count.
  public static func estimate(count n: Int, passed c: Int, k: Int) -> Double {
    precondition((0...n).contains(c) && (1...max(1, n)).contains(k))
    guard n - c >= k else { return 1 }
    var none = 1.0
    for i in (n - c + 1)..<(n + 1) { none *= 1 - Double(k) / Double(i) }
    return 1 - none
  }
}

extension EvaluationReport {
  /// How many completions each problem has, and how many of them passed; nil unless there are several.
  private var draws: [(count: Int, passed: Int)]? {
    guard case .programs(let items) = results, let first = items.first, !first.draws.isEmpty else { return nil }
    return items.map { ($0.draws.count, $0.draws.count { $0 == .passed }) }
  }

  /// pass@k, the mean over the problems; nil with fewer than `k` completions of each.
  public func passAt(_ k: Int) -> Double? {
    guard case .programs(let items) = results, !items.isEmpty else { return nil }
    guard let draws else { return k == 1 ? passAt1?.value : nil }
    guard k >= 1, draws.allSatisfy({ $0.count >= k }) else { return nil }
    return draws.reduce(0) { $0 + PassAtK.estimate(count: $1.count, passed: $1.passed, k: k) } / Double(draws.count)
  }

  /// The numbers of completions that pass@k is reported for: 1, 10 and 100 as far as there are so many, and all of them.
  public var passCounts: [Int] {
    guard let count = draws?.map({ $0.count }).min() else { return [] }
    return [1, 10, 100].filter { $0 < count } + [count]
  }

  /// Wilson's interval of pass@1; of several completions the bootstrap's over problems.
  var passAt1Interval: ClosedRange<Double>? {
    guard let draws else { return passAt1?.interval() }
    return Bootstrap(of: draws.map { Double($0.passed) / Double($0.count) }).interval()
  }

  /// Programs that passed the base inputs; nil where there were none.
  public var basePassAt1: Proportion? {
    guard case .programs(let items) = results, !items.isEmpty, items.allSatisfy({ $0.base != nil }) else { return nil }
    return Proportion(successes: items.count { $0.base == .passed }, count: items.count)
  }
}
