import FurlBase
import FurlTensor

/// compressed-tensors (llm-compressor, vLLM): whole numbers packed in words (`pack-quantized`), one a byte (`int-quantized`)
/// and FP8 (`float-quantized`), with scales of groups, rows, blocks or the whole tensor.
///
/// `weight_packed` int32 [outputs][inputs * bits / 32] has code + 2^(bits - 1); `weight_zero_point` int32
/// [outputs * bits / 32][groups] the zeros alike, packed down the outputs. A weight is (code - zero) * scale.
/// Source: `compressors/pack_quantized` and `quantization/lifecycle/forward.py` of compressed-tensors, with scales in FP32.
struct CompressedTensorsForm: QuantizedForm {
  /// How the weights of some modules are quantized.
  private struct DeclaredScheme: Hashable {
    let bits: Int
    let isFloat: Bool
    let isSymmetric: Bool
    let strategy: ScaleStrategy
  }

  private enum ScaleStrategy: Hashable {
    case tensor, channel
    case group(Int)
    case block(rows: Int, columns: Int)
  }

  let name = "compressed-tensors"
  let readsStacks = true
  private let schemes: [DeclaredScheme]

  private static let formats: Set<String> = [
    "pack-quantized", "int-quantized", "float-quantized", "naive-quantized", "mixed-precision", "dense",
  ]

  init(_ declared: DocumentReader) throws {
    try CompressedTensorsForm.checkFormat(declared)
    if let sparsity = declared.optional("sparsity_config"), let format = sparsity["format"], format != "dense" {
      throw declared.error(
        "sparsity_config.format", "\(format.compactText.prefix(40)) is not read", remedy: "save the model dense")
    }
    if let transforms = declared.optional("transform_config"), transforms.members?.isEmpty == false {
      throw declared.error(
        "transform_config", "turns activations when the model runs, which is not supported",
        remedy: "name the checkpoint that it was made of")
    }
    guard let groups = try declared.reader("config_groups"), !groups.keys.isEmpty else {
      throw declared.error("config_groups", "is missing")
    }
    schemes = try groups.keys.compactMap { key in
      guard let group = try groups.reader(key) else { return nil }
      try CompressedTensorsForm.checkFormat(group)
      return try group.reader("weights").map(CompressedTensorsForm.scheme)
    }
  }

  private static func checkFormat(_ declared: DocumentReader) throws {
    guard let format = declared.optional("format"), format.string.map(formats.contains) != true else { return }
    throw declared.error(
      "format", "\(format.compactText.prefix(40)) is not read",
      remedy: "read are: \(formats.sorted().joined(separator: ", ")); else name the checkpoint that it was made of")
  }

  private static func scheme(_ weights: DocumentReader) throws -> DeclaredScheme {
    let type = try weights.string("type") ?? "int"
    guard type == "int" || type == "float" else { throw weights.error("type", "\"\(type.prefix(40))\" is not read") }
    let bits = try weights.codeBits("num_bits", type == "float" ? [8] : Array(2...8))
    let group = try weights.groupSize("group_size")
    let strategy: ScaleStrategy
    switch try weights.string("strategy") ?? (group == nil ? "tensor" : "group") {
    case "tensor": strategy = .tensor
    case "channel": strategy = .channel
    case "group": strategy = group.map(ScaleStrategy.group) ?? .channel
    case "block":
      guard let sizes = weights.optional("block_structure")?.array?.map(\.integer), sizes.count == 2,
        let rows = sizes[0], let columns = sizes[1], (1...1 << 24).contains(rows), (1...1 << 24).contains(columns)
      else { throw weights.error("block_structure", "must be two sizes") }
      strategy = .block(rows: rows, columns: columns)
    case let other:
      throw weights.error(
        "strategy", "\"\(other.prefix(40))\" is not read", remedy: "read are: tensor, channel, group, block")
    }
    return DeclaredScheme(
      bits: bits, isFloat: type == "float", isSymmetric: try weights.bool("symmetric") ?? true, strategy: strategy)
  }

  func matrix(of module: inout QuantizedModule) throws -> (any CodedMatrix)? {
    if module.has("weight_packed") { return try packed(&module) }
    guard module.has("weight_scale"), let found = module.tensor("weight") else { return nil }
    switch found.numbers {
    case .int8: return try bytes(&module)
    case .e4m3, .e5m2:
      let scheme = try scheme(of: &module, found, "weight") { $0.isFloat }
      return try floats(&module, scheme)
    default: return nil
    }
  }

