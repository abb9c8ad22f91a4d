import FurlBase
import FurlTensor
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Texts with the ids of independent programs: `tokenizers`, `transformers` and llama.cpp (`make_families.py`).
@Suite struct FamilyTests {
  @Test("Ids and texts are those of the reference", arguments: try FamilyFixture.names())
  func vectors(name: String) throws {
    let fixture = try FamilyFixture(name)
    let direct = try fixture.tokenizer()
    let again = try Tokenizer(serialized: direct.serialized(), file: nil)
    #expect(again.serialized() == direct.serialized())
    for tokenizer in [direct, again] {
      for (text, ids) in try fixture.texts() {
        #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
      }
      for (text, ids) in try fixture.textsWithTemplate() {
        #expect(tokenizer.encode(text, bos: .auto) == ids, "\(text.debugDescription)")
      }
      for (ids, text, plain) in try fixture.decoded() {
        #expect(Array(tokenizer.decode(ids).utf8) == Array(text.utf8), "\(ids)")
        #expect(Array(tokenizer.decode(ids, skippingSpecial: true).utf8) == Array(plain.utf8), "\(ids)")
        #expect(Self.streamed(ids, tokenizer, skipping: false) == Array(text.utf8), "\(ids)")
        #expect(Self.streamed(ids, tokenizer, skipping: true) == Array(plain.utf8), "\(ids)")
      }
    }
    if let special = fixture.example["special"] {
      #expect(direct.bosID == special["bos"]?.integer && direct.eosID == special["eos"]?.integer)
      #expect(direct.vocabularySize == special["size"]?.integer)
    }
  }

  /// What streaming gives, piece by piece; what is left at any point completes it.
  private static func streamed(_ ids: [Int], _ tokenizer: Tokenizer, skipping: Bool) -> [UInt8] {
    var stream = Tokenizer.StreamDecoder(tokenizer, skippingSpecial: skipping)
    var bytes: [UInt8] = []
    for (count, id) in ids.enumerated() {
      bytes += Array(stream.push(id).utf8)
      var copy = stream
      let whole = tokenizer.decode(Array(ids[...count]), skippingSpecial: skipping)
      #expect(bytes + Array(copy.finish().utf8) == Array(whole.utf8), "\(ids[...count])")
    }
    return bytes + Array(stream.finish().utf8)
  }

