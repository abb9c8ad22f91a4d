import FurlBase
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Changes of scales, minimums, norms and biases of a rounded model, whose codes stay.
///
/// What is trained are relative changes, all zero at first: W = (1 + t) A + (1 + u) B + C, where A are the multiples of scales, B the
/// minimums and C what is kept apart, t and u one number for each group of columns of a row; a vector changes by its root mean
/// square. So one rate fits all of them, and decay leads back to where the rounding left them.
final class TunedScales: TrainableWeights {
  private struct TunedMatrix {
    let name: String
    let groups: ScaleGroups
    let weight, gradient: Matrix
    /// A, B and C.
    let multiples: Matrix
    let minimums, apart: Matrix?
    let scale, scaleGradient: Matrix
    let minimum, minimumGradient: Matrix?
  }

  private struct TunedVector {
    let name: String
    let vector, gradient: Matrix
    let base: [Float]
    let size: Float
    let change, changeGradient: Matrix
  }

  let weights: Matrix
  let gradients: Matrix
  let parts: [(range: Range<Int>, decays: Bool)]
  private let tensors: [String: EncodedTensor]
  private var matrices: [TunedMatrix] = []
  private var vectors: [TunedVector] = []
  private let math: DenseMath

  /// - Parameters:
  ///   - tensors: of the whole model, as it was rounded.
  ///   - parameters: the same in FP32.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  init(
    _ tensors: [String: EncodedTensor], _ parameters: ModelParameters, _ modelGradients: ModelParameters,
    math: DenseMath
  ) throws {
    self.tensors = tensors
    self.math = math
    var shapes: [(rows: Int, columns: Int)] = []
    for tensor in parameters.tensors {
      switch tensors[tensor.name] {
      case .matrix(let matrix):
        guard let groups = matrix.scaleGroups else { continue }
        shapes += Array(repeating: (matrix.rows, groups.count), count: groups.hasMinimums ? 2 : 1)
      case .vector(let vector) where TunedScales.changes(tensor.role): shapes.append((1, vector.count))
      default: continue
      }
    }
    let (numbers, changes) = try Matrix.row(of: shapes)
    let (gradientNumbers, changeGradients) = try Matrix.row(of: shapes)
    weights = numbers
    gradients = gradientNumbers
    parts = [(0..<numbers.count, true)]
    var next = 0
    for tensor in parameters.tensors {
      switch tensors[tensor.name] {
      case .matrix(let matrix):
        guard let groups = matrix.scaleGroups else { continue }
        let parts = try TunedScales.split(matrix, groups, parameters[tensor.name])
        matrices.append(
          TunedMatrix(
            name: tensor.name, groups: groups, weight: parameters[tensor.name], gradient: modelGradients[tensor.name],
            multiples: parts.multiples, minimums: parts.minimums, apart: parts.apart,
            scale: changes[next], scaleGradient: changeGradients[next],
            minimum: groups.hasMinimums ? changes[next + 1] : nil,
            minimumGradient: groups.hasMinimums ? changeGradients[next + 1] : nil))
        next += groups.hasMinimums ? 2 : 1
      case .vector(let vector) where TunedScales.changes(tensor.role):
        let base = vector.values
        let square = base.reduce(0) { $0 + Double($1) * Double($1) } / Double(max(1, base.count))
        vectors.append(
          TunedVector(
            name: tensor.name, vector: parameters[tensor.name], gradient: modelGradients[tensor.name], base: base,
            size: Float(square.squareRoot()), change: changes[next], changeGradient: changeGradients[next]))
        next += 1
      default: continue
      }
    }
  }

  /// What choices of experts add has no gradient; numbers behind blocks have none, either.
  private static func changes(_ role: TensorRole) -> Bool { role.isVector && ![.routerChoice, .scale].contains(role) }

  /// What of a matrix its scales are multiplied with, what its minimums add, and the rest.
  private static func split(
    _ matrix: PackedMatrix, _ groups: ScaleGroups, _ whole: Matrix
  ) throws -> (multiples: Matrix, minimums: Matrix?, apart: Matrix?) {
    let multiples = try Matrix(copying: whole)
    let zeros = [Float](repeating: 0, count: matrix.rows * groups.count)
    func take(_ other: PackedMatrix, from target: Matrix) throws -> Matrix {
      let values = try Matrix(rows: matrix.rows, columns: matrix.columns)
      for row in 0..<matrix.rows {
        let numbers = other.row(row)
        values[row] = numbers
        target[row] = zip(target[row], numbers).map { $0 - $1 }
      }
      return values
    }
    let apart =
      matrix.outlierColumns.isEmpty
      ? nil : try take(matrix.rescaled(zeros, minimums: groups.hasMinimums ? zeros : nil), from: multiples)
    guard groups.hasMinimums else { return (multiples, nil, apart) }
    let minimums = try take(matrix.rescaled(zeros), from: multiples)
    if let apart {
      // Both hold what is kept apart.
      for row in 0..<matrix.rows {
        let numbers = apart[row]
        minimums[row] = zip(minimums[row], numbers).map { $0 - $1 }
        multiples[row] = zip(multiples[row], numbers).map { $0 + $1 }
      }
    }
    return (multiples, minimums, apart)
  }

  func collectGradients() {
    for matrix in matrices {
      math.groupProducts(matrix.gradient, matrix.multiples, columns: matrix.groups.columns, into: matrix.scaleGradient)
      if let minimums = matrix.minimums, let gradient = matrix.minimumGradient {
        math.groupProducts(matrix.gradient, minimums, columns: matrix.groups.columns, into: gradient)
      }
    }
    for vector in vectors { vector.changeGradient.values = vector.gradient.values.map { $0 * vector.size } }
  }

  func apply() {
    for matrix in matrices {
      let columns = matrix.groups.columns
      if let apart = matrix.apart { matrix.weight.copy(apart) }
      math.scaleGroups(
        matrix.multiples, by: matrix.scale, columns: columns, into: matrix.weight, adds: matrix.apart != nil)
      if let minimums = matrix.minimums, let change = matrix.minimum {
        math.scaleGroups(minimums, by: change, columns: columns, into: matrix.weight, adds: true)
      }
    }
    for vector in vectors {
      vector.vector.values = zip(vector.base, vector.change.values).map { $0 + vector.size * $1 }
    }
  }

  /// The rounded model with what was trained.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` without memory.
  func tuned() throws -> [String: EncodedTensor] {
    var result = tensors
    for matrix in matrices {
      guard let packed = tensors[matrix.name]?.matrix else { continue }
      result[matrix.name] = .matrix(
        try packed.rescaled(
          matrix.scale.values.map { 1 + $0 }, minimums: matrix.minimum?.values.map { 1 + $0 }))
    }
    for vector in vectors { result[vector.name] = .vector(try FloatVector(vector.vector.values)) }
    return result
  }
}
