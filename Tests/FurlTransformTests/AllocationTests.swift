import FurlBase
import FurlTensor
@testable import FurlTransform
import Testing

/// What a budget gives every tensor.
@Suite struct AllocationTests {
  typealias Option = Allocation.Option

  private static func draw(_ draws: inout SplitMix64, tensors: Int, options: Int) -> [[Option]] {
    (0..<tensors).map { _ in
      (0..<options).map { _ in
        Option(cost: Int(draws.next() % 200), harm: Double(draws.next() % 1000) / 100)
      }
    }
  }

  /// Every choice: its cost and its harm.
  private static func all(_ options: [[Option]]) -> [(cost: Int, harm: Double)] {
    options.reduce([(0, 0.0)]) { sums, list in sums.flatMap { sum in list.map { (sum.0 + $0.cost, sum.1 + $0.harm) } } }
  }

  @Test func theHullHasNoPointBelowIt() {
    var draws = SplitMix64(seed: 1)
    for _ in 0..<50 {
      let options = Self.draw(&draws, tensors: 1, options: 9)[0]
      let hull = Allocation.hull(options).map { options[$0] }
      #expect(hull[0].cost == options.map(\.cost).min())
      #expect(hull.last?.harm == options.map(\.harm).min())
      for (a, b) in zip(hull, hull.dropFirst()) {
        #expect(a.cost < b.cost && a.harm > b.harm)
        for option in options where (a.cost...b.cost).contains(option.cost) {
          let share = Double(option.cost - a.cost) / Double(b.cost - a.cost)
          #expect(option.harm >= a.harm + share * (b.harm - a.harm) - 1e-9)
        }
      }
    }
  }

  /// With a limit that the slopes meet exactly no choice at all does less harm; with any limit it is kept, and what is
  /// left of it is too little for any single step that gains something.
  @Test func nothingIsBetterThanEqualSlopes() {
    var draws = SplitMix64(seed: 2)
    for _ in 0..<40 {
      let options = Self.draw(&draws, tensors: 4, options: 5)
      let every = Self.all(options)
      let least = Allocation(options, within: .cost(0))
      for _ in 0..<5 {
        let limit = least.cost + Int(draws.next() % 300)
        let found = Allocation(options, within: .cost(limit))
        #expect(found.cost <= limit)
        for (tensor, list) in options.enumerated() {
          let now = list[found.chosen[tensor]]
          #expect(!list.contains { $0.harm < now.harm && found.cost - now.cost + $0.cost <= limit })
        }
        // Where the harm goal stops lies on the hull of all choices.
        let goal = Allocation(options, within: .harm(found.harm))
        #expect(goal.harm <= found.harm)
        #expect(every.allSatisfy { $0.cost > goal.cost || $0.harm >= goal.harm - 1e-9 })
      }
    }
  }

  @Test func equalsAreTakenInOrder() {
    let list = [Option(cost: 10, harm: 3), Option(cost: 20, harm: 1)]
    #expect(Allocation([list, list, list], within: .cost(45)).chosen == [1, 0, 0])
    #expect(Allocation([list, list, list], within: .harm(6)).chosen == [1, 1, 0])
    #expect(Allocation([list], within: .cost(5)).chosen == [0])
    #expect(Allocation([list], within: .harm(0)).chosen == [1])
  }
}
