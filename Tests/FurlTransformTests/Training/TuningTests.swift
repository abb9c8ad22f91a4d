import Foundation
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

@testable import FurlTransform

/// Scales, norms and biases that are trained behind the rounding.
@Suite struct TuningTests {
  private static func steps(_ quantize: String, train: String = "", keys: String = "") -> String {
    """
      - quantize: {\(quantize)}
      - tune:
          train: {text: train.txt, held_out: held-out.txt, steps: 30, batch: 4, length: 24, rate: 0.005\(train)}
          \(keys)
    """
  }

  private static func tuning(_ path: String) throws -> JSON {
    let details = try Artifact(path: path).description.recipe.details
    return try #require(details["tuning"])
  }

  /// The streams of codes of an artifact, by tensor.
  private static func codes(_ path: String) throws -> [String: [UInt8]] {
    let weights = try ArtifactWeights(Artifact(path: path))
    let pool = WorkerPool(threads: 1)
    var result: [String: [UInt8]] = [:]
    for tensor in weights.spec.tensors where tensor.shape.count == 2 {
      let matrix = try weights.matrix(tensor, pool: pool)
      guard let index = matrix.layout.streams.firstIndex(where: { $0.kind == .codes }) else { continue }
      result[tensor.name] = matrix.streams[index].bytes
    }
    return result
  }

  /// What was lost comes back in part, under the same codes, in a file that is no larger by more than its own words.
  @Test(arguments: [
    "weights: int3, block: 32", "weights: int2, zero: minimum, block: 32, scales: u8", "weights: nf4, block: 64",
    "weights: int4, block: row, embeddings: fp32",
  ])
  func tuningComesNearer(_ quantize: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let plain = try TrainingFixtures.artifact("  - quantize: {\(quantize)}", in: folder)
      let before = try Self.codes(folder + "/a.furl")
      let norms = try Fixtures.decoded(folder + "/a.furl")["norm"]
      let tuned = try TrainingFixtures.artifact(Self.steps(quantize), in: folder)
      #expect(try Self.codes(folder + "/a.furl") == before)
      #expect(try Fixtures.decoded(folder + "/a.furl")["norm"] != norms)
      #expect(tuned.bytes.count < plain.bytes.count + 4096)
      let report = try Self.tuning(folder + "/a.furl")
      let list = try #require(report["kl_divergence"]?.array)
      let measured = list.compactMap(\.number)
      print("\(quantize): \(measured)")
      #expect(report["taken"]?.bool == true && measured.count == 2 && measured[1] < 0.9 * measured[0])
      #expect(report["held_out"]?["name"]?.string == "held-out.txt")
    }
  }

  /// A rate that spoils the model is not taken, and it is said.
  @Test func whatGetsWorseIsLeftOut() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      _ = try TrainingFixtures.artifact("  - quantize: {weights: int8}", in: folder)
      let plain = try Fixtures.decoded(folder + "/a.furl")
      let recipe = try TrainingFixtures.recipe(
        Self.steps("weights: int8", train: ", clip: 0").replacing("0.005", with: "0.5"), in: folder)
      let result = try Compressor(Checkpoint(folder: folder + "/model"), recipe: recipe).write(
        to: folder + "/a.furl", pool: WorkerPool(threads: 2))
      #expect(try Fixtures.decoded(folder + "/a.furl") == plain)
      #expect(try Self.tuning(folder + "/a.furl")["taken"]?.bool == false)
      #expect(result.notes.contains { $0.contains("try a lower rate") })
    }
  }

  /// The gradient of a relative change is that of the loss, by differences.
  @Test(arguments: ["weights: int2, zero: minimum, block: 32", "weights: int8, outliers: {share: 0.05}"])
  func gradientsAreDifferences(_ quantize: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      _ = try TrainingFixtures.artifact("  - quantize: {\(quantize)}", in: folder)
      let weights = try ArtifactWeights(Artifact(path: folder + "/a.furl"))
      let pool = WorkerPool(threads: 2)
      let math = DenseMath(pool: pool, kernels: try Kernels())
      let parameters = try ModelParameters(zeros: weights.spec)
      var tensors: [String: EncodedTensor] = [:]
      for tensor in weights.spec.tensors {
        if tensor.shape.count == 1 {
          let vector = try weights.vector(tensor)
          tensors[tensor.name] = .vector(vector)
          parameters[tensor.name].values = vector.values
        } else {
          let matrix = try weights.matrix(tensor, pool: pool)
          tensors[tensor.name] = .matrix(matrix)
          for row in 0..<matrix.rows { parameters[tensor.name][row] = matrix.row(row) }
        }
      }
      let gradients = try ModelParameters(zeros: weights.spec)
      let trained = try TunedScales(tensors, parameters, gradients, math: math)
      let whole = parameters.all.values
      trained.apply()
      #expect(zip(parameters.all.values, whole).allSatisfy { abs($0 - $1) <= 1e-6 * max(1, abs($1)) })
      // A linear loss: its gradient is what it is made of.
      gradients.all.values = TestData.weights(1, whole.count, seed: 5)
      func loss() -> Double {
        zip(parameters.all.values, gradients.all.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      }
      trained.collectGradients()
      let analytic = trained.gradients.values
      for index in stride(from: 0, to: trained.weights.count, by: max(1, trained.weights.count / 60)) {
        var values = [Float](repeating: 0, count: trained.weights.count)
        values[index] = 0.25
        trained.weights.values = values
        trained.apply()
        let above = loss()
        values[index] = -0.25
        trained.weights.values = values
        trained.apply()
        #expect(abs((above - loss()) / 0.5 - Double(analytic[index])) <= 1e-3 * (1 + abs(Double(analytic[index]))))
      }
    }
  }

  @Test(arguments: ["weights: int4", "weights: int2, zero: minimum, scales: u8"])
  func bytesDoNotDependOnThreads(_ quantize: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let one = try TrainingFixtures.artifact(Self.steps(quantize), in: folder, threads: 1).bytes
      #expect(try TrainingFixtures.artifact(Self.steps(quantize), in: folder, threads: 2).bytes == one)
      #expect(try TrainingFixtures.artifact(Self.steps(quantize, train: ", seed: 1"), in: folder).bytes != one)
    }
  }

  @Test(arguments: [
    ("  - tune: {train: {text: train.txt, steps: 3, rate: 0.1}}", "put a quantize step before it"),
    (
      "  - tune: {train: {text: train.txt, steps: 3, rate: 0.1}}\n  - quantize: {weights: int4}",
      "tune once, behind every other step"
    ),
    ("  - quantize: {weights: int4}\n  - tune: {labels: 1}", "train"),
  ])
  func mistakesAreNamed(_ steps: String, _ words: String) throws {
    let error = #expect(throws: FurlError.self) { try TrainingFixtures.recipe(steps, in: "/nowhere") }
    let text = [error?.problem, error?.remedy, error?.place].compactMap { $0 }.joined(separator: " ")
    #expect(text.contains(words), "\(text)")
  }
}
