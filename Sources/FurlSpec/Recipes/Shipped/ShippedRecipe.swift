import FurlBase

/// A recipe that comes with Furl and is named without a path: `--recipe int8`.
package struct ShippedRecipe: Sendable {
  package let name: String
  /// The file in `recipes/`, byte for byte.
  package let text: String

  private init(_ name: String, _ bytes: [UInt8]) {
    self.name = name
    text = String(decoding: bytes, as: UTF8.self)
  }

  /// All of them, by name. Those of the bundled model lie in `recipes/` alone.
  package static let all = [
    ShippedRecipe("bf16", PackageResources.bf16_yaml),
    ShippedRecipe("budget", PackageResources.budget_yaml),
    ShippedRecipe("codegpt-group-lasso-60", PackageResources.codegpt_group_lasso_60_yaml),
    ShippedRecipe("codegpt-group-lasso-60-int8", PackageResources.codegpt_group_lasso_60_int8_yaml),
    ShippedRecipe("disk", PackageResources.disk_yaml),
    ShippedRecipe("drop1", PackageResources.drop1_yaml),
    ShippedRecipe("drop2", PackageResources.drop2_yaml),
    ShippedRecipe("drop3", PackageResources.drop3_yaml),
    ShippedRecipe("fp4", PackageResources.fp4_yaml),
    ShippedRecipe("gguf-iq4_xs", PackageResources.gguf_iq4_xs_yaml),
    ShippedRecipe("gguf-q3_k_m", PackageResources.gguf_q3_k_m_yaml),
    ShippedRecipe("gguf-q4_k_m", PackageResources.gguf_q4_k_m_yaml),
    ShippedRecipe("gguf-q4_k_s", PackageResources.gguf_q4_k_s_yaml),
    ShippedRecipe("gguf-q6_k", PackageResources.gguf_q6_k_yaml),
    ShippedRecipe("gptq4", PackageResources.gptq4_yaml),
    ShippedRecipe("gptq4-minimum", PackageResources.gptq4_minimum_yaml),
    ShippedRecipe("group-lasso-60", PackageResources.group_lasso_60_yaml),
    ShippedRecipe("group-lasso-60-int8", PackageResources.group_lasso_60_int8_yaml),
    ShippedRecipe("int4", PackageResources.int4_yaml),
    ShippedRecipe("int4-minimum", PackageResources.int4_minimum_yaml),
    ShippedRecipe("int8", PackageResources.int8_yaml),
    ShippedRecipe("int8-rows", PackageResources.int8_rows_yaml),
    ShippedRecipe("llm-int8", PackageResources.llm_int8_yaml),
    ShippedRecipe("nested8", PackageResources.nested8_yaml),
    ShippedRecipe("nf4", PackageResources.nf4_yaml),
    ShippedRecipe("phi-2-fp4", PackageResources.phi_2_fp4_yaml),
    ShippedRecipe("phi-2-gptq4", PackageResources.phi_2_gptq4_yaml),
    ShippedRecipe("phi-2-int4", PackageResources.phi_2_int4_yaml),
    ShippedRecipe("phi-2-nf4", PackageResources.phi_2_nf4_yaml),
    ShippedRecipe("small4", PackageResources.small4_yaml),
    ShippedRecipe("small4-minimum", PackageResources.small4_minimum_yaml),
    ShippedRecipe("smollm2-disk", PackageResources.smollm2_disk_yaml),
    ShippedRecipe("starcoder2-gptq4", PackageResources.starcoder2_gptq4_yaml),
    ShippedRecipe("starcoder2-int4", PackageResources.starcoder2_int4_yaml),
  ]

  package static func named(_ name: String) -> ShippedRecipe? { all.first { $0.name == name } }

  /// The one that somebody probably meant: nearly of that name, with that name in its own (`Q4_K_M`), or of so many bits.
  static func meant(by name: String) -> String? {
    let names = all.map(\.name)
    if let bits = name.lowercased().firstMatch(of: /^(?:q|w)?([2-8])(?:[-_]?bits?)?$/)?.1, names.contains("int\(bits)")
    {
      return "int\(bits)"
    }
    let contained = name.count < 3 ? nil : names.filter { $0.contains(name.lowercased()) }.min { $0.count < $1.count }
    return Suggestion.nearest(to: name, among: names) ?? contained
  }

  package func recipe() throws -> Recipe { try Recipe(YAML.read(Array(text.utf8), file: name)) }
}

extension Recipe {
  /// Reads a recipe file, or one that ships where there is no file of that name.
  ///
  /// - Throws: ``FurlError`` of kind `input`; for a name that is neither, with the recipe that was probably meant.
  package init(named argument: String) throws {
    guard FileNames.isFolder(argument) == nil else {
      try self.init(path: argument)
      return
    }
    // A name with its ending means the same, as long as it is no path.
    let name = argument.hasSuffix(".yaml") ? String(argument.dropLast(5)) : argument
    if let shipped = ShippedRecipe.named(name) {
      self = try shipped.recipe()
      return
    }
    let meant = ShippedRecipe.meant(by: name.lastName)
    throw FurlError.input(
      argument, "does not exist",
      remedy: (meant.map { "did you mean \($0)? " } ?? "") + "furl recipes lists those that ship")
  }

  /// The files that reading it reads: none where it ships.
  package static func filesRead(named argument: String) -> [String] {
    FileNames.isFolder(argument) == nil ? [] : [argument]
  }
}
