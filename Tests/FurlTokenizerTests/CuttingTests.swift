import FurlBase
import FurlTensor
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Tokenizers without some of their tokens.
@Suite struct CuttingTests {
  private static func cases() throws -> [JSON] { try #require(try Sample.fixture("cuts.json").array) }

  /// A tokenizer of another fixture, with that fixture's texts.
  private static func whole(_ source: String, _ name: String) throws -> (Tokenizer, [String]) {
    let document = try Sample.fixture(source + ".json")
    let texts = try #require(document["texts"]?.array).compactMap(\.string)
    guard source == "cases" else { return (try FamilyFixture(name).tokenizer(), texts) }
    let example = try #require(document["cases"]?.array?.first { $0["name"]?.string == name })
    return (try Sample.tokenizer(VectorTests.document(of: example)), texts)
  }

  private static func uses(_ texts: [String], _ tokenizer: Tokenizer) -> [Int] {
    var uses = [Int](repeating: 0, count: tokenizer.vocabularySize)
    for text in texts { for id in tokenizer.encode(text) { uses[id] += 1 } }
    return uses
  }

  private static func cut(_ tokenizer: Tokenizer, _ order: [Int], _ count: Int) throws -> Tokenizer {
    let gone = Set(order.prefix(count))
    return try tokenizer.keeping((0..<tokenizer.vocabularySize).filter { !gone.contains($0) })
  }

  /// Order and ids are those of `make_cuts.py`, which cuts tokenizer.json by hand and asks the `tokenizers` package; also
  /// through Furl's own form and through the tokenizer.json that is exported.
  @Test(arguments: try CuttingTests.cases().compactMap { $0["name"]?.string })
  func idsEqualTokenizers(_ name: String) throws {
    let example = try #require(try Self.cases().first { $0["name"]?.string == name })
    let (tokenizer, texts) = try Self.whole(#require(example["source"]?.string), name)
    let order = try tokenizer.removalOrder(uses: Self.uses(texts, tokenizer))
    #expect(order == example["order"]?.array?.compactMap(\.integer))
    let cut = try Self.cut(tokenizer, order, #require(example["gone"]?.integer))
    let again = try Tokenizer(serialized: cut.serialized(), file: nil)
    #expect(again.serialized() == cut.serialized())
    let exported = try Sample.tokenizer(cut.tokenizerJSON(), config: cut.configurationJSON(contextLength: 64))
    let expected = try #require(example["ids"]?.array).map { $0.array?.compactMap(\.integer) ?? [] }
    #expect(expected.count == texts.count)
    for (text, ids) in zip(texts, expected) {
      for one in [cut, again, exported] { #expect(one.encode(text) == ids, "\(text.debugDescription)") }
    }
  }

  private static func all() throws -> [(String, String)] {
    // Where bytes merge their texts come out as `<0x0A><0x0A>`, so that one without such pieces is better than the whole.
    try VectorTests.caseNames().map { ("cases", $0) }
      + FamilyFixture.names().filter { $0 != "bytes that merge" }.map { ("families", $0) }
  }

  /// Whatever goes, a text becomes the text that it became before; ids that are still there stand for what they stood
  /// for; and a text in which nothing that went came up has the same pieces.
  @Test(arguments: try CuttingTests.all()) func textsSurvive(_ source: String, _ name: String) throws {
    let (tokenizer, texts) = try Self.whole(source, name)
    var random = SplitMix64(seed: 11)
    let others = (0..<60).map { _ in Sample.text(&random) }
    // Importances at random: any order that the merges allow.
    let uses = (0..<tokenizer.vocabularySize).map { _ in Int(random.next() % 8) }
    let order = try tokenizer.removalOrder(uses: uses)
    try #require(order.count > 20 && Set(order).count == order.count)
    for count in [1, order.count / 3, order.count] {
      let cut = try Self.cut(tokenizer, order, count)
      #expect(cut.vocabularySize == tokenizer.vocabularySize - count)
      #expect(cut.bosID.map(cut.piece) == tokenizer.bosID.map(tokenizer.piece))
      #expect(cut.eosID.map(cut.piece) == tokenizer.eosID.map(tokenizer.piece))
      #expect(cut.addsBOS == tokenizer.addsBOS)
      let gone = Set(order.prefix(count))
      for text in texts + others {
        let (ids, before) = (cut.encode(text), tokenizer.encode(text))
        #expect(cut.decode(ids) == tokenizer.decode(before), "\(text.debugDescription)")
        #expect(cut.decode(ids, skippingSpecial: true) == tokenizer.decode(before, skippingSpecial: true))
        #expect(ids.count >= before.count)
        if count == 1, gone.isDisjoint(with: before), ids.count == before.count {
          #expect(ids.map(cut.piece) == before.map(tokenizer.piece), "\(text.debugDescription)")
        }
      }
    }
  }

  /// Ids that are named elsewhere stay, gaps go first, and of equals the highest.
  @Test func whatStays() throws {
    let vocabulary: JSON = ["a": 0, "b": 1, "c": 2, "Ġ": 3, "ab": 4, "abc": 5, "bc": 7, "ca": 8]
    let tokenizer = try Sample.tokenizer(
      Sample.document(["vocab": vocabulary, "merges": ["a b", "ab c", "b c", "c a"]]))
    let none = [Int](repeating: 0, count: 9)
    #expect(try tokenizer.removalOrder(uses: none) == [6, 8, 7, 5, 4])
    #expect(try tokenizer.removalOrder(uses: none, keeping: [8, 6, 99, -1]) == [7, 5, 4])
    var uses = none
    uses[7] = 3
    uses[8] = 2
    #expect(try tokenizer.removalOrder(uses: uses) == [6, 5, 4, 8, 7])
    // The uses of what is gone are those of its parts: two of "abc" are two of "ab".
    uses = none
    (uses[5], uses[7], uses[8]) = (1, 2, 3)
    #expect(try tokenizer.removalOrder(uses: uses) == [6, 5, 4, 7, 8])
    uses[4] = 1
    #expect(try tokenizer.removalOrder(uses: uses) == [6, 5, 7, 4, 8])
    // What a merge needs cannot be left out.
    #expect(throws: FurlError.self) { try tokenizer.keeping([0, 1, 2, 3, 5]) }
  }

  /// A vocabulary of whole texts loses characters only where bytes can stand for them.
  @Test func charactersGoWhereBytesSpellThem() throws {
    func lost(_ name: String) throws -> Bool {
      let tokenizer = try FamilyFixture(name).tokenizer()
      let order = try tokenizer.removalOrder(uses: [Int](repeating: 0, count: tokenizer.vocabularySize))
      return order.contains { tokenizer.piece($0).unicodeScalars.count == 1 }
    }
    #expect(try lost("llama, normalizer") && lost("gguf llama"))
    #expect(try !lost("no bytes") && !lost("some bytes") && !lost("bytes that merge"))
  }

  /// llama.cpp's forms of a cut vocabulary give the same ids.
  @Test(arguments: ["gguf llama-bpe", "gguf llama", "gguf llama, equal scores", "gguf qwen2"])
  func throughGGUF(_ name: String) throws {
    let (tokenizer, texts) = try Self.whole("families", name)
    let order = try tokenizer.removalOrder(uses: Self.uses(texts, tokenizer))
    let cut = try Self.cut(tokenizer, order, order.count / 2)
    let copy = try Sample.throughGGUF(cut, architecture: "llama")
    for text in texts { #expect(copy.encode(text) == cut.encode(text), "\(text.debugDescription)") }
    #expect(copy.hasPieces(of: cut) && !cut.hasPieces(of: tokenizer))
  }
}
