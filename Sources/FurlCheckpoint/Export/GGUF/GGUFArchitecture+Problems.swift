import FurlBase
import FurlSpec

extension GGUFArchitecture {
  private static let mostBlocks = 512

  /// What keeps llama.cpp from running a model.
  func problem() -> String? {
    if let refusal = gguf.refusal { return refusal }
    guard let block = spec.blocks.first else { return "it has no blocks" }
    guard spec.blocks.count <= GGUFArchitecture.mostBlocks else {
      return "\(spec.blocks.count) blocks are more than \(GGUFArchitecture.mostBlocks)"
    }
    // Where blocks differ by declaration, the file is held to them one by one.
    guard gguf.denseBlocks != nil || gguf.differsByWindow || spec.blocks.allSatisfy({ $0.extents == block.extents })
    else {
      return "its blocks have different widths"
    }
    let file = Result { try described() }
    let usual = try? file.get()
    if let problem = positionProblem(block, usual) ?? activationProblem(block, usual) { return problem }
    if let problem = block.latentAttention.flatMap(latentProblem) { return problem }
    if gguf.differsByWindow, let problem = windowProblem() { return problem }
    if let attention = block.attention, !gguf.hasHeadSize, attention.queries != spec.hiddenSize {
      return headProblem(attention)
    }
    let biases = spec.biases
    if let role = gguf.neededBiases.subtracting(biases).map(\.rawValue).min() {
      return "\(name) needs a bias of \(role), which the model does not have"
    }
    if let role = biases.subtracting(gguf.neededBiases.union(gguf.possibleBiases)).map(\.rawValue).min() {
      return "\(name) has no bias of \(role)"
    }
    switch gguf.head {
    case .apart where spec.tiedEmbeddings: return "\(name) needs a head that is not the embedding"
    case .embedding where !spec.tiedEmbeddings:
      return "\(name) takes the embedding for the head, and the model has another"
    default: break
    }
    return difference(file)
  }

  private func headProblem(_ attention: AttentionSpec) -> String {
    "\(attention.heads) heads of \(attention.headSize) are not the hidden size of \(spec.hiddenSize)"
      + (spec.norm.kind == .layerNorm ? ", and channels of zeros would change the means of its norms" : "")
  }

  private func positionProblem(_ block: BlockSpec, _ usual: ModelSpec?) -> String? {
    if let usual, usual.hasLearnedPositions != spec.hasLearnedPositions {
      return usual.hasLearnedPositions ? "\(name) has no rotary positions" : "\(name) has no learned positions"
    }
    let full = spec.blocks.first { $0.attention?.window == nil }
    guard let rotary = (gguf.turnsByFactors ? full : block)?.rotary else { return nil }
    if let attention = block.attention, !gguf.differsByWindow, gguf.turnedShare == nil, !gguf.turnsSharesByKind,
      rotary.dimensions != attention.headSize
    {
      return "\(name) turns whole heads of \(attention.headSize), not \(rotary.dimensions) numbers of them"
    }
    switch rotary.scaling {
    case .llama3 where !gguf.hasFrequencyFactors: return "\(name) has no llama3 scaling of frequencies"
    case .longRoPE where !gguf.hasLongFactors: return "\(name) has no LongRoPE scaling of frequencies"
    case .yarn where gguf.turnsByFactors: return "\(name) has no YaRN scaling of frequencies"
    case .dynamic: return "it has no dynamic scaling of frequencies"
    default: break
    }
    let turned = Set(spec.blocks.compactMap { $0.rotary?.dimensions })
    guard gguf.differsByWindow || block.attention?.window == nil || turned.count <= 1 else {
      return "\(name) takes what a first block with a window turns for what all others without one do"
    }
    let bases = Set(spec.blocks.compactMap { $0.attention?.rotary?.theta })
    guard !gguf.turnsAllByOneBase || bases.count <= 1 else {
      return "\(name) turns all blocks by one base, and the model has \(bases.count)"
    }
    return nil
  }

  private func activationProblem(_ block: BlockSpec, _ usual: ModelSpec?) -> String? {
    guard let usual = usual?.blocks.first?.activation, let own = block.activation, usual != own else { return nil }
    return "\(name) has the activation \(usual.rawValue) and no \(own.rawValue)"
  }

  // MARK: What the file would say

