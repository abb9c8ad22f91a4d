import FurlBase
import FurlSpec
import FurlTensor

/// A tensor that is to be written to a GGUF file.
struct GGUFTensorPlan {
  enum PlannedContent {
    /// Tensors of the model.
    case weights(StoredLayout)
    /// FP32 numbers that follow from the specification.
    case values([Float])
  }

  let name: String
  /// Rows outermost; a vector has one extent.
  let shape: [Int]
  let content: PlannedContent
  var numbers = ExportNumbers.f32

  var columns: Int { shape.last ?? 1 }
  var elementCount: Int { shape.reduce(1, *) }

  /// Bytes in the file.
  var byteCount: Int { numbers.type.byteCount(elementCount) }

  /// Whether the rows of its parts lie beside each other.
  var isBesideEachOther: Bool {
    if case .weights(let layout) = content { layout.isBesideEachOther } else { false }
  }

  /// Whether it is one or several matrices of weights, and not vectors, nor what chooses experts, which stays exact.
  var hasForms: Bool {
    guard case .weights(let layout) = content, let first = layout.parts.first else { return false }
    return first.shape.count == 2 && first.role != .router
  }
}

extension GGUFArchitecture {
  /// The tensors of a model, in its order; all in FP32 until something else is decided.
  ///
  /// - Throws: ``FurlError`` of kind `input` when parts of a fused tensor do not make up a whole.
  func tensors() throws -> [GGUFTensorPlan] {
    let folds = folds
    let layouts = try StoredLayout.layouts(of: spec, path: path) { tensor in
      gguf.location(of: tensor, in: spec).folding(folds, tensor)
    }
    return layouts.map { GGUFTensorPlan(name: $0.name, shape: $0.shape, content: .weights($0)) }
      + frequencyFactors.map { GGUFTensorPlan(name: $0, shape: [$1.count], content: .values($1)) }
  }

  /// What llama.cpp divides each frequency by.
  private var frequencyFactors: [(String, [Float])] {
    if gguf.turnsByFactors { return turningFactors.map { [(GGUFNames.rotaryFactors, $0)] } ?? [] }
    guard let rotary = spec.blocks.lazy.compactMap(\.rotary).first else { return [] }
    switch rotary.scaling {
    case .llama3:
      let plain = ModelSpec.Rotary(theta: rotary.theta, dimensions: rotary.dimensions)
      return [(GGUFNames.rotaryFactors, zip(plain.frequencies, rotary.frequencies).map { Float($0 / $1) })]
    case .longRoPE(let short, let long, _):
      return [(GGUFNames.longFactors, long.map { Float($0) }), (GGUFNames.shortFactors, short.map { Float($0) })]
    default: return []
    }
  }
}
