import FurlTensor
@testable import FurlArtifact
import FurlBase
import FurlTestSupport
import Testing

/// Artifacts whose digests are all right and whose index lies.
@Suite struct HostileIndexTests {
  /// One lie: how the index is changed, and what the reader says.
  struct Lie: Sendable, CustomTestStringConvertible {
    let name: String
    let expected: String
    let change: @Sendable (JSON) -> JSON
    var testDescription: String { name }

    init(_ name: String, _ expected: String, _ change: @escaping @Sendable (JSON) -> JSON) {
      self.name = name
      self.expected = expected
      self.change = change
    }

    /// A lie at one place of the index.
    init(_ name: String, _ expected: String, at path: [JSONStep], _ change: @escaping @Sendable (JSON?) -> JSON?) {
      self.init(name, expected) { $0.changing(path[...], change) ?? .null }
    }
  }

  /// The first tensor has codes and scales; its codes are compressed in two frames.
  static let tensor: [JSONStep] = ["tensors", 0]
  static let codes: [JSONStep] = ["tensors", 0, "streams", 0]
  static let scales: [JSONStep] = ["tensors", 0, "streams", 1]

  static func plus(_ more: Int) -> @Sendable (JSON?) -> JSON? { { .integer(($0?.integer ?? 0) + more) } }
  static func set(_ value: JSON?) -> @Sendable (JSON?) -> JSON? { { _ in value } }