  /// Of the declared schemes the one whose scales a module has; what modules a scheme is for is not looked at, so that two
  /// that would lead to the same tensors mean the same.
  private func scheme(
    of module: inout QuantizedModule, _ codes: StoredTensors.Tensor, _ name: String,
    _ isPossible: (DeclaredScheme) -> Bool
  ) throws -> DeclaredScheme {
    let scales = module.tensor("weight_scale")?.shape ?? []
    let hasZeros = module.has("weight_zero_point")
    let (rows, columns) = (module.rows, module.columns)
    let found = schemes.first { scheme in
      guard isPossible(scheme), scheme.isFloat || scheme.isSymmetric != hasZeros else { return false }
      return CompressedTensorsForm.shapes(scheme.strategy, rows, columns).contains(scales)
    }
    guard let found else {
      throw module.error(
        codes, name,
        "and weight_scale of shape \(scales) fit no group of config_groups for \(rows) x \(columns) weights")
    }
    return found
  }

  /// The shapes of scales; those of groups and blocks come alone.
  private static func shapes(_ strategy: ScaleStrategy, _ rows: Int, _ columns: Int) -> [[Int]] {
    switch strategy {
    case .tensor: [[], [1], [1, 1]]
    case .channel: [[rows, 1], [rows]]
    case .group(let size): [[rows, (columns - 1) / size + 1]]
    case .block(let height, let width): [[(rows - 1) / height + 1, (columns - 1) / width + 1]]
    }
  }

  /// Rows and columns that share a scale.
  private static func block(_ strategy: ScaleStrategy, _ rows: Int, _ columns: Int) -> (rows: Int, columns: Int) {
    switch strategy {
    case .tensor: (rows, columns)
    case .channel: (1, columns)
    case .group(let size): (1, size)
    case .block(let height, let width): (height, width)
    }
  }

  private static func words(_ strategy: ScaleStrategy) -> String {
    switch strategy {
    case .tensor: "one scale"
    case .channel: "rows"
    case .group(let size): "groups of \(size)"
    case .block(let rows, let columns): "blocks of \(rows) x \(columns)"
    }
  }

  /// The scales, and how many rows and columns share one.
  private static func scales(
    _ module: inout QuantizedModule, _ scheme: DeclaredScheme
  ) throws -> (grid: StoredGrid, block: (rows: Int, columns: Int)) {
    let (rows, columns) = (module.rows, module.columns)
    let found = try module.required("weight_scale", StoredElement.floats, shapes(scheme.strategy, rows, columns))
    let block = block(scheme.strategy, rows, columns)
    return (try module.grid(found, ((rows - 1) / block.rows + 1, (columns - 1) / block.columns + 1)), block)
  }

  private func floats(_ module: inout QuantizedModule, _ scheme: DeclaredScheme) throws -> ScaledBytes {
    let codes = try module.plainBytes([.e4m3, .e5m2])
    // Numbers that are symmetric may have zeros all the same, all of them zero.
    _ = module.tensor("weight_zero_point")
    let isWide = codes.numbers == .e5m2
    return try ScaledBytes(
      form: "FP8 \(isWide ? "E5M2" : "E4M3"), \(CompressedTensorsForm.words(scheme.strategy))",
      codes: (codes.file, codes.offset, isWide ? .e5m2 : .e4m3), shape: (module.rows, module.columns),
      scales: CompressedTensorsForm.scales(&module, scheme))
  }

  private func bytes(_ module: inout QuantizedModule) throws -> ScaledBytes {
    let codes = try module.plainBytes([.int8])
    let scheme = try scheme(of: &module, codes, "weight") { !$0.isFloat }
    let scales = try CompressedTensorsForm.scales(&module, scheme)
    var zeros: StoredGrid?
    if !scheme.isSymmetric {
      let shapes = CompressedTensorsForm.shapes(scheme.strategy, module.rows, module.columns)
      let found = try module.required("weight_zero_point", [.int8], shapes)
      zeros = try module.grid(found, (scales.grid.rows, scales.grid.columns))
    }
    return try ScaledBytes(
      form: "compressed-tensors \(scheme.bits) bits, \(CompressedTensorsForm.words(scheme.strategy))",
      codes: (codes.file, codes.offset, .signed), shape: (module.rows, module.columns), scales: scales, zeros: zeros)
  }

