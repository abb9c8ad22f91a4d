import FurlBase
import FurlSpec
import FurlTensor

/// A checkpoint some of whose linear layers are integers: which ones, and what `config.json` says of them.
struct PackedCheckpoint {
  let packing: WeightPacking
  /// By the names of their tensors.
  private(set) var layers: [String: PackedLayer] = [:]
  /// Names of the linear layers that are plain numbers.
  private var plain: [String] = []
  private var hasHead = false
  /// Whether layers are stored as inputs x outputs: transformers' Conv1D.
  private let isTransposed: Bool

  /// - Throws: ``FurlError`` of kind `input` for what the packing cannot hold.
  init(_ layouts: [StoredLayout], of source: any ExportSource, as packing: WeightPacking) throws {
    self.packing = packing
    func isHead(_ layout: StoredLayout) -> Bool { layout.parts.contains { $0.role == .head } }
    for layout in layouts where !isHead(layout) {
      if let layer = try PackedLayer(layout, of: source, as: packing) {
        layers[layout.name] = layer
      } else if PackedLayer.isLinear(layout) {
        plain.append(String(layout.name.dropLast(".weight".count)))
      }
    }
    let isTransposed = layers.values.contains(where: \.isTransposed)
    self.isTransposed = isTransposed
    if let other = layers.values.filter({ $0.isTransposed != isTransposed }).map(\.module).min() {
      throw FurlError.input(
        source.path, other, "is stored as outputs x inputs, and other layers the other way round",
        remedy: "export it as gguf or safetensors")
    }
    // GPTQ leaves the head as it is; beside Conv1D, whose blocks lie the other way round, it would be read as they are.
    for layout in layouts where isHead(layout) && packing != .gptq && !isTransposed {
      layers[layout.name] = try PackedLayer(layout, of: source, as: packing)
      hasHead = hasHead || layers[layout.name] != nil
    }
    guard !layers.isEmpty else {
      throw FurlError.input(
        source.path, "has no quantized linear layers for \(packing.rawValue)",
        remedy: "compress it with weights: int4 or int8, or export it as safetensors")
    }
    try checkForms(source)
  }

  /// What has to be the same in all layers.
  private func checkForms(_ source: any ExportSource) throws {
    switch packing {
    case .gptq:
      let forms = Set(layers.values.map { [$0.bits, $0.group ?? -1] })
      guard forms.count == 1, plain.isEmpty else {
        throw FurlError.input(
          source.path, plain.first ?? "quantize",
          "gptq has the same bits and blocks in all linear layers of all blocks",
          remedy: "compress without overrides and keep, or export as compressed-tensors")
      }
    case .compressedTensors where isTransposed:
      guard Set(layers.values.map(\.form)).count == 1 else {
        throw FurlError.input(
          source.path, "quantize",
          "compressed-tensors decodes all layers that are transformers' Conv1D alike; their bits, blocks or zeros differ",
          remedy: "compress without overrides")
      }
    case .compressedTensors: return
    }
  }

  /// Bytes of the integers that are written for a layer's weights, or of its plain numbers.
  func tensors(of layout: StoredLayout, type: SourceType) -> [ExportedTensor] {
    guard let layer = layers[layout.name] else { return [ExportedTensor(layout, type)] }
    let (rows, columns, groups, bits) = (layer.rows, layer.columns, layer.groups, layer.bits)
    func part(_ ending: String, _ content: PackedPart, _ dtype: String, _ shape: [Int], _ bytes: Int) -> ExportedTensor
    {
      ExportedTensor(
        name: "\(layer.module).\(ending)", dtype: dtype, shape: shape, byteCount: shape.reduce(bytes, *),
        content: .packed(layer, content))
    }
    let shape = part("weight_shape", .shape, "I64", [2], 8)
    switch packing {
    case .compressedTensors where isTransposed:
      let zeros = part("weight_zero_point", .zerosByGroup, "I8", [groups, rows], 1)
      return [
        part("weight_packed", .codesByInput, "I32", [columns, (rows * bits + 31) / 32], 4),
        part("weight_scale", .scalesByGroup(.float32), "F32", [groups, rows], 4), shape,
      ] + (layer.hasZeros ? [zeros] : [])
    case .compressedTensors:
      let zeros = part("weight_zero_point", .zerosByRow, "I32", [(rows * bits + 31) / 32, groups], 4)
      return [
        part("weight_packed", .codesByRow, "I32", [rows, (columns * bits + 31) / 32], 4),
        part("weight_scale", .scalesByRow, "F32", [rows, groups], 4), shape,
      ] + (layer.hasZeros ? [zeros] : [])
    case .gptq:
      return [
        part("qweight", .codesByColumn, "I32", [columns * bits / 32, rows], 4),
        part("qzeros", .zeros, "I32", [groups, rows * bits / 32], 4),
        part("scales", .scalesByGroup(.float16), "F16", [groups, rows], 2),
        part("g_idx", .groupOfColumn, "I32", [columns], 4),
      ]
    }
  }

