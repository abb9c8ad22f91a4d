package import FurlNumerics
import FurlSpec
import FurlTensor

/// Is told, on a way back, of each linear layer: its name, and the gradient of its outputs and its inputs, [rows][...].
package typealias GradientObserver = (_ name: String, _ gradient: Matrix, _ input: Matrix) -> Void

/// Linear layers and norms of one block, or of what is outside of the blocks, with their gradients.
struct TrainingLayers {
  let math: DenseMath
  /// What names begin with: `blocks.3.`
  let prefix: String
  let parameters: ModelParameters
  /// What is added to on the way back; nil on the way there.
  let gradients: ModelParameters?
  /// Who is told of the gradients of linear layers' outputs instead of gradients of their weights being added up.
  var observer: GradientObserver?

  private var added: ModelParameters {
    guard let gradients else { preconditionFailure("there is no way back") }
    return gradients
  }

  /// The numbers of a vector or matrix.
  func parameter(_ name: String) -> Matrix { parameters[prefix + name] }

  /// A bias of a layer, where it has one.
  func bias(_ name: String) -> Matrix? { parameters.optional(prefix + name + ".bias") }

  /// What the gradients of a vector or matrix are added to.
  func gradient(_ name: String) -> Matrix { added[prefix + name] }

  // MARK: Linear layers

  func linear(_ name: String, _ x: Matrix, into out: Matrix, accumulate: Bool = false) {
    math.linear(x, parameter(name), bias: bias(name), into: out, accumulate: accumulate)
  }

  /// From the gradient of a layer's output to those of its weight and its input.
  func linearBack(_ name: String, _ gradient: Matrix, input: Matrix, into out: Matrix, accumulate: Bool) {
    addGradient(name, gradient, input: input)
    inputGradient(name, gradient, into: out, accumulate: accumulate)
  }

  /// From the gradient of a layer's output to that of its weight.
  func addGradient(_ name: String, _ gradient: Matrix, input: Matrix) {
    if let observer { return observer(prefix + name, gradient, input) }
    math.addWeightGradient(
      gradient, input, to: self.gradient(name), bias: added.optional(prefix + name + ".bias"))
  }

  /// From the gradient of a layer's output to that of its input.
  func inputGradient(_ name: String, _ gradient: Matrix, into out: Matrix, accumulate: Bool) {
    math.linearBack(gradient, parameter(name), into: out, accumulate: accumulate)
  }

  // MARK: Norms

  func normalize(_ x: Matrix, _ norm: NormSpec, _ name: String, into out: Matrix) {
    math.normalize(
      x, by: .init(norm.kind), weight: parameter(name), bias: bias(name), epsilon: Float(norm.epsilon), into: out)
  }

  /// From the gradient of a norm's output to those of its weight and its input, which is added to.
  func normalizeBack(
    _ x: Matrix, _ norm: NormSpec, _ name: String, gradient: Matrix, addingTo input: Matrix
  ) throws {
    try math.normalizeBack(
      x, by: .init(norm.kind), weight: parameter(name), epsilon: Float(norm.epsilon), gradient: gradient,
      addingTo: NormGradients(
        input: input, weight: self.gradient(name), bias: added.optional(prefix + name + ".bias")))
  }
}
