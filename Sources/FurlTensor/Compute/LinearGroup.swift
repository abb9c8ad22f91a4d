package import CFurlKernels

/// Linear layers that read the same input, computed in one go: query, key and value; gate and up.
package final class LinearGroup: @unchecked Sendable {
  /// One layer: `output = input * weightᵀ + bias`, and what follows.
  package struct GroupedLayer: Sendable {
    package let weight: PackedMatrix
    package let bias: FloatVector?
    package let epilogue: Epilogue

    package init(_ weight: PackedMatrix, bias: FloatVector?, epilogue: Epilogue = .none) {
      precondition(bias == nil || bias?.count == weight.rows)
      self.weight = weight
      self.bias = bias
      self.epilogue = epilogue
    }
  }

  /// What is done to a layer's outputs while they are in the cache.
  package enum Epilogue: Sendable, Hashable {
    case none
    case activation(FusedActivation)
    /// activation(outputs) times the outputs of the next layer, which has as many: gate and up of a gated MLP.
    case gate(FusedActivation)

    var activation: FusedActivation? {
      switch self {
      case .none: nil
      case .activation(let activation), .gate(let activation): activation
      }
    }
  }

  package enum FusedActivation: Sendable, Hashable, CaseIterable {
    case gelu, geluTanh, quickGelu, silu, relu, tanh

    package var kind: furl_activation {
      switch self {
      case .gelu: FURL_GELU
      case .geluTanh: FURL_GELU_TANH
      case .quickGelu: FURL_QUICK_GELU
      case .silu: FURL_SILU
      case .relu: FURL_RELU
      case .tanh: FURL_TANH
      }
    }
  }

  /// Layers whose tiles the same thread computes: one, or a gate and what it is multiplied with.
  private struct WorkUnit {
    let layers: Range<Int>
    /// Row tiles of each of its layers.
    let tiles: Int
    /// Row tiles of all units before.
    let start: Int

    /// The tiles that fall to a thread with a share of the row tiles of all layers.
    func tiles(in share: Range<Int>) -> Range<Int> { tile(share.lowerBound)..<tile(share.upperBound) }

    private func tile(_ place: Int) -> Int {
      min(tiles, (max(0, place - start) + layers.count - 1) / layers.count)
    }
  }

  package let layers: [GroupedLayer]
  /// Columns of the input that every layer that reads its 8-bit form keeps apart: they are left out of that form.
  package let outlierColumns: [Int]
  private let takesIntegers: Bool
  private let units: [WorkUnit]
  /// Row tiles of all layers.
  let tiles: Int

  package init(_ layers: [GroupedLayer]) {
    precondition(!layers.isEmpty && layers.allSatisfy { $0.weight.columns == layers[0].weight.columns })
    self.layers = layers
    var units: [WorkUnit] = []
    var index = 0
    var start = 0
    while index < layers.count {
      var count = 1
      if case .gate = layers[index].epilogue {
        count = 2
        precondition(index + 1 < layers.count && layers[index + 1].weight.rows == layers[index].weight.rows)
        precondition(layers[index + 1].epilogue == .none)
      }
      let unit = WorkUnit(layers: index..<index + count, tiles: layers[index].weight.tiles, start: start)
      units.append(unit)
      index += count
      start += unit.tiles * count
    }
    self.units = units
    tiles = start
    takesIntegers = layers.contains { $0.weight.scheme.coding.takesIntegers }
    outlierColumns = LinearGroup.commonOutliers(layers)
  }

  private static func commonOutliers(_ layers: [GroupedLayer]) -> [Int] {
    let readers = layers.filter { $0.weight.scheme.coding.takesIntegers }.map(\.weight.outlierColumns)
    guard var common = readers.first, !common.isEmpty else { return [] }
    for columns in readers.dropFirst() where columns != common { common = common.filter(Set(columns).contains) }
    return common
  }

  /// Whether a rounded form of the input is read: the context's.
  package func readsRounded(_ context: ComputeContext) -> Bool { context.activations != .fp32 && takesIntegers }

  /// Computes `count` rows of every layer.
  ///
  /// The sum of one output runs over the columns in one order, whatever `count` and the number of threads.
  ///
  /// - Parameters:
  ///   - input: [count][columns], with its rounded form where ``readsRounded(_:)``.
  ///   - outputs: one for each layer, [count][rows].
  ///   - accumulate: adds to what is there (a residual); not together with an epilogue.
  package func callAsFunction(
    _ input: Activations, count: Int, into outputs: [Activations], accumulate: Bool = false,
    on context: ComputeContext
  ) {
    precondition(outputs.count == layers.count && input.columns == layers[0].weight.columns && count <= input.capacity)
    for (layer, output) in zip(layers, outputs) {
      precondition(output.columns == layer.weight.rows && count <= output.capacity)
      precondition(!accumulate || layer.epilogue == .none)
    }
    let operand = input.operand(count: count, rounded: readsRounded(context))
    let target = Target(outputs: outputs, first: 0, accumulate: accumulate)
    context.pool.run { part, parts in compute(WorkerPool.share(tiles, part, parts), operand, target, context) }
  }

  /// Where layers write.
  struct Target {
    /// One for each layer.
    let outputs: [Activations]
    /// The first row.
    let first: Int
    let accumulate: Bool

    func values(_ layer: Int) -> UnsafeMutablePointer<Float> {
      outputs[layer].values + first * outputs[layer].stride
    }
  }

  /// Computes a share of the row tiles of all layers.
  func compute(_ share: Range<Int>, _ operand: furl_activations, _ target: Target, _ context: ComputeContext) {
    for unit in units { compute(unit, unit.tiles(in: share), operand, target, context) }
  }

  /// Numbers of one output whose epilogue is applied at once: half of a usual first-level cache.
  private static let numbersInCache = 4096
  /// Row tiles whose weights kernels of BF16 numbers want at once.
  private static let wideTiles = 16

  private func compute(
    _ unit: WorkUnit, _ tiles: Range<Int>, _ operand: furl_activations, _ target: Target, _ context: ComputeContext
  ) {
    let first = unit.layers.lowerBound
    guard let activation = layers[first].epilogue.activation else {
      return multiply(first, operand, tiles, target, context)
    }
    let few = max(1, LinearGroup.numbersInCache / (Tile.rows * max(1, operand.count)))
    let step = context.activations == .bf16 ? max(few, LinearGroup.wideTiles) : few
    let (values, stride) = (target.values(first), target.outputs[first].stride)
    let isGated = unit.layers.count == 2
    var tile = tiles.lowerBound
    while tile < tiles.upperBound {
      let piece = tile..<min(tile + step, tiles.upperBound)
      for index in unit.layers { multiply(index, operand, piece, target, context) }
      let start = piece.lowerBound * Tile.rows
      let width = min(piece.upperBound * Tile.rows, layers[first].weight.rows) - start
      for row in 0..<operand.count {
        let factor =
          isGated ? UnsafePointer(target.values(first + 1) + row * target.outputs[first + 1].stride + start) : nil
        context.kernels.table.activate(activation.kind, values + row * stride + start, factor, width)
      }
      tile = piece.upperBound
    }
  }

  private func multiply(
    _ index: Int, _ operand: furl_activations, _ tiles: Range<Int>, _ target: Target, _ context: ComputeContext
  ) {
    guard !tiles.isEmpty else { return }
    let weight = layers[index].weight
    let kernel = weight.scheme.coding.multiply(context.kernels.table, for: context.activations)
    var output = furl_output(
      values: target.values(index), stride: target.outputs[index].stride, bias: layers[index].bias?.pointer,
      accumulate: target.accumulate)
    withUnsafePointer(to: weight.matrix) { matrix in
      withUnsafePointer(to: operand) { operand in
        kernel(matrix, operand, tiles.lowerBound, tiles.upperBound, &output)
        guard weight.scheme.outliers > 0 else { return }
        context.kernels.table.add_outliers(matrix, operand, tiles.lowerBound, tiles.upperBound, &output)
      }
    }
  }
}