  /// `quantization_config` of `config.json`.
  var configuration: JSON {
    packing == .gptq ? gptqConfiguration : compressedConfiguration
  }

  private var gptqConfiguration: JSON {
    let layer = layers.values.first
    return [
      "quant_method": "gptq", "bits": .integer(layer?.bits ?? 4), "group_size": .integer(layer?.group ?? -1),
      "desc_act": false, "sym": .bool(!layers.values.contains(where: \.hasZeros)), "lm_head": false,
      "true_sequential": true, "checkpoint_format": "gptq",
    ]
  }

  /// What a group of layers is quantized to.
  private func weights(_ form: PackedForm) -> JSON {
    let strategy = isTransposed ? "block" : form.group == nil ? "channel" : "group"
    var weights: [JSON.Member] = [
      .init("num_bits", .integer(form.bits)), .init("type", "int"), .init("symmetric", .bool(!form.hasZeros)),
      .init("strategy", .string(strategy)), .init("dynamic", false), .init("actorder", nil),
      .init("group_size", isTransposed ? .null : form.group.map(JSON.integer) ?? .null),
    ]
    if isTransposed {
      // Of rows that share one scale the longest: blocks beyond the end of a matrix are padded.
      let height = form.group ?? layers.values.lazy.map(\.columns).max() ?? 1
      weights.append(.init("block_structure", [.integer(height), 1]))
    }
    return .object(weights + [.init("observer", "minmax")])
  }

  private var compressedConfiguration: JSON {
    let groups = Dictionary(grouping: layers.values, by: \.form).sorted { $0.key.order < $1.key.order }
    let members = groups.enumerated().map { number, entry in
      let targets =
        groups.count == 1 ? [isTransposed ? "Conv1D" : "Linear"] : entry.value.map(\.module).sorted()
      return JSON.Member(
        "group_\(number)",
        [
          "targets": .array(targets.map(JSON.string)), "weights": weights(entry.key), "input_activations": nil,
          "output_activations": nil,
        ])
    }
    let ignored = plain.sorted() + (hasHead ? [] : ["lm_head"])
    let configuration: [JSON.Member] = [
      .init("quant_method", "compressed-tensors"), .init("format", "pack-quantized"),
      .init("quantization_status", "compressed"), .init("config_groups", .object(members)),
      .init("ignore", .array(ignored.map(JSON.string))), .init("kv_cache_scheme", nil),
    ]
    // compressed-tensors makes modules of integers of Linear and Embedding alone, and in 0.19 none whose zeros are packed; what is
    // decoded while it is read may be any, but has the form of the first group.
    let isDecoded = isTransposed || groups.count == 1 && groups[0].key.hasZeros
    return .object(configuration + (isDecoded ? [.init("dequantize", true)] : []))
  }

  /// What the reader has to know.
  var notes: [String] {
    var notes: [String] = []
    if layers.values.contains(where: { $0.bits == 4 && !$0.hasZeros }) {
      notes.append(
        "scales of int4 have signs: whoever multiplies by them takes that, a kernel that assumes positive ones does not"
      )
    }
    if isTransposed, packing == .compressedTensors {
      notes.append(
        "the layers are transformers' Conv1D, which compressed-tensors decodes when they are loaded (dequantize: true)")
    }
    return notes
  }
}
