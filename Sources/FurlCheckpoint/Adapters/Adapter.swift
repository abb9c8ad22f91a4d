import FurlBase

/// PEFT's adapters: differences to the weights of a base model, which are not there or not merged yet.
enum Adapter {
  static let files = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]

  /// - Throws: ``FurlError`` of kind `input` if a folder holds an adapter, alone or beside weights that it may or may not
  ///   be merged into.
  static func refuse(_ folder: String, _ names: [String]) throws {
    guard let found = files.first(where: names.contains) else { return }
    let base = baseName(folder).map { ", \($0)," } ?? ""
    let weights = WeightFormat.allCases.flatMap { format in names.filter(format.mayHold) }
    guard let whole = weights.first else {
      throw FurlError.input(
        folder, "is a PEFT adapter and not a whole model: it has \(found)",
        remedy:
          "name its base model\(base) and give --adapter \(folder.lastName.prefix(100)): furl compress merges it; other commands "
          + "take the model that merge_and_unload of peft gives")
    }
    throw FurlError.input(
      folder, "has a PEFT adapter (\(found)) beside \(whole), and nothing says whether they are merged",
      remedy:
        "move the adapter into a folder of its own and give furl compress --adapter, or take the weights without it: "
        + "--weights \(whole)")
  }

  private static func baseName(_ folder: String) -> String? {
    let path = folder + "/adapter_config.json"
    guard let bytes = try? MappedFile(path: path).readAll(limit: 1 << 20),
      let json = try? JSON.parse(bytes, file: path, dialect: .nonFinite)
    else { return nil }
    return json["base_model_name_or_path"]?.string.flatMap { $0.isEmpty ? nil : String($0.prefix(100)) }
  }

  private static let parts: Set<Substring> = ["base_layer", "modules_to_save", "original_module", "prompt_embeddings"]
  private static let beginnings = [
    "lora_", "hada_", "ia3_", "lokr_", "oft_", "boft_", "vera_", "loha_",
    "vblora_", "fourierft_", "randlora_", "trainable_tokens_", "ln_tuning_", "bone_", "miss_", "hra_", "c3a_", "shira_",
    "road_", "waveft_", "xlora_", "internal_xlora_", "delora_", "gralora_", "poly_lora_", "adaption_", "cpt_", "osf_",
  ]

  /// Whether a tensor's name is one that PEFT gives.
  static func names(_ tensor: String) -> Bool {
    tensor.split(separator: ".").contains { parts.contains($0) || isOfAdapter($0) }
  }

  /// Whether a part of a name says a kind of adapter.
  static func isOfAdapter(_ part: Substring) -> Bool {
    part == "prompt_embeddings" || beginnings.contains { part.hasPrefix($0) }
  }
}
