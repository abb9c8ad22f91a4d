import FurlNumerics
import FurlSpec
import FurlTensor

/// Keys and values that a block of a pass gives to later ones, normed and turned, and what those send back.
struct GivenKeys {
  /// [rows][keys], as queries meet them.
  let key, value: Matrix
  /// The sums of what all blocks that take them have sent back; nil: there is no way back.
  private let gradients: (key: Matrix, value: Matrix)?

  /// - Parameter spec: of the block that makes them.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  init(_ spec: AttentionSpec, _ shape: TrainingShape) throws {
    func matrix() throws -> Matrix { try Matrix(rows: shape.rows, columns: spec.keys) }
    (key, value) = (try matrix(), try matrix())
    gradients = shape.isTrained ? (try matrix(), try matrix()) : nil
  }

  /// Keeps what the block has made.
  func set(_ key: Matrix, _ value: Matrix) {
    self.key.copy(key)
    self.value.copy(value)
  }

  func clearGradients() {
    gradients?.key.clear()
    gradients?.value.clear()
  }

  /// Adds what a block that takes them sends back.
  func add(_ key: Matrix, _ value: Matrix, with math: DenseMath) {
    guard let gradients else { return }
    math.add(key, to: gradients.key)
    math.add(value, to: gradients.value)
  }

  /// Adds all of that to what the block that makes them has of its own.
  func addTo(_ key: Matrix, _ value: Matrix, with math: DenseMath) {
    guard let gradients else { return }
    math.add(gradients.key, to: key)
    math.add(gradients.value, to: value)
  }
}

/// The norm of values, whose weights are ones and have no gradient.
struct TrainingValueNorm {
  private let epsilon: Float
  private let ones: Matrix
  /// Where the gradient of the ones goes, which nobody reads.
  private let unread: Matrix

  init(epsilon: Double, size: Int) throws {
    self.epsilon = Float(epsilon)
    ones = try Matrix(rows: 1, columns: size)
    ones.values = [Float](repeating: 1, count: size)
    unread = try Matrix(rows: 1, columns: size)
  }

  /// - Parameter x: [heads of all rows][size].
  func normalize(_ x: Matrix, into out: Matrix, with math: DenseMath) {
    math.normalize(x, by: .rmsNorm, weight: ones, bias: nil, epsilon: epsilon, into: out)
  }

  func back(_ x: Matrix, gradient: Matrix, addingTo out: Matrix, with math: DenseMath) throws {
    try math.normalizeBack(
      x, by: .rmsNorm, weight: ones, epsilon: epsilon, gradient: gradient,
      addingTo: NormGradients(input: out, weight: unread, bias: nil))
  }
}
