import FurlSpec
import Foundation

/// The parts of a block of a ``NaiveModel``.
struct NaiveParts {
  let model: NaiveModel
  /// What the names of the block's tensors begin with.
  let block: String
  /// Positions that there may be.
  let context: Int
  let trace: NaiveModel.Trace

  /// What a part adds to the residual stream, for all positions.
  func compute(_ part: PartSpec, _ input: [[Double]]) -> [[Double]] {
    let given: [[Double]]
    switch part.mixer {
    case .attention(let attention): given = attend(attention, input)
    case .feedForward(let mlp): given = input.map { self.mlp(mlp, $0, block + "mlp.") }
    case .experts(let experts): given = input.map { self.experts(experts, $0) }
    case .latentAttention, .recurrent, .tokenInput: fatalError("no plain loops for this")
    }
    return given.map { row in
      let normed = part.outputNorm.map { model.norm(row, block + part.name + ".output_norm", $0) } ?? row
      return normed.map { $0 * part.factor }
    }
  }

  // MARK: Attention

  private func attend(_ attention: AttentionSpec, _ input: [[Double]]) -> [[Double]] {
    let name = block + "attention."
    let size = attention.headSize
    let q = input.enumerated().map { position, row in
      rotated(
        normed(model.linear(row, name + "query"), attention, attention.queryNorm, "query_norm"), attention, position)
    }
    let k = input.enumerated().map { position, row in
      rotated(normed(model.linear(row, name + "key"), attention, attention.keyNorm, "key_norm"), attention, position)
    }
    let v = input.map { model.linear($0, name + "value") }
    let scale = attention.scale ?? 1 / Double(size).squareRoot()
    return input.indices.map { position in
      var attended: [Double] = []
      let visible = max(0, position + 1 - (attention.window ?? Int.max))...position
      for head in 0..<attention.heads {
        let own = head * size
        let shared = head / (attention.heads / attention.kvHeads) * size
        var scores = visible.map { past in
          scale * (0..<size).reduce(0) { $0 + q[position][own + $1] * k[past][shared + $1] }
        }
        if let cap = attention.softCap { scores = scores.map { cap * tanh($0 / cap) } }
        // A sink has its share, and no value.
        if attention.hasSinks { scores.append(model.tensors[name + "sinks"]![head]) }
        let weights = softmax(scores)
        attended += (0..<size).map { column in
          zip(weights, visible).reduce(0) { $0 + $1.0 * v[$1.1][shared + column] }
        }
      }
      return model.linear(attended, name + "output")
    }
  }

  private func softmax(_ scores: [Double]) -> [Double] {
    let largest = scores.max() ?? 0
    let powers = scores.map { exp($0 - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  /// Queries or keys of a position behind their norm.
  private func normed(_ x: [Double], _ attention: AttentionSpec, _ norm: NormSpec?, _ name: String) -> [Double] {
    guard let norm else { return x }
    let size = attention.headNorms == .ofRow ? x.count : attention.headSize
    var result: [Double] = []
    for start in stride(from: 0, to: x.count, by: size) {
      result += model.norm(Array(x[start..<start + size]), block + "attention." + name, norm)
    }
    return result
  }

  /// Numbers i and i + dimensions / 2 of a head are the parts of a complex number that is turned.
  private func rotated(_ x: [Double], _ attention: AttentionSpec, _ position: Int) -> [Double] {
    guard let rotary = attention.rotary else { return x }
    let factor = rotary.attentionFactor
    var result = x
    for start in stride(from: 0, to: x.count, by: attention.headSize) {
      for (index, frequency) in rotary.frequencies(context: context).enumerated() {
        let (i, j) = (start + index, start + index + rotary.dimensions / 2)
        let angle = Double(position) * frequency
        result[i] = factor * (x[i] * cos(angle) - x[j] * sin(angle))
        result[j] = factor * (x[j] * cos(angle) + x[i] * sin(angle))
      }
    }
    return result
  }

  // MARK: MLPs

  /// - Parameter name: what its layers' names begin with.
  func mlp(_ mlp: FeedForwardSpec, _ x: [Double], _ name: String) -> [Double] {
    model.linear(neurons(mlp, x, name), name + "down")
  }

  /// What an MLP's last layer reads.
  func neurons(_ mlp: FeedForwardSpec, _ x: [Double], _ name: String) -> [Double] {
    var up = model.linear(x, name + "up")
    guard mlp.isGated else { return up.map { activated($0, mlp.activation) } }
    var gate = model.linear(x, name + "gate")
    if let limit = mlp.limit {
      gate = gate.map { min($0, limit) }
      up = up.map { min(max($0, -limit), limit) + 1 }
    }
    return zip(gate, up).map { activated($0, mlp.activation) * $1 }
  }

  private func activated(_ x: Double, _ activation: ModelSpec.Activation) -> Double {
    switch activation {
    case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .quickGelu: x / (1 + exp(-1.702 * x))
    case .silu: x / (1 + exp(-x))
    case .relu: max(0, x)
    case .tanh: tanh(x)
    }
  }

  private func experts(_ experts: ExpertsSpec, _ x: [Double]) -> [Double] {
    var sum = [Double](repeating: 0, count: x.count)
    for (expert, weight) in choice(experts, x).weights {
      sum = model.add(sum, mlp(experts.expert, x, block + "mlp.experts.\(expert).").map { $0 * weight })
    }
    guard let shared = experts.shared else { return sum }
    let share = experts.gatesShared ? 1 / (1 + exp(-model.linear(x, block + "mlp.shared.router")[0])) : 1
    return model.add(sum, mlp(shared, x, block + "mlp.shared.").map { $0 * share })
  }

  /// The experts that a row goes through.
  func choice(_ experts: ExpertsSpec, _ x: [Double]) -> NaiveRouting.Choice {
    let routing = NaiveRouting(spec: experts, choiceBias: model.tensors[block + "mlp.router.choice"])
    let choice = routing.choose(model.linear(x, block + "mlp.router"))
    trace.gap = min(trace.gap, choice.gap)
    return choice
  }
}
