/// Which of its options every tensor gets: the least harm within a limit.
///
/// Each tensor's options are thinned out to the lower convex hull of harm over cost; steps along the hulls are taken in
/// the order of what they gain for their cost until the limit, which is where all slopes are equal (Shoham and Gersho
/// 1988). What is left of the limit then goes to the single steps that gain most. Where a single step is a large part of the
/// limit, slopes alone may never come to it, so each option of such a tensor is also tried as given.
struct Allocation {
  struct Option: Sendable, Hashable {
    /// Bytes.
    let cost: Int
    /// Nats, which add up over tensors.
    let harm: Double
  }

  /// What may not be exceeded.
  enum Limit {
    case cost(Int)
    case harm(Double)
  }

  /// An option of each tensor.
  private(set) var chosen: [Int]
  private let options: [[Option]]

  var cost: Int { zip(chosen, options).reduce(0) { $0 + $1.1[$1.0].cost } }
  var harm: Double { zip(chosen, options).reduce(0) { $0 + $1.1[$1.0].harm } }

  /// - Parameter options: of every tensor, at least one each.
  init(_ options: [[Option]], within limit: Limit) {
    self.init(bySlopesOf: options, within: limit)
    guard case .cost(let bound) = limit else { return }
    for (tensor, list) in options.enumerated() {
      let hull = Allocation.hull(list)
      let largest = zip(hull, hull.dropFirst()).map { list[$1].cost - list[$0].cost }.max() ?? 0
      guard largest > bound / Allocation.fine else { continue }
      for place in hull where place != chosen[tensor] {
        var given = options
        given[tensor] = [list[place]]
        var other = Allocation(bySlopesOf: given, within: limit)
        guard other.cost <= bound, other.harm < harm else { continue }
        other.chosen[tensor] = place
        chosen = other.chosen
      }
    }
    fill(bound - cost)
  }

  /// Steps of less than this part of a limit do not matter one by one.
  private static let fine = 50

  private init(bySlopesOf options: [[Option]], within limit: Limit) {
    self.options = options
    let hulls = options.map(Allocation.hull)
    chosen = hulls.map { $0[0] }
    struct AllocationStep {
      let tensor: Int
      let place: Int
      let slope: Double
    }
    let steps = hulls.enumerated().flatMap { tensor, hull in
      hull.indices.dropFirst().map { place in
        let (from, to) = (options[tensor][hull[place - 1]], options[tensor][hull[place]])
        return AllocationStep(tensor: tensor, place: place, slope: (from.harm - to.harm) / Double(to.cost - from.cost))
      }
    }
    // Equal slopes are taken in the order of tensors.
    let ordered = steps.sorted { ($1.slope, $0.tensor, $0.place) < ($0.slope, $1.tensor, $1.place) }
    var (cost, harm) = (self.cost, self.harm)
    for step in ordered {
      let hull = hulls[step.tensor]
      guard chosen[step.tensor] == hull[step.place - 1] else { continue }
      let (from, to) = (options[step.tensor][hull[step.place - 1]], options[step.tensor][hull[step.place]])
      switch limit {
      case .cost(let limit): if cost - from.cost + to.cost > limit { continue }
      case .harm(let limit): if harm <= limit { return }
      }
      chosen[step.tensor] = hull[step.place]
      cost += to.cost - from.cost
      harm += to.harm - from.harm
    }
    if case .cost(let limit) = limit { fill(limit - cost) }
  }

  /// Spends what is left on the options that gain most.
  private mutating func fill(_ room: Int) {
    var room = room
    while true {
      var best: (tensor: Int, option: Int, gain: Double)?
      for (tensor, list) in options.enumerated() {
        let now = list[chosen[tensor]]
        for (index, option) in list.enumerated() where option.cost - now.cost <= room {
          let gain = now.harm - option.harm
          if gain > best?.gain ?? 0 { best = (tensor, index, gain) }
        }
      }
      guard let best else { return }
      room -= options[best.tensor][best.option].cost - options[best.tensor][chosen[best.tensor]].cost
      chosen[best.tensor] = best.option
    }
  }

  /// The options on the lower convex hull, from the cheapest one on.
  static func hull(_ options: [Option]) -> [Int] {
    let order = options.indices.sorted {
      (options[$0].cost, options[$0].harm, $0) < (options[$1].cost, options[$1].harm, $1)
    }
    var hull: [Int] = []
    for index in order {
      let option = options[index]
      if let last = hull.last, option.harm >= options[last].harm || option.cost == options[last].cost { continue }
      while hull.count > 1 {
        let (a, b) = (options[hull[hull.count - 2]], options[hull[hull.count - 1]])
        // Whether b lies on or above the line from a to the new one.
        let left = (a.harm - b.harm) * Double(option.cost - a.cost)
        guard left <= (a.harm - option.harm) * Double(b.cost - a.cost) else { break }
        hull.removeLast()
      }
      hull.append(index)
    }
    return hull
  }
}
