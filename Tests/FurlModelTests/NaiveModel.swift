import Foundation
import FurlArtifact
import FurlSpec
import FurlTensor

@testable import FurlModel

/// A GPT-2 of any widths in plain loops and double precision, with seeded weights: what the forward pass is
/// compared with where no other program has the architecture.
struct NaiveModel {
  let spec: ModelSpec
  private(set) var tensors: [String: [Double]] = [:]

  init(_ spec: ModelSpec, seed: UInt64) {
    self.spec = spec
    var draws = SplitMix64(seed: seed)
    for tensor in spec.tensors {
      let scale = tensor.shape.count == 2 ? 1.5 / Double(tensor.shape[1]).squareRoot() : 0.4
      let center = tensor.role == .norm ? 1.0 : 0
      tensors[tensor.name] = (0..<tensor.elementCount).map { _ in
        Double(Float(center + scale * (draws.unit() * 2 - 1)))
      }
    }
  }

  /// Writes the model as an artifact of FP32 tensors.
  func write(to path: String, tokenizer: [UInt8]) throws {
    let writer = try ArtifactWriter(path: path, storage: .mapped)
    for tensor in spec.tensors {
      let values = (tensors[tensor.name] ?? []).map { Float($0) }
      let rows = tensor.shape.count == 2 ? tensor.shape[0] : 1
      let layout = try PackedLayout(scheme: .float32, shape: tensor.shape)
      var padded = [Float](repeating: 0, count: layout.byteCount / 4)
      let columns = values.count / rows
      for row in 0..<rows {
        for column in 0..<columns {
          // Tiles of 16 rows x 32 columns; in a tile, column by column, 16 rows each.
          let tile = row / 16 * ((columns + 31) / 32) + column / 32
          let place = tensor.shape.count == 1 ? column : tile * 512 + column % 32 * 16 + row % 16
          padded[place] = values[row * columns + column]
        }
      }
      let storage = try ByteStorage(zeroed: layout.byteCount)
      storage.withMutableBytes(0..<layout.byteCount) { bytes in padded.withUnsafeBytes { bytes.copyMemory(from: $0) } }
      try writer.append(
        name: tensor.name, role: tensor.role.rawValue, shape: tensor.shape, scheme: .float32,
        streams: [layout.streams[0].kind: storage])
    }
    try writer.finish(Fixtures.description(spec: spec.json), tokenizer: tokenizer)
  }

  /// Logits of every position.
  func logits(_ ids: [Int]) -> [[Double]] {
    var hidden = ids.enumerated().map { add(row("embedding", $1), row("positions", $0)) }
    for (index, block) in spec.blocks.enumerated() {
      let name = "blocks.\(index)."
      let normed = hidden.map { norm($0, name + "attention.norm") }
      let q = normed.map { linear($0, name + "attention.query") }
      let k = normed.map { linear($0, name + "attention.key") }
      let v = normed.map { linear($0, name + "attention.value") }
      for position in ids.indices {
        var attended: [Double] = []
        let seen = max(0, position + 1 - (block.window ?? position + 1))...position
        for head in 0..<block.heads {
          let own = head * block.headSize
          let shared = head / (block.heads / block.kvHeads) * block.headSize
          var weights = seen.map { past in
            (0..<block.headSize).reduce(0) { $0 + q[position][own + $1] * k[past][shared + $1] }
              / Double(block.headSize).squareRoot()
          }
          let largest = weights.max() ?? 0
          weights = weights.map { exp($0 - largest) }
          let sum = weights.reduce(0, +)
          attended += (0..<block.headSize).map { column in
            zip(weights, seen).reduce(0) { $0 + $1.0 / sum * v[$1.1][shared + column] }
          }
        }
        hidden[position] = add(hidden[position], linear(attended, name + "attention.output"))
        let inner = linear(norm(hidden[position], name + "mlp.norm"), name + "mlp.up").map { x in
          0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        }
        hidden[position] = add(hidden[position], linear(inner, name + "mlp.down"))
      }
    }
    return hidden.map { linear(norm($0, "norm"), spec.tiedEmbeddings ? "embedding" : "head") }
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
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    let weight = tensors[name] ?? []
    let bias = tensors[name + ".bias"]
    let deviation = (variance + spec.normEpsilon).squareRoot()
    return x.indices.map { index in
      let normal: Double = (x[index] - mean) / deviation
      return normal * weight[index] + (bias?[index] ?? 0)
    }
  }
}
