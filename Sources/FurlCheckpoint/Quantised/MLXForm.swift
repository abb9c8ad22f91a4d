import FurlBase
import FurlTensor

/// MLX's affine form (mlx-lm): `weight` uint32 [outputs][inputs * bits / 32], `scales` and `biases` [outputs][groups]. A weight
/// is scale * code + bias. Source: `mlx.core.dequantize`, in FP32.
struct MLXForm: QuantizedForm {
  /// Bits and sizes of groups.
  private struct MLXGroups: Hashable {
    let bits: Int
    let group: Int
  }

  let name = "MLX"
  /// That of most modules, and those that some have.
  private let pairs: Set<MLXGroups>

  private static let possible = [2, 3, 4, 5, 6, 8]

  init(_ declared: DocumentReader) throws {
    var pairs: Set<MLXGroups> = []
    func add(_ reader: DocumentReader) throws {
      if let mode = reader.optional("mode"), mode != "affine" {
        throw reader.error(
          "mode", "\(mode.compactText.prefix(40)) is not read", remedy: "of MLX's modes affine is; convert it anew")
      }
      let bits = try reader.codeBits("bits", MLXForm.possible)
      guard let group = try reader.groupSize("group_size") else { throw reader.error("group_size", "is missing") }
      pairs.insert(MLXGroups(bits: bits, group: group))
    }
    try add(declared)
    for key in declared.keys where declared.value[key]?.members != nil {
      if let module = try declared.reader(key) { try add(module) }
    }
    self.pairs = pairs
  }

  func matrix(of module: inout QuantizedModule) throws -> (any CodedMatrix)? {
    guard module.has("scales"), let codes = module.tensor("weight"), codes.numbers == .int32 else { return nil }
    let (rows, columns) = (module.rows, module.columns)
    let groups = module.tensor("scales")?.shape.last ?? 0
    let pair = pairs.first { pair in
      columns * pair.bits % 32 == 0 && codes.shape == [rows, columns * pair.bits / 32]
        && columns % pair.group == 0 && groups == columns / pair.group
    }
    guard let pair else {
      throw module.error(
        codes, "weight",
        "of shape \(codes.shape) and \(groups) groups a row fit no declared bits and group_size "
          + "for \(rows) x \(columns) weights")
    }
    _ = try module.required("weight", [.int32], [[rows, columns * pair.bits / 32]])
    let scales = try module.required("scales", StoredElement.floats, [[rows, groups]])
    let biases = try module.required("biases", StoredElement.floats, [[rows, groups]])
    return try GroupedCodes(
      form: "MLX \(pair.bits) bits, groups of \(pair.group)", shape: (rows, columns),
      codes: CodeWords(codes.file, offset: codes.offset, bits: pair.bits, streams: rows, length: columns, order: .rows),
      scales: (module.grid(scales, (rows, groups)), perOutput: true),
      zeros: .biases(module.grid(biases, (rows, groups))), groups: .neighbours(pair.group))
  }
}
