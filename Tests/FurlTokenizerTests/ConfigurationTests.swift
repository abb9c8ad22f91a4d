import FurlBase
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Names, special tokens and the token before a text.
@Suite struct ConfigurationTests {
  private let tokens: JSON = [Sample.added(6, "<s>"), Sample.added(7, "</s>"), Sample.added(8, "<x>", special: false)]

  @Test func minipyPutsItsTokenBeforeTheText() throws {
    let tokenizer = try Tokenizer(checkpoint: TestData.minipy)
    #expect(tokenizer.vocabularySize == 8192)
    #expect(tokenizer.bosID == 1 && tokenizer.eosID == 2 && tokenizer.addsBOS)
    let ids = tokenizer.encode("def f():")
    #expect(tokenizer.encode("def f():", bos: .auto) == [1] + ids)
    #expect(tokenizer.encode("<s>def f():", bos: .auto) == [1] + ids)
    #expect(tokenizer.encode("<s>def f():", bos: .always) == [1, 1] + ids)
    #expect(tokenizer.encode("", bos: .auto) == [1])
    #expect(tokenizer.decode([1] + ids + [2], skippingSpecial: true) == "def f():")
    #expect(tokenizer.decode([1] + ids + [2]) == "<s>def f():</s>")
  }

  @Test func tokensAreNamedByTheConfiguration() throws {
    let document = Sample.document(["added_tokens": tokens])
    let plain = try Sample.tokenizer(document)
    #expect(plain.bosID == nil && plain.eosID == nil && !plain.addsBOS)
    #expect(plain.encode("ab", bos: .always) == [4])
    let named = try Sample.tokenizer(document, config: ["bos_token": ["content": "<s>"], "eos_token": "</s>"])
    #expect(named.bosID == 6 && named.eosID == 7 && !named.addsBOS)
    #expect(named.encode("ab", bos: .auto) == [4])
    #expect(named.encode("ab", bos: .always) == [6, 4])
    // A piece of the vocabulary that the configuration names becomes a special token, as in transformers.
    let piece = try Sample.tokenizer(document, config: ["eos_token": "abc", "bos_token": nil, "add_bos_token": true])
    #expect(piece.eosID == 5 && piece.isSpecial(5) && piece.addsBOS)
    #expect(piece.encode("aabcb") == [0, 5, 1])
    // One that is nowhere is added behind all others, as in transformers.
    let new = try Sample.tokenizer(document, config: ["bos_token": "<t>"])
    #expect(new.bosID == 9 && new.vocabularySize == 10 && new.encode("a<t>b") == [0, 9, 1])
    #expect(Sample.refusal(document, config: ["bos_token": 5])?.contains("tokenizer_config.json: bos_token") == true)
  }

  @Test func piecesHaveNames() throws {
    let tokenizer = try Sample.tokenizer(Sample.document(["added_tokens": tokens]))
    #expect(tokenizer.vocabularySize == 9)
    #expect(tokenizer.piece(3) == "Ġ" && tokenizer.id(of: "Ġ") == 3 && tokenizer.id(of: " ") == nil)
    #expect(tokenizer.piece(6) == "<s>" && tokenizer.id(of: "<s>") == 6)
    #expect(tokenizer.isSpecial(6) && !tokenizer.isSpecial(8) && !tokenizer.isSpecial(4))
    for id in [-1, 9, Int.max, Int.min] {
      #expect(tokenizer.piece(id) == "" && !tokenizer.isSpecial(id) && tokenizer.decode([0, id, 1]) == "ab")
    }
    for id in 0..<9 { #expect(tokenizer.id(of: tokenizer.piece(id)) == id) }
  }

  @Test func gapsHaveNoPiece() throws {
    let tokenizer = try Sample.tokenizer(Sample.document(["vocab": ["a": 0, "b": 5], "merges": []]))
    #expect(tokenizer.vocabularySize == 6)
    #expect(tokenizer.encode("ab") == [0, 5])
    #expect(tokenizer.decode([0, 3, 5]) == "ab" && tokenizer.piece(3) == "")
    let again = try Tokenizer(serialized: tokenizer.serialized(), file: nil)
    #expect(again.encode("ab") == [0, 5] && again.decode([0, 3, 5]) == "ab" && again.id(of: "") == nil)
  }

  @Test func aPairThatComesAgainTakesTheLaterRank() throws {
    // The reference gives [0, 4] for these.
    let document = Sample.document([
      "vocab": ["a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4], "merges": ["a b", "b c", "a b"],
    ])
    #expect(try Sample.tokenizer(document).encode("abc") == [0, 4])
  }

  @Test func emptyAddedTokensAndPiecesAreNone() throws {
    let tokenizer = try Sample.tokenizer(
      Sample.document(["added_tokens": [Sample.added(7, "")], "vocab": ["a": 0, "": 1], "merges": []]))
    #expect(tokenizer.encode("aa") == [0, 0] && tokenizer.vocabularySize == 2)
  }

  @Test func aTokenizerIsSmallInMemory() throws {
    let parts = try Tokenizer(checkpoint: TestData.minipy).parts
    #expect(parts.vocabulary.count == 8192 && parts.merges.count == 7839)
    let bytes = parts.vocabulary.bytes.count + 5 * parts.vocabulary.count + 8 * 16_384 + 4 * parts.merges.count
    #expect(bytes < 300_000)
  }
}
