import FurlBase
import FurlCheckpoint
import FurlTensor
import FurlTestSupport
import Testing

/// One test for each way in which a safetensors file can be wrong.
@Suite struct SafetensorsTests {
  static func open(_ bytes: [UInt8]) throws -> SafetensorsFile {
    try TestData.withTemporaryFile(bytes, "x.safetensors") { try SafetensorsFile(path: $0) }
  }

  /// What opening a file of this header and so many bytes of data says.
  static func problem(_ header: String, data: Int = 8, length: UInt64? = nil) throws -> String {
    let bytes = SafetensorsText.file(header: header, data: [UInt8](repeating: 0, count: data), length: length)
    let error = try #require(throws: FurlError.self) { try open(bytes) }
    #expect(error.kind == .input && error.file?.hasSuffix("x.safetensors") == true)
    return [error.place, error.problem].compactMap { $0 }.joined(separator: ": ")
  }

  static func entry(_ fields: String) -> String { "{\"a\":{\(fields)}}" }

  @Test func aGoodFileIsRead() throws {
    let file = try Self.open(
      SafetensorsText([
        .init("a", [2, 3], [1, 2, 3, 4, 5, 6]), .init("b", "BF16", [2], [0x80, 0x3F, 0, 0x40]),
        .init("none", "F32", [0, 4], []), .init("scalar", "I64", [], [UInt8](repeating: 0, count: 8)),
        .init("mask", "BOOL", [3], [1, 0, 1]),
      ]).bytes)
    #expect(file.entries.map(\.name) == ["a", "b", "none", "scalar", "mask"])
    #expect(file.entries.map(\.shape) == [[2, 3], [2], [0, 4], [], [3]])
    #expect(file.entries.map(\.type) == [.float32, .bfloat16, .float32, nil, nil])
    #expect(file.file.floats(.float32, at: file.entries[0].range.lowerBound, count: 6) == [1, 2, 3, 4, 5, 6])
    #expect(file.file.floats(.bfloat16, at: file.entries[1].range.lowerBound, count: 2) == [1, 2])
  }

  @Test func aFileWithoutTensorsOrWithSpacesIsRead() throws {
    #expect(try Self.open(SafetensorsText.file(header: "{}", data: [])).entries.isEmpty)
    #expect(try Self.open(SafetensorsText.file(header: "{}      ", data: [])).entries.isEmpty)
  }

  @Test(arguments: 0..<8) func shorterThanALength(_ count: Int) throws {
    let error = try #require(throws: FurlError.self) { try Self.open([UInt8](repeating: 0, count: count)) }
    #expect(error.problem.contains("too short"))
  }

  @Test(arguments: [0, 1, 17, 1 << 20, 101 << 20, 1 << 32, 1 << 63, UInt64.max, UInt64.max - 7])
  func aLengthThatLies(_ length: UInt64) throws {
    #expect(try Self.problem("{}", data: 0, length: length).contains("a header of \(length) bytes"))
  }

  /// A header that is longer than the format allows is refused before it is parsed.
  @Test func aHeaderThatIsTooLong() throws {
    let length = 100_000_001
    let problem = try Self.problem("{", data: length, length: UInt64(length))
    #expect(problem == "has a header of \(length) bytes; at most 100000000 are read")
  }

  /// Metadata may be long; it is checked and passed over.
  @Test func longMetadataIsPassedOver() throws {
    let tensor = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
    let text = String(repeating: "log ", count: 3 << 20)
    for metadata in ["\"\(text)\"", "\"\(text)\",\"y\":\"\\u00e9\""] {
      let header = "{\(tensor),\"__metadata__\":{\"x\":\(metadata)}}"
      let file = try Self.open(SafetensorsText.file(header: header, data: [UInt8](repeating: 0, count: 8)))
      #expect(file.entries.map(\.name) == ["a"])
    }
    #expect(try Self.problem("{\(tensor),\"__metadata__\":{\"x\":\"\(text)}}").contains("not valid JSON"))
    #expect(try Self.problem("{\"__metadata__\":{\"x\":\"\",\"x\":\"\"}}", data: 0).contains("appears twice"))
  }

  /// What would take memory far beyond its bytes ends soon: values nested or long, and more tensors than any model has.
  @Test func hostileHeadersEndSoon() throws {
    let start = ContinuousClock.now
    let list = "[" + String(repeating: "1,", count: 1 << 20) + "1]"
    let (nested, long) = (String(repeating: "[", count: 1 << 20), String(repeating: "x", count: 1 << 20))
    #expect(try Self.problem("{\"a\":{\"shape\":\(list)}}").contains("a value of more than 4096 bytes"))
    #expect(try Self.problem("{\"a\":\(nested)}").contains("levels"))
    #expect(try Self.problem("{\"a\":{\"dtype\":\"\(long)\"}}").contains("a value of more than 4096 bytes"))
    #expect(try Self.problem("{\"\(long)\":1}").contains("a key of 1048576 bytes"))
    let time = ContinuousClock.now - start
    #expect(time < .seconds(30))
  }

  @Test func aLengthThatCutsTheHeader() throws {
    #expect(try Self.problem(SafetensorsText([.init("a", [2], [1, 2])]).header, length: 20).contains("not valid JSON"))
  }

