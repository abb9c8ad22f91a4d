import FurlTensor

/// A tensor of a checkpoint's file.
struct ExportedTensor {
  enum TensorContent {
    /// Plain numbers.
    case numbers(StoredLayout)
    /// A part of a layer that is written as integers.
    case packed(PackedLayer, PackedPart)
  }

  let name: String
  /// As safetensors calls it.
  let dtype: String
  let shape: [Int]
  let byteCount: Int
  let content: TensorContent

  init(name: String, dtype: String, shape: [Int], byteCount: Int, content: TensorContent) {
    (self.name, self.dtype, self.shape, self.byteCount, self.content) = (name, dtype, shape, byteCount, content)
  }

  /// Plain numbers of a type.
  init(_ layout: StoredLayout, _ type: SourceType) {
    self.init(
      name: layout.name, dtype: type.rawValue, shape: layout.shape, byteCount: type.byteCount(layout.elementCount),
      content: .numbers(layout))
  }

  /// Weights that are done when it is written.
  var weights: Int {
    switch content {
    case .numbers(let layout): layout.elementCount
    case .packed(let layer, .codesByRow), .packed(let layer, .codesByColumn): layer.layout.elementCount
    case .packed: 0
    }
  }
}
