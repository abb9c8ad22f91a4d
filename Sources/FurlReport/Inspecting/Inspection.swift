import FurlArtifact
package import FurlBase
import FurlCheckpoint
package import FurlModel
import FurlSpec
package import FurlTensor
import FurlTransform

/// What `inspect` says about a model.
package struct Inspection: Sendable {
  /// One tensor.
  package struct InspectedTensor: Sendable, Hashable {
    package let name: String
    package let role: String
    package let shape: [Int]
    package let scheme: String
    package let bitsPerWeight: Double
    package let diskBytes: Int
    /// Bytes in memory when loaded.
    package let weightBytes: Int
    /// Of the decoded streams of an artifact; of the FP32 values of a checkpoint.
    package let digest: Digest
    /// Of a tensor that a budget has chosen for: the nats that its form was measured to cost, and all that was measured.
    package var sensitivity: InspectedSensitivity?
  }

  /// What a budget's survey has found for a tensor.
  package struct InspectedSensitivity: Sendable, Hashable {
    package let divergence: Double
    package let json: JSON
  }

  /// What the tensors of one scheme take together.
  package struct SchemeShare: Sendable, Hashable {
    package let scheme: String
    package let tensors: Int
    package let weights: Int
    package let diskBytes: Int
    package let weightBytes: Int

    /// Bits in the file for each weight.
    package var bitsPerWeight: Double { 8 * Double(diskBytes) / Double(weights) }
    /// Bits in memory for each weight.
    package var memoryBitsPerWeight: Double { 8 * Double(weightBytes) / Double(weights) }
  }

  package let file: ModelFile
  package let texts: TextEnds
  package let facts: PaperFacts
  package let parameters: ParameterCount
  package let tensors: [InspectedTensor]?
  /// How a checkpoint stores its weights; empty for an artifact.
  package let storedTypes: [StoredType]
  /// The schemes of an artifact, by name; empty for a checkpoint.
  package let schemes: [SchemeShare]

  /// - Parameter listingTensors: reads and hashes every tensor of a checkpoint.
  package init(_ file: ModelFile, listingTensors: Bool, pool: WorkerPool) throws {
    self.file = file
    texts = TextEnds(file)
    facts = PaperFacts(file, texts.tokenizer)
    parameters = try ParameterCount(file, pool: pool)
    tensors = listingTensors ? try Inspection.list(file, pool: pool) : nil
    schemes = if case .artifact(let weights) = file { Inspection.schemes(of: weights.artifact) } else { [] }
    if case .checkpoint(let checkpoint) = file {
      storedTypes = try StoredType.list(of: checkpoint)
    } else {
      storedTypes = []
    }
  }

  private static func schemes(of artifact: Artifact) -> [SchemeShare] {
    Dictionary(grouping: artifact.tensors, by: \.scheme.name).sorted { $0.key < $1.key }.map { name, tensors in
      SchemeShare(
        scheme: name, tensors: tensors.count, weights: tensors.reduce(0) { $0 + $1.count },
        diskBytes: tensors.reduce(0) { $0 + $1.diskBytes }, weightBytes: tensors.reduce(0) { $0 + $1.weightBytes })
    }
  }

  private static func list(_ file: ModelFile, pool: WorkerPool) throws -> [InspectedTensor] {
    switch file {
    case .checkpoint(let checkpoint):
      return try checkpoint.spec.tensors.map { tensor in
        let source = try checkpoint.source(tensor.name)
        return InspectedTensor(
          name: tensor.name, role: tensor.role.rawValue, shape: tensor.shape, scheme: source.storedForm,
          bitsPerWeight: source.storedBitsPerWeight, diskBytes: source.storedBytes(tensor.elementCount),
          weightBytes: 4 * tensor.elementCount,
          digest: try TensorValues(file, tensor, pool: pool).digest())
      }
    case .artifact(let weights):
      let sensitivities = sensitivities(of: weights.artifact.description)
      return weights.artifact.tensors.map {
        InspectedTensor(
          name: $0.name, role: $0.role, shape: $0.shape, scheme: $0.scheme.name, bitsPerWeight: $0.bitsPerWeight,
          diskBytes: $0.diskBytes, weightBytes: $0.weightBytes, digest: $0.digest, sensitivity: sensitivities[$0.name])
      }
    }
  }

  /// By tensor, where a budget has chosen; what an artifact says there is taken as far as it makes sense.
  private static func sensitivities(of description: ArtifactDescription) -> [String: InspectedSensitivity] {
    var found: [String: InspectedSensitivity] = [:]
    for entry in description.recipe.details["budget"]?["tensors"]?.array ?? [] {
      guard let name = entry["name"]?.string, let divergence = entry["kl_divergence"]?.number,
        let measured = entry["measured"]
      else { continue }
      found[name] = InspectedSensitivity(
        divergence: divergence, json: ["kl_divergence": .number(divergence), "measured": measured])
    }
    return found
  }

  /// The budget that chose the schemes, as the recipe says it, and the KL divergence that its choice was to cost; nil
  /// where there was none.
  package var budget: (goal: JSON, divergence: Double)? {
    guard case .artifact(let weights) = file, let budget = weights.artifact.description.recipe.details["budget"],
      let goal = budget["goal"], let divergence = budget["kl_divergence_predicted"]?.number
    else { return nil }
    return (goal, divergence)
  }

  package var json: JSON {
    get throws {
      var members: [JSON.Member] = [.init("path", .string(file.path))]
      switch file {
      case .checkpoint(let checkpoint):
        members += [.init("format_version", .null), .init("artifact_id", .null)]
        if let gguf = checkpoint.gguf {
          members.append(
            .init("gguf", ["version": .integer(gguf.version), "name": .optional(try gguf.name)]))
        }
        members += [
          .init("stored_types", .array(storedTypes.map(\.json))),
          .init("notes", .array(checkpoint.notes.map(JSON.string))),
          .init("left_out", .array(checkpoint.leftOut.map(JSON.string))),
        ]
      case .artifact(let weights):
        members += [
          .init("format_version", .integer(weights.artifact.formatVersion)),
          .init("artifact_id", .string(weights.artifact.id.hex)),
          .init("storage", .string(weights.artifact.storage.rawValue)),
          .init("furl", .string(weights.artifact.description.furl)),
        ]
      }
      members += [
        .init("architecture", .string(file.spec.architecture)), .init("layers", .integer(file.spec.blocks.count)),
        .init("hidden_size", .integer(file.spec.hiddenSize)),
        .init("vocabulary_size", .integer(file.spec.vocabularySize)),
        .init("context_length", .integer(file.spec.contextLength)),
        .init("blocks", .array(file.spec.blocks.map(\.widths).map(Inspection.widths))),
        .init("patches", .array(file.spec.patches.sorted().map(JSON.integer))), .init("parameters", parameters.json),
        .init("disk_bytes", .integer(file.diskBytes)), .init("weight_bytes", .integer(try file.weightBytes)),
        .init("bits_per_weight", .number(file.bitsPerWeight)), .init("recipe", recipe),
        .init("changes", .array(changes)),
        .init("source", try source),
      ]
      if let experts { members.append(.init("experts", experts)) }
      if let keptCodes { members.append(.init("kept_codes", keptCodes)) }
      members += texts.members + facts.members
      if let budget {
        members.append(
          .init("budget", ["goal": budget.goal, "kl_divergence_predicted": .number(budget.divergence)]))
      }
      if case .artifact = file { members.append(.init("schemes", .array(schemes.map(\.json)))) }
      if let tensors { members.append(.init("tensors", .array(tensors.map(\.json)))) }
      return .object(members)
    }
  }

  private static func widths(_ block: UniformDecoder.DecoderWidths) -> JSON {
    [
      "heads": .integer(block.heads), "kv_heads": .integer(block.kvHeads), "head_size": .integer(block.headSize),
      "mlp_size": .integer(block.mlpSize),
    ]
  }

  /// How many experts the blocks have and how many of them a token goes through, and what they saw of the calibration
  /// that chose their codes; nil for a model without any.
  package var experts: JSON? {
    let blocks = file.spec.blocks.map(\.experts)
    guard blocks.contains(where: { $0 != nil }) else { return nil }
    var members: [JSON.Member] = [
      .init(
        "blocks",
        .array(
          blocks.map { experts -> JSON in
            guard let experts else { return .null }
            return [
              "count": .integer(experts.count), "active": .integer(experts.active),
              "size": .integer(experts.expert.size), "shared_size": .integer(experts.shared?.size ?? 0),
            ]
          }))
    ]
    if case .artifact(let weights) = file, let seen = weights.artifact.description.recipe.details["experts"] {
      members.append(.init("calibration", seen))
    }
    return .object(members)
  }

  /// What steps that computed with the model have made of it; empty for a checkpoint.
  package var changes: [JSON] {
    guard case .artifact(let weights) = file else { return [] }
    return weights.artifact.description.recipe.details["changes"]?.array ?? []
  }

  /// Which tensors kept the codes that their checkpoint had; nil where none was asked to.
  package var keptCodes: JSON? {
    guard case .artifact(let weights) = file else { return nil }
    return weights.artifact.description.recipe.details["kept_codes"]
  }

  /// The same in words.
  package var keptCodeTexts: [String] {
    guard let keptCodes else { return [] }
    func list(_ key: String, _ name: String) -> [(name: String, count: Int)] {
      (keptCodes[key]?.array ?? []).compactMap { entry in
        guard let text = entry[name]?.string, let count = entry["tensors"]?.integer else { return nil }
        return (text, count)
      }
    }
    let kept = list("schemes", "scheme").map { "\($0.count) \($0.name)" }.joined(separator: ", ")
    return ["\(keptCodes["tensors"]?.integer ?? 0) tensors kept as they were stored\(kept.isEmpty ? "" : ": \(kept)")"]
      + list("others", "reason").map { "\($0.count) compressed anew: \($0.name)" }
  }

  private var recipe: JSON {
    guard case .artifact(let weights) = file else { return .null }
    let recipe = weights.artifact.description.recipe
    let parsed = try? JSON.parse(Array(recipe.text.utf8), file: nil)
    return [
      "name": .string(recipe.name), "sha256": .string(recipe.digest.hex), "canonical": parsed ?? .string(recipe.text),
    ]
  }

  private var source: JSON {
    get throws {
      let files: [JSON] =
        switch file {
        case .checkpoint(let checkpoint):
          try checkpoint.sourceFiles().map {
            ["name": .string($0.name), "bytes": .integer($0.bytes), "sha256": .string($0.digest.hex)]
          }
        case .artifact(let weights):
          weights.artifact.description.lineage.map {
            ["name": .string($0.name), "bytes": .integer($0.bytes), "sha256": .string($0.digest.hex)]
          }
        }
      return ["digest": .string(try file.sourceDigest().hex), "files": .array(files)]
    }
  }
}

extension Inspection.InspectedTensor {
  var json: JSON {
    var members: [JSON.Member] = [
      .init("name", .string(name)), .init("role", .string(role)),
      .init("shape", .array(shape.map(JSON.integer))), .init("scheme", .string(scheme)),
      .init("bits_per_weight", .number(bitsPerWeight)), .init("disk_bytes", .integer(diskBytes)),
      .init("weight_bytes", .integer(weightBytes)), .init("sha256", .string(digest.hex)),
    ]
    if let sensitivity { members.append(.init("sensitivity", sensitivity.json)) }
    return .object(members)
  }
}

extension Inspection.SchemeShare {
  var json: JSON {
    [
      "scheme": .string(scheme), "tensors": .integer(tensors), "weights": .integer(weights),
      "disk_bytes": .integer(diskBytes), "weight_bytes": .integer(weightBytes),
      "bits_per_weight": .number(bitsPerWeight), "memory_bits_per_weight": .number(memoryBitsPerWeight),
    ]
  }
}
