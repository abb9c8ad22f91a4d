import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Testing

/// Checkpoints over one file and over many.
@Suite struct StoredTensorsTests {
  static let noFixtures: Comment = "needs the shared fixtures (FURL_SHARED)"

  static func fixture(_ name: String) throws -> StoredTensors {
    try StoredTensors(folder: #require(TestData.shared) + "/fixtures/" + name)
  }

  static func values(_ tensor: StoredTensors.Tensor) throws -> [Float] {
    tensor.file.floats(
      try #require(tensor.type), at: tensor.offset, count: tensor.shape.reduce(1, *))
  }

  @Test(.enabled(if: TestData.shared != nil, noFixtures))
  func shardsAreTheSingleFile() throws {
    let single = try Self.fixture("starcoder2")
    let sharded = try Self.fixture("formats/sharded")
    #expect(single.files.count == 1 && sharded.files.count == 8)
    #expect(sharded.files.map(\.path) == sharded.files.map(\.path).sorted())
    #expect(Set(single.tensors.keys) == Set(sharded.tensors.keys) && !single.tensors.isEmpty)
    for (name, tensor) in single.tensors {
      let other = try #require(sharded.tensors[name])
      #expect(tensor.shape == other.shape)
      #expect(try Self.values(tensor) == Self.values(other))
    }
  }

  /// The 16-bit checkpoints hold the nearest numbers, ties to even, as PyTorch rounds them.
  @Test(.enabled(if: TestData.shared != nil, noFixtures), arguments: ["f16", "bf16"])
  func halvesAreTheRoundedValues(_ format: String) throws {
    let single = try Self.fixture("starcoder2")
    let other = try Self.fixture("formats/" + format)
    #expect(Set(single.tensors.keys) == Set(other.tensors.keys))
    for (name, tensor) in single.tensors {
      let converted = try #require(other.tensors[name])
      #expect(converted.typeName == format.uppercased())
      let expected = try Self.values(tensor).map { value in
        if format == "f16" { return Float(Float16(value)) }
        let bits = value.bitPattern
        return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
      }
      #expect(try Self.values(converted) == expected, "\(name)")
    }
  }

  /// A folder with these files.
  static func open(_ files: [(name: String, bytes: [UInt8])]) throws -> StoredTensors {
    try TestData.withTemporaryFolder { folder in
      for file in files { try TestData.write(file.bytes, to: folder + "/" + file.name) }
      return try StoredTensors(folder: folder)
    }
  }

  static func shard(_ names: [String]) -> [UInt8] { SafetensorsText(names.map { .init($0, [1], [1]) }).bytes }

  static func index(_ map: String) -> (name: String, bytes: [UInt8]) {
    ("model.safetensors.index.json", Array("{\"metadata\":{},\"weight_map\":\(map)}".utf8))
  }

  @Test func anIndexIsFollowed() throws {
    let stored = try Self.open([
      Self.index("{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"1.safetensors\"}"),
      ("1.safetensors", Self.shard(["a", "c"])), ("2.safetensors", Self.shard(["b"])),
    ])
    #expect(Set(stored.tensors.keys) == ["a", "b", "c"] && stored.files.count == 2)
  }

  @Test(arguments: [
    "../x", "/etc/passwd", "..", ".", "", "a/b", "./1.safetensors", "../1.safetensors", "sub/../1.safetensors",
  ])
  func anIndexThatLeavesItsFolderIsRefused(_ name: String) throws {
    let error = try #require(throws: FurlError.self) {
      try Self.open([Self.index("{\"a\":\"\(name)\"}"), ("1.safetensors", Self.shard(["a"]))])
    }
    #expect(error.kind == .input && error.place == "weight_map.a")
    #expect(error.problem.contains("a file in the same folder"))
  }

  @Test(arguments: [
    "{}", "[]", "1", "null", "{\"a\":1}", "{\"a\":null}", "{\"a\":\"absent.safetensors\"}",
    "{\"a\":\"model.safetensors.index.json\"}", "{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\"}",
    "{\"b\":\"1.safetensors\"}", "{\"a\":\"1.safetensors\\u0000x\"}", "{\"a\":\"2.safetensors\"}",
    "{\"a\":\"1.safetensors\",\"a\":\"1.safetensors\"}", "{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}",
  ])
  func anIndexThatDoesNotMatchIsRefused(_ map: String) throws {
    let error = try #require(throws: FurlError.self) {
      try Self.open([
        Self.index(map), ("1.safetensors", Self.shard(["a"])), ("2.safetensors", Self.shard(["b", "a"])),
      ])
    }
    #expect(error.kind == .input)
  }

  @Test func anIndexThatIsNoMappingIsRefused() throws {
    for text in ["", "[]", "{}", "{\"weight_map\":3}", "x"] {
      #expect(throws: FurlError.self) { try Self.open([("model.safetensors.index.json", Array(text.utf8))]) }
    }
  }

  @Test(arguments: ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
  func anIndexThatIsTooLongIsRefused(_ name: String) throws {
    let error = try #require(throws: FurlError.self) {
      try Self.open([(name, [UInt8](repeating: 0x20, count: 5 << 20))])
    }
    #expect(error.file?.hasSuffix(name) == true && error.problem.contains("at most 3145728"), "\(error)")
  }

  @Test func noWeightsIsAnErrorThatSaysSo() throws {
    let error = try #require(throws: FurlError.self) { try Self.open([("training_args.bin", [1])]) }
    #expect(error.problem == "has no weights" && error.remedy?.contains("pytorch_model.bin") == true)
  }

  /// Names that look alike are one to Swift's dictionaries: an error, not a crash.
  @Test func namesThatOnlyLookAlikeAreRefused() throws {
    let bytes = Self.shard(["\u{E9}", "e\u{301}"])
    #expect(throws: FurlError.self) { try Self.open([("model.safetensors", bytes)]) }
    #expect(throws: FurlError.self) {
      try Self.open([
        Self.index("{\"\u{E9}\":\"1.safetensors\",\"e\u{301}\":\"1.safetensors\"}"), ("1.safetensors", bytes),
      ])
    }
  }

  /// An index of many tensors is read in time that grows with its size.
  @Test func aLongIndexIsReadQuickly() throws {
    let names = (0..<40_000).map { "t\($0)" }
    let map = "{" + names.map { "\"\($0)\":\"1.safetensors\"" }.joined(separator: ",") + "}"
    let shard = SafetensorsText(names.map { .init($0, "F32", [0], []) }).bytes
    let time = try ContinuousClock().measure {
      let stored = try Self.open([Self.index(map), ("1.safetensors", shard)])
      #expect(stored.tensors.count == names.count)
    }
    #expect(time < .seconds(3))
  }
}