  static let lies: [Lie] = [
    // Places.
    Lie("overlap", "overlaps what lies before it", at: scales + ["offset"], set(64)),
    Lie("in the header", "overlaps what lies before it", at: codes + ["offset"], set(0)),
    Lie("gap", "belong to no section", at: scales + ["offset"], plus(64)),
    Lie("unaligned", "is no multiple of 64", at: scales + ["offset"], plus(1)),
    Lie("negative offset", "-64 is out of range", at: scales + ["offset"], set(-64)),
    Lie("negative length", "-1 is out of range", at: scales + ["length"], set(-1)),
    Lie("offset past the end", "reaches past", at: scales + ["offset"], set(.integer(1 << 62))),
    Lie("length past the end", "reaches past", at: codes + ["length"], set(.integer(.max))),
    Lie("offset that is no integer", "an integer is expected", at: codes + ["offset"], set(64.5)),
    Lie("tokenizer past the end", "tokenizer: reaches past", at: ["tokenizer", "length"], plus(1 << 40)),
    Lie("tokenizer too short", "belong to no section", at: ["tokenizer", "length"], set(0)),
    Lie("tokenizer bomb", "more than allowed", at: ["tokenizer", "decoded_length"], set(.integer(1 << 33))),
    Lie("tensors in another order", "belong to no section") { index in
      index.changing(["tensors"]) { .array(Array(($0?.array ?? []).reversed())) } ?? .null
    },
    Lie("a tensor left out", "belong to no section") { index in
      index.changing(["tensors"]) { .array(Array(($0?.array ?? []).dropLast())) } ?? .null
    },

    // Shapes and schemes.
    Lie("shape of nothing", "is not that of a vector or a matrix", at: tensor + ["shape"], set([])),
    Lie("shape of three", "is not that of a vector or a matrix", at: tensor + ["shape"], set([2, 2, 2])),
    Lie("zero extent", "is not that of a vector or a matrix", at: tensor + ["shape"], set([0, 4])),
    Lie("negative extents", "is not that of a vector or a matrix", at: tensor + ["shape"], set([-600, -600])),
    Lie(
      "product that overflows", "is not that of a vector or a matrix", at: tensor + ["shape"],
      set([.integer(1 << 40), .integer(1 << 40)])),
    Lie("largest extent", "is not that of a vector or a matrix", at: tensor + ["shape"], set([.integer(.max), 1])),
    Lie("huge shape", "decodes to", at: tensor + ["shape"], set([.integer(1 << 20), .integer(1 << 20)])),
    Lie("shape of texts", "integers are expected", at: tensor + ["shape"], set(["a"])),
    Lie("shape that is none", "a list is expected", at: tensor + ["shape"], set(4)),
    Lie("unknown scheme", "the scheme int9:32 is not known", at: tensor + ["scheme"], set("int9:32")),
    Lie("scheme with fewer streams", "has 2 streams; 1 belong to float32", at: tensor + ["scheme"], set("float32")),
    Lie("quantized vector", "a vector cannot be stored", at: tensor + ["shape"], set([600])),

    // Names.
    Lie("name twice", "appears twice", at: ["tensors", 1, "name"], set("w")),
    Lie("empty name", "is empty", at: tensor + ["name"], set("")),
    Lie("no role", "role: is missing", at: tensor + ["role"], set(nil)),
    Lie("no streams", "streams: is missing", at: tensor + ["streams"], set(nil)),

    // Streams.
    Lie("streams in wrong order", "the stream codes is expected here", at: tensor + ["streams"]) {
      .array(Array(($0?.array ?? []).reversed()))
    },
    Lie("unknown stream", "the stream codes is expected here", at: codes + ["kind"], set("gold")),
    Lie("unknown codec", "\"lzma\" is not a known value", at: codes + ["codec"], set("lzma")),
    Lie("unknown symbols", "\"words\" is not a known value", at: codes + ["symbols"], set("words")),
    Lie("decoded too long", "decodes to", at: codes + ["decoded_length"], plus(1)),
    Lie("decoded too short", "decodes to", at: codes + ["decoded_length"], plus(-1)),
    Lie("raw of another size", "raw", at: codes + ["codec"], set("raw")),
    Lie("no frames", "has 0 frames; 2 are expected", at: codes + ["frames"], set([])),
    Lie("frames that are none", "has 0 frames; 2 are expected", at: codes + ["frames"], set(4)),
    Lie("a frame too many", "has 3 frames; 2 are expected", at: codes + ["frames"]) {
      .array(($0?.array ?? []) + [1])
    },
    Lie("frames that sum to less", "do not add up", at: codes + ["frames", 0], plus(-1)),
    Lie("frames that sum to more", "do not add up", at: codes + ["frames", 0], plus(1)),
    Lie("negative frame", "do not add up", at: codes + ["frames", 0], set(-1)),
    Lie("empty frame", "do not add up", at: codes + ["frames", 0], set(0)),
    Lie("frames that overflow", "do not add up", at: codes + ["frames"], set([.integer(.max), .integer(.max)])),
    Lie("symbols of another cut", "frames", at: codes + ["symbols"], set("nibbles")),
    Lie("digest that is none", "64 lower-case", at: codes + ["sha256"], set("beef")),
    Lie("raw with two digests", "its two digests differ", at: ["tensors", 1, "streams", 0, "sha256"]) { _ in
      .string(Digest(of: []).hex)
    },
    Lie("compressed but mapped", "in an artifact of mapped storage", at: ["storage"], set("mapped")),

    // The rest.
    Lie("id", "is not the id", at: ["artifact_id"]) { _ in .string(Digest(of: []).hex) },
    Lie("config behind the id's back", "is not the id", at: ["config", "n_layer"], set(2)),
    Lie("another version", "2 is out of range", at: ["format_version"], set(2)),
    Lie("unknown key", "unknown key", at: ["extra"], set(1)),
    Lie("unknown key of a stream", "unknown key", at: codes + ["extra"], set(1)),
    Lie("unknown key of a tensor", "unknown key", at: tensor + ["extra"], set(1)),
    Lie("unknown storage", "\"fast\" is not a known value", at: ["storage"], set("fast")),
    Lie("config that is none", "a mapping is expected", at: ["config"], set(4)),
    Lie("recipe with another digest", "is not the digest of the recipe's text", at: ["recipe", "text"], set("x")),
    Lie("lineage with a folder", "is not the name of a file", at: ["lineage", 0, "name"], set("../x")),
    Lie("ends out of order", "a list of ascending ids", at: ["end_tokens"], set([5, 3])),
    Lie("ends twice", "a list of ascending ids", at: ["end_tokens"], set([3, 3])),
    Lie("ends below zero", "a list of ascending ids", at: ["end_tokens"], set([-1, 3])),
    Lie("ends that are none", "a list of ascending ids", at: ["end_tokens"], set(["</s>"])),
    Lie("one end without a list", "a list of ascending ids", at: ["end_tokens"], set(3)),
    Lie("ends behind the id's back", "is not the id", at: ["end_tokens"], set([3, 5])),
    Lie("tensors missing", "tensors: is missing", at: ["tensors"], set(nil)),
    Lie("no mapping at all", "a mapping is expected") { _ in [1, 2] },
  ]

