import FurlBase

/// Weights in a form that is no plain checkpoint, told by the names and types of their tensors: what `config.json` says
/// about it may be missing or left over.
enum ForeignWeights {
  /// The form of weights that are quantized, as their configuration declares it.
  ///
  /// - Returns: nil where no tensor shows that they are, or where nothing is declared that is read.
  /// - Throws: ``FurlError`` of kind `input` that names the key, for a declaration with parameters that are not read.
  static func form(of stored: StoredTensors, _ config: JSON, file: String) throws -> (any QuantizedForm)? {
    guard stored.tensors.contains(where: { quantized($0.key, $0.value, stored) != nil }) else { return nil }
    return try QuantizationDeclaration.form(of: config, file: file)
  }

  /// - Parameter form: that quantized weights may have.
  /// - Throws: ``FurlError`` of kind `input` that says what the weights are, and what to do.
  static func refuse(_ stored: StoredTensors, path: String, except form: (any QuantizedForm)?) throws {
    let names = stored.tensors.keys.sorted()
    if let name = names.first(where: Adapter.names) {
      throw FurlError.input(
        path, name, "belongs to a PEFT adapter that is not merged into the weights",
        remedy: "merge it first (merge_and_unload), save the model, and name that folder")
    }
    for name in names {
      guard let tensor = stored.tensors[name] else { continue }
      if form == nil, let shown = quantized(name, tensor, stored) {
        throw FurlError.input(
          path, name, "the weights are quantized already, in the form of \(shown)",
          remedy: "name the checkpoint that they were made of; where config.json declares them, "
            + "\(QuantizationDeclaration.names) are read")
      }
      let parts = name.split(separator: ".")
      if parts.contains(where: { $0.hasPrefix("_flat_param") || $0 == "flat_param" }) {
        throw FurlError.input(
          path, name, "is FSDP's own form, many weights in one vector", remedy: "save the full state dict")
      }
      if parts.first == "tok_embeddings" {
        throw FurlError.input(
          path, name, "is Meta's or Mistral's own form (consolidated), whose heads are ordered otherwise",
          remedy: "convert it to Hugging Face's form first, or take the files named model-*.safetensors")
      }
    }
  }

  /// The form that a tensor shows; nil for a plain one.
  private static func quantized(_ name: String, _ tensor: StoredTensors.Tensor, _ stored: StoredTensors) -> String? {
    let parts = name.split(separator: ".")
    guard let last = parts.last else { return nil }
    let base = String(name.dropLast(last.count))
    func has(_ other: String) -> Bool { stored.tensors[base + other] != nil }
    if Buffers.isCacheScale(parts), !stored.tensors.values.contains(where: \.isFP8) { return nil }
    switch last {
    case "absmax", "quant_map", "nested_absmax", "nested_quant_map", "SCB", "weight_format": return "bitsandbytes"
    case "qweight", "qzeros": return packed(base, stored)
    case "g_idx": return "GPTQ"
    case "biases" where has("scales"): return "MLX"
    case "weight_packed", "weight_shape", "weight_zero_point", "weight_g_idx": return "compressed-tensors"
    case "weight_scale_2", "weight_global_scale", "input_global_scale": return "NVFP4"
    case "weight_scale", "weight_scale_inv", "input_scale", "k_scale", "v_scale", "output_scale", "activation_scale":
      let type = stored.tensors[base + "weight"]?.typeName.uppercased() ?? ""
      return type.hasPrefix("I") || type.hasPrefix("U") ? "INT8 with scales" : "FP8"
    case "weight_scales", "W_q", "codebooks", "Qidxs", "centroids", "_packed_params", "qmap": return "packed codes"
    case "_data" where has("_scale"): return "Quanto"
    default: break
    }
    if parts.contains(where: { $0 == "quant_state" }) || last.hasPrefix("bitsandbytes__") { return "bitsandbytes" }
    if last.hasSuffix("_blocks"), has(last.dropLast("_blocks".count) + "_scales"), !MXFP4Experts.mayRead(tensor) {
      return "MXFP4"
    }
    let type = tensor.typeName.uppercased()
    if tensor.isFP8 { return "FP8" }
    if type.hasPrefix("F4") || type.hasPrefix("F6_") { return "\(type) codes" }
    // Experts of a block may lie in one tensor.
    guard last == "weight", (2...3).contains(tensor.shape.count), tensor.isWholeNumbers, !tensor.shape.contains(0)
    else { return nil }
    if has("scales") { return "MLX" }
    if has("weight_scale") { return "INT8 with scales" }
    if has("SCB") { return "bitsandbytes" }
    if type == "U8" || type == "UINT8", tensor.shape.last == 1 { return "bitsandbytes" }
    return "whole numbers (\(tensor.typeName))"
  }

  /// GPTQ packs along the inputs, AWQ along the outputs, of which there is one scale each.
  private static func packed(_ base: String, _ stored: StoredTensors) -> String {
    if stored.tensors[base + "g_idx"] != nil { return "GPTQ" }
    guard let codes = stored.tensors[base + "qweight"]?.shape.last,
      let scales = stored.tensors[base + "scales"]?.shape.last
    else { return "GPTQ or AWQ" }
    return codes == scales ? "GPTQ" : "AWQ"
  }
}

extension StoredTensors.Tensor {
  /// Whether the numbers are of an 8-bit floating-point type, by the name of either format.
  fileprivate var isFP8: Bool {
    let name = typeName.uppercased()
    return name.hasPrefix("F8_") || name.hasPrefix("FLOAT8")
  }
}
