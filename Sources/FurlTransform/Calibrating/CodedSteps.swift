import FurlArtifact
import FurlBase
import FurlNumerics
import FurlTensor

/// Finds the step at which a matrix takes so many bits a weight in a compact file.
///
/// All rows of a layer have one step: at a given number of coded bits the squared error is least when every weight's error is alike
/// (reverse water-filling), and the entropy coder gives wide rows the bits that they need. Halving the step costs one
/// bit, so a few tries find it: with nearest codes first, which take little time and hardly other bits, and then with the
/// codes that are wanted.
struct CodedSteps {
  let source: WeightSource
  let scheme: Scheme
  let objective: CodeObjective
  let math: DenseMath
  /// What the step is multiplied with in each row; nil: 1.
  var rowFactors: [Float]?
  /// What rows make up for; nil: each for itself.
  var rowFeedback: OutputFactor?

  /// How far coded bits may be off.
  static let tolerance = 0.005
  private static let tries = 6
  private static let quickTries = 4
  /// How many times as wide as that of normally distributed weights, of which no others need more bits, a step may be.
  private static let widest = 4.0

  init(
    _ source: WeightSource, scheme: Scheme, objective: CodeObjective, on math: DenseMath,
    rowFactors: [Float]? = nil
  ) {
    self.source = source
    self.scheme = scheme
    self.objective = objective
    self.math = math
    self.rowFactors = rowFactors
  }

  /// The matrix with the step whose coded bits come closest; the same whatever the number of threads.
  ///
  /// - Parameter tolerance: bits that are close enough.
  /// - Throws: ``FurlError`` of kind `input` for weights that are not finite.
  func encode(bits: Double, tolerance: Double = CodedSteps.tolerance) throws -> PackedMatrix {
    // What it is for normally distributed weights: their differential entropy less the bits.
    var step = try rootMeanSquare() * (2 * Double.pi * M_E).squareRoot() * Elementary.exp2(-bits)
    // A smaller one is no half.
    guard step >= 0x1p-24 else { return try PackedMatrix.encode(source, scheme: scheme, pool: math.pool) }
    // Of a matrix of a few dozen weights the frame around the codes alone takes more bits than that: a wider step would only
    // lose what the weights say.
    let range = 0x1p-24...max(0x1p-24, CodedSteps.widest * step)
    if case .outputs = objective {
      let quick = CodedSteps(
        source, scheme: scheme, objective: .columns(weights: nil), on: math, rowFactors: rowFactors)
      for _ in 0..<CodedSteps.quickTries {
        let off = try CodedSteps.codedBits(quick.encode(step: step), pool: math.pool) - bits
        step = min(max(step * Elementary.exp2(off), range.lowerBound), range.upperBound)
        if abs(off) <= tolerance { break }
      }
    }
    var best: (matrix: PackedMatrix, off: Double)?
    for _ in 0..<CodedSteps.tries {
      let matrix = try encode(step: step)
      let off = try CodedSteps.codedBits(matrix, pool: math.pool) - bits
      if best.map({ abs(off) < abs($0.off) }) ?? true { best = (matrix, off) }
      if abs(off) <= tolerance { break }
      step = min(max(step * Elementary.exp2(off), range.lowerBound), range.upperBound)
    }
    guard let best else { throw FurlError(.defect, "no step was tried") }
    return best.matrix
  }

  private func encode(step: Double) throws -> PackedMatrix {
    var encoder = try CalibratedEncoder(
      scheme: scheme, scales: .step(Float(step)), objective: objective, rowFactors: rowFactors)
    encoder.rowFeedback = rowFeedback
    return try encoder.encode(source, on: math)
  }

  /// Bits of a weight's code in a compact file.
  static func codedBits(_ matrix: PackedMatrix, pool: WorkerPool) throws -> Double {
    let bytes = try CompactCoding.storedBytes(
      of: matrix.streams[0], symbols: matrix.layout.streams[0].symbols, zero: matrix.layout.streams[0].zero,
      parallelFor: pool.forEach)
    return Double(bytes) * 8 / Double(matrix.rows * matrix.columns)
  }

  private func rootMeanSquare() throws -> Double {
    let buffer = ReadBuffer()
    let rows = max(1, (1 << 20) / source.columns)
    var sum = 0.0
    for first in stride(from: 0, to: source.rows, by: rows) {
      let values = try source.loadFloats(rows: first..<min(first + rows, source.rows), with: buffer)
      sum += values.reduce(0) { $0 + Double($1) * Double($1) }
    }
    // What is not finite is named by the encoder.
    return sum.isFinite ? (sum / Double(source.rows * source.columns)).squareRoot() : 1
  }
}
