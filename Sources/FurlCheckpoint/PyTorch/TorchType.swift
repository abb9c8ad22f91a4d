import FurlBase
import FurlTensor

/// A number type of PyTorch, by its name there.
enum TorchType: String, Sendable, CaseIterable {
  case float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8, bool, complex64, complex128

  /// Bytes of a number.
  var size: Int {
    switch self {
    case .complex128: 16
    case .float64, .int64, .complex64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  /// The type, if it is one that weights are read from.
  var source: SourceType? {
    switch self {
    case .float32: .float32
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .float64: .float64
    default: nil
    }
  }

  /// The class of PyTorch that holds such numbers.
  var storageName: String {
    switch self {
    case .float64: "DoubleStorage"
    case .float32: "FloatStorage"
    case .float16: "HalfStorage"
    case .bfloat16: "BFloat16Storage"
    case .int64: "LongStorage"
    case .int32: "IntStorage"
    case .int16: "ShortStorage"
    case .int8: "CharStorage"
    case .uint8: "ByteStorage"
    case .bool: "BoolStorage"
    case .complex64: "ComplexFloatStorage"
    case .complex128: "ComplexDoubleStorage"
    }
  }
}

/// What a pickle of a state dict may import. None of it is code here: each names a value that the reader makes.
enum TorchGlobal: Sendable {
  case orderedDictionary
  case size
  /// The arguments of `_rebuild_tensor` are the first of those of `_rebuild_tensor_v2`.
  case tensor
  case parameter
  case storage(TorchType)
  /// A value that says nothing about weights: `torch.float32`, `torch.device`.
  case type
  case device

  /// By module and name.
  static let all: [String: TorchGlobal] = {
    var all: [String: TorchGlobal] = [
      "collections.OrderedDict": .orderedDictionary, "torch.Size": .size, "torch.device": .device,
      "torch._utils._rebuild_tensor": .tensor, "torch._utils._rebuild_tensor_v2": .tensor,
      "torch._utils._rebuild_parameter": .parameter, "torch._utils._rebuild_parameter_with_state": .parameter,
    ]
    for type in TorchType.allCases {
      all["torch." + type.rawValue] = .type
      all["torch." + type.storageName] = .storage(type)
      // Early versions of PyTorch named the device in the class.
      all["torch.cuda." + type.storageName] = .storage(type)
    }
    return all
  }()
}
