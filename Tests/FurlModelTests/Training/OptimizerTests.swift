import FurlSpec
import FurlBase
import FurlCheckpoint
@testable import FurlModel
import FurlNumerics
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Whole steps of training against PyTorch's.
@Suite struct OptimizerTests {
  /// Four steps of AdamW with clipping, rates that change and decay of matrices alone.
  @Test(arguments: [1, 2]) func stepsEqualPyTorchs(threads: Int) throws {
    let path = TestData.root + "/Tests/Fixtures/gradients/adamw.json"
    let document = try JSON.parse(TestData.bytes(path), file: nil)
    let batches = try #require(document["input_ids"]?.array).map { batch in
      (batch.array ?? []).map { ($0.array ?? []).compactMap(\.integer) }
    }
    let rates = try #require(document["rates"]?.array).compactMap(\.number)
    let losses = try #require(document["losses"]?.array).compactMap(\.number)
    let clip = try #require(document["clip"]?.number)
    let decay = try Float(#require(document["decay"]?.number))
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: GradientTests.families + "gpt2-relu")
      for member in try #require(document["weights"]?.members) {
        let data = Data(base64Encoded: member.value.string ?? "") ?? Data()
        sample.tensors[member.key]?.values = data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
      }
      try sample.write(to: folder)
      let expected = try Checkpoint(path: folder)

      let math = DenseMath(pool: WorkerPool(threads: threads), kernels: try Kernels())
      let parameters = try ModelParameters(Checkpoint(path: GradientTests.families + "gpt2-relu"))
      let gradients = try ModelParameters(zeros: parameters.spec)
      let (count, length) = (batches[0].count, batches[0][0].count)
      let pass = try TrainingPass(parameters.spec, sequences: count, length: length, isTrained: true, math: math)
      let rows = count * length
      let head = try HeadLoss(rows: rows, vocabulary: parameters.spec.vocabularySize, hasTeacher: false, math: math)
      let gradient = try Matrix(rows: rows, columns: parameters.spec.hiddenSize)
      let optimizer = try AdamW(count: parameters.all.count)
      let parts = try parameters.tensors.map {
        DecayedRange(range: try #require(parameters.ranges[$0.name]), decay: $0.role.isVector ? 0 : decay)
      }
      for (step, batch) in batches.enumerated() {
        gradients.all.clear()
        let ids = batch.flatMap { $0 }
        let targets = batch.flatMap { $0.dropFirst() + [-1] }
        let wanted = Float(targets.count { $0 >= 0 })
        pass.forward(parameters, ids: ids)
        let sums = head(
          hidden: pass.output, head: parameters.head, targets: targets, teacher: nil,
          weights: .init(entropy: 1 / wanted, divergence: 0),
          gradients: .init(hidden: gradient, head: gradients.head))
        #expect(abs(sums.entropy / Double(wanted) - losses[step]) <= 2e-5 * losses[step])
        try pass.backward(parameters, gradients: gradients, from: gradient, ids: ids)
        let norm = math.squares(gradients.all).squareRoot()
        optimizer.step(
          parameters.all, gradients.all, gradientScale: norm > clip ? Float(clip / norm) : 1, rate: Float(rates[step]),
          parts: parts, with: math)
      }
      // A key's bias has a gradient of rounding errors alone, which AdamW takes for its sign.
      for tensor in parameters.tensors where !tensor.name.hasSuffix("key.bias") {
        let right = try expected.source(tensor.name).readAll()
        let worst = zip(parameters[tensor.name].values, right).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst <= 2e-4, "\(tensor.name) is off by \(worst)")
      }
    }
  }
}
