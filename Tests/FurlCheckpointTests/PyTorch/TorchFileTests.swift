import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Testing

/// Files that PyTorch wrote hold what PyTorch reads from them.
@Suite struct TorchFileTests {
  static func compare(
    _ tensors: [(name: String, tensor: StoredTensors.Tensor)], with expected: JSON, _ file: String
  ) throws {
    let members = try #require(expected.members)
    #expect(tensors.map(\.name).sorted() == members.map(\.key).sorted(), "\(file)")
    for (name, tensor) in tensors {
      let described = try #require(expected[name])
      #expect(tensor.shape == described["shape"]?.array?.compactMap(\.integer), "\(file) \(name)")
      #expect(tensor.typeName == described["type"]?.string, "\(file) \(name)")
      guard let values = described["values"]?.array?.compactMap(\.number) else {
        #expect(tensor.type == (tensor.typeName == "float64" ? .float64 : nil))
        continue
      }
      #expect(try TorchFixtures.values(tensor).map(Double.init) == values, "\(file) \(name)")
    }
  }

  @Test func everyFileHoldsWhatPyTorchReads() throws {
    let files = try #require(TorchFixtures.expected().members)
    #expect(files.count == 15)
    for file in files {
      try Self.compare(TorchFile(path: TorchFixtures.folder + "/" + file.key).tensors, with: file.value, file.key)
    }
  }

  @Test func theOrderOfTheStateDictIsKept() throws {
    for name in ["zip.pt", "legacy.pt"] {
      let names = try TorchFile(path: TorchFixtures.folder + "/" + name).tensors.map(\.name)
      #expect(names.prefix(4) == ["plain", "transposed", "permuted", "view"] && names.last == "parameter")
    }
  }

  /// Transposed tensors, parts and ties are read where they lie; nothing is copied.
  @Test(arguments: ["zip.pt", "legacy.pt"])
  func tensorsShareTheirStorages(_ name: String) throws {
    let file = try TorchFile(path: TorchFixtures.folder + "/" + name)
    let tensors = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0.tensor) })
    let transposed = try #require(tensors["transposed"])
    #expect(transposed.shape == [5, 3] && transposed.strides == [1, 5])
    #expect(tensors["tied"]?.offset == tensors["tied_again"]?.offset)
    let (view, other) = try (#require(tensors["view"]), #require(tensors["other_view"]))
    #expect(other.offset - view.offset == 16)
    #expect(try #require(tensors["columns"]).offset - #require(tensors["plain"]).offset == 4)
    #expect(tensors.values.allSatisfy { $0.file === file.file })
  }

  @Test func shardsAreFollowed() throws {
    let stored = try StoredTensors(folder: TorchFixtures.folder + "/sharded")
    #expect(stored.files.count == 2)
    let whole = try TorchFixtures.expected()["zip.pt"]
    try Self.compare(stored.tensors.map { ($0.key, $0.value) }, with: try #require(whole), "sharded")
  }

  @Test(.enabled(if: TestData.shared != nil, StoredTensorsTests.noFixtures), arguments: ["torch-zip", "torch-legacy"])
  func wholeCheckpointsAreTheSafetensorsOnes(_ format: String) throws {
    let safetensors = try StoredTensorsTests.fixture("starcoder2")
    let other = try StoredTensorsTests.fixture("formats/" + format)
    // PyTorch's files keep the tied head, too.
    #expect(Set(other.tensors.keys) == Set(safetensors.tensors.keys).union(["lm_head.weight"]))
    for (name, tensor) in safetensors.tensors {
      let same = try #require(other.tensors[name])
      let (bytes, count) = (tensor.shape.reduce(4, *), tensor.shape.reduce(1, *))
      #expect(tensor.shape == same.shape && same.type == .float32 && same.strides == tensor.strides, "\(name)")
      #expect(
        tensor.file.read(tensor.offset..<tensor.offset + bytes) == same.file.read(same.offset..<same.offset + bytes),
        "\(name): \(count) numbers")
    }
    #expect(other.tensors["lm_head.weight"]?.offset == other.tensors["model.embed_tokens.weight"]?.offset)
  }
}