  @Test(arguments: ["xx", "[]", "1 ", "null", "{\"a\":", "{} {}", "\u{0}\u{0}", "{\"a\":1,\"a\":1}"])
  func aHeaderThatIsNoMapping(_ header: String) throws {
    #expect(!(try Self.problem(header, data: 0)).isEmpty)
  }

  @Test(arguments: [
    ("\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]", "a: has an unknown dtype"),
    ("\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]", "a: has an unknown dtype"),
    ("\"dtype\":null,\"shape\":[2],\"data_offsets\":[0,8]", "a: has an unknown dtype"),
    ("\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]", "a: has no shape"),
    ("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]", "a: has no shape"),
    ("\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]", "a: has a shape that is not made of whole numbers"),
    ("\"dtype\":\"F32\",\"shape\":[-2,-1],\"data_offsets\":[0,8]", "a: has a shape that is not made of whole numbers"),
    ("\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]", "a: has a shape that is not made of whole numbers"),
    ("\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]", "a: has a shape that is not made of whole numbers"),
    ("\"dtype\":\"F32\",\"shape\":[1e30],\"data_offsets\":[0,8]", "a: has a shape that is not made of whole numbers"),
    ("\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,8]", "a: has a shape that is too large"),
    (
      "\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]", "a: has a shape that is too large"
    ),
    ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]", "a: has data_offsets that do not lie in the file"),
    ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4,8]", "a: has data_offsets that do not lie in the file"),
    ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":\"0,8\"", "a: has data_offsets that do not lie in the file"),
    ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8.0]", "a: has data_offsets that do not lie in the file"),
    ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]", "a: has data_offsets that do not lie in the file"),
    ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]", "a: has data_offsets that do not lie in the file"),
    ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]", "a: has data_offsets that do not lie in the file"),
    (
      "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9223372036854775800,9223372036854775807]",
      "a: has data_offsets that do not lie in the file"
    ),
    ("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]", "a: has 8 bytes; its shape and dtype need 12"),
    ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]", "a: has 4 bytes; its shape and dtype need 8"),
    ("\"dtype\":\"F32\",\"shape\":[2]", "a: must have dtype, shape and data_offsets and nothing else"),
    (
      "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1",
      "a: must have dtype, shape and data_offsets and nothing else"
    ),
    ("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]", "a: follows a hole at byte"),
    ("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]", "has 4 bytes that belong to no tensor"),
    (
      "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]",
      "b: overlaps another tensor at byte"
    ),
    (
      "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]",
      "overlaps another tensor at byte"
    ),
  ])
  func anEntryThatIsWrong(_ fields: String, _ expected: String) throws {
    let problem = try Self.problem(Self.entry(fields))
    #expect(problem.contains(expected), "\(problem)")
  }

  @Test(arguments: ["1", "[1]", "\"x\"", "null"])
  func anEntryThatIsNoMapping(_ value: String) throws {
    #expect(try Self.problem("{\"a\":\(value)}").contains("a: must have dtype"))
  }

  @Test(arguments: ["1", "{\"a\":1}", "[]", "null", "{\"a\":null}"])
  func metadataThatIsNoMappingOfTexts(_ value: String) throws {
    #expect(try Self.problem("{\"__metadata__\":\(value)}", data: 0).contains("__metadata__"))
  }

  static let sample = SafetensorsText([
    .init("a.weight", [2, 3], [1, 2, 3, 4, 5, 6]), .init("b", "F16", [4], [UInt8](repeating: 1, count: 8)),
    .init("c", "I64", [1], [UInt8](repeating: 2, count: 8)),
  ]).bytes

  /// Whatever is changed: an error, or entries that lie in the file and can be read.
  static func survives(_ bytes: [UInt8]) throws {
    guard let file = try? open(bytes) else { return }
    for entry in file.entries {
      #expect(entry.range.lowerBound >= 8 && entry.range.upperBound <= bytes.count)
      if let type = entry.type {
        let count = entry.shape.reduce(1, *)
        #expect(file.file.floats(type, at: entry.range.lowerBound, count: count).count == count)
      }
    }
  }

  @Test func everyCutIsRefused() throws {
    for count in Self.sample.indices {
      #expect(throws: FurlError.self) { try Self.open(Array(Self.sample.prefix(count))) }
    }
    #expect(throws: FurlError.self) { try Self.open(Self.sample + [0]) }
  }

  @Test func noChangedBitsCrash() throws {
    for index in Self.sample.indices {
      for bit in 0..<8 {
        var bytes = Self.sample
        bytes[index] ^= 1 << bit
        try Self.survives(bytes)
      }
    }
    var draws = SplitMix64(seed: 20)
    for _ in 0..<3000 {
      var bytes = Self.sample
      for _ in 0..<Int.random(in: 1...5, using: &draws) {
        let index = Int.random(in: 0..<bytes.count, using: &draws)
        switch Int.random(in: 0..<4, using: &draws) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &draws)
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(Array("0123456789-[]{},\"".utf8).randomElement(using: &draws) ?? 0, at: index)
        default: bytes[index] = Array("09-e.[]{},\"".utf8).randomElement(using: &draws) ?? 0
        }
      }
      try Self.survives(bytes)
    }
  }
}
