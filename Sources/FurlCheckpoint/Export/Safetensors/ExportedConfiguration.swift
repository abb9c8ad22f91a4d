import FurlBase
import FurlSpec
import FurlTensor

/// The `config.json` of an export: the source's, with other numbers where transforms have changed the model.
enum ExportedConfiguration {
  /// - Throws: ``FurlError`` of kind `input` when the family's keys cannot say what the model is.
  static func json(for source: any ExportSource, family: any Architecture.Type, type: SourceType) throws -> JSON {
    guard var members = source.config.members else {
      throw FurlError.input(source.path, "config", "must be a mapping")
    }
    let before = try spec(members, family, source)
    let after = source.spec
    let keys = family.configurationKeys
    // The export's files have names of their own.
    members.removeAll { $0.key == "transformers_weights" }
    func set(_ key: String, _ value: JSON) {
      if let index = members.firstIndex(where: { $0.key == key }) {
        members[index].value = value
      } else {
        members.append(JSON.Member(key, value))
      }
      for (alias, _) in family.aliases.filter({ $0.value == key }) {
        if let index = members.firstIndex(where: { $0.key == alias }) { members[index].value = value }
      }
    }
    // Some sizes follow from the hidden size unless they are said.
    let isNarrower = after.hiddenSize != before.hiddenSize
    func size(_ key: String?, follows: Bool = false, _ figure: (ModelSpec) -> Int?) {
      guard let key, let value = figure(after), value != figure(before) || follows && isNarrower else { return }
      set(key, .integer(value))
    }
    size(keys.layers) { $0.blocks.count }
    size(keys.vocabulary) { $0.vocabularySize }
    size(keys.hidden) { $0.hiddenSize }
    size(keys.heads) { $0.blocks.first?.widths.heads }
    size(keys.kvHeads) { $0.blocks.first?.widths.kvHeads }
    size(keys.headSize, follows: true) { $0.blocks.first?.widths.headSize }
    size(keys.mlp, follows: true) { $0.blocks.first?.widths.mlpSize }
    for key in ["num_experts", "num_local_experts"] where members.contains(where: { $0.key == key }) {
      size(key) { $0.blocks.compactMap(\.experts).first?.count }
    }
    if family.modelType == "llama" {
      for (key, roles) in llamaBiases where !after.biases.isDisjoint(with: roles) && before.biases != after.biases {
        set(key, true)
      }
    }
    if members.contains(where: { $0.key == "layer_types" })
      || before.blocks.contains(where: { $0.widths.window != nil }),
      before.blocks.map(\.widths.window) != after.blocks.map(\.widths.window), keys.hasLayerTypes
    {
      let words = after.blocks.map { $0.widths.window == nil ? "full_attention" : "sliding_attention" }
      set("layer_types", .array(words.map(JSON.string)))
    }
    for member in family.keys(of: after, before: before) { set(member.key, member.value) }
    let name: JSON = type == .float16 ? "float16" : type == .bfloat16 ? "bfloat16" : "float32"
    let typeKeys = ["dtype", "torch_dtype"].filter { key in members.contains { $0.key == key } }
    for key in typeKeys.isEmpty ? ["torch_dtype"] : typeKeys { set(key, name) }
    // What is written has to say what the model is, whatever was changed in it.
    if isNarrower, keys.headSize == nil,
      let block = after.blocks.map(\.widths).first(where: { $0.heads * $0.headSize != after.hiddenSize })
    {
      throw FurlError.input(
        source.path,
        "has \(block.heads) heads of \(block.headSize) beside \(after.hiddenSize) channels, for which a "
          + "\(family.modelType) config.json has no keys, and channels of zeros would change the means of its norms",
        remedy: "run it with furl, or prune heads and neurons only")
    }
    if after.norm.epsilon != before.norm.epsilon { set(keys.normEpsilon, .number(after.norm.epsilon)) }
    if family.modelType == "llama",
      let (own, old) = after.blocks.first.flatMap({ own in before.blocks.first.map { (own.widths, $0.widths) } }),
      after.hiddenSize % own.heads != 0, before.hiddenSize % old.heads == 0
    {
      throw FurlError.input(
        source.path,
        "has \(own.heads) heads beside \(after.hiddenSize) channels: transformers' llama wants a multiple",
        remedy: "run it with furl, or give another multiple")
    }
    guard try spec(members, family, source) == after else {
      let isUniform =
        Set(after.blocks.map { [$0.widths.heads, $0.widths.kvHeads, $0.widths.headSize, $0.widths.mlpSize] }).count <= 1
      throw FurlError.input(
        source.path,
        isUniform
          ? "is not a model that the keys of a \(family.modelType) config.json can describe"
          : "has blocks of different widths, for which a \(family.modelType) config.json has no keys",
        remedy: "run it with furl, or prune all blocks alike")
    }
    return .object(members)
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
