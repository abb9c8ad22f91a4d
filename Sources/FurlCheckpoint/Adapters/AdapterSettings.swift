import FurlBase

/// What an `adapter_config.json` of PEFT says, as far as a merge depends on it.
struct AdapterSettings: Sendable {
  let alpha: Double
  let rank: Int
  private let usesRoot: Bool
  let isDoRA: Bool
  /// What some modules have in the place of `alpha` and `rank`, in the file's order.
  private let alphas: [(pattern: String, value: Double)]
  private let ranks: [(pattern: String, value: Int)]
  /// Modules that were trained as a whole, by the ends of their names.
  private let wholes: [String]
  /// What the adapter says that it was made for.
  let base: String?

  /// Keys whose mere presence makes another adapter of it.
  private static let others = [
    "use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config", "velora_config", "monteclora_config",
    "kasa_config", "layer_replication", "target_parameters", "trainable_token_indices", "lora_bias", "megatron_config",
  ]

  /// - Throws: ``FurlError`` of kind `input` that names the key, for what is no LoRA, rsLoRA or DoRA.
  init(path: String) throws {
    let json = try JSON.parse(MappedFile(path: path).readAll(limit: 1 << 20), file: path, dialect: .nonFinite)
    let reader = try DocumentReader(json, file: path)
    guard let kind = try reader.string("peft_type") else { throw reader.error("peft_type", "is missing") }
    guard kind == "LORA" else {
      throw reader.error(
        "peft_type", "\"\(kind.prefix(40))\" is not merged", remedy: "LoRA, rsLoRA and DoRA are; merge it with peft")
    }
    for key in AdapterSettings.others {
      guard let value = reader.optional(key), value != .bool(false), value.array?.isEmpty != true,
        value.members?.isEmpty != true
      else { continue }
      throw reader.error(
        key, "makes another adapter of it than LoRA, which is not merged", remedy: "merge it with peft")
    }
    if let start = reader.optional("init_lora_weights"), let name = start.string,
      !["gaussian", "eva", "orthogonal"].contains(name)
    {
      throw reader.error(
        "init_lora_weights", "\"\(name.prefix(40))\" has changed the base's own weights, which are not here",
        remedy:
          "save the adapter converted to a plain LoRA (path_initial_model_for_weight_conversion), or merge it with peft"
      )
    }
    guard let alpha = reader.optional("lora_alpha")?.number, alpha.isFinite else {
      throw reader.error("lora_alpha", "must be a number")
    }
    guard let rank = try reader.integer("r", in: 1...1 << 16) else { throw reader.error("r", "is missing") }
    self.alpha = alpha
    self.rank = rank
    usesRoot = try reader.bool("use_rslora") ?? false
    isDoRA = try reader.bool("use_dora") ?? false
    alphas = try AdapterSettings.patterns(reader, "alpha_pattern") { $0.number.flatMap { $0.isFinite ? $0 : nil } }
    ranks = try AdapterSettings.patterns(reader, "rank_pattern") { value in
      value.integer.flatMap { (1...1 << 16).contains($0) ? $0 : nil }
    }
    wholes = (reader.optional("modules_to_save")?.array ?? []).compactMap(\.string)
    base = reader.optional("base_model_name_or_path")?.string.flatMap { $0.isEmpty ? nil : String($0.prefix(100)) }
  }

  /// PEFT's patterns are regular expressions; those that are names are read.
  private static func patterns<Value>(
    _ reader: DocumentReader, _ key: String, _ read: (JSON) -> Value?
  ) throws -> [(pattern: String, value: Value)] {
    try (reader.optional(key)?.members ?? []).map { member in
      let name = member.key.hasPrefix("^") ? member.key.dropFirst() : member.key[...]
      let isName = name.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x5F
          || byte == 0x2E || byte == 0x2D
      }
      guard isName, !name.isEmpty else {
        throw reader.error(
          "\(key).\(member.key.prefix(60))", "is a regular expression, of which names alone are read",
          remedy: "write the modules' names, or merge the adapter with peft")
      }
      guard let value = read(member.value) else {
        throw reader.error("\(key).\(member.key.prefix(60))", "has no number that can be one")
      }
      return (member.key, value)
    }
  }

  /// Whether a pattern is for a module: its name, or what comes behind a point in it; behind `^` the whole name.
  private static func matches(_ pattern: String, _ module: String) -> Bool {
    if pattern.hasPrefix("^") { return pattern.dropFirst() == module }
    return module == pattern || module.hasSuffix("." + pattern)
  }

  /// Whether a module was trained as a whole.
  func trainsWhole(_ module: String) -> Bool { wholes.contains { AdapterSettings.matches($0, module) } }

  /// The rank that a module is declared to have.
  func rank(of module: String) -> Int {
    ranks.first { AdapterSettings.matches($0.pattern, module) }?.value ?? rank
  }

  /// What the product of a module's matrices is multiplied with.
  func scaling(of module: String) -> Float {
    let alpha = alphas.first { AdapterSettings.matches($0.pattern, module) }?.value ?? alpha
    let rank = Double(rank(of: module))
    return Float(alpha / (usesRoot ? rank.squareRoot() : rank))
  }
}
