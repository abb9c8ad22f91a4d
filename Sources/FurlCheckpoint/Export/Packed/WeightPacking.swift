import FurlBase
import FurlSpec
import FurlTensor

/// A layout of integers and scales in which other runtimes read the linear layers of a checkpoint.
///
/// - `compressed-tensors`, format `pack-quantized`: https://github.com/vllm-project/compressed-tensors,
///   `compressors/pack_quantized`.
/// - `gptq`: the first version of its checkpoints, https://github.com/AutoGPTQ/AutoGPTQ and
///   https://github.com/ModelCloud/GPTQModel.
package enum WeightPacking: String, Sendable, Hashable, CaseIterable {
  case compressedTensors = "compressed-tensors"
  case gptq
}

/// What layers have in common that are declared together.
struct PackedForm: Hashable {
  let bits: Int
  /// Columns that share a scale; nil: all of a row.
  let group: Int?
  /// Whether each block has an integer of its own that stands for zero.
  let hasZeros: Bool

  /// Where it stands among others.
  var order: Int { (bits << 32 | (group ?? 0)) << 1 | (hasZeros ? 1 : 0) }
}

/// A linear layer whose weights are written as integers.
struct PackedLayer {
  let layout: StoredLayout
  let packing: WeightPacking
  let form: PackedForm

  var bits: Int { form.bits }
  var group: Int? { form.group }
  var hasZeros: Bool { form.hasZeros }
  /// Whether it is stored as inputs x outputs.
  var isTransposed: Bool { layout.isTransposed }

  /// The layer's name, without `.weight`.
  var module: String { String(layout.name.dropLast(".weight".count)) }
  /// Outputs and inputs.
  var rows: Int { layout.outputs }
  var columns: Int { layout.parts[0].shape[1] }
  var groups: Int { group.map { columns / $0 } ?? 1 }

  private static let plainRoles: Set<TensorRole> = [.embedding, .positions, .norm, .bias]

  /// Whether a stored tensor is the weight of a linear layer.
  static func isLinear(_ layout: StoredLayout) -> Bool {
    layout.name.hasSuffix(".weight") && layout.parts.allSatisfy { $0.shape.count == 2 && !plainRoles.contains($0.role) }
  }

  /// - Returns: nil for a layer whose weights are plain numbers.
  /// - Throws: ``FurlError`` of kind `input` for weights that no packing holds as they are, which says what recipe makes such.
  init?(_ layout: StoredLayout, of source: any ExportSource, as packing: WeightPacking) throws {
    guard PackedLayer.isLinear(layout) else { return nil }
    let name = layout.parts[0].name
    func refusal(_ problem: String, _ remedy: String) -> FurlError {
      .input(source.path, name, problem, remedy: remedy)
    }
    let schemes = Set(try layout.parts.map { try PackedLayer.scheme(of: $0, source) })
    guard let first = schemes.first, let scheme = first else {
      guard schemes.count <= 1 else {
        throw refusal("is stored together with others, and not all of them are quantized", "quantize them alike")
      }
      return nil
    }
    guard schemes.count == 1 else {
      throw refusal("is stored together with others that are quantized otherwise", "quantize them alike")
    }
    guard let bits = scheme.integerBits, let block = scheme.block else {
      let wanted =
        scheme.codingName.hasPrefix("int8")
        ? "weights: int8 without outliers" : "weights: int4, zero: symmetric or point and scales: f16, or int8"
      throw refusal("is \(scheme), which \(packing.rawValue) has no integers for", "compress with \(wanted)")
    }
    guard layout.slices.count == 1, !layout.isBesideEachOther else {
      throw refusal(
        "is one of several matrices in one tensor, which \(packing.rawValue) does not know",
        "export it as gguf or safetensors")
    }
    guard layout.slices[0].allSatisfy({ $0.location.fold == .none }) else {
      throw refusal("is stored with other numbers than it computes with", "export it as safetensors")
    }
    let size: Int? = if case .columns(let size) = block { size } else { nil }
    (self.layout, self.packing) = (layout, packing)
    form = PackedForm(bits: bits, group: size, hasZeros: scheme.hasMinimum)
    if let group, columns % group != 0 {
      throw refusal("has \(columns) columns, which are no whole blocks of \(group)", "compress with block: 32 or row")
    }
    guard packing == .gptq else { return }
    guard scheme.scales == .f16 else {
      throw refusal("has scales in 8 bits; gptq's are halves", "compress with scales: f16")
    }
    let inWord = 32 / bits
    guard columns % inWord == 0, rows % inWord == 0 else {
      throw refusal("is \(rows) x \(columns); gptq wants multiples of \(inWord)", "export it as compressed-tensors")
    }
  }

  /// How a tensor is quantized; nil where it is not.
  private static func scheme(of tensor: TensorSpec, _ source: any ExportSource) throws -> Scheme? {
    switch try source.numbers(of: tensor) {
    case .plain(let type):
      guard type.blockSize == 1 else {
        throw FurlError.input(
          source.path, tensor.name, "is \(type.rawValue), which has no place in packed checkpoints",
          remedy: "compress it first, with weights: int4 or int8")
      }
      return nil
    case .packed(let scheme): return scheme.hasCodes ? scheme : nil
    case .padded(let scheme):
      throw FurlError.input(
        source.path, tensor.name, "is \(scheme) and would have to be padded with zeros",
        remedy: "prune all blocks alike, or export it as safetensors")
    }
  }
}
