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
  private let flat: UniformDecoder
  private var tensors: [String: [Double]] = [:]
  private var matrices: [String: PackedMatrix] = [:]

  /// - Parameter scheme: what the matrices of the artifact are stored as; this model has the same, decoded.
  init(_ spec: ModelSpec, seed: UInt64, scheme: Scheme = .float32) throws {
    self.spec = spec
    self.scheme = scheme
    guard let flat = spec.uniform else { throw FurlError(.defect, "the blocks differ in more than their widths") }
    self.flat = flat
    let pool = WorkerPool(threads: 1)
    var draws = SplitMix64(seed: seed)
    for tensor in spec.tensors {
      let scale = tensor.shape.count == 2 ? 1.5 / Double(tensor.shape[1]).squareRoot() : 0.4
      let center = tensor.role == .norm ? 1.0 : 0
      let values = (0..<tensor.elementCount).map { _ in Float(center + scale * (draws.unit() * 2 - 1)) }
      tensors[tensor.name] = values.map(Double.init)
      guard tensor.shape.count == 2 else { continue }
      let matrix = try PackedMatrix.encode(
        TestData.source(values, rows: tensor.shape[0], columns: tensor.shape[1]), scheme: scheme, pool: pool)
      matrices[tensor.name] = matrix
      if scheme != .float32 {
        tensors[tensor.name] = (0..<tensor.shape[0]).flatMap { matrix.row($0).map(Double.init) }
      }
    }
  }

  /// Writes the model as an artifact.
  ///
  /// - Parameter spec: what the artifact says of itself; nil: the truth.
  func write(to path: String, tokenizer: [UInt8] = [], spec lie: JSON? = nil) throws {
    let writer = try ArtifactWriter(path: path, storage: .mapped)
    for tensor in spec.tensors {
      var streams: [PackedLayout.StreamKind: ByteStorage] = [:]
      if let matrix = matrices[tensor.name] {
        streams = Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams))
      } else {
        streams = [.values: try FloatVector((tensors[tensor.name] ?? []).map { Float($0) }).storage]
      }
      try writer.append(
        name: tensor.name, role: tensor.role.rawValue, shape: tensor.shape,
        scheme: tensor.shape.count == 1 ? .float32 : scheme, streams: streams)
    }
    try writer.finish(Fixtures.description(spec: lie ?? spec.json), tokenizer: tokenizer)
  }

  /// Logits of every position.
  func logits(_ ids: [Int]) -> [[Double]] {
    var hidden = ids.enumerated().map { position, id in
      spec.hasLearnedPositions ? add(row("embedding", id), row("positions", position)) : row("embedding", id)
    }
    for (index, block) in flat.blocks.enumerated() {
      let name = "blocks.\(index)."
      if spec.patches.contains(index) { hidden = hidden.map { add($0, linear($0, name + "patch")) } }
      let normed = hidden.map { norm($0, name + "attention.norm") }
      let attended = attention(normed, name + "attention.", block)
      for position in ids.indices {
        switch flat.residual {
        case .sequential:
          hidden[position] = add(hidden[position], attended[position])
          hidden[position] = add(hidden[position], mlp(norm(hidden[position], name + "mlp.norm"), name + "mlp."))
        case .parallel:
          hidden[position] = add(hidden[position], add(attended[position], mlp(normed[position], name + "mlp.")))
        }
      }
    }
    if spec.patches.contains(spec.blocks.count) { hidden = hidden.map { add($0, linear($0, "patch")) } }
    return hidden.map { linear(norm($0, "norm"), spec.tiedEmbeddings ? "embedding" : "head") }
  }

  private func attention(_ normed: [[Double]], _ name: String, _ block: UniformDecoder.Widths) -> [[Double]] {
    let size = block.headSize
    let q = normed.enumerated().map { rotated(linear($1, name + "query"), $0, headSize: size) }
    let k = normed.enumerated().map { rotated(linear($1, name + "key"), $0, headSize: size) }
    let v = normed.map { linear($0, name + "value") }
    return normed.indices.map { position in
      var attended: [Double] = []
      let visible = max(0, position + 1 - (block.window ?? Int.max))...position
      for head in 0..<block.heads {
        let own = head * size
        let shared = head / (block.heads / block.kvHeads) * size
        var weights = visible.map { past in
          (0..<size).reduce(0) { $0 + q[position][own + $1] * k[past][shared + $1] } / Double(size).squareRoot()
        }
        let largest = weights.max() ?? 0
        weights = weights.map { exp($0 - largest) }
        let sum = weights.reduce(0, +)
        attended += (0..<size).map { column in
          zip(weights, visible).reduce(0) { $0 + $1.0 / sum * v[$1.1][shared + column] }
        }
      }
      return linear(attended, name + "output")
    }
  }

  /// Numbers i and i + dimensions / 2 of a head are the parts of a complex number that is turned.
  private func rotated(_ x: [Double], _ position: Int, headSize: Int) -> [Double] {
    guard case .rotary(let rotary) = flat.positions else { return x }
    var result = x
    for start in stride(from: 0, to: x.count, by: headSize) {
      for (index, frequency) in rotary.frequencies.enumerated() {
        let (i, j) = (start + index, start + index + rotary.dimensions / 2)
        let angle = Double(position) * frequency
        result[i] = x[i] * cos(angle) - x[j] * sin(angle)
        result[j] = x[j] * cos(angle) + x[i] * sin(angle)
      }
    }
    return result
  }

  private func mlp(_ x: [Double], _ name: String) -> [Double] {
    let up = linear(x, name + "up")
    switch flat.mlp {
    case .plain: return linear(up.map(activated), name + "down")
    case .gated: return linear(zip(linear(x, name + "gate"), up).map { activated($0) * $1 }, name + "down")
    }
  }

  private func activated(_ x: Double) -> Double {
    switch flat.activation {
    case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .quickGelu: x / (1 + exp(-1.702 * x))
    case .silu: x / (1 + exp(-x))
    case .relu: max(0, x)
    case .tanh: tanh(x)
    }
  }

  private func add(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 + $1 } }

  private func row(_ name: String, _ index: Int) -> [Double] {
    Array((tensors[name] ?? [])[index * spec.hiddenSize..<(index + 1) * spec.hiddenSize])
  }

  private func linear(_ x: [Double], _ name: String) -> [Double] {
    let weights = tensors[name] ?? []
    let bias = tensors[name + ".bias"]
    return (0..<weights.count / x.count).map { row in
      var sum: Double = bias?[row] ?? 0
      for column in x.indices { sum += weights[row * x.count + column] * x[column] }
      return sum
    }
  }

  private func norm(_ x: [Double], _ name: String) -> [Double] {
    let mean = flat.norm == .layerNorm ? x.reduce(0, +) / Double(x.count) : 0
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    let weight = tensors[name] ?? []
    let bias = tensors[name + ".bias"]
    let deviation = (variance + flat.normEpsilon).squareRoot()
    return x.indices.map { index in
      let normal: Double = (x[index] - mean) / deviation
      return normal * weight[index] + (bias?[index] ?? 0)
    }
  }
}
