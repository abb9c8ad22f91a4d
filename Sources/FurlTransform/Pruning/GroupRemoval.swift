import FurlBase
import FurlCheckpoint
import FurlNumerics
import FurlSpec
import FurlTensor

/// Takes groups out of a model's tensors: rows of the layers that compute them, columns of the layer that reads them.
struct GroupRemoval {
  let model: Checkpoint

  /// What the layer that reads the groups of a kind becomes: its kept columns, and its bias.
  struct Reader {
    let weight: Matrix
    let bias: [Float]?

    /// As wide as the layer was: columns of zeros compute what columns that are gone do.
    func padded(
      _ columns: [Int], of width: Int, scheme: Scheme = .float32, on pool: WorkerPool
    ) throws -> ModelWalk.Layer {
      let full = try weight.scattered(to: columns, of: width)
      return .init(weight: try full.packed(scheme, on: pool), bias: try bias.map(FloatVector.init))
    }
  }

  /// The role of the layer that reads groups of a kind.
  static func reader(of group: PruneStep.Group) -> TensorRole { group == .heads ? .attentionOutput : .down }

  /// Writes the tensors of one block.
  ///
  /// - Parameters:
  ///   - readers: where they are more than their own kept columns.
  func write(
    block index: Int, keeping kept: KeptGroups, readers: [PruneStep.Group: Reader] = [:], to draft: ModelDraft
  ) throws {
    let spec = model.spec
    let groups = RemovableGroups(spec.blocks[index], of: spec)
    for group in PruneStep.Group.allCases {
      guard let stay = kept[group] else { continue }
      for layer in spec.blocks[index].layers(computing: group, hidden: spec.hiddenSize) {
        let role = layer.role
        guard let rows = groups.rows(role, kept: stay) else { continue }
        let name = "blocks.\(index)." + role.rawValue
        try draft.gather(name, rows: rows)
        if layer.hasBias { try draft.gather(name + ".bias", rows: rows) }
      }
      if group == .heads { try gatherVectors(of: spec.blocks[index], index, groups, stay, to: draft) }
      let name = "blocks.\(index)." + GroupRemoval.reader(of: group).rawValue
      if let reader = readers[group] {
        try draft.set(name, reader.weight)
        if let bias = reader.bias { try draft.set(name + ".bias", bias, shape: [bias.count]) }
      } else {
        try draft.set(name, model.floats(name).gather(columns: groups.columns(group, kept: stay)))
      }
    }
  }

  /// Numbers that are of single heads go with them. A norm over all heads of a row takes its mean over those that stay.
  private func gatherVectors(
    of block: BlockSpec, _ index: Int, _ groups: RemovableGroups, _ stay: [Int], to draft: ModelDraft
  ) throws {
    guard let part = block.parts.first(where: { if case .attention = $0.mixer { true } else { false } }),
      let attention = block.attention
    else { return }
    for vector in part.vectors {
      let role: TensorRole? =
        vector.name.hasSuffix("query_norm") ? .query : vector.name.hasSuffix("key_norm") ? .key : nil
      let rows: [Int]?
      if vector.role == .sinks {
        let queries = groups.rows(.query, kept: stay) ?? []
        rows = stride(from: 0, to: queries.count, by: attention.headSize).map { queries[$0] / attention.headSize }
      } else {
        rows = attention.headNorms == .ofHead ? nil : role.flatMap { groups.rows($0, kept: stay) }
      }
      guard let rows else { continue }
      let name = "blocks.\(index)." + vector.name
      try draft.gather(name, rows: rows)
      if vector.hasBias { try draft.gather(name + ".bias", rows: rows) }
    }
  }

  /// The specification without what goes.
  func spec(keeping kept: [KeptGroups]) -> ModelSpec {
    var spec = model.spec
    for (index, kept) in kept.enumerated() {
      spec.blocks[index].widths = RemovableGroups(spec.blocks[index], of: spec).block(
        heads: kept.heads, neurons: kept.neurons)
    }
    return spec
  }

  /// The model without the other groups, nothing made up for: where those that go are zero, it computes what it did.
  ///
  /// - Parameters:
  ///   - kept: of every block.
  ///   - folder: for what is written on the way.
  func remove(keeping kept: [KeptGroups], folder: String) throws -> Checkpoint {
    let draft = try ModelDraft(model, folder: folder)
    for (index, kept) in kept.enumerated() { try write(block: index, keeping: kept, to: draft) }
    return try draft.finish(spec(keeping: kept))
  }

  /// What an artifact says about a removal.
  ///
  /// - Parameters:
  ///   - spec: what the model has become.
  ///   - removed: weights of the groups that are gone.
  func report(_ spec: ModelSpec, removed: Int) -> JSON {
    func share(_ before: Int, _ after: Int) -> JSON { .number(1 - Double(after) / Double(max(1, before))) }
    let channels: [JSON.Member] =
      spec.hiddenSize == model.spec.hiddenSize ? [] : [.init("hidden_size", .integer(spec.hiddenSize))]
    let rest: JSON = [
      "step": "prune",
      "sparsity": [
        "blocks": share(model.spec.blockLinearCount, spec.blockLinearCount),
        "model": share(model.spec.parameterCount, spec.parameterCount),
      ],
      "removed_weights": .integer(removed),
      "parameters": .integer(spec.parameterCount),
      "widths": .array(
        spec.blocks.map(\.widths).map {
          ["heads": .integer($0.heads), "kv_heads": .integer($0.kvHeads), "mlp_size": .integer($0.mlpSize)]
        }),
    ]
    return .object((rest.members ?? []) + channels)
  }
}
