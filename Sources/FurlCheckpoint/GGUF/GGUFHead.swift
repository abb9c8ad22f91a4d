import FurlBase
package import FurlTensor

/// What a GGUF file says by keys: one that lies on disk, or one that is about to be written.
protocol GGUFKeys {
  func has(_ key: String) -> Bool
  /// The number of values in a list; nil where there is no such list.
  func count(_ key: String) -> Int?
  func string(_ key: String) throws -> String?
  func integer(_ key: String) throws -> Int?
  func number(_ key: String) throws -> Double?
  func bool(_ key: String) throws -> Bool?
  func integers(_ key: String) throws -> [Int]?
  func bools(_ key: String) throws -> [Bool]?
  func error(_ key: String, _ problem: String, remedy: String?) -> FurlError
}

extension GGUFKeys {
  func error(_ key: String, _ problem: String) -> FurlError { error(key, problem, remedy: nil) }
}

extension GGUFMetadata: GGUFKeys {}

/// The keys of a file that is about to be written.
struct PlannedKeys: GGUFKeys {
  private let values: [String: GGUFEntry.GGUFEntryValue]
  private let path: String

  init(_ entries: [GGUFEntry], path: String) {
    values = Dictionary(entries.map { ($0.key, $0.value) }) { $1 }
    self.path = path
  }

  func has(_ key: String) -> Bool { values[key] != nil }

  func count(_ key: String) -> Int? {
    switch values[key] {
    case .bools(let list): return list.count
    case .int32s(let list): return list.count
    default: return nil
    }
  }

  func string(_ key: String) throws -> String? {
    if case .text(let text) = values[key] { return text }
    return nil
  }

  func integer(_ key: String) throws -> Int? {
    if case .uint32(let number) = values[key] { return Int(number) }
    return nil
  }

  func number(_ key: String) throws -> Double? {
    if case .float32(let number) = values[key] { return Double(number.description) }
    return try integer(key).map(Double.init)
  }

  func bool(_ key: String) throws -> Bool? {
    if case .bool(let flag) = values[key] { return flag }
    return nil
  }

  func integers(_ key: String) throws -> [Int]? {
    if case .int32s(let list) = values[key] { return list.map(Int.init) }
    return nil
  }

  func bools(_ key: String) throws -> [Bool]? {
    if case .bools(let list) = values[key] { return list }
    return nil
  }

  func error(_ key: String, _ problem: String, remedy: String?) -> FurlError {
    .input(path, key, problem, remedy: remedy)
  }
}

/// Everything in a GGUF file but its weights.
struct GGUFHead {
  let keys: any GGUFKeys
  let path: String
  let shapes: [String: [Int]]
  /// The numbers of an FP32 vector; nil for a tensor that is not there.
  let vector: (String) throws -> [Float]?

  init(keys: any GGUFKeys, path: String, shapes: [String: [Int]], vector: @escaping (String) throws -> [Float]?) {
    self.keys = keys
    self.path = path
    self.shapes = shapes
    self.vector = vector
  }

  init(_ file: GGUFFile) {
    keys = file.metadata
    path = file.path
    shapes = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.tensor.name, $0.tensor.shape) })
    vector = { name in
      guard let (tensor, data) = file.tensors.first(where: { $0.tensor.name == name }) else { return nil }
      guard tensor.type == .float32, tensor.shape.count == 1, tensor.shape[0] <= 1 << 16 else {
        throw FurlError.input(
          data.path, name, "is \(tensor.typeName) of shape \(tensor.shape); a vector of F32 is expected")
      }
      return data.floats(.float32, at: tensor.offset, count: tensor.shape[0])
    }
  }
}
