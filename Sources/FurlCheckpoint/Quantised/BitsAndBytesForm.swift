import FurlBase
import FurlTensor

/// bitsandbytes: 4 bits with tables (NF4, FP4), whose scales may be quantized again, and 8 bits with a scale a row.
///
/// 4 bits: `weight` has two codes a byte in one column, `weight.absmax` a scale for each block, `weight.quant_map` the 16
/// numbers, `weight.quant_state.bitsandbytes__nf4` (or `fp4`) a JSON text with shape and sizes of blocks; quantized scales are
/// bytes, with `weight.nested_absmax` and `weight.nested_quant_map`. 8 bits: `weight` [outputs][inputs] and `SCB` [outputs];
/// a weight is code * SCB / 127, divided as a factor. Source: `functional.py` and `_ops.py` of bitsandbytes.
struct BitsAndBytesForm: QuantizedForm {
  let name = "bitsandbytes"

  func matrix(of module: inout QuantizedModule) throws -> (any CodedMatrix)? {
    if module.has("weight.absmax") { return try blocks(&module) }
    guard module.has("SCB"), let found = module.tensor("weight") else { return nil }
    let (rows, columns) = (module.rows, module.columns)
    // Quantized modules are outputs x inputs in every family.
    let codes = try module.required("weight", [.int8], [[rows, columns]])
    if let format = module.tensor("weight_format"), format.numbers == .uint8, format.count == 1,
      format.file.bytes(format.offset..<format.offset + 1)[0] != 0
    {
      throw module.error(found, "weight_format", "says an order of a graphics processor, which is not read")
    }
    let scales = try module.required("SCB", [.float(.float32)], [[rows]])
    return try ScaledBytes(
      form: "bitsandbytes 8 bits, rows", codes: (codes.file, codes.offset, .signed), shape: (rows, columns),
      scales: (module.grid(scales, (rows, 1)), (1, columns)), factor: 7.874_015_718_698_502e-3)
  }

  /// What the JSON text of a module says.
  private struct BlockDeclaration {
    let kind: String
    let size: Int
    let nested: (size: Int, offset: Float)?
  }

  private func blocks(_ module: inout QuantizedModule) throws -> FlatBlocks {
    let declared = try declaration(&module)
    let (count, isHuge) = module.rows.multipliedReportingOverflow(by: module.columns)
    guard let codes = module.tensor("weight"), let type = codes.numbers, codes.isDense, !isHuge,
      codes.shape.count == 2, codes.shape.contains(1),
      codes.count * type.size == (count + 1) / 2
    else {
      let found = module.tensor("weight.absmax")
      throw FurlError.input(
        found?.file.path, module.stem + "weight", "does not hold \(module.rows) x \(module.columns) codes of 4 bits",
        remedy: "the checkpoint is not whole, or not of this configuration")
    }
    let table = try module.required("weight.quant_map", [.float(.float32)], [[16]])
    let number = (count - 1) / declared.size + 1
    let scales: FlatBlocks.BlockFactors
    if let nested = declared.nested {
      let bytes = try module.required("weight.absmax", [.uint8], [[number]])
      let inner = (number - 1) / nested.size + 1
      let factors = try module.required("weight.nested_absmax", [.float(.float32)], [[inner]])
      let numbers = try module.required("weight.nested_quant_map", [.float(.float32)], [[256]])
      scales = .coded(
        StoredPart(bytes.file, bytes.offset..<bytes.offset + number),
        table: numbers.file.floats(.float32, at: numbers.offset, count: 256),
        scales: try module.grid(factors, (1, inner)), block: nested.size, offset: nested.offset)
    } else {
      let floats = try module.required("weight.absmax", [.float(.float32)], [[number]])
      scales = .floats(try module.grid(floats, (1, number)))
    }
    return try FlatBlocks(
      form: "bitsandbytes \(declared.kind.uppercased()), blocks of \(declared.size)", codes: (codes.file, codes.offset),
      shape: (module.rows, module.columns), table: table.file.floats(.float32, at: table.offset, count: 16),
      scales: scales, block: declared.size)
  }

  private static let longest = 1 << 16

  private func declaration(_ module: inout QuantizedModule) throws -> BlockDeclaration {
    let start = "weight.quant_state.bitsandbytes__"
    let found = module.names(beginning: start)
    guard found.count == 1, let tensor = module.tensor(found[0]), tensor.numbers == .uint8, tensor.shape.count == 1,
      tensor.isDense,
      tensor.count <= BitsAndBytesForm.longest
    else {
      let absmax = module.tensor("weight.absmax")
      throw FurlError.input(
        absmax?.file.path, module.stem + start + "nf4", "is missing or no text", remedy: "the checkpoint is not whole")
    }
    func wrong(_ key: String, _ problem: String) -> FurlError { module.error(tensor, found[0], "\(key) \(problem)") }
    let bytes = tensor.file.read(tensor.offset..<tensor.offset + tensor.count)
    let json = try JSON.parse(bytes, file: tensor.file.path)
    guard let kind = json["quant_type"]?.string, ["nf4", "fp4"].contains(kind) else {
      throw wrong("quant_type", "is neither nf4 nor fp4")
    }
    guard json["shape"]?.array?.map(\.integer) == [module.rows, module.columns] else {
      throw wrong("shape", "is not [\(module.rows), \(module.columns)], as the model has it")
    }
    guard let size = json["blocksize"]?.integer, (1...1 << 20).contains(size) else {
      throw wrong("blocksize", "is no size of a block")
    }
    guard let nested = json["nested_blocksize"], nested != .null else {
      return BlockDeclaration(kind: kind, size: size, nested: nil)
    }
    guard let inner = nested.integer, (1...1 << 20).contains(inner), let offset = json["nested_offset"]?.number else {
      throw wrong("nested_blocksize", "and nested_offset do not say how scales are quantized")
    }
    return BlockDeclaration(kind: kind, size: size, nested: (inner, Float(offset)))
  }
}
