import FurlBase
import FurlCheckpoint
import FurlNumerics
import FurlSpec
import FurlTensor

/// Takes groups out of a model's tensors: rows of the layers that compute them, columns of the layer that reads them.
struct GroupRemoval {
  let model: Checkpoint

  /// What the layer that reads the groups of a kind becomes: its kept columns, and its bias.
  struct RemovalReader {
    let weight: Matrix
    let bias: [Float]?

    /// As wide as the layer was: columns of zeros compute what columns that are gone do.
    func padded(
      _ columns: [Int], of width: Int, scheme: Scheme = .float32, on pool: WorkerPool
    ) throws -> ModelWalk.WalkedLayer {
      let full = try weight.scattered(to: columns, of: width)
      return .init(weight: try full.packed(scheme, on: pool), bias: try bias.map(FloatVector.init))
    }
  }

  /// The role of the layers that read groups.
  static func reader(of group: PruneStep.Group) -> TensorRole { group == .heads ? .attentionOutput : .down }

  /// Writes the tensors of one block.
  ///
  /// - Parameters:
  ///   - readers: by their names in the block, where they are more than their own kept columns.
  ///   - fitsNorms: whether norms over whole rows of queries and keys are to compute with fewer numbers what they did
  ///     with zeros among them.
  func write(
    block index: Int, keeping kept: KeptGroups, readers: [String: RemovalReader] = [:], fitsNorms: Bool = false,
    to draft: ModelDraft
  ) throws {
    let spec = model.spec
    let groups = RemovableGroups(spec.blocks[index], of: spec)
    let prefix = "blocks.\(index)."
    for layers in GroupKind.allCases.flatMap({ spec.blocks[index].groupLayers($0, hidden: spec.hiddenSize) }) {
      guard let stay = kept[layers] else { continue }
      for layer in layers.producers {
        guard let rows = groups.rows(layer.role, kept: stay) else { continue }
        try draft.gather(prefix + layer.name, rows: rows)
        if layer.hasBias { try draft.gather(prefix + layer.name + ".bias", rows: rows) }
      }
      let name = prefix + layers.reader.name
      if let reader = readers[layers.reader.name] {
        try draft.set(name, reader.weight)
        if let bias = reader.bias { try draft.set(name + ".bias", bias, shape: [bias.count]) }
      } else {
        try draft.set(name, model.floats(name).gather(columns: groups.columns(layers.kind, kept: stay)))
      }
    }
    if let heads = kept.heads { try writeVectors(block: index, keeping: heads, fitsNorms: fitsNorms, to: draft) }
  }

  /// Writes what attention has for each head beside its layers.
  private func writeVectors(
    block index: Int, keeping stay: [Int], fitsNorms: Bool, to draft: ModelDraft
  ) throws {
    let block = model.spec.blocks[index]
    let groups = RemovableGroups(block, of: model.spec)
    for part in block.parts {
      guard case .attention(let attention) = part.mixer else { continue }
      for vector in part.vectors {
        guard let numbers = groups.numbers(vector, of: attention, kept: stay) else { continue }
        let name = "blocks.\(index)." + vector.name
        let values = try model.source(name).readAll()
        let factor =
          fitsNorms && attention.headNorms == .ofRow && vector.role == .norm
          ? (Double(vector.count) / Double(numbers.count)).squareRoot() : 1
        try draft.set(name, numbers.map { Float(factor * Double(values[$0])) }, shape: [numbers.count])
        if vector.hasBias { try draft.gather(name + ".bias", rows: numbers) }
      }
    }
  }

  /// The specification without what goes.
  func spec(keeping kept: [KeptGroups]) -> ModelSpec {
    var spec = model.spec
    for (index, kept) in kept.enumerated() {
      RemovableGroups(spec.blocks[index], of: spec).remove(keeping: kept, from: &spec.blocks[index])
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
    for (index, kept) in kept.enumerated() { try write(block: index, keeping: kept, fitsNorms: true, to: draft) }
    var spec = spec(keeping: kept)
    for index in spec.blocks.indices { fitNorms(of: index, in: &spec) }
    return try draft.finish(spec)
  }

  /// Norms over whole rows of queries and keys have fewer numbers behind a removal, and those that are gone were zero: mean
  /// squares grow by the ratio of the counts. What is added to them grows with them, and weights make up for both.
  private func fitNorms(of index: Int, in spec: inout ModelSpec) {
    guard let before = model.spec.blocks[index].attention, var after = spec.blocks[index].attention,
      after.headNorms == .ofRow
    else { return }
    let queryRatio = Double(before.queries) / Double(max(1, after.queries))
    let keyRatio = Double(before.keys) / Double(max(1, after.keys))
    after.queryNorm?.epsilon *= queryRatio
    after.keyNorm?.epsilon *= keyRatio
    spec.blocks[index].attention = after
  }
}