  /// The model that a file with the planned keys and tensors would be read as.
  private func described() throws -> ModelSpec {
    let entries = description
    let plans = try tensors()
    let head = GGUFHead(
      keys: PlannedKeys(entries, path: path), path: path,
      shapes: Dictionary(plans.map { ($0.name, $0.shape) }) { $1 },
      vector: { wanted in
        // Any divisors of llama3's kind will do.
        for plan in plans where plan.name == wanted && (wanted != GGUFNames.rotaryFactors || gguf.turnsByFactors) {
          if case .values(let values) = plan.content { return values }
        }
        return nil
      })
    let config = try GGUFConfiguration(head, family: family, gguf: gguf).json()
    return try family.spec(DocumentReader(config, file: path, path: "config"))
  }

  /// What a file would say otherwise than the model is; nil where it says the same.
  private func difference(_ file: Result<ModelSpec, any Error>) -> String? {
    do {
      let (own, other) = (comparable(spec), comparable(try file.get()))
      guard own.blocks.map(\.form) == other.blocks.map(\.form) else {
        return "its blocks are not built as those of \(name)"
      }
      return own.json.difference(from: other.json, at: "").map { place in
        "\(name) files have no key that would say its \(place.isEmpty ? "description" : place)"
      }
    } catch let error as FurlError {
      return "its description makes no file of \(name): \(error.problem)"
    } catch {
      return "its description makes no file of \(name)"
    }
  }

  /// The same without what llama.cpp has in its own way.
  private func comparable(_ spec: ModelSpec) -> ModelSpec {
    var spec = spec
    let keyed = gguf.keys.contains { $0.name == "attention.scale" }
    for index in spec.blocks.indices {
      guard var attention = spec.blocks[index].attention else { continue }
      if case .none = gguf.windows { attention.window = nil }
      if case .llama3 = attention.rotary?.scaling { attention.rotary?.scaling = .none }
      // Divisors of all frequencies that are one are none.
      if case .proportional(1, let turning) = attention.rotary?.scaling, turning * 2 == attention.rotary?.dimensions {
        attention.rotary?.scaling = .none
      }
      let usual = 1 / Double(attention.headSize).squareRoot()
      // What is not said is multiplied into the queries.
      if !keyed || abs((attention.scale ?? usual) / usual - 1) < 1e-6 { attention.scale = nil }
      spec.blocks[index].attention = attention
    }
    return spec
  }
}

extension BlockSpec {
  /// The sizes of everything in it.
  fileprivate var extents: [Int?] {
    parts.flatMap { part -> [Int?] in
      switch part.mixer {
      case .attention(let attention): [attention.heads, attention.kvHeads, attention.headSize]
      case .feedForward(let mlp): [nil, mlp.size]
      case .experts(let experts): [experts.count, experts.active, experts.expert.size, experts.shared?.size]
      case .latentAttention(let attention): [attention.heads, nil]
      case .recurrent: [nil]
      case .tokenInput(let input): [input.size, nil]
      }
    }
  }

  /// How its parts are joined, without their sizes.
  fileprivate var form: [[String]] {
    stages.map { stage in
      ["\(stage.norm?.kind.rawValue ?? "") \(stage.isBeside)"]
        + stage.parts.map { part in
          let kind =
            switch part.mixer {
            case .attention: "attention"
            case .latentAttention: "latent attention"
            case .feedForward(let mlp): "mlp \(mlp.isGated)"
            case .experts: "experts"
            case .recurrent: "recurrent"
            case .tokenInput: "token input"
            }
          return "\(kind) \(part.outputNorm?.kind.rawValue ?? "")"
        }
    }
  }

  fileprivate var activation: ModelSpec.Activation? { feedForward?.activation ?? experts?.expert.activation }
}

extension JSON {
  /// The first place where two descriptions differ by more than FP32 numbers can; nil where none does.
  fileprivate func difference(from other: JSON, at path: String) -> String? {
    switch (self, other) {
    case (.object(let own), .object(let others)):
      for member in own {
        let place = path.isEmpty ? member.key : "\(path).\(member.key)"
        guard let value = others.first(where: { $0.key == member.key })?.value else { return place }
        if let found = member.value.difference(from: value, at: place) { return found }
      }
      return others.first { member in !own.contains { $0.key == member.key } }.map {
        path.isEmpty ? $0.key : "\(path).\($0.key)"
      }
    case (.array(let own), .array(let others)):
      guard own.count == others.count else { return path }
      for (index, pair) in zip(own, others).enumerated() {
        if let found = pair.0.difference(from: pair.1, at: "\(path)[\(index)]") { return found }
      }
      return nil
    default:
      if let own = number, let others = other.number { return abs(own - others) <= 1e-6 * abs(own) ? nil : path }
      return self == other ? nil : path
    }
  }
}