  private func packed(_ module: inout QuantizedModule) throws -> GroupedCodes {
    guard let first = module.tensor("weight_packed") else { throw FurlError(.defect, "no packed weights") }
    if module.isTransposed, module.slice == nil, let found = try turned(&module, first) { return found }
    let (rows, columns) = (module.rows, module.columns)
    let scheme = try scheme(of: &module, first, "weight_packed") {
      guard !$0.isFloat, [rows, CodeWords.words(columns, bits: $0.bits)] == first.shape else { return false }
      if case .block = $0.strategy { return false }
      return true
    }
    let codes = try module.required(
      "weight_packed", [.int32], [[rows, CodeWords.words(columns, bits: scheme.bits)]])
    try checkShape(&module, [rows, columns])
    let scales = try CompressedTensorsForm.scales(&module, scheme)
    let size = scales.block.columns
    if scheme.strategy == .tensor {
      throw module.error(codes, "weight_packed", "has one scale for all, which is not read")
    }
    let groups = try module.groups("weight_g_idx", size: size, count: scales.grid.columns)
    return try GroupedCodes(
      form: "compressed-tensors \(scheme.bits) bits, \(CompressedTensorsForm.words(scheme.strategy))",
      shape: (rows, columns),
      codes: CodeWords(
        codes.file, offset: codes.offset, bits: scheme.bits, streams: rows, length: columns, order: .rows),
      scales: (scales.grid, perOutput: true), zeros: try zeros(&module, scheme, count: scales.grid.columns),
      groups: groups)
  }

  private func zeros(_ module: inout QuantizedModule, _ scheme: DeclaredScheme, count: Int) throws
    -> GroupedCodes.CodeZeros
  {
    // Codes are stored with half of their range added, and so are their zeros.
    guard !scheme.isSymmetric else { return .constant(1 << (scheme.bits - 1)) }
    let words = CodeWords.words(module.rows, bits: scheme.bits)
    let found = try module.required("weight_zero_point", [.int32, .int8], [[words, count], [module.rows, count]])
    guard found.numbers == .int32, found.shape == [words, count] else {
      // Earlier versions did not pack them.
      let zeros = try module.required("weight_zero_point", [.int8], [[module.rows, count]])
      return .numbers(
        try module.grid(zeros, (module.rows, count)), perOutput: true, added: 1 << (scheme.bits - 1))
    }
    return .codes(
      try CodeWords(
        found.file, offset: found.offset, bits: scheme.bits, streams: count, length: module.rows, order: .columns),
      perOutput: false, added: 0)
  }

  /// A layer that is transformers' Conv1D, packed and in blocks as its plain weights would be stored: words along the outputs,
  /// blocks of inputs. Of strategy `block` zeros are not packed.
  ///
  /// - Returns: nil where no scheme says so.
  private func turned(_ module: inout QuantizedModule, _ first: StoredTensors.Tensor) throws -> GroupedCodes? {
    let (rows, columns) = (module.rows, module.columns)
    let (stored, hasZeros) = (module.tensor("weight_scale")?.shape ?? [], module.has("weight_zero_point"))
    for scheme in schemes where !scheme.isFloat && scheme.isSymmetric != hasZeros {
      let width = CodeWords.words(rows, bits: scheme.bits)
      guard case .block(let size, 1) = scheme.strategy, first.shape == [columns, width] else { continue }
      let count = (columns - 1) / size + 1
      guard stored == [count, rows] else { continue }
      let codes = try module.required("weight_packed", [.int32], [[columns, width]])
      try checkShape(&module, [columns, rows])
      let middle = 1 << (scheme.bits - 1)
      var zeros = GroupedCodes.CodeZeros.constant(middle)
      if hasZeros {
        let found = try module.required("weight_zero_point", [.int8], [[count, rows]])
        zeros = .numbers(try module.grid(found, (count, rows)), perOutput: false, added: middle)
      }
      let scales = try module.required("weight_scale", StoredElement.floats, [[count, rows]])
      return try GroupedCodes(
        form: "compressed-tensors \(scheme.bits) bits, blocks of \(size) x 1", shape: (rows, columns),
        codes: CodeWords(
          codes.file, offset: codes.offset, bits: scheme.bits, streams: rows, length: columns, order: .turned),
        scales: (try module.grid(scales, (count, rows)), perOutput: false), zeros: zeros, groups: .neighbours(size))
    }
    return nil
  }

  private func checkShape(_ module: inout QuantizedModule, _ matrix: [Int]) throws {
    // Of experts in one tensor it says that tensor's.
    let expected = (module.slice.map { [$0.count] } ?? []) + matrix
    let shape = try module.required("weight_shape", [.int64, .int32], [[expected.count]], isShared: true)
    let values = expected.indices.map { index -> Int in
      shape.numbers == .int64
        ? Int(shape.file.integer(at: shape.offset + 8 * index, as: Int64.self))
        : Int(shape.file.integer(at: shape.offset + 4 * index, as: Int32.self))
    }
    guard values == expected else {
      throw module.error(shape, "weight_shape", "says \(values); the model has \(expected)")
    }
  }
}
