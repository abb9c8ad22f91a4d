import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// What follows a linear layer while its outputs are in the cache: activations, and gates times what they gate.
@Suite struct ActivationTests {
  static func expected(_ activation: LinearGroup.FusedActivation, _ x: Double) -> Double {
    switch activation {
    case .gelu: 0.5 * x * erfc(-x / 2.0.squareRoot())
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .quickGelu: x / (1 + exp(-1.702 * x))
    case .silu: x / (1 + exp(-x))
    case .relu: max(x, 0)
    case .tanh: tanh(x)
    }
  }

  static func identity(_ rows: Int) throws -> PackedMatrix {
    try PackedMatrix.encode(
      TestData.source((0..<rows * rows).map { $0 / rows == $0 % rows ? 1 : 0 }, rows: rows, columns: rows),
      scheme: .float32, pool: WorkerPool(threads: 1))
  }

  /// Through weights of one, so that the activation's input is known exactly.
  @Test(arguments: Kernels.supported, LinearGroup.FusedActivation.allCases)
  func isItsFormula(_ tier: String, _ activation: LinearGroup.FusedActivation) throws {
    let context = try computing(tier)
    var worst = Worst()
    for rows in [1, 7, 16, 40, 64] {
      let matrix = try Self.identity(rows)
      let inputs = (0..<40).map { step in (0..<rows).map { Float(step * rows + $0) / Float(40 * rows) * 24 - 12 } }
      for (input, output) in zip(inputs, try product(matrix, inputs, epilogue: .activation(activation), on: context)) {
        for (value, result) in zip(input, output) {
          let x = Double(value)
          worst.add(Double(result), Self.expected(activation, x), bound: 1e-6 * abs(x) + 1e-30, "\(activation)(\(x))")
        }
      }
    }
    #expect(worst.share <= 1, "\(worst.place)")
  }

  @Test(arguments: Kernels.supported, LinearGroup.FusedActivation.allCases)
  func extremesAreItsLimits(_ tier: String, _ activation: LinearGroup.FusedActivation) throws {
    let inputs: [[Float]] = [[-1e30], [-100], [0], [100], [1e30]]
    let results = try product(Self.identity(1), inputs, epilogue: .activation(activation), on: computing(tier))
    guard activation != .tanh else {
      #expect(results == [[-1], [-1], [0], [1], [1]])
      return
    }
    #expect(results.prefix(3).allSatisfy { $0[0].magnitude < 1e-30 } && results.suffix(2) == [[100], [1e30]])
    #expect(try product(Self.identity(1), [[.nan]], epilogue: .activation(activation), on: computing(tier))[0][0].isNaN)
  }

  /// Gate and up of a gated MLP, alone and after other layers, give on any number of threads and beside any rows
  /// what the two products give one after the other.
  @Test(arguments: Kernels.supported, [Scheme.float32, .int8(.columns(32)), .int4Minimum(.row)])
  func aGateIsMultipliedWithItsNeighbour(_ tier: String, _ scheme: Scheme) throws {
    var draws = SplitMix64(seed: 20)
    let inputs = ProductTests.inputs(columns: 70)
    for rows in [1, 16, 33, 200] {
      let gate = try ProductTests.matrix(rows, 70, scheme)
      let up = try PackedMatrix.encode(
        TestData.source(draws.floats(rows * 70), rows: rows, columns: 70), scheme: scheme,
        pool: WorkerPool(threads: 1))
      let other = try ProductTests.matrix(50, 70, .float32)
      let bias = try FloatVector(draws.floats(rows))
      let alone = try computing(tier)
      let activated = try product(gate, inputs, bias: bias.values, epilogue: .activation(.silu), on: alone)
      let expected = zip(activated, try product(up, inputs, on: alone)).map { zip($0, $1).map(*) }
      let plain = try product(other, inputs, on: alone)
      for threads in 1...4 {
        let context = try computing(tier, threads: threads)
        let pair: [LinearGroup.GroupedLayer] = [.init(gate, bias: bias, epilogue: .gate(.silu)), .init(up, bias: nil)]
        for (layers, place) in [(pair, 0), ([.init(other, bias: nil)] + pair, 1), (pair + pair, 2)] {
          for count in [1, 4, inputs.count] {
            let input = try activations(Array(inputs.suffix(count)))
            input.quantize(count: count, on: context)
            let outputs = try layers.map { try Activations(columns: $0.weight.rows, capacity: count) }
            LinearGroup(layers)(input, count: count, into: outputs, on: context)
            #expect((0..<count).map { outputs[place][$0] } == Array(expected.suffix(count)))
            if place == 1 { #expect((0..<count).map { outputs[0][$0] } == Array(plain.suffix(count))) }
          }
        }
      }
    }
  }

  /// More rows and outputs than one piece of an epilogue holds.
  @Test(arguments: Kernels.supported)
  func manyOutputsAreWhatEachIs(_ tier: String) throws {
    let matrix = try ProductTests.matrix(600, 33, .int8(.row))
    let inputs = (0..<11).flatMap { _ in ProductTests.inputs(columns: 33) }
    let context = try computing(tier, threads: 2)
    let all = try product(matrix, inputs, epilogue: .activation(.gelu), on: context)
    for index in [0, 50, 98] {
      #expect(try product(matrix, [inputs[index]], epilogue: .activation(.gelu), on: context)[0] == all[index])
    }
  }
}
