import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// The head of GGUF files: what is read, and what is refused with its reason.
@Suite struct GGUFFileTests {
  static func open(_ bytes: [UInt8]) throws -> GGUFFile {
    try TestData.withTemporaryFile(bytes, "model.gguf") { try GGUFFile(path: $0) }
  }

  static func error(_ bytes: [UInt8]) throws -> FurlError {
    let error = try #require(throws: FurlError.self) { try open(bytes) }
    #expect(error.kind == .input && error.file?.hasSuffix("model.gguf") == true)
    return error
  }

  static func error(_ text: GGUFText) throws -> FurlError { try error(text.bytes) }

  /// Everything once.
  static let everything = GGUFText(
    [
      ("uint8", .uint8(200)), ("int8", .int8(-3)), ("uint16", .uint16(60000)), ("int16", .int16(-300)),
      ("uint32", .uint32(4_000_000_000)), ("int32", .int32(-70000)), ("float32", .float32(1e-5)), ("yes", .bool(1)),
      ("no", .bool(0)), ("text", .string("déf")), ("uint64", .uint64(1 << 62)), ("int64", .int64(-1 << 62)),
      ("float64", .float64(0.1)), ("huge", .uint64(.max)), ("bad text", .text([0xFF, 0x41])),
      ("texts", .strings(["", "a", "日本"])),
      ("bad texts", .list(type: 8, count: 2, GGUFText.text([0x41]) + GGUFText.text([0xC3]))),
      ("integers", .list(type: 5, count: 3, [Int32(1), -2, 3].flatMap { GGUFText.bytes($0) })),
      ("bytes", .list(type: 0, count: 2, [7, 255])),
      ("floats", .list(type: 6, count: 2, TestData.littleEndian([0.5, -2]))), ("nothing", .list(type: 8, count: 0, [])),
    ],
    [
      .init("a", [2, 3], TestData.littleEndian((0..<6).map(Float.init))),
      .init("b", [32, 2], type: 8, [UInt8](repeating: 1, count: 68)), .init("c", [3], type: 26, [0, 0, 0, 0]),
    ])

