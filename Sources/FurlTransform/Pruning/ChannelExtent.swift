import FurlSpec

/// How many channels of the residual stream a step leaves.
///
/// Channels are the same ones in the whole model, so there is one number to choose. Alone they give all of the sparsity,
/// rounded up to a whole multiple. Beside heads and neurons they lose the share that is nearest to the share that those
/// have to lose then: widths multiply, so that of the weights of both (1 - share)² are left. What is missing to the
/// sparsity comes from heads and neurons, whose steps are finer.
struct ChannelExtent {
  let size: Int
  /// What heads and neurons are to give of the model with so many channels.
  let rest: PruneExtent
  /// Whether channels alone are enough.
  let isEnough: Bool
  private let step: PruneStep

  init(_ step: PruneStep, of spec: ModelSpec) {
    self.step = step
    let extent = PruneExtent(step, of: spec)
    let all = spec.hiddenSize
    let share = min(1, Double(extent.target()) / Double(max(1, extent.inGroups)))
    let least = max(1, all - step.mostRemoved(of: all, chunk: step.multiple, share: share))
    let sizes = ([all] + stride(from: (all - 1) / step.multiple * step.multiple, to: 0, by: -step.multiple))
      .filter { $0 >= least }
    /// What is lost less what the others have to lose then: it grows as channels go.
    func difference(_ size: Int, _ rest: PruneExtent) -> Double {
      guard !step.groups.isEmpty else { return -Double(max(0, rest.target())) }
      return 1 - Double(size) / Double(all) - Double(max(0, rest.target())) / Double(max(1, rest.inGroups))
    }
    // The first size that has lost enough, or the one before where that is nearer.
    var (low, high) = (0, sizes.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if difference(sizes[middle], extent.narrowed(spec, to: sizes[middle])) >= 0 {
        high = middle
      } else {
        low = middle + 1
      }
    }
    var best = (size: sizes[low], rest: extent.narrowed(spec, to: sizes[low]))
    if low > 0, !step.groups.isEmpty {
      let rest = extent.narrowed(spec, to: sizes[low - 1])
      if -difference(sizes[low - 1], rest) < abs(difference(best.size, best.rest)) { best = (sizes[low - 1], rest) }
    }
    (size, rest) = (best.size, best.rest)
    isEnough = rest.target() <= 0
  }

  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when channels alone are to give more than they can.
  func check() throws {
    guard step.groups.isEmpty, !isEnough else { return }
    throw rest.unreachable(most: 0)
  }
}
