import FurlTensor
import FurlSpec
import FurlBase
import FurlCheckpoint
import FurlTestSupport
import Foundation
import Testing

/// GGUF files as people have them: parts under other names, joined parts, adapters, texts that are no UTF-8.
@Suite struct GGUFFolderTests {
  static let fixtures = TestData.root + "/Tests/Fixtures/gguf/"
  static func part(_ number: Int) -> String { fixtures + "starcoder2-0000\(number)-of-00003.gguf" }

  /// A folder with the parts of a model under these names.
  static func withParts<Result>(_ names: [(Int, String)], _ body: (String) throws -> Result) throws -> Result {
    try TestData.withTemporaryFolder { folder in
      for (number, name) in names {
        try FileManager.default.copyItem(atPath: part(number), toPath: folder + "/" + name)
      }
      return try body(folder)
    }
  }

  @Test func partsUnderOtherNamesAreFound() throws {
    let expected = try Checkpoint(path: Self.part(1))
    try Self.withParts([(1, "a.gguf"), (2, "z.gguf"), (3, "b (1).gguf")]) { folder in
      let found = try Checkpoint(path: folder + "/a.gguf")
      #expect(found.spec == expected.spec && found.weightFiles.count == 3)
      for tensor in expected.spec.tensors {
        #expect(try found.source(tensor.name).readAll() == expected.source(tensor.name).readAll())
      }
      // Another part leads to the first one.
      let error = try #require(throws: FurlError.self) { try Checkpoint(path: folder + "/z.gguf") }
      #expect(error.remedy?.contains("a.gguf") == true, "\(error)")
    }
  }

  @Test func partsThatAreMissingOrThereTwiceAreNamed() throws {
    try Self.withParts([(1, "a.gguf"), (3, "b.gguf")]) { folder in
      let error = try #require(throws: FurlError.self) { try Checkpoint(path: folder + "/a.gguf") }
      #expect(error.problem.contains("part 2 is not beside it"), "\(error)")
    }
    try Self.withParts([(1, "a.gguf"), (2, "b.gguf"), (2, "c.gguf"), (3, "d.gguf")]) { folder in
      let error = try #require(throws: FurlError.self) { try Checkpoint(path: folder + "/a.gguf") }
      #expect(error.problem.contains("b.gguf") && error.problem.contains("c.gguf"), "\(error)")
    }
  }

  /// The small model of the fixtures, with other values under some keys.
  static func open(_ changes: [(key: String, value: GGUFText.Value)]) throws -> Checkpoint {
    let bytes = try GGUFPatch(TestData.bytes(fixtures + "llama.gguf")).adding(changes)
    return try TestData.withTemporaryFile(bytes, "model.gguf") { try Checkpoint(path: $0) }
  }

  @Test func joinedPartsAreOneModel() throws {
    let count = try StoredTensorsOf.count(Self.fixtures + "llama.gguf")
    let plain = try Checkpoint(path: Self.fixtures + "llama.gguf")
    let joined = try Self.open([
      ("split.count", .uint16(3)), ("split.no", .uint16(0)), ("split.tensors.count", .int32(Int32(count))),
    ])
    #expect(joined.spec == plain.spec && joined.weightFiles.count == 1)
  }

  @Test(arguments: [
    [("general.type", GGUFText.Value.string("adapter"))], [("adapter.type", .string("lora"))],
    [("general.type", .string("adapter")), ("adapter.type", .string("lora"))],
  ])
  func adaptersAreRefusedWithTheCure(_ keys: [(key: String, value: GGUFText.Value)]) throws {
    let error = try #require(throws: FurlError.self) { try Self.open(keys) }
    #expect(error.problem.contains("LoRA adapter") && error.remedy?.contains("merge") == true)
  }

  @Test func filesThatAreNoModelsAreRefused() throws {
    for kind in ["imatrix", "mmproj"] {
      let error = try #require(throws: FurlError.self) { try Self.open([("general.type", .string(kind))]) }
      #expect(error.place == "general.type")
    }
    _ = try Self.open([("general.type", .string("model"))])
  }

  @Test func aNameThatIsNoUTF8IsShownWithWhatIsLeft() throws {
    let checkpoint = try Self.open([("general.name", .text([0x61, 0xFF, 0x62]))])
    #expect(try checkpoint.gguf?.name == "a\u{FFFD}b")
  }

  @Test(arguments: [UInt32(9_999), .max]) func endIdsThatNoTokenHasAreNone(_ id: UInt32) throws {
    let checkpoint = try Self.open([("tokenizer.ggml.eos_token_id", .uint32(id))])
    #expect(checkpoint.config["eos_token_id"] == nil)
  }
}

/// The number of tensors in a file, from its head.
enum StoredTensorsOf {
  static func count(_ path: String) throws -> Int {
    try TestData.bytes(path)[8..<16].reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}

/// A GGUF file with more keys at its beginning, the same keys further on taken out.
struct GGUFPatch {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private func integer(_ start: Int, _ count: Int) -> Int {
    bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  /// Where a value of a type ends.
  private func end(of start: Int, type: Int) -> Int {
    switch type {
    case 0, 1, 7: return start + 1
    case 2, 3: return start + 2
    case 4, 5, 6: return start + 4
    case 8: return start + 8 + integer(start, 8)
    case 9:
      return (0..<integer(start + 4, 8)).reduce(start + 12) { end, _ in self.end(of: end, type: integer(start, 4)) }
    default: return start + 8
    }
  }

  func adding(_ keys: [(key: String, value: GGUFText.Value)]) throws -> [UInt8] {
    var kept: [UInt8] = []
    var position = 24
    var count = 0
    for _ in 0..<integer(16, 8) {
      let nameEnd = position + 8 + integer(position, 8)
      let name = String(decoding: bytes[position + 8..<nameEnd], as: UTF8.self)
      let valueEnd = end(of: nameEnd + 4, type: integer(nameEnd, 4))
      if !keys.contains(where: { $0.key == name }) {
        kept += bytes[position..<valueEnd]
        count += 1
      }
      position = valueEnd
    }
    let infoStart = position
    for _ in 0..<integer(8, 8) {
      position += 8 + integer(position, 8)
      position += 4 + 8 * integer(position, 4) + 4 + 8
    }
    let data = bytes[((position + 31) / 32 * 32)...]
    let more = GGUFText(keys, []).keyBytes
    let total = count + keys.count
    var head = Array(bytes[..<16]) + (0..<8).map { UInt8(truncatingIfNeeded: total >> (8 * $0)) }
    head += more + kept + bytes[infoStart..<position]
    return head + [UInt8](repeating: 0, count: (32 - head.count % 32) % 32) + data
  }
}
