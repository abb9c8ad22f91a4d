import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Testing

/// Files that PyTorch wrote (Tests/Fixtures/pytorch), and how the tests look at them.
enum TorchFixtures {
  static let folder = TestData.root + "/Tests/Fixtures/pytorch"

  /// What PyTorch says is in the files: for each the tensors by name.
  static func expected() throws -> JSON { try JSON.parse(TestData.bytes(folder + "/expected.json"), file: nil) }

  static func open(_ bytes: [UInt8]) throws -> TorchFile {
    try TestData.withTemporaryFile(bytes, "x.pt") { try TorchFile(path: $0) }
  }

  /// What opening these bytes says, as the place and the problem.
  static func problem(_ bytes: [UInt8]) throws -> String {
    let error = try #require(throws: FurlError.self) { try open(bytes) }
    #expect(error.kind == .input && error.file?.hasSuffix("x.pt") == true)
    return [error.place, error.problem].compactMap { $0 }.joined(separator: ": ")
  }

  /// All numbers of a tensor in the order of its dimensions, each read by itself.
  static func values(_ tensor: StoredTensors.Tensor) throws -> [Float] {
    let type = try #require(tensor.type)
    var offsets = [0]
    for (extent, stride) in zip(tensor.shape, tensor.strides) {
      offsets = offsets.flatMap { offset in (0..<extent).map { offset + $0 * stride } }
    }
    return offsets.flatMap { tensor.file.floats(type, at: tensor.offset + $0 * type.blockBytes, count: 1) }
  }

  /// Whatever was changed: an error, or tensors whose every number lies in the file.
  static func survives(_ bytes: [UInt8]) throws {
    guard let file = try? open(bytes) else { return }
    for (_, tensor) in file.tensors {
      guard tensor.type != nil else { continue }
      let count = tensor.shape.reduce(1, *)
      #expect(count <= bytes.count)
      #expect(try values(tensor).count == count)
    }
  }
}
