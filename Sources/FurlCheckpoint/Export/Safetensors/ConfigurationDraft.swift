import FurlBase
import FurlSpec
import FurlTensor

/// A `config.json` that is being changed from what a model was to what it has become.
struct ConfigurationDraft {
  private(set) var members: [JSON.Member]
  private let before: ModelSpec
  private let after: ModelSpec
  private let family: any Architecture.Type

  /// Some sizes follow from the hidden size unless they are said.
  private var isNarrower: Bool { after.hiddenSize != before.hiddenSize }

  init(_ members: [JSON.Member], before: ModelSpec, after: ModelSpec, family: any Architecture.Type) {
    // The export's files have names of their own.
    self.members = members.filter { $0.key != "transformers_weights" }
    (self.before, self.after, self.family) = (before, after, family)
  }

  private func has(_ key: String) -> Bool { members.contains { $0.key == key } }

  private mutating func set(_ key: String, _ value: JSON) {
    if let index = members.firstIndex(where: { $0.key == key }) {
      members[index].value = value
    } else {
      members.append(JSON.Member(key, value))
    }
    for (alias, _) in family.aliases.filter({ $0.value == key }) {
      if let index = members.firstIndex(where: { $0.key == alias }) { members[index].value = value }
    }
  }

  private mutating func size(_ key: String?, follows: Bool = false, _ figure: (ModelSpec) -> Int?) {
    guard let key, let value = figure(after), value != figure(before) || follows && isNarrower else { return }
    set(key, .integer(value))
  }

  /// The numbers that steps change.
  mutating func setSizes() {
    let keys = family.configurationKeys
    size(keys.layers) { $0.blocks.count }
    size(keys.vocabulary) { $0.vocabularySize }
    size(keys.hidden) { $0.hiddenSize }
    size(keys.heads) { $0.blocks.first?.widths.heads }
    size(keys.kvHeads) { $0.blocks.first?.widths.kvHeads }
    size(keys.headSize, follows: true) { $0.blocks.first?.widths.headSize }
    size(keys.mlp, follows: true) { $0.blocks.first?.widths.mlpSize }
    for key in ["num_experts", "num_local_experts"] where has(key) {
      size(key) { $0.blocks.compactMap(\.experts).first?.count }
    }
    if after.norm.epsilon != before.norm.epsilon { set(keys.normEpsilon, .number(after.norm.epsilon)) }
  }

  /// What is said of blocks or of kinds of layers, and what a family has of its own.
  ///
  /// - Parameter biases: keys of llama, each with the layers that it gives biases.
  mutating func setLists(biases: KeyValuePairs<String, Set<TensorRole>>) {
    if family.modelType == "llama" {
      for (key, roles) in biases where !after.biases.isDisjoint(with: roles) && before.biases != after.biases {
        set(key, true)
      }
    }
    let windows = (before.blocks.map(\.widths.window), after.blocks.map(\.widths.window))
    if has("layer_types") || windows.0.contains(where: { $0 != nil }), windows.0 != windows.1,
      family.configurationKeys.hasLayerTypes
    {
      set("layer_types", .array(windows.1.map { .string($0 == nil ? "full_attention" : "sliding_attention") }))
    }
    for member in family.keys(of: after, before: before) { set(member.key, member.value) }
  }

  /// The type of the weights in the files.
  mutating func setType(_ type: SourceType) {
    let name: JSON = type == .float16 ? "float16" : type == .bfloat16 ? "bfloat16" : "float32"
    let keys = ["dtype", "torch_dtype"].filter(has)
    for key in keys.isEmpty ? ["torch_dtype"] : keys { set(key, name) }
  }

  /// - Throws: ``FurlError`` of kind `input` where heads do not go with the channels that are left.
  func checkHeads(_ path: String) throws {
    if isNarrower, family.configurationKeys.headSize == nil,
      let block = after.blocks.map(\.widths).first(where: { $0.heads * $0.headSize != after.hiddenSize })
    {
      throw FurlError.input(
        path,
        "has \(block.heads) heads of \(block.headSize) beside \(after.hiddenSize) channels, for which a "
          + "\(family.modelType) config.json has no keys, and channels of zeros would change the means of its norms",
        remedy: "run it with furl, or prune heads and neurons only")
    }
    if family.modelType == "llama",
      let (own, old) = after.blocks.first.flatMap({ own in before.blocks.first.map { (own.widths, $0.widths) } }),
      after.hiddenSize % own.heads != 0, before.hiddenSize % old.heads == 0
    {
      throw FurlError.input(
        path, "has \(own.heads) heads beside \(after.hiddenSize) channels: transformers' llama wants a multiple",
        remedy: "run it with furl, or give another multiple")
    }
  }
}
