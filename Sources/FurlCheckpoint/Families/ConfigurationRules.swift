import FurlBase

/// What transformers 5 reads from a `config.json` beyond the sizes, switches and rotary keys that the families ask for
/// themselves: keys that change what every model computes, whatever its family.
///
/// Each is accepted where it says what Furl computes anyway, and refused by name elsewhere. What no implementation of
/// a family reads is of no interest; `Tests/Fixtures/variants` holds both against transformers.
struct ConfigurationRules {
  let reader: DocumentReader

  /// - Parameters:
  ///   - keepsWindows: whether the family asks for `sliding_window` and `layer_types` itself.
  ///   - keepsSizes: whether it asks for `per_layer_config` itself.
  /// - Throws: ``FurlError`` of kind `input` that names the key.
  func check(layers: Int, contextLength: Int, keepsWindows: Bool, keepsSizes: Bool = false) throws {
    try causal()
    // Sizes of single layers.
    if !keepsSizes { try refuse("per_layer_config") { $0.isEmpty } }
    // Layers that use the keys and values of others.
    try refuse("kv_sharing_modes") { $0.isEmpty }
    // Heads that are left out (transformers before 5).
    try refuse("pruned_heads") { $0.isEmpty }
    try refuse("is_encoder_decoder") { $0 == .bool(false) }
    // Configurations of parts, one of which would stand in for this one.
    for key in ["text_config", "decoder", "generator"] { try refuse(key) { _ in false } }
    // Windows that a cache would keep, though the family's masks do not know them.
    try refuse("attention_chunk_size") { $0.integer.map { $0 >= contextLength } ?? false }
    guard !keepsWindows else { return }
    try refuse("sliding_window") { $0.integer.map { $0 >= contextLength } ?? false }
    try layerTypes(layers) { $0 == "full_attention" }
  }

  /// Python takes null, 0 and false all for no.
  private func causal() throws {
    let key = "is_causal"
    guard reader.keys.contains(key) else { return }
    guard reader.optional(key) == .bool(true) else {
      throw reader.error(key, "anything but true lets tokens see those behind them, which is not supported")
    }
  }

  private func refuse(_ key: String, unless accepted: (JSON) -> Bool) throws {
    guard let value = reader.optional(key), !accepted(value) else { return }
    let text = value.compactText
    let shown = text.utf8.count <= 40 ? text + " " : ""
    throw reader.error(key, "\(shown)changes what the model computes, and is not supported")
  }

  /// Refuses `layer_types` unless each layer is of a kind.
  func layerTypes(_ layers: Int, _ fits: (String) -> Bool) throws {
    let key = "layer_types"
    guard let words = try reader.strings(key) else { return }
    guard words.count == layers else { throw reader.error(key, "has \(words.count) entries for \(layers) layers") }
    if let index = words.firstIndex(where: { !fits(ConfigurationRules.kind($0)) }) {
      throw reader.error("\(key)[\(index)]", "\"\(words[index])\" is not what this model computes in Furl")
    }
  }

  /// The kind of a layer by its present name.
  static func kind(_ word: String) -> String { word == "attention" ? "full_attention" : word }

  /// A family with one window for all layers, or none: `layer_types` may only say so.
  func layerTypes(_ layers: Int, window: Int?) throws {
    try layerTypes(layers) { $0 == (window == nil ? "full_attention" : "sliding_attention") }
  }
}

extension JSON {
  fileprivate var isEmpty: Bool {
    switch self {
    case .array(let elements): elements.isEmpty
    case .object(let members): members.isEmpty
    default: false
    }
  }
}
