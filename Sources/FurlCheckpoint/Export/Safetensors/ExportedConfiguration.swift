import FurlBase
import FurlSpec
import FurlTensor

/// The `config.json` of an export: the source's, with other numbers where transforms have changed the model.
enum ExportedConfiguration {
  /// - Throws: ``FurlError`` of kind `input` when the family's keys cannot say what the model is.
  static func json(for source: any ExportSource, family: any Architecture.Type, type: SourceType) throws -> JSON {
    guard let members = source.config.members else {
      throw FurlError.input(source.path, "config", "must be a mapping")
    }
    var draft = ConfigurationDraft(
      members, before: try spec(members, family, source), after: source.spec, family: family)
    draft.setSizes()
    draft.setLists(biases: llamaBiases)
    draft.setType(type)
    // What is written has to say what the model is, whatever was changed in it.
    try draft.checkHeads(source.path)
    guard try spec(draft.members, family, source) == source.spec else {
      let isUniform =
        Set(
          source.spec.blocks.map { [$0.widths.heads, $0.widths.kvHeads, $0.widths.headSize, $0.widths.mlpSize] }
        ).count <= 1
      throw FurlError.input(
        source.path,
        isUniform
          ? "is not a model that the keys of a \(family.modelType) config.json can describe"
          : "has blocks of different widths, for which a \(family.modelType) config.json has no keys",
        remedy: "run it with furl, or prune all blocks alike")
    }
    return .object(draft.members)
  }

  /// Biases come together in llama's `config.json`.
  private static let llamaBiases: KeyValuePairs<String, Set<TensorRole>> = [
    "attention_bias": [.query, .key, .value, .attentionOutput], "mlp_bias": [.gate, .up, .down],
  ]

  /// The biases that a model must have beside its own to be described.
  static func biases(_ spec: ModelSpec) -> Set<TensorRole> {
    guard spec.architecture == "llama" else { return [] }
    return llamaBiases.reduce(into: []) { if !spec.biases.isDisjoint(with: $1.value) { $0.formUnion($1.value) } }
  }

  private static func spec(
    _ members: [JSON.Member], _ family: any Architecture.Type, _ source: any ExportSource
  ) throws -> ModelSpec {
    try family.spec(DocumentReader(.object(members), file: source.path, path: "config"))
  }
}
