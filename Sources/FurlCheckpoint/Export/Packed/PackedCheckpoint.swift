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

  /// - Throws: ``FurlError`` of kind `input` for what the packing cannot hold.
  init(_ layouts: [StoredLayout], of source: any ExportSource, as packing: WeightPacking) throws {
    self.packing = packing
    for layout in layouts {
      let isHead = layout.parts.contains { $0.role == .head }
      // GPTQ leaves the head as it is.
      let layer = isHead && packing == .gptq ? nil : try PackedLayer(layout, of: source, as: packing)
      if let layer {
        layers[layout.name] = layer
        hasHead = hasHead || isHead
      } else if PackedLayer.isLinear(layout), !isHead {
        plain.append(String(layout.name.dropLast(".weight".count)))
      }
    }
    guard !layers.isEmpty else {
      throw FurlError.input(
        source.path, "has no quantized linear layers for \(packing.rawValue)",
        remedy: "compress it with weights: int4 or int8, or export it as safetensors")
    }
    guard packing == .gptq else { return }
    let forms = Set(layers.values.map { [$0.bits, $0.group ?? -1] })
    guard forms.count == 1, plain.isEmpty else {
      throw FurlError.input(
        source.path, plain.first ?? "quantize", "gptq has the same bits and blocks in all linear layers of all blocks",
        remedy: "compress without overrides and keep, or export as compressed-tensors")
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
    switch packing {
    case .compressedTensors:
      return [
        part("weight_packed", .codesByRow, "I32", [rows, (columns * bits + 31) / 32], 4),
        part("weight_scale", .scalesByRow, "F32", [rows, groups], 4), part("weight_shape", .shape, "I64", [2], 8),
      ]
    case .gptq:
      return [
        part("qweight", .codesByColumn, "I32", [columns * bits / 32, rows], 4),
        part("qzeros", .zeros, "I32", [groups, rows * bits / 32], 4),
        part("scales", .scalesByGroup, "F16", [groups, rows], 2), part("g_idx", .groupOfColumn, "I32", [columns], 4),
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
      "desc_act": false, "sym": true, "lm_head": false, "true_sequential": true, "checkpoint_format": "gptq",
    ]
  }

  private var compressedConfiguration: JSON {
    let groups = Dictionary(grouping: layers.values, by: { [$0.bits, $0.group ?? 0] }).sorted {
      $0.key.lexicographicallyPrecedes($1.key)
    }
    let members = groups.enumerated().map { number, entry in
      let (form, layers) = (entry.key, entry.value)
      var weights: [JSON.Member] = [
        .init("num_bits", .integer(form[0])), .init("type", "int"), .init("symmetric", true),
        .init("strategy", form[1] == 0 ? "channel" : "group"), .init("dynamic", false), .init("actorder", nil),
        .init("group_size", form[1] == 0 ? nil : .integer(form[1])),
      ]
      weights.append(.init("observer", "minmax"))
      let targets = groups.count == 1 ? ["Linear"] : layers.map(\.module).sorted()
      return JSON.Member(
        "group_\(number)",
        [
          "targets": .array(targets.map(JSON.string)), "weights": .object(weights), "input_activations": nil,
          "output_activations": nil,
        ])
    }
    let ignored = plain.sorted() + (hasHead ? [] : ["lm_head"])
    return [
      "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
      "config_groups": .object(members), "ignore": .array(ignored.map(JSON.string)), "kv_cache_scheme": nil,
    ]
  }

  /// What the reader has to know.
  var notes: [String] {
    layers.values.contains { $0.bits == 4 }
      ? [
        "scales of int4 have signs: whoever multiplies by them takes that, a kernel that assumes positive ones does not"
      ] : []
  }
}
