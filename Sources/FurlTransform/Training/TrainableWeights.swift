import FurlBase
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// What the optimizer changes: all weights of a model, or a low-rank update of its linear layers.
protocol TrainableWeights {
  /// The numbers that are trained, and their gradients.
  var weights: Matrix { get }
  var gradients: Matrix { get }
  /// Which of them decay.
  var parts: [(range: Range<Int>, decays: Bool)] { get }
  /// Makes gradients of the numbers that are trained of those of the model's parameters.
  func collectGradients()
  /// Makes the model's parameters of the numbers that are trained.
  func apply()
}

/// What of a model is trained.
enum TrainedPart {
  case all
  /// A low-rank update of its linear layers.
  case update(rank: Int)
  /// Scales, norms and biases of these tensors, by name.
  case scales([String: EncodedTensor])

  /// 0 where no update of low rank is trained.
  var rank: Int { if case .update(let rank) = self { rank } else { 0 } }

  init(rank: Int?) { self = rank.map { .update(rank: $0) } ?? .all }

  func weights(
    of parameters: ModelParameters, _ gradients: ModelParameters, seed: Int, math: DenseMath
  ) throws -> any TrainableWeights {
    switch self {
    case .all: AllWeights(parameters, gradients)
    case .update(let rank): try LowRankUpdate(parameters, gradients, rank: rank, seed: seed, math: math)
    case .scales(let tensors): try TunedScales(tensors, parameters, gradients, math: math)
    }
  }
}

/// All weights but what is added for the choice of experts alone and the numbers behind blocks, which have no gradient.
/// Matrices decay, vectors do not.
struct AllWeights: TrainableWeights {
  let weights: Matrix
  let gradients: Matrix
  let parts: [(range: Range<Int>, decays: Bool)]

  init(_ parameters: ModelParameters, _ gradients: ModelParameters) {
    weights = parameters.all
    self.gradients = gradients.all
    parts = parameters.tensors.filter { ![.routerChoice, .scale].contains($0.role) }.map {
      (parameters.ranges[$0.name]!, !$0.role.isVector)
    }
  }

  func collectGradients() {}
  func apply() {}
}

/// W + B A for every linear layer of the blocks, of so many columns as the rank says (Hu et al., "LoRA", 2021); all else
/// stays as it is. The product is part of the weights from the first step on, so that there is nothing to merge.
final class LowRankUpdate: TrainableWeights {
  private struct UpdatedLayer {
    let weight, gradient, base: Matrix
    /// [outputs][rank] and [rank][inputs]
    let up, down, upGradient, downGradient: Matrix
  }

  let weights: Matrix
  let gradients: Matrix
  let parts: [(range: Range<Int>, decays: Bool)]
  private let layers: [UpdatedLayer]
  private let math: DenseMath

  /// B begins with zeros, A with seeded draws of the variance 1 / inputs.
  init(
    _ parameters: ModelParameters, _ modelGradients: ModelParameters, rank: Int, seed: Int, math: DenseMath
  ) throws {
    let tensors = parameters.tensors.filter(\.role.isBlockLinear)
    let shapes = tensors.flatMap { [(rows: $0.shape[0], columns: rank), (rows: rank, columns: $0.shape[1])] }
    let (numbers, factors) = try Matrix.row(of: shapes)
    let (gradientNumbers, factorGradients) = try Matrix.row(of: shapes)
    var draws = SplitMix64(seed: UInt64(bitPattern: Int64(seed)) ^ 0x4C6F_5241)
    layers = try tensors.enumerated().map { index, tensor in
      let weight = parameters[tensor.name]
      let base = try Matrix(rows: weight.rows, columns: weight.columns)
      base.copy(weight)
      let down = factors[2 * index + 1]
      // An even distribution of that variance.
      let width = (3 / Double(weight.columns)).squareRoot()
      down.values = (0..<down.count).map { _ in Float((2 * draws.unit() - 1) * width) }
      return UpdatedLayer(
        weight: weight, gradient: modelGradients[tensor.name], base: base, up: factors[2 * index], down: down,
        upGradient: factorGradients[2 * index], downGradient: factorGradients[2 * index + 1])
    }
    weights = numbers
    gradients = gradientNumbers
    parts = [(0..<numbers.count, true)]
    self.math = math
  }

  func collectGradients() {
    for layer in layers {
      math.linear(layer.gradient, layer.down, bias: nil, into: layer.upGradient)
      math.transposedProduct(layer.up, layer.gradient, into: layer.downGradient)
    }
  }

  func apply() {
    for layer in layers {
      layer.weight.copy(layer.base)
      math.product(layer.up, layer.down, into: layer.weight, accumulate: true)
    }
  }
}