  @Test("A tokenizer written as tokenizer.json gives the same ids", arguments: try FamilyFixture.names(of: "json"))
  func written(name: String) throws {
    let fixture = try FamilyFixture(name)
    let written = try Sample.tokenizer(try fixture.tokenizer().tokenizerJSON())
    for (text, ids) in try fixture.texts() { #expect(written.encode(text) == ids, "\(text.debugDescription)") }
    for (ids, text, _) in try fixture.decoded() { #expect(Array(written.decode(ids).utf8) == Array(text.utf8)) }
  }

  /// Merges made of scores are another algorithm; where no two pieces are equally good, both give the same.
  @Test("A vocabulary with scores can be written as merges")
  func scoresAsMerges() throws {
    for name in ["gguf llama", "gguf llama, across"] {
      let fixture = try FamilyFixture(name)
      let written = try Sample.tokenizer(try fixture.tokenizer().tokenizerJSON())
      for (text, ids) in try fixture.texts() { #expect(written.encode(text) == ids, "\(text.debugDescription)") }
    }
  }

  @Test("A text that goes on from another keeps its first space")
  func continued() throws {
    let tokenizer = try FamilyFixture("llama, normalizer").tokenizer()
    let ids = tokenizer.encode("return self")
    #expect(tokenizer.decode(ids) == "return self")
    var stream = Tokenizer.StreamDecoder(tokenizer, skippingSpecial: false, continues: true)
    #expect(ids.map { stream.push($0) }.joined() + stream.finish() == " return self")
  }

  @Test("Pieces are spelled with their marks")
  func spellings() throws {
    let tokenizer = try FamilyFixture("llama, normalizer").tokenizer()
    let mark = "\u{2581}"
    let id = try #require(tokenizer.id(of: mark + "return"))
    #expect(tokenizer.piece(id) == mark + "return" && tokenizer.id(of: " return") == nil)
    #expect(tokenizer.id(of: "<0x0A>").map(tokenizer.piece) == "<0x0A>")
    #expect(tokenizer.bosID == 1 && tokenizer.addsBOS && tokenizer.isSpecial(1) && !tokenizer.isSpecial(id))
    for id in 0..<tokenizer.vocabularySize { #expect(tokenizer.id(of: tokenizer.piece(id)) == id) }
  }

  /// The quick way cuts a text where no merge goes across; it must give what merging all of it gives.
  @Test("Cutting changes nothing", arguments: ["llama, normalizer", "across spaces", "some bytes", "bytes that merge"])
  func cutting(name: String) throws {
    let tokenizer = try FamilyFixture(name).tokenizer()
    let table = try #require(tokenizer.characters)
    var random = SplitMix64(seed: 21)
    var cuts = 0
    for round in 0..<600 {
      let words = ["return", "self", " ", "  ", "the", "x", "\n", "é", "日", "😀", "(", "0x", ".", "in", "re"]
      let text =
        round % 2 == 0
        ? Sample.text(&random)
        : (0..<Int.random(in: 1...40, using: &random)).map { _ in words[Int.random(in: 0..<words.count, using: &random)]
        }
        .joined()
      let bytes = tokenizer.parts.normalization.apply(Array(text.utf8), 0..<text.utf8.count)
      for (last, first) in zip(bytes, bytes.dropFirst()) where table.cuts(last, first) { cuts += 1 }
      var merger = WordMerger()
      var ids: [Int] = []
      merger.start()
      table.symbols(bytes, 0..<bytes.count) { merger.append($0) }
      merger.finish(tokenizer.parts.merges, into: &ids)
      if !text.utf8.contains(0x3C) { #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)") }
    }
    #expect((cuts > 0) == (name != "bytes that merge"))
  }

  @Test("A long text without words is quick", arguments: ["llama, normalizer", "across spaces", "gguf llama, across"])
  func long(name: String) throws {
    let tokenizer = try FamilyFixture(name).tokenizer()
    for text in [
      String(repeating: "e", count: 400_000), String(repeating: " ", count: 400_000),
      String(repeating: "return self.values", count: 20_000), String(repeating: "\u{1F600}", count: 60_000),
    ] {
      #expect(tokenizer.decode(tokenizer.encode(text)) == text)
    }
  }
}

/// A case of `families.json`.
struct FamilyFixture {
  let example: JSON
  private let document: JSON

  init(_ name: String) throws {
    document = try Sample.fixture("families.json")
    example = try #require(document["cases"]?.array?.first { $0["name"]?.string == name })
  }

  /// The names of all cases, or of those of a form.
  static func names(of form: String? = nil) throws -> [String] {
    try #require(try Sample.fixture("families.json")["cases"]?.array)
      .filter { form == nil || $0["form"]?.string == form }.compactMap { $0["name"]?.string }
  }

  private func pairs(_ key: String) throws -> [(String, [Int])] {
    let texts = try #require(document["texts"]?.array).compactMap(\.string)
    let lists = example[key]?.array ?? []
    return zip(texts, lists).map { ($0, $1.array?.compactMap(\.integer) ?? []) }
  }

  func texts() throws -> [(String, [Int])] {
    let pairs = try pairs("ids")
    try #require(!pairs.isEmpty)
    return pairs
  }

  func textsWithTemplate() throws -> [(String, [Int])] {
    // llama.cpp was not asked about the empty text.
    try pairs("with_template").filter { !$0.0.isEmpty }
  }

  func decoded() throws -> [(ids: [Int], text: String, plain: String)] {
    try (example["decoded"]?.array ?? []).map {
      (
        try #require($0["ids"]?.array).compactMap(\.integer), try #require($0["text"]?.string),
        try #require($0["plain"]?.string)
      )
    }
  }

  func tokenizer() throws -> Tokenizer {
    let parts = try #require(example["parts"])
    switch example["form"]?.string {
    case "json": return try Sample.tokenizer(try jsonDocument(parts))
    case "files": return try files(parts)
    default: return try Tokenizer(try gguf(parts), file: "x.gguf")
    }
  }

  // MARK: The three forms

  private static func members(_ json: JSON?) throws -> [JSON.Member] { try #require(json?.members) }

  private func jsonDocument(_ parts: JSON) throws -> JSON {
    var model = try Self.members(try Sample.fixture("spm.json")[parts["model"]?.string ?? "cut"])
    func replace(_ key: String, _ value: JSON) {
      if let index = model.firstIndex(where: { $0.key == key }) { model[index].value = value }
    }
    let changes = parts["changes"] ?? .object([])
    let gone = Set((changes["without"]?.array ?? []).compactMap(\.string))
    var vocabulary = try Self.members(model.first { $0.key == "vocab" }?.value).filter { !gone.contains($0.key) }
    vocabulary += changes["with_pieces"]?.members ?? []
    let merges = try #require(model.first { $0.key == "merges" }?.value.array).filter {
      let (left, right) = ($0[0]?.string ?? "", $0[1]?.string ?? "")
      return gone.isDisjoint(with: [left, right, left + right])
    }
    replace("vocab", .object(vocabulary))
    replace("merges", .array((changes["first"]?.array ?? []) + merges))
    for member in changes.members ?? [] { replace(member.key, member.value) }
    let keys = ["normalizer", "pre_tokenizer", "post_processor", "decoder"]
    return .object(
      keys.map { JSON.Member($0, parts[$0] ?? .null) } + [
        .init("added_tokens", parts["added_tokens"] ?? []), .init("model", .object(model)),
      ])
  }

  private func files(_ parts: JSON) throws -> Tokenizer {
    let model = try Sample.fixture("model.json")
    return try TestData.withTemporaryFolder { folder in
      func write(_ name: String, _ text: String) throws {
        try TestData.write(Array(text.utf8), to: folder + "/" + name)
      }
      let vocabulary = try Self.members(model["vocab"]) + (parts["with"]?.members ?? [])
      try write("vocab.json", JSON.object(vocabulary).compactText)
      let merges = try #require(model["merges"]?.array).map { "\($0[0]?.string ?? "") \($0[1]?.string ?? "")\n" }
      try write("merges.txt", "#version: 0.2\n" + merges.joined())
      for key in ["config", "tokenizer_config", "special_tokens_map", "added_tokens"] {
        if let value = parts[key] { try write(key + ".json", value.compactText) }
      }
      return try Tokenizer(checkpoint: folder)
    }
  }

  private func gguf(_ parts: JSON) throws -> GGUFTokenizer {
    let model = try #require(parts["model"]?.string)
    func integers(_ key: String) -> [String: Int] {
      Dictionary(uniqueKeysWithValues: (parts[key]?.members ?? []).map { ($0.key, $0.value.integer ?? 0) })
    }
    if model == "gpt2" {
      let document = try Sample.fixture("model.json")
      let gone = Set((parts["without"]?.array ?? []).compactMap { $0.string?.unicodeScalars.first })
      func isKept(_ text: String) -> Bool { gone.isDisjoint(with: text.unicodeScalars) }
      let added = try Self.members(parts["added"])
      let pieces = try Self.members(document["vocab"]).map(\.key).filter(isKept)
      let merges = try #require(document["merges"]?.array).map { ($0[0]?.string ?? "") + " " + ($0[1]?.string ?? "") }
      return GGUFTokenizer(
        model: model, pre: parts["pre"]?.string, tokens: (pieces + added.map(\.key)).map { Array($0.utf8) },
        types: pieces.map { _ in 1 } + added.map { $0.value.integer ?? 0 },
        merges: merges.filter(isKept).map { Array($0.utf8) }, bosID: parts["bos"]?.integer,
        eosID: parts["eos"]?.integer)
    }
    let chosen = try #require(parts["vocabulary"]?.string)
    let pieces = try Self.members(try Sample.fixture("spm.json")[chosen]?["vocab"]).map(\.key)
    let types = integers("types")
    let isByRank = parts["scores"]?.string == "ranks"
    return GGUFTokenizer(
      model: model, tokens: pieces.map { Array($0.utf8) },
      types: pieces.map { types[$0] ?? ($0.hasPrefix("<0x") && $0.utf8.count == 6 ? 6 : 1) },
      scores: pieces.enumerated().map { id, piece in
        isByRank ? (id >= 259 ? Float(259 - id) : 0) : Float(piece.unicodeScalars.count / 2)
      }, addsSpacePrefix: parts["space"]?.bool)
  }
}
