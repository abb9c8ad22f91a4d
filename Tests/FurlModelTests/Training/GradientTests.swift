import FurlSpec
import FurlBase
import FurlCheckpoint
@testable import FurlModel
import FurlNumerics
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// The backward pass against PyTorch's autograd, for every family and every kind of layer.
@Suite struct GradientTests {
  static let families = TestData.root + "/Tests/Fixtures/families/"

  /// What PyTorch made of two sequences.
  struct Expected {
    let ids: [[Int]]
    let loss: Double
    /// Under the names of the checkpoint's tensors.
    let gradients: [String: [Float]]

    init(_ name: String) throws {
      let path = TestData.root + "/Tests/Fixtures/gradients/\(name).json"
      let document = try JSON.parse(TestData.bytes(path), file: nil)
      ids = try #require(document["input_ids"]?.array).map { ($0.array ?? []).compactMap(\.integer) }
      loss = try #require(document["loss"]?.number)
      gradients = Dictionary(
        uniqueKeysWithValues: try #require(document["gradients"]?.members).map { member in
          let data = Data(base64Encoded: member.value.string ?? "") ?? Data()
          return (member.key, data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) })
        })
    }

    /// The gradients under Furl's names: a checkpoint that has them for weights says which is which.
    func byName(_ sample: SampleCheckpoint, in folder: String) throws -> [String: [Float]] {
      var sample = sample
      for (name, tensor) in sample.tensors {
        let values = gradients[name] ?? tensor.values.map { _ in 0 }
        sample.tensors[name]?.values = values
      }
      try sample.write(to: folder)
      let checkpoint = try Checkpoint(path: folder)
      return try Dictionary(
        uniqueKeysWithValues: checkpoint.spec.tensors.map { ($0.name, try checkpoint.source($0.name).readAll()) })
    }
  }

  /// A model, one pass and the gradients of a loss.
  struct Run {
    let parameters: ModelParameters
    let gradients: ModelParameters
    let loss: Double

    enum Goal: String { case entropy, divergence, hidden }

    /// - Parameter patches: numbers of the maps that stand in for blocks, by name.
    init(
      _ checkpoint: Checkpoint, _ ids: [[Int]], goal: Goal = .entropy, threads: Int, kernels: String? = nil,
      patches: [String: [Float]] = [:]
    ) throws {
      var spec = checkpoint.spec
      if !patches.isEmpty { spec.patches = [1, spec.blocks.count] }
      let own = try ModelParameters(checkpoint)
      let weights = Dictionary(uniqueKeysWithValues: own.tensors.map { ($0.name, own[$0.name].values) })
      try self.init(
        spec, weights.merging(patches) { $1 }, ids, goal: goal,
        on: DenseMath(pool: WorkerPool(threads: threads), kernels: try Kernels(named: kernels)))
    }

    /// - Parameter weights: of every tensor.
    init(
      _ spec: ModelSpec, _ weights: [String: [Float]], _ ids: [[Int]], goal: Goal, on math: DenseMath
    ) throws {
      func model(normsTimes factor: Float = 1) throws -> ModelParameters {
        let model = try ModelParameters(zeros: spec)
        for tensor in spec.tensors {
          let values = try #require(weights[tensor.name], "\(tensor.name)")
          try #require(values.count == tensor.elementCount, "\(tensor.name)")
          model[tensor.name].values = tensor.role == .norm ? values.map { factor * $0 } : values
        }
        return model
      }
      parameters = try model()
      gradients = try ModelParameters(zeros: spec)
      let length = ids[0].count
      let all = ids.flatMap { $0 }
      func makePass(isTrained: Bool) throws -> TrainingPass {
        try TrainingPass(spec, sequences: ids.count, length: length, isTrained: isTrained, math: math)
      }
      let pass = try makePass(isTrained: true)
      pass.forward(parameters, ids: all)
      let gradient = try Matrix(rows: all.count, columns: spec.hiddenSize)
      let targets = ids.flatMap { $0.dropFirst() + [-1] }
      let count = Float(targets.count { $0 >= 0 })
      var teacher: TaughtHead?
      if goal != .entropy {
        let taught = try model(normsTimes: 2)
        let other = try makePass(isTrained: false)
        other.forward(taught, ids: all)
        teacher = TaughtHead(hidden: other.output, head: taught.head)
      }
      let into = HeadGradients(hidden: gradient, head: gradients.head)
      let head = try HeadLoss(
        rows: all.count, vocabulary: spec.vocabularySize, hasTeacher: goal == .divergence, math: math)
      switch goal {
      case .entropy:
        let sums = head(
          hidden: pass.output, head: parameters.head, targets: targets, teacher: nil,
          weights: .init(entropy: 1 / count, divergence: 0), gradients: into)
        loss = sums.entropy / Double(count)
      case .divergence:
        let sums = head(
          hidden: pass.output, head: parameters.head, targets: targets, teacher: teacher,
          weights: .init(entropy: 0, divergence: 1 / Float(all.count)), gradients: into)
        loss = sums.divergence / Double(all.count)
      case .hidden:
        let wanted = try #require(teacher).hidden
        let size = math.squares(wanted)
        loss = 0.1 * math.squaredDistance(pass.output, wanted, adding: Float(0.2 / size), to: gradient) / size
      }
      try pass.backward(parameters, gradients: gradients, from: gradient, ids: all)
    }
  }

  static func checkpoint(_ name: String, in folder: String) throws -> SampleCheckpoint {
    var sample = try SampleCheckpoint(
      folder: families + (name.contains("-") && name != "gelu-tanh" ? name : "gpt2-relu"))
    switch name {
    case "tanh": sample.configure("activation_function", "tanh")
    case "gelu-tanh": sample.configure("activation_function", "gelu_new")
    default: break
    }
    return sample
  }

  func compare(_ name: String, goal: Run.Goal, kernels: String? = nil) throws {
    try TestData.withTemporaryFolder { folder in
      let expected = try Expected(name)
      let sample = try Self.checkpoint(name, in: folder)
      try sample.write(to: folder + "/model")
      let wanted = try expected.byName(sample, in: folder + "/gradients")
      let run = try Run(
        Checkpoint(path: folder + "/model"), expected.ids, goal: goal, threads: 2, kernels: kernels)
      #expect(abs(run.loss - expected.loss) <= 1e-5 * expected.loss, "\(name): the loss is \(run.loss)")
      for tensor in run.gradients.tensors {
        let (actual, right) = (run.gradients[tensor.name].values, try #require(wanted[tensor.name]))
        let size = right.map { abs($0) }.max() ?? 0
        let worst = zip(actual, right).map { abs($0 - $1) }.max() ?? .infinity
        // A key's bias moves no probability: what its gradient is, is rounding alone.
        let bound = tensor.name.hasSuffix("key.bias") && size < 1e-5 ? 1e-5 : 1e-4 * size
        #expect(worst <= bound, "\(name), \(tensor.name): off by \(worst), the largest is \(size)")
      }
    }
  }

  @Test(
    arguments: [
      "gpt2-relu", "llama-scaled", "llama-linear", "mistral-window", "phi-quarter", "qwen2-some-windows",
      "starcoder2-plain", "tanh", "gelu-tanh",
    ], Kernels.supported)
  func crossEntropyEqualsAutograd(_ name: String, kernels: String) throws {
    try compare(name, goal: .entropy, kernels: kernels)
  }

  @Test func distillationEqualsAutograd() throws { try compare("distilled", goal: .divergence) }

  @Test func hiddenLossEqualsAutograd() throws { try compare("hidden", goal: .hidden) }

  /// Maps that stand in for blocks have gradients, too, and pass others on.
  @Test func patchesEqualAutograd() throws {
    try TestData.withTemporaryFolder { folder in
      let path = TestData.root + "/Tests/Fixtures/gradients/patched.json"
      let document = try JSON.parse(TestData.bytes(path), file: nil)
      func numbers(_ key: String) throws -> [String: [Float]] {
        Dictionary(
          uniqueKeysWithValues: try #require(document[key]?.members).map { member in
            let data = Data(base64Encoded: member.value.string ?? "") ?? Data()
            return (member.key, data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) })
          })
      }
      let expected = try Expected("patched")
      let sample = try SampleCheckpoint(folder: Self.families + "gpt2-relu")
      let wanted = try expected.byName(sample, in: folder).merging(numbers("patch_gradients")) { $1 }
      let run = try Run(
        Checkpoint(path: Self.families + "gpt2-relu"), expected.ids, threads: 2, patches: numbers("patches"))
      #expect(abs(run.loss - expected.loss) <= 1e-5 * expected.loss)
      for tensor in run.gradients.tensors {
        let (actual, right) = (run.gradients[tensor.name].values, try #require(wanted[tensor.name]))
        let size = right.map { abs($0) }.max() ?? 0
        let worst = zip(actual, right).map { abs($0 - $1) }.max() ?? .infinity
        let bound = tensor.name.hasSuffix("key.bias") && size < 1e-5 ? 1e-5 : 1e-4 * size
        #expect(worst <= bound, "\(tensor.name): off by \(worst), the largest is \(size)")
      }
    }
  }

  /// Sums have one order, whoever computes them.
  @Test(arguments: ["llama-scaled", "gpt2-relu", "mistral-window"])
  func bitsDoNotDependOnThreads(_ name: String) throws {
    let checkpoint = try Checkpoint(path: Self.families + name)
    let ids = (0..<3).map { Fixtures.ids(40, below: 32, seed: UInt64($0)) }
    let runs = try [1, 2, 3].map { try Run(checkpoint, ids, threads: $0) }
    for run in runs.dropFirst() {
      #expect(run.loss == runs[0].loss)
      #expect(run.gradients.all.values == runs[0].gradients.all.values)
    }
  }
}
