import FurlSpec

/// Shares out what is to go over all layers.
///
/// Groups go in chunks that keep widths to a multiple, the least important ones of a layer first. Of all layers' next
/// chunks the one goes whose importance for each weight is least, until enough weights are gone.
struct GroupAllocation {
  /// The groups of one kind in one block.
  struct AllocatedLayer {
    let block: Int
    let kind: GroupKind
    /// Of every group, of experts of every step (``GroupPools``); comparable between layers.
    let importances: [Double]
    /// Of one group, or step.
    let weights: Int
    let chunk: Int
    /// Groups that have to stay.
    let least: Int

    /// The same with importances in a unit; where that is nothing, none counts.
    func measured(in unit: Double) -> AllocatedLayer {
      AllocatedLayer(
        block: block, kind: kind, importances: importances.map { unit > 0 ? $0 / unit : 0 }, weights: weights,
        chunk: chunk, least: least)
    }
  }

  let layers: [AllocatedLayer]

  /// - Parameters:
  ///   - weights: that are to go, or as many more as the last chunk has.
  /// - Returns: for each layer the groups that stay, ascending; and how many weights go, fewer than asked for where the
  ///   layers' limits say so.
  func remove(weights target: Int) -> (kept: [[Int]], removed: Int) {
    let orders = layers.map { layer in
      layer.importances.indices.sorted { (layer.importances[$0], $0) < (layer.importances[$1], $1) }
    }
    var gone = layers.map { _ in 0 }
    var removed = 0
    while removed < target {
      var best: (layer: Int, groups: Int, price: Double)?
      for (index, layer) in layers.enumerated() {
        let next = chunk(layer, gone: gone[index])
        guard layer.importances.count - gone[index] - next >= layer.least else { continue }
        let sum = orders[index][gone[index]..<gone[index] + next].reduce(0) { $0 + layer.importances[$1] }
        let price = sum / Double(next * layer.weights)
        if best == nil || price < best!.price { best = (index, next, price) }
      }
      guard let best else { break }
      gone[best.layer] += best.groups
      removed += best.groups * layers[best.layer].weights
    }
    return (zip(orders, gone).map { $0.dropFirst($1).sorted() }, removed)
  }

  /// The same share from every layer, to the nearest chunk.
  func removeEvenly(share: Double) -> (kept: [[Int]], removed: Int) {
    var removed = 0
    let kept = layers.map { layer in
      let count = layer.importances.count
      let order = layer.importances.indices.sorted { (layer.importances[$0], $0) < (layer.importances[$1], $1) }
      var gone = 0
      while true {
        let next = chunk(layer, gone: gone)
        guard Double(gone) + Double(next) / 2 <= share * Double(count), count - gone - next >= layer.least else {
          break
        }
        gone += next
      }
      removed += gone * layer.weights
      return order.dropFirst(gone).sorted()
    }
    return (kept, removed)
  }

  /// Groups that go next so that a multiple is left: at first what is beyond one.
  private func chunk(_ layer: AllocatedLayer, gone: Int) -> Int {
    let left = layer.importances.count - gone
    return left % layer.chunk == 0 ? layer.chunk : left % layer.chunk
  }

  /// The most weights that can go.
  var most: Int {
    layers.reduce(0) { sum, layer in
      var gone = 0
      while true {
        let next = chunk(layer, gone: gone)
        guard layer.importances.count - gone - next >= layer.least else { break }
        gone += next
      }
      return sum + gone * layer.weights
    }
  }
}
