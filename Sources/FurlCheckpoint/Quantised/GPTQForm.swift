import FurlBase
import FurlTensor

/// GPTQ's packed form (AutoGPTQ and GPTQModel): `qweight` int32 [inputs * bits / 32][outputs] packed along the inputs,
/// `scales` [groups][outputs], `qzeros` int32 [groups][outputs * bits / 32] packed along the outputs, and `g_idx` [inputs],
/// which says the group of each input where they were quantized in another order (`desc_act`).
///
/// A weight is (code - zero) * scale. The first version of the form stores zeros less one, within their bits, the second as they are.
/// Source: `dequantize_weight` of GPTQModel's `nn_modules/qlinear/__init__.py`, with scales in FP32.
struct GPTQForm: QuantizedForm {
  let name = "GPTQ"
  private let bits: Int
  /// nil: a group is a whole row.
  private let group: Int?
  private let isSymmetric: Bool
  /// Whether zeros are stored as they are.
  private let isSecond: Bool
  /// Whether modules may have parameters of their own.
  private let isDynamic: Bool

  private static let possible = [2, 3, 4, 8]

  init(_ declared: DocumentReader) throws {
    bits = try declared.codeBits("bits", GPTQForm.possible)
    group = try declared.groupSize("group_size")
    isSymmetric = try declared.bool("sym") ?? true
    for key in ["checkpoint_format", "format"] {
      guard let value = declared.optional(key), value != "gptq", value != "gptq_v2" else { continue }
      throw declared.error(
        key, "\(value.compactText.prefix(40)) is not read",
        remedy: "save the model in the form gptq or gptq_v2, or name the checkpoint that it was made of")
    }
    if try declared.bool("is_marlin_format") == true {
      throw declared.error("is_marlin_format", "Marlin's order of weights is not read", remedy: "save it as gptq")
    }
    isSecond = [declared.optional("checkpoint_format"), declared.optional("format")].contains("gptq_v2")
    isDynamic = declared.optional("dynamic")?.members.map { !$0.isEmpty } ?? false
  }

  func matrix(of module: inout QuantizedModule) throws -> (any CodedMatrix)? {
    guard let first = module.tensor("qweight") else { return nil }
    let (rows, columns) = (module.rows, module.columns)
    // The height says the bits, for modules of their own, too.
    let bits =
      isDynamic
      ? GPTQForm.possible.first { first.shape.first == columns / 32 * $0 + columns % 32 * $0 / 32 } ?? self.bits
      : self.bits
    guard columns * bits % 32 == 0, rows * bits % 32 == 0 else {
      throw module.error(first, "qweight", "cannot hold \(rows) x \(columns) codes of \(bits) bits in whole words")
    }
    let codes = try module.required("qweight", [.int32], [[columns * bits / 32, rows]])
    var size = group ?? columns
    var count = (columns - 1) / size + 1
    if isDynamic, let height = module.tensor("scales")?.shape.first, height > 0, columns % height == 0 {
      (count, size) = (height, columns / height)
    }
    let scales = try module.required("scales", StoredElement.floats, [[count, rows]])
    let zeros = try module.required("qzeros", [.int32], [[count, rows * bits / 32]])
    let added = try zeroOffset(module, zeros, bits)
    let groups = try module.groups("g_idx", size: size, count: count)
    let listed = if case .listed = groups { ", in an order of their own" } else { "" }
    return try GroupedCodes(
      form: "GPTQ \(bits) bits, \(group == nil && size == columns ? "rows" : "groups of \(size)\(listed)")",
      shape: (rows, columns),
      codes: CodeWords(codes.file, offset: codes.offset, bits: bits, streams: rows, length: columns, order: .columns),
      scales: (module.grid(scales, (count, rows)), perOutput: false),
      zeros: .codes(
        CodeWords(zeros.file, offset: zeros.offset, bits: bits, streams: count, length: rows, order: .rows),
        perOutput: false, added: added),
      groups: groups)
  }

  /// What is added to stored zeros. Symmetric codes have one zero, so that the first stored one shows the version: files
  /// that say the first and store the second's exist.
  private func zeroOffset(_ module: QuantizedModule, _ zeros: StoredTensors.Tensor, _ bits: Int) throws -> Int {
    guard isSymmetric else { return isSecond ? 0 : 1 }
    let stored = Int(zeros.file.integer(at: zeros.offset, as: UInt32.self) & (1 << UInt32(bits) - 1))
    let middle = 1 << (bits - 1)
    guard stored == middle || stored == middle - 1 else {
      throw module.error(
        zeros, "qzeros",
        "stores the zero \(stored), but symmetric codes of \(bits) bits have \(middle - 1) or \(middle)")
    }
    return middle - stored
  }
}