  @Test(arguments: [2, 3])
  func everyKindOfValueIsRead(_ version: UInt32) throws {
    var text = Self.everything
    text.version = version
    let file = try Self.open(text.bytes)
    let metadata = file.metadata
    #expect(file.version == Int(version) && metadata.keys == text.metadata.map(\.key))
    let integers: [(String, Int)] = [
      ("uint8", 200), ("int8", -3), ("uint16", 60000), ("int16", -300), ("uint32", 4_000_000_000), ("int32", -70000),
      ("uint64", 1 << 62), ("int64", -1 << 62),
    ]
    for (key, value) in integers { #expect(try metadata.integer(key) == value) }
    #expect(try metadata.number("float32") == 1e-5)
    #expect(try metadata.number("float64") == 0.1)
    #expect(try metadata.number("int8") == -3)
    #expect(try metadata.bool("yes") == true && metadata.bool("no") == false)
    #expect(try metadata.string("text") == "déf")
    #expect(try metadata.strings("texts") == ["", "a", "日本"])
    #expect(try metadata.bytes("bad texts") == [[0x41], [0xC3]])
    #expect(try metadata.integers("integers") == [1, -2, 3])
    #expect(try metadata.integers("bytes") == [7, 255])
    #expect(try metadata.floats("floats") == [0.5, -2])
    #expect(try metadata.strings("nothing") == [] && metadata.count("nothing") == 0)
    #expect(metadata.count("texts") == 3 && metadata.count("text") == nil)
    #expect(metadata.has("text") && !metadata.has("absent"))
    #expect(try metadata.string("absent") == nil && metadata.integers("absent") == nil)
  }

  @Test func aValueOfAnotherKindIsAnError() throws {
    let metadata = try Self.open(Self.everything.bytes).metadata
    let attempts: [(String, () throws -> Any?)] = [
      ("text", { try metadata.integer("text") }), ("float32", { try metadata.integer("float32") }),
      ("yes", { try metadata.integer("yes") }), ("int8", { try metadata.bool("int8") }),
      ("int8", { try metadata.string("int8") }), ("texts", { try metadata.string("texts") }),
      ("text", { try metadata.strings("text") }), ("integers", { try metadata.strings("integers") }),
      ("floats", { try metadata.integers("floats") }), ("integers", { try metadata.floats("integers") }),
      ("integers", { try metadata.integer("integers") }), ("huge", { try metadata.integer("huge") }),
      ("bad text", { try metadata.string("bad text") }), ("bad texts[1]", { try metadata.strings("bad texts") }),
    ]
    for (place, attempt) in attempts {
      let error = try #require(throws: FurlError.self) { try attempt() }
      #expect(error.kind == .input && error.place == place && error.file?.hasSuffix("model.gguf") == true)
    }
  }

  /// Counts and lengths that no file has room for are refused before anything is allocated for them.
  @Test(arguments: [UInt64.max, 1 << 63, 1_000_000_000_000_000_000, 1 << 32, 1000])
  func claimedCountsAreNotBelieved(_ count: UInt64) throws {
    var keys = GGUFText([("a", .uint8(1))])
    keys.keyCount = count
    #expect(try Self.error(keys).problem.contains("says that it has \(count) keys"))
    var tensors = GGUFText([("a", .uint8(1))])
    tensors.tensorCount = count
    #expect(try Self.error(tensors).problem.contains("says that it has \(count) tensors"))
    let text = GGUFText([("a", .raw(8, GGUFText.bytes(count)))])
    #expect(try Self.error(text).problem.contains("ends within the value of \"a\" of \(count) bytes"))
    for type: UInt32 in [0, 6, 8, 10] {
      let list = GGUFText([("a", .list(type: type, count: count, [0]))])
      #expect(try Self.error(list).problem.contains("says that it has \(count) values of \"a\""))
    }
    let name = Array("GGUF".utf8) + GGUFText.bytes(UInt32(3)) + [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    let error = try Self.error(name + GGUFText.bytes(count) + [UInt8](repeating: 0x61, count: 40))
    #expect(error.problem.contains("ends within the name of key 0 of \(count) bytes"))
  }

  @Test func valuesThatAreNotSupportedAreNamed() throws {
    let nested = GGUFText([("a", .list(type: 9, count: 1, [UInt8](repeating: 0, count: 12)))])
    #expect(try Self.error(nested).problem == "is a list of lists, which is not supported")
    #expect(try Self.error(GGUFText([("a", .raw(13, [0]))])).problem == "has type 13, which is not known")
    #expect(try Self.error(GGUFText([("a", .uint8(1)), ("a", .uint8(1))])).problem == "appears twice")
    #expect(try Self.error(GGUFText([("", .uint8(1))])).problem.contains("has 0 bytes"))
    #expect(try Self.error(GGUFText([(String(repeating: "k", count: 65536), .uint8(1))])).problem.contains("65536"))
    for alignment: UInt32 in [0, 3, 48, 1 << 21, .max] {
      let text = GGUFText([("general.alignment", .uint32(alignment))])
      #expect(try Self.error(text).place == "general.alignment")
    }
    #expect(try Self.error(GGUFText([("general.alignment", .string("32"))])).place == "general.alignment")
  }

  @Test func otherFilesAndVersionsAreRefused() throws {
    for version: UInt32 in [0, 1, 4, 1 << 31] {
      var text = Self.everything
      text.version = version
      #expect(try Self.error(text).problem.contains("has GGUF version \(version)"))
    }
    var text = Self.everything
    text.version = 0x0300_0000
    #expect(try Self.error(text).problem.contains("big-endian"))
    #expect(try Self.error(Array("GGML".utf8) + [3, 0, 0, 0]).problem == "is not a GGUF file")
    for bytes in [[], Array("GGUF".utf8), Array("GG".utf8)] { _ = try Self.error(bytes) }
    #expect(throws: FurlError.self) { try GGUFFile(path: "/absent.gguf") }
    #expect(!GGUFFile.isGGUF(path: "/absent.gguf"))
  }

  /// A file of one tensor, or of several.
  static func tensors(_ tensors: GGUFText.Tensor...) -> GGUFText { GGUFText([], tensors) }

  private static let ones = [UInt8](repeating: 1, count: 32)

  @Test func tensorsThatDoNotLieInTheFileAreRefused() throws {
    let ones = Self.ones
    let places: [GGUFText.Tensor] = [
      .init("a", [9], ones), .init("a", [8], offset: 32, ones), .init("a", [8], offset: 1 << 63, ones),
      .init("a", [8], offset: .max - 31, ones), .init("a", [1 << 20], ones), .init("a", [1 << 20, 1 << 20], ones),
    ]
    for place in places { #expect(try Self.error(Self.tensors(place)).problem.contains("lies outside of the file")) }
    let shapes: [GGUFText.Tensor] = [
      .init("a", [0], ones), .init("a", [8, 0], ones), .init("a", [], ones), .init("a", [1, 1, 1, 1, 1], ones),
      .init("a", [.max], ones), .init("a", [1 << 63], ones), .init("a", [1 << 32, 1 << 32], ones),
      .init("a", [1 << 62, 2], ones), .init("a", [1 << 61], ones), .init("a", [1 << 62], ones),
    ]
    for place in shapes { #expect(try Self.error(Self.tensors(place)).place == "a") }
    #expect(
      try Self.error(Self.tensors(.init("a", [4], offset: 4, Self.ones))).problem.contains("not a multiple of 32"))
    #expect(try Self.error(Self.tensors(.init("a", [8], type: 99, Self.ones))).problem.contains("type 99"))
    let blocks = GGUFText.Tensor("a", [31], type: 8, [UInt8](repeating: 0, count: 64))
    #expect(try Self.error(Self.tensors(blocks)).problem.contains("not whole blocks of Q8_0"))
    let rows = GGUFText.Tensor("a", [16, 2], type: 8, [UInt8](repeating: 0, count: 64))
    #expect(try Self.error(Self.tensors(rows)).problem.contains("not whole blocks of Q8_0"))
  }

  @Test func tensorsThatOverlapOrAppearTwiceAreRefused() throws {
    let twice = Self.tensors(.init("a", [8], Self.ones), .init("a", [8], Self.ones))
    #expect(try Self.error(twice).problem == "appears twice")
    let same = Self.tensors(.init("a", [8], offset: 0, Self.ones), .init("b", [8], offset: 0, Self.ones))
    #expect(try Self.error(same).problem == "overlaps another tensor")
    let inside = Self.tensors(.init("a", [16], offset: 0, Self.ones), .init("b", [8], offset: 32, Self.ones))
    #expect(try Self.error(inside).problem == "overlaps another tensor")
    // Any order will do, and holes do no harm.
    let reversed = Self.tensors(
      .init("a", [8], offset: 64, Self.ones), .init("b", [8], offset: 0, Self.ones + Self.ones))
    _ = try Self.open(reversed.bytes + [UInt8](repeating: 0, count: 5))
  }

  @Test func anotherAlignmentIsFollowed() throws {
    var text = GGUFText([("general.alignment", .uint32(256))], [.init("a", [1], [1]), .init("b", [1], [2])])
    text.alignment = 256
    _ = try Self.open(text.bytes)
    text.alignment = 32
    #expect(throws: FurlError.self) { try Self.open(text.bytes) }
  }

  /// Every beginning of a file and thousands of changed files: an error or a file, never the end of the process.
  @Test func damagedFilesAreErrors() throws {
    let bytes = Self.everything.bytes
    for count in 0..<bytes.count - 100 {
      #expect(throws: FurlError.self, "\(count)") { try Self.open(Array(bytes[..<count])) }
    }
    var draws = SplitMix64(seed: 3)
    var opened = 0
    for _ in 0..<4000 {
      var changed = bytes
      for _ in 0...Int(draws.next() % 3) {
        let place = Int(draws.next() % UInt64(bytes.count))
        changed[place] =
          draws.next() % 2 == 0 ? UInt8(truncatingIfNeeded: draws.next()) : [0, 1, 0x7F, 0xFF][place % 4]
      }
      do {
        let file = try Self.open(changed)
        opened += 1
        for key in file.metadata.keys {
          _ = try? file.metadata.integer(key)
          _ = try? file.metadata.number(key)
          _ = try? file.metadata.string(key)
          _ = try? file.metadata.strings(key)
          _ = try? file.metadata.bytes(key)
          _ = try? file.metadata.integers(key)
          _ = try? file.metadata.floats(key)
        }
      } catch let error as FurlError {
        #expect(error.kind == .input)
      }
    }
    #expect(opened > 100 && opened < 3900)
  }
}
