import FurlBase
import FurlTensor

/// MLX's forms (mlx-lm), all of whose codes lie in words of 32 bits, `weight` uint32 [outputs][inputs * bits / 32]; experts
/// have a dimension more in front.
///
/// - `affine`: `scales` and `biases` [outputs][groups]; a weight is scale * code + bias.
/// - `mxfp4`, `mxfp8`: `scales` [outputs][inputs / 32] of bytes that say 2^(byte - 127); a weight is an E2M1 or E4M3 number
///   times its scale.
///
/// Source: `mlx.core.dequantize`, in FP32.
struct MLXForm: QuantizedForm {
  /// What MLX calls a mode.
  private enum MLXMode: String {
    case affine, mxfp4, mxfp8

    /// Bits that its codes may have.
    var possible: [Int] {
      switch self {
      case .affine: [2, 3, 4, 5, 6, 8]
      case .mxfp4: [4]
      case .mxfp8: [8]
      }
    }
  }

  /// How the codes of some modules are made.
  private struct MLXGroups: Hashable {
    let mode: MLXMode
    let bits: Int
    let group: Int
  }

  let name = "MLX"
  let readsStacks = true
  /// Those of most modules, and those that some have.
  private let kinds: Set<MLXGroups>

  init(_ declared: DocumentReader) throws {
    var kinds: Set<MLXGroups> = [try MLXForm.groups(declared)]
    for key in declared.keys where declared.value[key]?.members != nil {
      if let module = try declared.reader(key) { kinds.insert(try MLXForm.groups(module)) }
    }
    self.kinds = kinds
  }

  /// Modules that say no mode are affine, whatever the others are.
  private static func groups(_ declared: DocumentReader) throws -> MLXGroups {
    let stated = declared.optional("mode") ?? "affine"
    guard let mode = stated.string.flatMap(MLXMode.init) else {
      throw declared.error(
        "mode", "\(stated.compactText.prefix(40)) is not read",
        remedy: "of MLX's modes affine, mxfp4 and mxfp8 are; convert it anew")
    }
    let bits = try declared.codeBits("bits", mode.possible)
    guard let group = try declared.groupSize("group_size") else { throw declared.error("group_size", "is missing") }
    guard mode == .affine || group == 32 else {
      throw declared.error("group_size", "says \(group); \(mode.rawValue) has groups of 32")
    }
    return MLXGroups(mode: mode, bits: bits, group: group)
  }

  func matrix(of module: inout QuantizedModule) throws -> (any CodedMatrix)? {
    guard module.has("scales"), let codes = module.tensor("weight"), codes.numbers == .int32 else { return nil }
    let (rows, columns) = (module.rows, module.columns)
    let scales = module.tensor("scales")
    let groups = scales?.shape.last ?? 0
    let isAffine = scales?.numbers != .uint8
    let kind = kinds.first { kind in
      columns * kind.bits % 32 == 0 && codes.shape == [rows, columns * kind.bits / 32]
        && columns % kind.group == 0 && groups == columns / kind.group && isAffine == (kind.mode == .affine)
    }
    guard let kind else {
      let scaleType = scales?.typeName ?? ""
      throw module.error(
        codes, "weight",
        "of shape \(codes.shape) and \(groups) scales of \(scaleType) a row fit no declared mode, bits and group_size "
          + "for \(rows) x \(columns) weights")
    }
    _ = try module.required("weight", [.int32], [[rows, columns * kind.bits / 32]])
    return kind.mode == .affine ? try affine(&module, kind, codes) : try numbers(&module, kind, codes)
  }

  private func affine(
    _ module: inout QuantizedModule, _ kind: MLXGroups, _ codes: StoredTensors.Tensor
  ) throws -> GroupedCodes {
    let (rows, columns) = (module.rows, module.columns)
    let groups = columns / kind.group
    let scales = try module.required("scales", StoredElement.floats, [[rows, groups]])
    let biases = try module.required("biases", StoredElement.floats, [[rows, groups]])
    return try GroupedCodes(
      form: "MLX \(kind.bits) bits, groups of \(kind.group)", shape: (rows, columns),
      codes: CodeWords(codes.file, offset: codes.offset, bits: kind.bits, streams: rows, length: columns, order: .rows),
      scales: (module.grid(scales, (rows, groups)), perOutput: true),
      zeros: .biases(module.grid(biases, (rows, groups))), groups: .neighbours(kind.group))
  }

  /// Numbers by themselves with exponents for scales.
  private func numbers(
    _ module: inout QuantizedModule, _ kind: MLXGroups, _ codes: StoredTensors.Tensor
  ) throws -> any CodedMatrix {
    let (rows, columns) = (module.rows, module.columns)
    let scales = try module.required("scales", [.uint8], [[rows, columns / kind.group]])
    guard kind.mode == .mxfp8 else {
      return try MXFP4Codes(
        codes: (codes.file, codes.offset), scales: (scales.file, scales.offset), shape: (rows, columns))
    }
    return try ScaledBytes(
      form: "MXFP8 E4M3, groups of \(kind.group)", codes: (codes.file, codes.offset, .e4m3), shape: (rows, columns),
      scales: (module.grid(scales, (rows, columns / kind.group)), (1, kind.group)))
  }
}
