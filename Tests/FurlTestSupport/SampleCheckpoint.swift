package import FurlBase
import Foundation

/// A checkpoint as the tests see it: the tensors of one safetensors file by name, read and written without Furl's
/// own reader, so that smaller, changed and damaged checkpoints can be made.
package struct SampleCheckpoint {
  package struct Tensor {
    package var shape: [Int]
    /// FP32, row by row.
    package var values: [Float]

    package init(shape: [Int], values: [Float]) {
      self.shape = shape
      self.values = values
    }
  }

  package var config: [JSON.Member]
  package var tensors: [String: Tensor]
  private let source: String

  /// Reads `config.json` and `model.safetensors` (F32 only) of a folder.
  package init(folder: String) throws {
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
  package mutating func configure(_ key: String, _ value: JSON) {
    config.removeAll { $0.key == key }
    config.append(JSON.Member(key, value))
  }

  /// The block that a tensor's name says it is in, and where in the name that stands.
  private static func block(of name: String) -> (number: Int, place: Int)? {
    let parts = name.split(separator: ".")
    guard let place = parts.firstIndex(where: { $0 == "h" || $0 == "layers" }), place + 1 < parts.count,
      let number = Int(parts[place + 1])
    else { return nil }
    return (number, place + 1)
  }

  /// Keeps the first blocks.
  package mutating func keepBlocks(_ count: Int) {
    tensors = tensors.filter { name, _ in Self.block(of: name).map { $0.number < count } ?? true }
    configureBlocks(count)
  }

  /// Makes a deeper model: its blocks come again and again, each time a little smaller, so that no two are alike.
  package mutating func repeatBlocks(_ count: Int) {
    let own = (tensors.keys.compactMap { Self.block(of: $0)?.number }.max() ?? 0) + 1
    for (name, tensor) in tensors {
      guard let (block, place) = Self.block(of: name) else { continue }
      for copy in stride(from: block + own, to: count, by: own) {
        var parts = name.split(separator: ".").map(String.init)
        parts[place] = String(copy)
        var changed = tensor
        for index in changed.values.indices { changed.values[index] *= 1 - 0.01 * Float(copy) }
        tensors[parts.joined(separator: ".")] = changed
      }
    }
    configureBlocks(count)
  }

  private mutating func configureBlocks(_ count: Int) {
    let key = config.contains { $0.key == "n_layer" } ? "n_layer" : "num_hidden_layers"
    configure(key, .integer(count))
  }

  /// Writes the checkpoint with the source's tokenizer, and with its suites where there are any.
  ///
  /// - Parameter files: the texts of more files, or of others than the source's, by name.
  package func write(to folder: String, files: [String: String] = [:]) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try TestData.write(Array(JSON.object(config).prettyText.utf8), to: folder + "/config.json")
    for name in try FileManager.default.contentsOfDirectory(atPath: source)
    where !["config.json", "model.safetensors"].contains(name) && files[name] == nil {
      try FileManager.default.createSymbolicLink(
        atPath: folder + "/" + name,
        withDestinationPath: URL(fileURLWithPath: source).standardizedFileURL.path + "/" + name)
    }
    for (name, text) in files { try TestData.write(Array(text.utf8), to: folder + "/" + name) }
    try TestData.write(SampleCheckpoint.bytes(of: tensors), to: folder + "/model.safetensors")
  }

  /// A safetensors file.
  package static func bytes(of tensors: [String: Tensor]) -> [UInt8] {
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
    return length + text + data
  }
}
