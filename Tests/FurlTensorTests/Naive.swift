import FurlTensor
import FurlTestSupport
import Foundation

/// What a product has to be, in double precision from decoded weights, and how far off it may be.
struct NaiveProduct {
  /// [count][rows]
  var values: [[Double]] = []
  /// The sum of the magnitudes of the terms, which the kernels' stated bound of 1e-5 is relative to.
  var magnitudes: [[Double]] = []
  /// What rounding activations to 8 bits may add: half a step of each tile of 32 columns, times the weights.
  var quantization: [[Double]] = []

  init(_ matrix: PackedMatrix, _ inputs: [[Float]]) {
    let rows = (0..<matrix.rows).map { matrix.row($0).map(Double.init) }
    // A weight of code * scale + minimum is a sum itself, of parts up to twice the row's largest weight.
    let parts = rows.map { matrix.scheme.codingName.hasSuffix("-minimum") ? 2 * ($0.map(abs).max() ?? 0) : 0 }
    // With 8-bit activations, the values of a published table are rounded to units by half of one at most.
    let layout = TileLayout(matrix)
    let unit: Double = ["nf4": 1 / 127.0, "fp4": 1 / 120.0][matrix.scheme.codingName] ?? 0
    for input in inputs {
      let x = input.map(Double.init)
      let halfSteps = stride(from: 0, to: x.count, by: 32).map { start in
        (x[start..<min(start + 32, x.count)].map(abs).max() ?? 0) / 254
      }
      var (sums, terms, steps): ([Double], [Double], [Double]) = ([], [], [])
      for (index, row) in rows.enumerated() {
        var (sum, term, step) = (0.0, 0.0, 0.0)
        for column in x.indices {
          sum += row[column] * x[column]
          term += (abs(row[column]) + parts[index]) * abs(x[column])
          step += abs(row[column]) * halfSteps[column / 32]
          guard unit > 0 else { continue }
          let scale = Double(abs(layout.scale(index, column: column)))
          step += 0.5 * unit * scale * (abs(x[column]) + halfSteps[column / 32])
        }
        sums.append(sum)
        terms.append(term)
        steps.append(step)
      }
      values.append(sums)
      magnitudes.append(terms)
      quantization.append(steps)
    }
  }

  func bound(_ index: Int, _ row: Int, _ form: ActivationForm) -> Double {
    let exact = 1.1e-5 * magnitudes[index][row] + 1e-30
    return switch form {
    case .int8: exact + 1.001 * quantization[index][row]
    // Both numbers of a product are off by 2^-8 of what they are at most.
    case .bf16: exact + 0x1.02p-7 * magnitudes[index][row]
    case .fp32: exact
    }
  }

  /// The worst of a whole result.
  func compare(_ result: [[Float]], _ form: ActivationForm, to worst: inout Worst) {
    for (index, row) in result.enumerated() {
      for (output, value) in row.enumerated() {
        worst.add(
          Double(value), values[index][output], bound: bound(index, output, form),
          "output \(output) of \(row.count), activation \(index)")
      }
    }
  }
}

/// Activations with these rows.
func activations(_ rows: [[Float]]) throws -> Activations {
  let result = try Activations(columns: rows[0].count, capacity: rows.count)
  for (index, row) in rows.enumerated() { result[index] = row }
  return result
}

/// One product, as [count][rows].
func product(
  _ matrix: PackedMatrix, _ inputs: [[Float]], bias: [Float]? = nil, adding: [[Float]]? = nil,
  epilogue: LinearGroup.Epilogue = .none, on context: ComputeContext
) throws -> [[Float]] {
  let input = try activations(inputs)
  let output = try activations(adding ?? inputs.map { _ in [Float](repeating: .nan, count: matrix.rows) })
  let group = LinearGroup([.init(matrix, bias: try bias.map { try FloatVector($0) }, epilogue: epilogue)])
  if group.readsRounded(context) { input.quantize(count: inputs.count, on: context) }
  group(input, count: inputs.count, into: [output], accumulate: adding != nil, on: context)
  return inputs.indices.map { output[$0] }
}

/// A context for one tier of kernels.
func computing(_ tier: String, threads: Int = 1, _ activations: ActivationForm = .int8) throws -> ComputeContext {
  ComputeContext(
    pool: WorkerPool(threads: threads), kernels: try Kernels(named: tier), activations: activations)
}

extension Scheme {
  /// Every coding with blocks of every kind that its kernels tell apart, and with both kinds of scales.
  static let every: [Scheme] =
    [.float32, .bfloat16]
    + [Block.columns(32), .columns(64), .columns(128), .row].flatMap {
      [.int8($0), .nested8($0), .int4($0), .int4Minimum($0)]
    }
    + [Block.columns(32), .row].flatMap { [.int6($0), .int6Minimum($0), .int5($0), .int5Minimum($0)] }
    + [Block.columns(64), .row].flatMap {
      [.int3($0), .int3Minimum($0), .int2($0), .int2Minimum($0), .nf4($0), .fp4($0), .codebook4($0)]
    }
    + small

  /// Those with scales in 8 bits.
  static let small: [Scheme] = [
    Scheme.int8(.columns(32)), .nested8(.columns(64)), .int4(.columns(32)), .int4Minimum(.columns(64)),
    .int3(.columns(32)),
    .int3Minimum(.columns(128)), .int2(.columns(128)), .int2Minimum(.columns(32)), .nf4(.columns(64)),
    .fp4(.columns(128)), .codebook4(.columns(32)), .int6(.columns(64)), .int5Minimum(.columns(32)),
  ].compactMap(\.withSmallScales)
}
