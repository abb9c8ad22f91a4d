import FurlCheckpoint
import FurlTestSupport
import Testing

/// One test for each way in which a file of PyTorch's form before 1.6 can be wrong.
@Suite struct LegacyTorchTests {
  static let magic: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
  static let version: [UInt8] = [0x80, 2, 0x4D, 0xE9, 3, 0x2E]

  static func machine(little: Bool = true) -> [UInt8] {
    ForgedPickle.dictionary([("little_endian", [little ? 0x88 : 0x89])])
  }

  static func keys(_ keys: [String]) -> [UInt8] {
    ForgedPickle.begin + [0x5D, 0x28] + keys.flatMap { ForgedPickle.text($0) } + [0x65, 0x2E]
  }

  static func raw(_ count: Int, _ bytes: [UInt8]) -> [UInt8] { ForgedZip.little(Int64(count)) + bytes }

  static func file(
    magic: [UInt8] = magic, version: [UInt8] = version, machine: [UInt8] = machine(),
    object: [UInt8] = ForgedPickle.one(),
    keys: [UInt8] = keys(["0"]), data: [UInt8] = raw(6, PickleTests.six)
  ) -> [UInt8] { magic + version + machine + object + keys + data }

  @Test func theForgedFileIsGood() throws {
    let file = try TorchFixtures.open(Self.file())
    #expect(try TorchFixtures.values(file.tensors[0].tensor) == [1, 2, 3, 4, 5, 6])
  }

  @Test func headsThatAreWrongAreRefused() throws {
    let other = "is not a file that torch.save wrote"
    var wrong = Self.magic
    wrong[5] ^= 1
    #expect(try TorchFixtures.problem(Self.file(magic: wrong)).contains(other))
    #expect(try TorchFixtures.problem(Self.file(magic: Self.version)).contains(other))
    #expect(try TorchFixtures.problem(Self.file(version: [0x80, 2, 0x4B, 7, 0x2E])).contains("than 1001"))
    #expect(try TorchFixtures.problem(Self.file(version: [])).contains("than 1001"))
    #expect(try TorchFixtures.problem(Self.file(machine: Self.machine(little: false))).contains("not little-endian"))
    #expect(try TorchFixtures.problem(Self.file(machine: ForgedPickle.dictionary([]))).contains("not little-endian"))
    #expect(try TorchFixtures.problem(Self.file(machine: Self.version)).contains("does not say its byte order"))
  }

  @Test func keysThatAreWrongAreRefused() throws {
    #expect(try TorchFixtures.problem(Self.file(keys: Self.version)).contains("does not list its storages"))
    #expect(try TorchFixtures.problem(Self.file(keys: Self.keys(["1"]))).contains("that no tensor refers to"))
    #expect(try TorchFixtures.problem(Self.file(keys: Self.keys(["0", "0"]))).contains("storage 0: is listed twice"))
    #expect(
      try TorchFixtures.problem(Self.file(keys: Self.keys([]), data: [])).contains("storage 0, which is not there"))
    let number: [UInt8] = ForgedPickle.begin + [0x5D, 0x4B, 0, 0x61, 0x2E]
    #expect(try TorchFixtures.problem(Self.file(keys: number)).contains("that no tensor refers to"))
  }

  @Test(arguments: [5, 7, 0, -1, .max, .min, 1 << 32])
  func countsThatLieAreRefused(_ count: Int) throws {
    let problem = try TorchFixtures.problem(Self.file(data: Self.raw(count, PickleTests.six)))
    #expect(problem.contains("storage 0: has \(UInt64(bitPattern: Int64(count))) numbers; its tensors say 6"))
    guard count >= 0 else { return }
    // The objects lie in the same way.
    let same = try TorchFixtures.problem(
      Self.file(object: ForgedPickle.one(count: count), data: Self.raw(count, PickleTests.six)))
    #expect(["is cut off", "bytes behind its last storage", "reaches out"].contains { same.contains($0) }, "\(same)")
  }

  @Test func bytesBehindTheLastStorageAreRefused() throws {
    #expect(try TorchFixtures.problem(Self.file() + [0]).contains("has 1 bytes behind its last storage"))
  }

  /// A storage that two tensors describe in different ways.
  @Test func storagesOfTwoTypesAreRefused() throws {
    let tensors = [("FloatStorage", 6), ("HalfStorage", 6)].enumerated().map { index, storage in
      let tensor = ForgedPickle.tensor(ForgedPickle.storage(storage.0, count: storage.1), shape: [6], strides: [1])
      return ("w\(index)", tensor)
    }
    let problem = try TorchFixtures.problem(Self.file(object: ForgedPickle.dictionary(tensors)))
    #expect(problem.contains("w1: is in storage 0 of 6 numbers of 2 bytes; the file has 24 bytes"), "\(problem)")
  }

  @Test(arguments: [(0, 7), (7, 0), (6, 1), (3, 4), (.max, .max), (1, .max), (-1, 2), (0, -1)])
  func partsThatReachOutAreRefused(_ start: Int, _ count: Int) throws {
    let view = ForgedPickle.tuple(ForgedPickle.text("1"), ForgedPickle.integer(start), ForgedPickle.integer(count))
    let storage = ForgedPickle.tuple(
      ForgedPickle.text("storage"), ForgedPickle.global("torch", "FloatStorage"), ForgedPickle.text("0"),
      ForgedPickle.text("cpu"), ForgedPickle.integer(6), view)
    let tensor = ForgedPickle.tensor(storage + ForgedPickle.persistent, shape: [1], strides: [1])
    let problem = try TorchFixtures.problem(Self.file(object: ForgedPickle.dictionary([("w", tensor)])))
    #expect(problem.contains("part of"), "\(problem)")
  }

  @Test func objectsThatAreTooLongAreRefused() throws {
    let text: [UInt8] = [0x58] + ForgedZip.little(UInt32(9 << 20)) + [UInt8](repeating: 0x61, count: 9 << 20)
    #expect(
      try TorchFixtures.problem(Self.file(object: ForgedPickle.begin + text)).contains("has a pickle of more than"))
  }
}
