import FurlCheckpoint
import FurlBase
import FurlTestSupport
import Testing

/// One test for each way in which the objects of a PyTorch file can be wrong.
@Suite struct PickleTests {
  /// Six FP32 numbers.
  static let six: [UInt8] = TestData.littleEndian([1, 2, 3, 4, 5, 6] as [Float])

  static func problem(_ pickle: [UInt8], data: [UInt8] = six) throws -> String {
    try TorchFixtures.problem(ForgedZip(pickle: pickle, storages: [("0", data)]).bytes)
  }

  /// What a pickle says whose objects are these operations.
  static func operations(_ bytes: [UInt8]) throws -> String { try problem(ForgedPickle.begin + bytes) }

  @Test func theForgedFileIsGood() throws {
    let file = try TorchFixtures.open(ForgedZip(pickle: ForgedPickle.one(), storages: [("0", Self.six)]).bytes)
    #expect(try TorchFixtures.values(file.tensors[0].tensor) == [1, 2, 3, 4, 5, 6])
  }

  @Test(
    arguments: [
      (0x30, "POP"), (0x31, "POP_MARK"), (0x32, "DUP"), (0x46, "FLOAT"), (0x49, "INT"), (0x4C, "LONG"),
      (0x50, "PERSID"),
      (0x53, "STRING"), (0x56, "UNICODE"), (0x64, "DICT"), (0x67, "GET"), (0x69, "INST"), (0x6C, "LIST"), (0x6F, "OBJ"),
      (0x70, "PUT"), (0x81, "NEWOBJ"), (0x82, "EXT1"), (0x83, "EXT2"), (0x84, "EXT4"), (0x8E, "BINBYTES8"),
      (0x8F, "EMPTY_SET"), (0x90, "ADDITEMS"), (0x91, "FROZENSET"), (0x92, "NEWOBJ_EX"), (0x96, "BYTEARRAY8"),
      (0x97, "NEXT_BUFFER"), (0x98, "READONLY_BUFFER"), (0xFF, "0xff"), (0, "0x0"),
    ] as [(UInt8, String)])
  func otherOperationsAreRefusedByName(_ code: UInt8, _ name: String) throws {
    let problem = try Self.operations([code])
    #expect(
      problem == "archive/data.pkl byte 2: uses the pickle operation \(name), which a state dict never needs; "
        + "nothing was executed")
  }

  @Test func operationsWithoutTheirArgumentsAreRefused() throws {
    for code in UInt8.min...UInt8.max {
      let problem = try Self.operations([code])
      #expect(problem.hasPrefix("archive/data.pkl byte") || problem.hasPrefix("holds"), "\(code): \(problem)")
      // In the middle of a mapping, with the wrong things on the stack.
      for before in [[0x7D, 0x28, 0x4E], [0x28, 0x29, 0x29], [0x88, 0x89], [0x5D, 0x28], [0x7D, 0x29]] as [[UInt8]] {
        #expect(!(try Self.operations(before + [code, 0x2E])).isEmpty)
      }
    }
  }

  @Test(arguments: [0, 1, 6, 255] as [UInt8])
  func otherProtocolsAreRefused(_ version: UInt8) throws {
    #expect(try Self.problem([0x80, version, 0x4E, 0x2E]).contains("has pickle protocol \(version); 2 to 5 are read"))
  }

  @Test(
    arguments: [
      [0x58, 0xFF, 0xFF, 0xFF, 0xFF], [0x8D] + [UInt8](repeating: 0xFF, count: 8),
      [0x8D, 0, 0, 0, 0, 0, 0, 0, 0x80], [0x8B, 0xFF, 0xFF, 0xFF, 0xFF], [0x8B, 0, 0, 0, 0x80],
      [0x42, 0xFF, 0xFF, 0xFF, 0xFF], [0x54, 0xFF, 0xFF, 0xFF, 0x7F], [0x8C, 9], [0x8A, 255], [0x47, 0], [0x95, 1],
      [0x4A, 1], [0x4D], [0x6A, 0, 0], [],
    ] as [[UInt8]])
  func lengthsThatLieAreRefused(_ operation: [UInt8]) throws {
    #expect(try Self.operations(operation).contains("ends too early"))
  }

  @Test func theMemoIsBounded() throws {
    #expect(try Self.operations([0x4E, 0x72, 0xFF, 0xFF, 0xFF, 0xFF]).contains("remembers more than"))
    #expect(try Self.operations([0x72, 0, 0, 0, 0]).contains("is not how PyTorch writes"))
    for recall in [[0x68, 0], [0x68, 255], [0x6A, 0xFF, 0xFF, 0xFF, 0xFF]] as [[UInt8]] {
      #expect(try Self.operations(recall).contains("refers to a value that it does not have"))
    }
  }

  /// Values that hold themselves are never followed: they are data that no tensor needs.
  @Test func recursionThroughTheMemoIsHarmless() throws {
    let list: [UInt8] = [0x5D, 0x71, 0, 0x68, 0, 0x61]
    #expect(try Self.operations(list + [0x2E]).contains("holds something else"))
    let loop: [UInt8] = [0x7D, 0x71, 0] + ForgedPickle.text("a") + [0x68, 0, 0x73, 0x2E]
    #expect(try Self.operations(loop).contains("holds no tensors"))
    // A hundred thousand tuples in each other.
    let nest = [0x4E] + [UInt8](repeating: 0x85, count: 100_000) + [0x2E]
    #expect(try Self.operations(nest).contains("holds something else"))
  }

  @Test func workIsBounded() throws {
    for fill in [0x4E, 0x29, 0x7D, 0x5D, 0x28] as [UInt8] {
      let problem = try Self.operations([UInt8](repeating: fill, count: 3 << 20))
      #expect(problem.contains("has more than 1048576 operations"))
    }
    let large = [UInt8](repeating: 0x4E, count: 9 << 20)
    #expect(try Self.operations(large).contains("data.pkl: has \(2 + (9 << 20)) bytes; a state dict's has at most"))
  }

  @Test func importsWithoutTheirEndAreRefused() throws {
    for name in [Array("os".utf8), Array("os\nsystem".utf8), [UInt8](repeating: 0x61, count: 9999)] {
      #expect(try Self.operations([0x63] + name).contains("has an import without its end"))
    }
    #expect(try Self.operations([0x63, 0xFF, 0x0A, 0x61, 0x0A]).contains("not UTF-8"))
    // What an import is called cannot write to the terminal.
    let bytes = ForgedZip(pickle: ForgedPickle.begin + ForgedPickle.global("a\u{1B}[2J", "b")).bytes
    let error = try #require(throws: FurlError.self) { try TorchFixtures.open(bytes) }
    #expect(error.problem.contains("imports a") && !error.description.contains("\u{1B}"))
  }

  @Test func callsOfTypesAreRefused() throws {
    for name in ["FloatStorage", "float32"] {
      let call = ForgedPickle.global("torch", name) + ForgedPickle.emptyTuple + ForgedPickle.reduce
      #expect(try Self.operations(call).contains("calls a type"))
    }
    for call in [ForgedPickle.emptyTuple + ForgedPickle.emptyTuple, [0x4E, 0x4E], ForgedPickle.text("os") + [0x29]] {
      #expect(try Self.operations(call + ForgedPickle.reduce).contains("is not how PyTorch writes"))
    }
  }

  @Test func attributesAreSetOnMappingsOnly() throws {
    for target in [[0x4E], [0x5D], [0x29], ForgedPickle.global("torch", "FloatStorage")] as [[UInt8]] {
      #expect(try Self.operations(target + [0x7D, 0x62]).contains("sets attributes of an object"))
    }
  }

  @Test func persistentIdsThatLieAreRefused() throws {
    let (key, cpu, count) = (ForgedPickle.text("0"), ForgedPickle.text("cpu"), ForgedPickle.integer(6))
    let (storage, type) = (ForgedPickle.text("storage"), ForgedPickle.global("torch", "FloatStorage"))
    let wrong: [[UInt8]] = [
      ForgedPickle.tuple(), ForgedPickle.tuple(storage),
      ForgedPickle.tuple(ForgedPickle.text("module"), type, key, cpu, count),
      ForgedPickle.tuple(storage, cpu, key, cpu, count), ForgedPickle.tuple(storage, type, count, cpu, count),
      ForgedPickle.tuple(storage, type, key, cpu, cpu),
      ForgedPickle.tuple(storage, type, key, cpu, ForgedPickle.integer(-1)),
      ForgedPickle.tuple(storage, type, key, cpu, count, count, count),
      ForgedPickle.tuple(storage, ForgedPickle.global("torch", "Size"), key, cpu, count),
      ForgedPickle.tuple(storage, type, ForgedPickle.text(String(repeating: "k", count: 300)), cpu, count),
    ]
    for id in wrong {
      #expect(try Self.operations(id + ForgedPickle.persistent).contains("something else than a storage"))
    }
    #expect(try Self.operations(key + ForgedPickle.persistent).contains("is not how PyTorch writes"))
    let long = ForgedPickle.tuple(storage, type, key, cpu, [0x8A, 9] + [UInt8](repeating: 0xFF, count: 9))
    #expect(try Self.operations(long + ForgedPickle.persistent).contains("something else than a storage"))
  }

  @Test(arguments: [
    (5, "FloatStorage"), (7, "FloatStorage"), (0, "FloatStorage"), (6, "HalfStorage"), (6, "DoubleStorage"),
    (1 << 62, "FloatStorage"), (Int.max, "DoubleStorage"), (Int.max, "ByteStorage"),
  ])
  func storagesThatAreNotTheirEntryAreRefused(_ count: Int, _ type: String) throws {
    let problem = try Self.problem(ForgedPickle.one(count: count, type: type))
    #expect(problem.contains("w: is in storage 0 of \(count) numbers") && problem.contains("the file has 24 bytes"))
  }

  @Test func aStorageThatIsNotThereIsNamed() throws {
    let pickle = ForgedPickle.dictionary([
      ("w", ForgedPickle.tensor(ForgedPickle.storage(key: "../x", count: 6), shape: [6], strides: [1]))
    ])
    #expect(try Self.problem(pickle) == "w: refers to storage ../x, which is not there")
  }

  @Test(arguments: [
    (0, [2, 3], [4, 1], "reaches out of storage 0, which has 6 numbers"),
    (1, [2, 3], [3, 1], "reaches out of storage 0"), (6, [1], [1], "reaches out"), (7, [0], [1], "reaches out"),
    (-1, [2], [1], "reaches out"), (Int.max, [2], [1], "reaches out"), (Int.min, [2], [1], "reaches out"),
    (0, [7], [1], "reaches out"), (0, [1 << 40], [1], "reaches out"), (0, [2], [Int.max], "too large"),
    (0, [3], [1 << 62], "too large"), (0, [Int.max, Int.max], [1, Int.max], "too large"), (0, [2], [6], "reaches out"),
    (0, [2, 3], [3, 0], "is expanded"), (0, [1 << 60], [0], "is expanded"), (0, [2], [-1], "step backwards"),
    (0, [2, 2], [Int.min, 1], "step backwards"), (0, [2, 3], [2, 1], "meet numbers twice"),
    (0, [3, 3], [1, 1], "meet numbers twice"), (0, [-1], [1], "has shape [-1]"), (0, [2, -3], [3, 1], "has shape"),
    (0, [2, 3], [1], "has 2 dimensions and 1 strides"), (0, [], [1], "has 0 dimensions and 1 strides"),
    (0, [1, 1, 1, 1, 1, 1, 1, 1, 6], [6, 6, 6, 6, 6, 6, 6, 6, 1], "has 9 dimensions"),
  ])
  func tensorsThatDoNotFitAreRefused(_ offset: Int, _ shape: [Int], _ strides: [Int], _ expected: String) throws {
    let problem = try Self.problem(ForgedPickle.one(offset: offset, shape: shape, strides: strides))
    #expect(problem.hasPrefix("w: ") && problem.contains(expected), "\(problem)")
  }

  @Test func namesThatAppearTwiceAreRefused() throws {
    let tensor = ForgedPickle.tensor(ForgedPickle.storage(count: 6), shape: [6], strides: [1])
    let bytes = ForgedZip(pickle: ForgedPickle.dictionary([("w", tensor), ("w", tensor)]), storages: [("0", Self.six)])
    let error = try #require(throws: FurlError.self) {
      try StoredTensorsTests.open([("pytorch_model.bin", bytes.bytes)])
    }
    #expect(error.place == "w" && error.problem == "appears twice")
  }

  @Test func textsThatAreNotUTF8AreRefused() throws {
    let tensor = ForgedPickle.tensor(ForgedPickle.storage(count: 6), shape: [6], strides: [1])
    let item = ForgedPickle.emptyDict + [0x58, 1, 0, 0, 0, 0xFF] + tensor + ForgedPickle.setItem + ForgedPickle.stop
    #expect(try Self.operations(item).contains("has a text that is not UTF-8"))
  }

  @Test func bytesBehindTheObjectsAreRefused() throws {
    #expect(try Self.problem(ForgedPickle.one() + [0]).contains("ends before its entry does"))
  }

  /// Very many mappings of very many values: only those that hold tensors are looked into.
  @Test func manyMappingsAreReadQuickly() throws {
    var bytes: [UInt8] = ForgedPickle.begin + ForgedPickle.emptyDict + ForgedPickle.emptyDict + [0x71, 0, 0x28]
    for _ in 0..<100_000 { bytes += [0x4B, 1, 0x4E] }
    bytes += [0x75, 0x71, 1, 0x28]
    for _ in 0..<100_000 { bytes += [0x4B, 1, 0x68, 0] }
    #expect(try Self.problem(bytes + [0x75, 0x2E]).contains("is not how PyTorch writes"))
    let mapping: [UInt8] = [0x7D, 0x28] + (0..<200_000).flatMap { _ in [0x4B, 1, 0x7D] as [UInt8] } + [0x75, 0x2E]
    #expect(try Self.operations(mapping).contains("holds no tensors by name"))
  }
}