  @Test(arguments: lies)
  func aLieIsNamed(_ lie: Lie) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Self.writeSample(path)
      let index = try JSON.parse(Forge.indexText(path), file: nil)
      try Forge.replaceIndex(of: path, Array(lie.change(index).canonicalText.utf8))
      let error = #expect(throws: FurlError.self) { try Artifact(path: path) }
      #expect(error?.kind == .input && error?.file == path)
      #expect(error?.description.contains(lie.expected) == true, "\(error?.description ?? "opened")")
    }
  }

  private static func writeSample(_ path: String) throws {
    try Samples.write(
      [
        SampleTensor("w", "head", [600, 600], .int8(.columns(32))), SampleTensor("norm", "norm", [13], .float32),
      ], to: path, .compact)
    let codes = try Artifact(path: path).tensors[0].streams[0]
    try #require(codes.codec == .zstdHuffman && codes.frames.count == 2)
  }

  /// Texts that are not the one text that an index has.
  @Test func otherTextsAreRefused() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Self.writeSample(path)
      let text = try Forge.indexText(path)
      let space: [UInt8] = [0x20]
      let others: [[UInt8]] = [
        text + space, space + text, text + [0], [], Array("{".utf8), Array(text.dropLast()), [0xFF], text + text,
        Array("{\"a\":1,".utf8) + text.dropFirst(), Array(#"{"furl":"x","furl":"x"}"#.utf8),
        [UInt8](repeating: UInt8(ascii: "["), count: 60_000),
      ]
      for other in others {
        try Forge.replaceIndex(of: path, other)
        #expect(damage(of: path) != nil)
      }
      try Forge.replaceIndex(of: path, text)
      #expect(damage(of: path) == nil)
    }
  }

  @Test func anIndexThatIsABombIsRefused() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Self.writeSample(path)
      try Forge.replaceIndex(of: path, [UInt8](repeating: 0x20, count: 40 << 20))
      #expect(damage(of: path)?.contains("which is more than allowed") == true)
      try Forge.replaceIndex(of: path, [UInt8](repeating: 0x20, count: 3 << 20))
      #expect(damage(of: path)?.contains("which is more than allowed") == true)
    }
  }

  @Test func aFooterThatPointsElsewhereIsRefused() throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let path = folder + "/a.furl"
      try Self.writeSample(path)
      let whole = try TestData.bytes(path)
      let good = try Artifact(path: path).footer
      func message(_ change: (inout Footer) -> Void) throws -> String {
        var footer = good
        change(&footer)
        try TestData.write(whole.dropLast(128) + footer.bytes, to: path)
        return damage(of: path) ?? ""
      }
      #expect(try message { $0.indexOffset = 0 }.contains("points outside"))
      #expect(try message { $0.indexOffset += 64 }.contains("points outside"))
      #expect(try message { $0.indexOffset += 1 }.contains("points outside"))
      #expect(try message { $0.indexOffset = .max }.contains("points outside"))
      #expect(try message { $0.indexOffset = -1 }.contains("points outside"))
      #expect(try message { $0.indexLength = .max }.contains("points outside"))
      #expect(try message { $0.indexLength += 64 }.contains("points outside"))
      #expect(try message { $0.indexDecodedLength = .max }.contains("more than allowed"))
      #expect(try message { $0.indexDecodedLength += 1 }.contains("index: does not decode"))
      #expect(try message { $0.fileLength += 128 }.contains("its footer says"))
      #expect(try message { $0.indexDigest = Digest(of: []) }.contains("damaged index"))
      #expect(try message { _ in }.isEmpty)
    }
  }
}
