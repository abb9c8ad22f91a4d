import FurlSpec
import FurlTensor

/// A tensor that is to be written to a GGUF file.
struct GGUFTensorPlan {
  enum Content {
    /// Tensors of the model, their rows one after the other. `headSize`: the two halves of each head take turns.
    case weights([TensorSpec], interleaved: Int?)
    /// FP32 numbers that follow from the specification.
    case values([Float])
  }

  let name: String
  /// Rows outermost; a vector has one extent.
  let shape: [Int]
  let content: Content
  var numbers = ExportNumbers.f32

  var columns: Int { shape.last ?? 1 }
  var elementCount: Int { shape.reduce(1, *) }

  /// Bytes in the file.
  var byteCount: Int { numbers.type.byteCount(elementCount) }
}

extension GGUFArchitecture {
  /// The tensors of a model, in its order; all in FP32 until something else is decided.
  func tensors(_ spec: ModelSpec) -> [GGUFTensorPlan] {
    var plans: [GGUFTensorPlan] = []
    let all = spec.tensors
    let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    for tensor in all {
      let isBias = tensor.role == .bias
      let base = isBias ? String(tensor.name.dropLast(".bias".count)) : tensor.name
      let suffix = isBias ? ".bias" : ".weight"
      guard let block = tensor.block else {
        plans.append(plan((GGUFNames.model[base] ?? base) + suffix, [tensor], interleaved: nil))
        continue
      }
      let inner = String(base.dropFirst("blocks.\(block).".count))
      let prefix = "blk.\(block)."
      if isFused, inner == "attention.key" || inner == "attention.value" { continue }
      if isFused, inner == "attention.query" {
        let parts = ["query", "key", "value"].compactMap {
          byName["blocks.\(block).attention.\($0)" + (isBias ? ".bias" : "")]
        }
        plans.append(plan(prefix + "attn_qkv" + suffix, parts, interleaved: nil))
        continue
      }
      let isTurned = inner == "attention.query" || inner == "attention.key"
      plans.append(
        plan(
          prefix + (GGUFNames.block[inner] ?? inner) + suffix, [tensor],
          interleaved: interleavesHeads && isTurned ? spec.blocks[block].widths.headSize : nil))
    }
    if let factors = frequencyFactors(spec) {
      plans.append(GGUFTensorPlan(name: GGUFNames.rotaryFactors, shape: [factors.count], content: .values(factors)))
    }
    return plans
  }

  private func plan(_ name: String, _ parts: [TensorSpec], interleaved: Int?) -> GGUFTensorPlan {
    let outputs = parts.reduce(0) { $0 + $1.shape[0] }
    return GGUFTensorPlan(
      name: name, shape: [outputs] + parts[0].shape.dropFirst(),
      content: .weights(parts, interleaved: interleaved))
  }

  /// What llama.cpp divides each frequency by.
  private func frequencyFactors(_ spec: ModelSpec) -> [Float]? {
    guard let rotary = spec.blocks.first?.attention?.rotary, case .llama3 = rotary.scaling else { return nil }
    let plain = ModelSpec.Rotary(theta: rotary.theta, dimensions: rotary.dimensions)
    return zip(plain.frequencies, rotary.frequencies).map { Float($0 / $1) }
  }
}
