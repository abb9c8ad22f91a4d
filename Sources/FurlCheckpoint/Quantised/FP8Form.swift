import FurlBase
import FurlTensor

/// FP8 with scales: of blocks (DeepSeek, Qwen: `weight_scale_inv`), of the whole tensor (Devstral, AutoFP8, ModelOpt) or of
/// rows (FBGEMM). A weight is the FP8 number times its scale, in spite of the name with `inv`.
///
/// Source: `Fp8Dequantize` of transformers' `integrations/finegrained_fp8.py`; at the edges blocks are cut, as DeepSeek's own
/// `weight_dequant` has it.
struct FP8Form: QuantizedForm {
  let name = "FP8"
  let readsStacks = true
  /// Rows and columns of a block; nil: the scales show whether there is one for all or one for each row.
  private let block: (rows: Int, columns: Int)?

  init(_ declared: DocumentReader) throws {
    if let format = declared.optional("fmt"), format != "e4m3", format != "e5m2" {
      throw declared.error("fmt", "\(format.compactText.prefix(40)) is not read", remedy: "e4m3 and e5m2 are")
    }
    guard let size = declared.optional("weight_block_size") else {
      block = nil
      return
    }
    guard let sizes = size.array?.map(\.integer), sizes.count == 2, let rows = sizes[0], let columns = sizes[1],
      (1...1 << 24).contains(rows), (1...1 << 24).contains(columns)
    else { throw declared.error("weight_block_size", "must be two sizes") }
    block = (rows, columns)
  }

  init(modelopt declared: DocumentReader) throws {
    guard declared.optional("quant_algo") == "FP8" else {
      throw declared.error(
        "quant_algo", "\(declared.optional("quant_algo")?.compactText.prefix(40) ?? "nothing") is not read",
        remedy: "of ModelOpt's forms FP8 is; name the checkpoint that it was made of")
    }
    block = nil
  }

  func matrix(of module: inout QuantizedModule) throws -> (any CodedMatrix)? {
    guard let found = module.tensor("weight"), found.numbers == .e4m3 || found.numbers == .e5m2 else { return nil }
    let scale = module.has("weight_scale_inv") ? "weight_scale_inv" : "weight_scale"
    return try FP8Form.matrix(of: &module, scale: scale, block: block)
  }

  /// - Parameter scale: the name of the scales' tensor.
  static func matrix(
    of module: inout QuantizedModule, scale: String, block: (rows: Int, columns: Int)?
  ) throws -> ScaledBytes {
    let (rows, columns) = (module.rows, module.columns)
    let codes = try module.plainBytes([.e4m3, .e5m2])
    let (scales, found) = try module.scales(scale, block: block)
    let words = block.map { "blocks of \($0.rows) x \($0.columns)" } ?? (found.rows == 1 ? "rows" : "one scale")
    return try ScaledBytes(
      form: "FP8 \(codes.numbers == .e5m2 ? "E5M2" : "E4M3"), \(words)",
      codes: (codes.file, codes.offset, codes.numbers == .e5m2 ? .e5m2 : .e4m3), shape: (rows, columns),
      scales: (scales, found))
  }
}

extension QuantizedModule {
  /// The module's `weight` in a number of one byte each.
  mutating func plainBytes(_ types: [StoredElement]) throws -> StoredTensors.Tensor {
    let codes = try required("weight", types, [[rows, columns]])
    guard !isTransposed else {
      throw error(codes, "weight", "is of a layer that this family stores the other way round, which is not read")
    }
    return codes
  }

  /// Scales of a tensor, of its rows or of blocks.
  ///
  /// - Parameter block: rows and columns of a block, where they are declared.
  /// - Returns: the scales, and how many rows and columns share one.
  mutating func scales(
    _ name: String, block: (rows: Int, columns: Int)?
  ) throws -> (grid: StoredGrid, block: (rows: Int, columns: Int)) {
    let types = StoredElement.floats + [.e8m0]
    // Gate and up of an expert in one tensor: no scale is for both (transformers' `FP8Experts`).
    let isFused = slice != nil && rows == 2 * partRows
    if var block {
      if isFused, partRows % block.rows != 0 {
        guard partRows < block.rows else { throw try cutBlock(block) }
        block.rows = partRows
      }
      let shape = ((rows - 1) / block.rows + 1, (columns - 1) / block.columns + 1)
      // Exponents alone may come as plain bytes.
      let found = try required(name, types + [.uint8], [[shape.0, shape.1]])
      return (try grid(found, shape), block)
    }
    let shapes: [[Int]] = [[], [1], [1, 1], [rows], [rows, 1]]
    let found = try required(name, types, isFused ? shapes + [[2, 1]] : shapes)
    // One row has one scale either way.
    if found.count == rows { return (try grid(found, (rows, 1)), (1, columns)) }
    if found.count == 2 { return (try grid(found, (2, 1)), (partRows, columns)) }
    return (try grid(found, (1, 1)), (rows, columns))
  }

  private mutating func cutBlock(_ block: (rows: Int, columns: Int)) throws -> FurlError {
    error(
      try required("weight", [.e4m3, .e5m2], [[rows, columns]]), "weight",
      "has gate and up of \(partRows) rows each, which are no whole blocks of \(block.rows)")
  }
}
