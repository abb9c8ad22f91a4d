import FurlBase
@testable import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// The backward pass of blocks that are more than attention and an MLP of one kind, against PyTorch's autograd over the
/// families that have them.
@Suite struct StageGradientTests {
  /// What PyTorch made of two sequences.
  private struct Expected {
    let ids: [[Int]]
    let goal: GradientTests.Run.Goal
    let loss: Double
    /// Under Furl's names.
    let weights: [String: [Float]]
    let gradients: [String: [Float]]

    init(_ name: String, _ spec: ModelSpec) throws {
      let path = TestData.root + "/Tests/Fixtures/gradients/stages/\(name).json"
      let document = try JSON.parse(TestData.bytes(path), file: nil)
      ids = try #require(document["input_ids"]?.array).map { ($0.array ?? []).compactMap(\.integer) }
      goal = try #require(document["goal"]?.string.flatMap(GradientTests.Run.Goal.init))
      loss = try #require(document["loss"]?.number)
      let how = try #require(document["weights"]?.members)
      try #require(Set(how.map(\.key)) == Set(spec.tensors.map(\.name)))
      weights = try Dictionary(
        uniqueKeysWithValues: spec.tensors.map { tensor in
          let own = try #require(document["weights"]?[tensor.name])
          return (tensor.name, try Self.draw(own, count: tensor.elementCount))
        })
      gradients = Dictionary(
        uniqueKeysWithValues: try #require(document["gradients"]?.members).map { member in
          let data = Data(base64Encoded: member.value.string ?? "") ?? Data()
          return (member.key, data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) })
        })
    }

    private static func draw(_ how: JSON, count: Int) throws -> [Float] {
      var draws = SplitMix64(seed: UInt64(try #require(how["seed"]?.integer)))
      let middle = try #require(how["middle"]?.number)
      let width = try #require(how["width"]?.number)
      return (0..<count).map { _ in Float(middle + width * (2 * draws.unit() - 1)) }
    }
  }

  private static func math(threads: Int = 2, kernels: String? = nil) throws -> DenseMath {
    DenseMath(pool: WorkerPool(threads: threads), kernels: try Kernels(named: kernels))
  }

  @Test(arguments: StageSpecs.names, Kernels.supported)
  func gradientsEqualAutograd(_ name: String, kernels: String) throws {
    let spec = try #require(StageSpecs.named(name))
    try spec.validate(file: nil)
    let expected = try Expected(name, spec)
    let run = try GradientTests.Run(
      spec, expected.weights, expected.ids, goal: expected.goal, on: Self.math(kernels: kernels))
    #expect(abs(run.loss - expected.loss) <= 1e-5 * expected.loss, "\(name): the loss is \(run.loss)")
    for tensor in spec.tensors {
      let actual = run.gradients[tensor.name].values
      guard let right = expected.gradients[tensor.name] else {
        // A loss of hidden states has nothing to do with the head, the choice of experts has no gradient, and numbers behind
        // blocks are no parameters.
        #expect([.routerChoice, .head, .scale].contains(tensor.role))
        #expect(actual.allSatisfy { $0 == 0 }, "\(name), \(tensor.name)")
        continue
      }
      let size = right.map { abs($0) }.max() ?? 0
      let worst = zip(actual, right).map { abs($0 - $1) }.max() ?? .infinity
      // A key's bias moves no probability where nothing is turned: what its gradient is, is rounding alone.
      let bound = tensor.name.hasSuffix("key.bias") && size < 1e-5 ? 1e-5 : 1e-4 * size
      #expect(actual.count == right.count && worst <= bound, "\(name), \(tensor.name): off by \(worst) of \(size)")
    }
  }

  /// Sums have one order, whoever computes them.
  @Test(arguments: StageSpecs.names) func bitsDoNotDependOnThreads(_ name: String) throws {
    let spec = try #require(StageSpecs.named(name))
    let expected = try Expected(name, spec)
    let ids = (0..<3).map { Fixtures.ids(80, below: spec.vocabularySize, seed: UInt64($0)) }
    let runs = try [1, 3].map {
      try GradientTests.Run(spec, expected.weights, ids, goal: expected.goal, on: Self.math(threads: $0))
    }
    #expect(runs[0].loss == runs[1].loss)
    #expect(runs[0].gradients.all.values == runs[1].gradients.all.values)
  }

  /// What a pass leaves behind does not reach into the next one: other sequences go through other experts.
  @Test(arguments: StageSpecs.names) func passesDoNotRememberEachOther(_ name: String) throws {
    let spec = try #require(StageSpecs.named(name))
    let expected = try Expected(name, spec)
    let parameters = try ModelParameters(zeros: spec)
    for tensor in spec.tensors { parameters[tensor.name].values = expected.weights[tensor.name] ?? [] }
    let math = try Self.math()
    let ids = (0..<2).map { Fixtures.ids(20, below: spec.vocabularySize, seed: UInt64($0)) }
    func gradients(_ pass: TrainingPass, _ ids: [Int]) throws -> [Float] {
      let gradients = try ModelParameters(zeros: spec)
      pass.forward(parameters, ids: ids)
      let above = try Matrix(copying: pass.output)
      try pass.backward(parameters, gradients: gradients, from: above, ids: ids)
      return gradients.all.values
    }
    func pass() throws -> TrainingPass {
      try TrainingPass(spec, sequences: 1, length: 20, isTrained: true, math: math)
    }
    let used = try pass()
    let first = try gradients(used, ids[0])
    #expect(try gradients(used, ids[1]) == gradients(pass(), ids[1]))
    #expect(try gradients(used, ids[0]) == first)
  }

  /// A pass without a way back, whose blocks share memory, computes the same.
  @Test(arguments: StageSpecs.names) func untrainedPassesComputeTheSame(_ name: String) throws {
    let spec = try #require(StageSpecs.named(name))
    let expected = try Expected(name, spec)
    let parameters = try ModelParameters(zeros: spec)
    for tensor in spec.tensors { parameters[tensor.name].values = expected.weights[tensor.name] ?? [] }
    let ids = Fixtures.ids(40, below: spec.vocabularySize, seed: 5)
    let outputs = try [true, false].map { isTrained in
      let pass = try TrainingPass(spec, sequences: 2, length: 20, isTrained: isTrained, math: Self.math())
      pass.forward(parameters, ids: ids)
      return pass.output.values
    }
    #expect(outputs[0] == outputs[1])
  }

  @Test func whatHasNoGradientIsRefused() throws {
    var spec = try #require(StageSpecs.named("qwen3_moe"))
    let mixer = RecurrentSpec(keyHeads: 2, keySize: 4, valueHeads: 2, valueSize: 4, convolution: 4)
    spec.blocks[1].stages[0].parts = [PartSpec(.recurrent(mixer))]
    let error = #expect(throws: FurlError.self) {
      try TrainingPass(spec, sequences: 1, length: 4, isTrained: true, math: Self.math())
    }
    #expect("\(try #require(error))".contains("a recurrent mixer has no gradient"))
  }
}
