import FurlArtifact
import FurlBase
@testable import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Foundation

/// A model of any architecture in plain loops and double precision, with seeded weights: what the forward pass is
/// compared with where no other program has the architecture.
struct NaiveModel {
  let spec: ModelSpec
  let scheme: Scheme
  /// Of the FP32 numbers, or of what codes decode to.
  let tensors: [String: [Double]]
  let matrices: [String: PackedMatrix]

  /// - Parameters:
  ///   - seed: a tensor's numbers follow from it, from the tensor's name and from its shape: models that share tensors have
  ///     the same in them.
  ///   - scheme: what the matrices of the artifact are stored as; this model has the same, decoded.
  init(_ spec: ModelSpec, seed: UInt64, scheme: Scheme = .float32) throws {
    let pool = WorkerPool(threads: 1)
    var tensors: [String: [Double]] = [:]
    var matrices: [String: PackedMatrix] = [:]
    for tensor in spec.tensors {
      let values = NaiveModel.draw(tensor, seed: seed)
      tensors[tensor.name] = values.map(Double.init)
      guard tensor.shape.count == 2 else { continue }
      let matrix = try PackedMatrix.encode(
        TestData.source(values, rows: tensor.shape[0], columns: tensor.shape[1]), scheme: scheme, pool: pool)
      matrices[tensor.name] = matrix
      if scheme != .float32 {
        tensors[tensor.name] = (0..<tensor.shape[0]).flatMap { matrix.row($0).map(Double.init) }
      }
    }
    self.spec = spec
    self.scheme = scheme
    self.tensors = tensors
    self.matrices = matrices
  }

  private static func draw(_ tensor: TensorSpec, seed: UInt64) -> [Float] {
    let name = tensor.name.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    var draws = SplitMix64(seed: seed &* 0x9E37_79B9 ^ name)
    var scale = tensor.shape.count == 2 ? 1.5 / Double(tensor.shape[1]).squareRoot() : 0.4
    // Routers that choose, and sinks that are felt.
    if [.router, .sinks].contains(tensor.role) { scale *= 4 }
    let center = [.norm, .scale].contains(tensor.role) ? 1.0 : 0
    return (0..<tensor.elementCount).map { _ in Float(center + scale * (draws.unit() * 2 - 1)) }
  }

  /// A vector as the artifact has it.
  func vector(_ name: String) throws -> FloatVector? { try tensors[name].map { try FloatVector($0.map { Float($0) }) } }

  /// Writes the model as an artifact.
  ///
  /// - Parameters:
  ///   - spec: what the artifact says of itself; nil: the truth.
  ///   - role: what it calls a tensor's role.
  func write(
    to path: String, tokenizer: [UInt8] = [], spec lie: JSON? = nil,
    role: (TensorRole) -> String = { $0.rawValue }
  ) throws {
    let writer = try ArtifactWriter(path: path, storage: .mapped, formatVersion: spec.formVersion)
    for tensor in spec.tensors {
      var streams: [PackedLayout.StreamKind: ByteStorage] = [:]
      if let matrix = matrices[tensor.name] {
        streams = Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams))
      } else {
        streams = [.values: try FloatVector((tensors[tensor.name] ?? []).map { Float($0) }).storage]
      }
      try writer.append(
        name: tensor.name, role: role(tensor.role), shape: tensor.shape,
        scheme: tensor.shape.count == 1 ? .float32 : scheme, streams: streams)
    }
    try writer.finish(Fixtures.description(spec: lie ?? spec.json), tokenizer: tokenizer)
  }

  // MARK: Computing

  /// What is found out on the way.
  final class Trace {
    /// The least that a router's score would have to change by for another choice.
    var gap = Double.infinity
  }

  /// Logits of every position.
  ///
  /// - Parameter context: positions that there may be; nil: the model's.
  func logits(_ ids: [Int], context: Int? = nil, trace: Trace = Trace()) -> [[Double]] {
    var hidden = ids.enumerated().map { position, id in
      spec.hasLearnedPositions ? add(row("embedding", id), row("positions", position)) : row("embedding", id)
    }
    for (index, block) in spec.blocks.enumerated() {
      let name = "blocks.\(index)."
      if spec.patches.contains(index) { hidden = hidden.map { add($0, linear($0, name + "patch")) } }
      // What the stage before has read.
      var read = hidden
      for stage in block.stages {
        if !stage.isBeside { read = hidden }
        let part = NaiveParts(model: self, block: name, context: context ?? spec.contextLength, trace: trace)
        let input = stage.norm.map { norm in read.map { self.norm($0, name + stage.normName, norm) } } ?? read
        for spec in stage.parts {
          for (position, given) in part.compute(spec, input).enumerated() {
            hidden[position] = add(hidden[position], given)
          }
        }
      }
    }
    if spec.patches.contains(spec.blocks.count) { hidden = hidden.map { add($0, linear($0, "patch")) } }
    return hidden.map { row in
      let logits = linear(norm(row, "norm", spec.norm), spec.tiedEmbeddings ? "embedding" : "head")
      guard let cap = spec.logitSoftCap else { return logits }
      return logits.map { cap * tanh($0 / cap) }
    }
  }

  func add(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 + $1 } }

  private func row(_ name: String, _ index: Int) -> [Double] {
    Array((tensors[name] ?? [])[index * spec.hiddenSize..<(index + 1) * spec.hiddenSize])
  }

  func linear(_ x: [Double], _ name: String) -> [Double] {
    let weights = tensors[name] ?? []
    let bias = tensors[name + ".bias"]
    return (0..<weights.count / x.count).map { row in
      var sum: Double = bias?[row] ?? 0
      for column in x.indices { sum += weights[row * x.count + column] * x[column] }
      return sum
    }
  }

  func norm(_ x: [Double], _ name: String, _ spec: NormSpec) -> [Double] {
    let mean = spec.kind == .layerNorm ? x.reduce(0, +) / Double(x.count) : 0
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    let weight = tensors[name] ?? []
    let bias = tensors[name + ".bias"]
    let deviation = (variance + spec.epsilon).squareRoot()
    return x.indices.map { index in
      let normal: Double = (x[index] - mean) / deviation
      return normal * weight[index] + (bias?[index] ?? 0)
    }
  }
}
