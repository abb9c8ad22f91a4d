import Foundation
import FurlSpec

/// A checkpoint as the tests see it: the tensors of one safetensors file by name, read and written without Furl's
/// own reader, so that smaller, changed and damaged checkpoints can be made.
public struct SampleCheckpoint {
  public struct Tensor {
    public var shape: [Int]
    /// FP32, row by row.
    public var values: [Float]

    public init(shape: [Int], values: [Float]) {
      self.shape = shape
      self.values = values
    }
  }

  public var config: [JSON.Member]
  public var tensors: [String: Tensor]
  private let source: String

  /// Reads `config.json` and `model.safetensors` (F32 only) of a folder.
  public init(folder: String) throws {
    source = folder
    config = try JSON.parse(TestData.bytes(folder + "/config.json"), file: nil).members ?? []
    let bytes = try TestData.bytes(folder + "/model.safetensors")
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSON.parse(Array(bytes[8..<8 + length]), file: nil)
    tensors = [:]
    for member in header.members ?? [] where member.key != "__metadata__" {
      let shape = member.value["shape"]?.array?.compactMap(\.integer) ?? []
      let offsets = member.value["data_offsets"]?.array?.compactMap(\.integer) ?? [0, 0]
      let data = bytes[8 + length + offsets[0]..<8 + length + offsets[1]]
      let values = [Float](unsafeUninitializedCapacity: data.count / 4) { buffer, count in
        data.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
        count = data.count / 4
      }
      tensors[member.key] = Tensor(shape: shape, values: values)
    }
  }

  /// Sets a key of `config.json`.
  public mutating func configure(_ key: String, _ value: JSON) {
    config.removeAll { $0.key == key }
    config.append(JSON.Member(key, value))
  }

  /// Keeps the first blocks of a GPT-2.
  public mutating func keepBlocks(_ count: Int) {
    tensors = tensors.filter { name, _ in
      let parts = name.split(separator: ".")
      guard let h = parts.firstIndex(of: "h"), let block = Int(parts[h + 1]) else { return true }
      return block < count
    }
    configure("n_layer", .integer(count))
  }

  /// Writes the checkpoint with the source's tokenizer, and with its suites where there are any.
  public func write(to folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try TestData.write(Array(JSON.object(config).prettyText.utf8), to: folder + "/config.json")
    for name in try FileManager.default.contentsOfDirectory(atPath: source)
    where !["config.json", "model.safetensors"].contains(name) {
      try FileManager.default.createSymbolicLink(
        atPath: folder + "/" + name,
        withDestinationPath: URL(fileURLWithPath: source).standardizedFileURL.path + "/" + name)
    }
    var data: [UInt8] = []
    var header: [JSON.Member] = []
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      let start = data.count
      tensor.values.withUnsafeBytes { data += $0 }
      header.append(
        JSON.Member(
          name,
          [
            "dtype": "F32", "shape": .array(tensor.shape.map(JSON.integer)),
            "data_offsets": [.integer(start), .integer(data.count)],
          ]))
    }
    let text = Array(JSON.object(header).compactText.utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    try TestData.write(length + text + data, to: folder + "/model.safetensors")
  }
}
