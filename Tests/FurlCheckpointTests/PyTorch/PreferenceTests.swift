import FurlTensor
import FurlSpec
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Testing

/// Which of a folder's weight files are the checkpoint.
@Suite struct PreferenceTests {
  static let safetensors = SafetensorsText([.init("s", [1], [1])]).bytes

  static func torch(_ name: String) -> [UInt8] {
    let tensor = ForgedPickle.tensor(ForgedPickle.storage(count: 1), shape: [1], strides: [1])
    return ForgedZip(pickle: ForgedPickle.dictionary([(name, tensor)]), storages: [("0", [0, 0, 128, 63])]).bytes
  }

  static func index(_ tensor: String, _ file: String) -> [UInt8] {
    Array("{\"weight_map\":{\"\(tensor)\":\"\(file)\"}}".utf8)
  }

  @Test func theFirstInOrderIsTaken() throws {
    var files: [(name: String, bytes: [UInt8])] = [
      ("model.safetensors.index.json", Self.index("a", "shard-of-a")),
      ("model.safetensors", Self.safetensors),
      ("pytorch_model.bin.index.json", Self.index("c", "shard-of-c")),
      ("pytorch_model.bin", Self.torch("d")),
      ("other.pth", Self.torch("e")),
    ]
    let shards = [
      ("shard-of-a", SafetensorsText([.init("a", [1], [1])]).bytes), ("shard-of-c", Self.torch("c")),
    ]
    // An index beside a whole file leaves a choice (``WeightFilesTests``).
    for (expected, other) in [("a", 1), ("s", nil), ("c", 1), ("d", nil), ("e", nil)] {
      var given = files
      if let other { given.remove(at: other) }
      #expect(try Set(StoredTensorsTests.open(given + shards).tensors.keys) == [expected])
      files.removeFirst()
    }
    let error = try #require(throws: FurlError.self) { try StoredTensorsTests.open(shards) }
    #expect(error.kind == .input && error.problem == "has no weights")
  }

  @Test func severalFilesOfOtherNamesAreRefused() throws {
    let error = try #require(throws: FurlError.self) {
      try StoredTensorsTests.open([("a.pt", Self.torch("a")), ("b.pth", Self.torch("b"))])
    }
    #expect(error.problem.contains("a.pt, b.pth") && error.remedy?.contains("--weights a.pt") == true)
  }

  /// A checkpoint of PyTorch's is a checkpoint like any other: GPT-2 with its weights in a .bin file.
  @Test func aModelIsReadFromPyTorchWeights() throws {
    let small = SmallGPT2()
    let tensors = small.weights.tensors.enumerated().map { index, tensor in
      let strides = tensor.shape.indices.map { tensor.shape[($0 + 1)...].reduce(1, *) }
      let storage = ForgedPickle.storage(key: "\(index)", count: tensor.shape.reduce(1, *))
      return (tensor.name, ForgedPickle.tensor(storage, shape: tensor.shape, strides: strides))
    }
    let storages = small.weights.tensors.enumerated().map { ("\($0.offset)", $0.element.bytes) }
    let archive = ForgedZip(pickle: ForgedPickle.dictionary(tensors), storages: storages)
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(small.configText.utf8), to: folder + "/config.json")
      try TestData.write(archive.bytes, to: folder + "/pytorch_model.bin")
      let (checkpoint, same) = try (Checkpoint(folder: folder), small.open())
      for tensor in checkpoint.spec.tensors {
        #expect(try checkpoint.source(tensor.name).readAll() == same.source(tensor.name).readAll(), "\(tensor.name)")
      }
      #expect(try checkpoint.sourceFiles().map(\.name) == ["pytorch_model.bin", "config.json"])
    }
  }
}
