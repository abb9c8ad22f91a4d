import FurlBase
import FurlTensor

/// A form in which other programs store quantized weights, with the parameters that a checkpoint declares for it.
///
/// Weights are decoded to FP32 when they are read, exactly as the form's own code does that computes in FP32. A module that
/// is not quantized (embeddings and heads, mostly) has its plain tensor and is read as that.
protocol QuantizedForm: Sendable {
  /// What people call it.
  var name: String { get }

  /// Whether there are files of it with all experts of a block in one tensor.
  var readsStacks: Bool { get }

  /// The matrix of a module.
  ///
  /// - Returns: nil where the module is not quantized.
  /// - Throws: ``FurlError`` of kind `input` for tensors that do not fit the declaration, the model or each other.
  func matrix(of module: inout QuantizedModule) throws -> (any CodedMatrix)?
}

extension QuantizedForm {
  var readsStacks: Bool { false }
}

/// Reads the declaration of a form.
enum QuantizationDeclaration {
  /// The methods that are read, and who reads the rest of what they declare.
  private static let methods: [String: @Sendable (DocumentReader) throws -> any QuantizedForm] = [
    "gptq": { try GPTQForm($0) }, "awq": { try AWQForm($0) }, "compressed-tensors": { try CompressedTensorsForm($0) },
    "fp8": { try FP8Form($0) }, "fbgemm_fp8": { try FP8Form($0) }, "modelopt": { try FP8Form(modelopt: $0) },
    "bitsandbytes": { _ in BitsAndBytesForm() },
  ]

  /// What is read, in words.
  static let names =
    "GPTQ, AWQ, compressed-tensors, FP8 (fp8, fbgemm_fp8, modelopt), bitsandbytes and MLX"

  /// The form that a configuration declares.
  ///
  /// - Returns: nil where it declares none, or one that is not read.
  /// - Throws: ``FurlError`` of kind `input` that names the key, for parameters that are not read.
  static func form(of config: JSON, file: String) throws -> (any QuantizedForm)? {
    let key = "quantization_config"
    if let value = config[key], value.members != nil, let method = value["quant_method"]?.string {
      guard let read = methods[method] else { return nil }
      return try read(DocumentReader(value, file: file, path: key))
    }
    // MLX says it under both keys, and names no method.
    for key in ["quantization", key] {
      guard let value = config[key], value["bits"] != nil, value["group_size"] != nil else { continue }
      return try MLXForm(DocumentReader(value, file: file, path: key))
    }
    return nil
  }
}

extension DocumentReader {
  /// The bits of a code, within what is read.
  func codeBits(_ key: String, _ possible: [Int]) throws -> Int {
    let value = try required(key)
    guard let bits = value.integer, possible.contains(bits) else {
      throw error(
        key, "says \(value.compactText.prefix(40)), which is not read",
        remedy: "bits that are read: \(possible.map(String.init).joined(separator: ", "))")
    }
    return bits
  }

  /// How many inputs share a scale; nil: all of a row (-1 in the files).
  func groupSize(_ key: String) throws -> Int? {
    guard let value = optional(key) else { return nil }
    guard let size = value.integer, size == -1 || (1...1 << 24).contains(size) else {
      throw error(key, "says \(value.compactText.prefix(40)), which is no size of a group")
    }
    return size == -1 ? nil : size
  }
}
