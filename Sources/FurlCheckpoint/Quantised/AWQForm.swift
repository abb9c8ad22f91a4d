import FurlBase
import FurlTensor

/// AWQ's packed form, version `gemm` (AutoAWQ): `qweight` int32 [inputs][outputs / 8] packed along the outputs, whose eight
/// take turns in a word, `qzeros` [groups][outputs / 8] in the same order, `scales` [groups][outputs].
///
/// A weight is (code - zero) * scale; what AWQ scales activations with is part of the other weights already.
/// Source: `dequantize_gemm` of AutoAWQ's `awq/utils/packing_utils.py`, with scales in FP32.
struct AWQForm: QuantizedForm {
  let name = "AWQ"
  /// nil: a group is a whole row.
  private let group: Int?

  init(_ declared: DocumentReader) throws {
    _ = try declared.codeBits(declared.keys.contains("w_bit") ? "w_bit" : "bits", [4])
    group = try declared.groupSize(declared.keys.contains("q_group_size") ? "q_group_size" : "group_size")
    for key in ["version", "checkpoint_format", "format"] {
      guard let value = declared.optional(key), value.string?.lowercased() != "gemm" else { continue }
      throw declared.error(
        key, "\(value.compactText.prefix(40)) is not read", remedy: "save the model as version gemm")
    }
    if try declared.bool("zero_point") == false {
      throw declared.error("zero_point", "codes without zeros are not read", remedy: "save the model with zero points")
    }
  }

  func matrix(of module: inout QuantizedModule) throws -> (any CodedMatrix)? {
    guard let first = module.tensor("qweight") else { return nil }
    let (rows, columns) = (module.rows, module.columns)
    guard rows % 8 == 0 else {
      throw module.error(first, "qweight", "cannot hold \(rows) outputs in whole words of eight")
    }
    let codes = try module.required("qweight", [.int32], [[columns, rows / 8]])
    let size = group ?? columns
    let count = (columns - 1) / size + 1
    let scales = try module.required("scales", StoredElement.floats, [[count, rows]])
    let zeros = try module.required("qzeros", [.int32], [[count, rows / 8]])
    return try GroupedCodes(
      form: "AWQ 4 bits, \(group == nil ? "rows" : "groups of \(size)")", shape: (rows, columns),
      codes: CodeWords(codes.file, offset: codes.offset, bits: 4, streams: rows, length: columns, order: .turns),
      scales: (module.grid(scales, (count, rows)), perOutput: false),
      zeros: .codes(
        CodeWords(zeros.file, offset: zeros.offset, bits: 4, streams: rows, length: count, order: .turns),
        perOutput: true, added: 0),
      groups: .neighbours(size))
  }
}
