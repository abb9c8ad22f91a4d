import CFurlKernels

/// Linear layers that read the same input, computed in one go: query, key and value; gate and up.
public final class LinearGroup: @unchecked Sendable {
  /// One layer: `output = input * weightᵀ + bias`.
  public struct Layer: Sendable {
    public let weight: PackedMatrix
    public let bias: FloatVector?

    public init(_ weight: PackedMatrix, bias: FloatVector?) {
      precondition(bias == nil || bias?.count == weight.rows)
      self.weight = weight
      self.bias = bias
    }
  }

  /// What is done to a layer's outputs while they are in the cache.
  public enum Activation: Sendable { case geluTanh }

  public let layers: [Layer]
  /// Row tiles of all layers together, and where each layer's begin.
  private let starts: [Int]

  public init(_ layers: [Layer]) {
    precondition(!layers.isEmpty && layers.allSatisfy { $0.weight.columns == layers[0].weight.columns })
    self.layers = layers
    starts = layers.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.weight.tiles) }
  }

  /// Whether the 8-bit form of the input is read.
  public func readsIntegers(_ context: ComputeContext) -> Bool {
    context.quantizesActivations && layers.contains { $0.weight.scheme.coding.takesIntegers }
  }

  /// Computes `count` rows of every layer.
  ///
  /// The sum of one output runs over the columns in one order, whatever `count` and the number of threads.
  ///
  /// - Parameters:
  ///   - input: [count][columns], with its 8-bit form where ``readsIntegers(_:)``.
  ///   - outputs: one for each layer, [count][rows].
  ///   - accumulate: adds to what is there (a residual).
  public func callAsFunction(
    _ input: Activations, count: Int, into outputs: [Activations], accumulate: Bool = false,
    activation: Activation? = nil, on context: ComputeContext
  ) {
    precondition(outputs.count == layers.count && input.columns == layers[0].weight.columns && count <= input.capacity)
    for (layer, output) in zip(layers, outputs) {
      precondition(output.columns == layer.weight.rows && count <= output.capacity)
    }
    let operand = input.operand(count: count)
    context.pool.run { part, parts in
      let share = WorkerPool.share(starts[layers.count], part, parts)
      for index in layers.indices {
        let tiles = share.clamped(to: starts[index]..<starts[index + 1])
        guard !tiles.isEmpty else { continue }
        multiply(
          layers[index], operand, tiles.lowerBound - starts[index]..<tiles.upperBound - starts[index],
          outputs[index], accumulate, activation, context)
      }
    }
  }

  private func multiply(
    _ layer: Layer, _ operand: furl_activations, _ tiles: Range<Int>, _ target: Activations, _ accumulate: Bool,
    _ activation: Activation?, _ context: ComputeContext
  ) {
    let kernel = layer.weight.scheme.coding.multiply(
      context.kernels.table, integers: context.quantizesActivations)
    var output = furl_output(
      values: target.values, stride: target.stride, bias: layer.bias?.pointer, accumulate: accumulate)
    withUnsafePointer(to: layer.weight.matrix) { matrix in
      withUnsafePointer(to: operand) { kernel(matrix, $0, tiles.lowerBound, tiles.upperBound, &output) }
    }
    guard let activation else { return }
    let columns = tiles.lowerBound * Tile.rows..<min(tiles.upperBound * Tile.rows, layer.weight.rows)
    for row in 0..<operand.count {
      switch activation {
      case .geluTanh:
        context.kernels.table.gelu_tanh(target.values + row * target.stride + columns.lowerBound, columns.count)
      }
    }
  }
}
