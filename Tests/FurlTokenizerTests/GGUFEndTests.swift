import FurlSpec
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Where a GGUF vocabulary ends a text, as llama.cpp's `src/llama-vocab.cpp` has it.
@Suite struct GGUFEndTests {
  private static func tokenizer(
    _ tokens: [String], eos: Int? = nil, ends: [String: Int] = [:], types: [Int] = []
  ) throws -> Tokenizer {
    let all = ["a", "b", "ab"] + tokens
    return try Tokenizer(
      GGUFTokenizer(
        model: "gpt2", pre: "gpt-2", tokens: all.map { Array($0.utf8) },
        types: types.isEmpty ? [] : [1, 1, 1] + types, merges: [Array("a b".utf8)], eosID: eos, endIDs: ends),
      file: "m.gguf")
  }

  static let named: [([String], [Int])] = [
    (["</s>", "<|im_end|>", "<|endoftext|>", "<x>"], [3, 4, 5]),
    (["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"], [3, 4, 5]),
    (["<end_of_turn>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<end_of_utterance>", "<eos>"], [3, 4, 5, 6, 7, 8, 9]),
    (["<\u{FF5C}end\u{2581}of\u{2581}sentence\u{FF5C}>"], [3]),
    // Of fill-in-the-middle one token for each purpose.
    (["<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|fim_prefix|>"], [3, 4, 5]),
    (["<fim_pad>", "<PAD>"], [3]),
    // Within a text of these models.
    (["<|end|>", "<|return|>", "<|call|>"], [4, 5]), (["<|end|>", "<|return|>"], [3, 4]),
    (["<|end|>", "<|calls|>", "<|flush|>"], [4, 5]), (["</s>", "<|tool_response>"], [4]),
  ]

  @Test(arguments: named) func namesAreEnds(_ tokens: [String], _ ids: [Int]) throws {
    let tokenizer = try Self.tokenizer(tokens)
    #expect(tokenizer.endIDs == ids && tokenizer.ends.tokens.allSatisfy { $0.sources == ["name"] })
  }

  @Test func keysAreEnds() throws {
    let tokenizer = try Self.tokenizer(
      ["<e>", "<t>", "<m>", "<|im_end|>"], eos: 3, ends: ["eot_token_id": 4, "eom_token_id": 5, "fim_pad_token_id": 99])
    #expect(tokenizer.endIDs == [3, 4, 5, 6])
    #expect(
      tokenizer.ends.tokens.map(\.sources) == [
        ["tokenizer"], ["tokenizer.ggml.eot_token_id"], ["tokenizer.ggml.eom_token_id"], ["name"],
      ])
    #expect(tokenizer.eosID == 3)
  }

  /// llama.cpp passes over an id that is out of range.
  @Test func anIDOutOfRangeIsNone() throws {
    let tokenizer = try Self.tokenizer(
      ["<e>", "<t>"], eos: 4_294_967_295, ends: ["eot_token_id": 4, "eom_token_id": -1])
    #expect(tokenizer.eosID == nil && tokenizer.endIDs == [4])
  }

  /// A type that says otherwise does not matter, but for how the token's text is found.
  @Test func theTypeDoesNotMatter() throws {
    let tokenizer = try Self.tokenizer(["<|im_end|>", "</s>"], types: [4, 1])
    #expect(tokenizer.endIDs == [3, 4])
    #expect(tokenizer.encode("ab<|im_end|></s>") == [2, 3, 4])
  }

  @Test func cuttingRenumbersThem() throws {
    let tokenizer = try Self.tokenizer(["<x>", "</s>", "<|im_end|>"], eos: 4)
    let cut = try tokenizer.keeping([0, 1, 4, 5])
    #expect(cut.endIDs == [2, 3] && cut.eosID == 2 && cut.piece(3) == "<|im_end|>")
  }

  // MARK: Exports

  @Test func exportsSayThem() throws {
    func keys(_ tokenizer: Tokenizer) throws -> [Int?] {
      let exported = try tokenizer.ggufVocabulary(architecture: "llama")
      return [exported.eosID, exported.eotID, exported.eomID]
    }
    func ending(_ ids: [Int], _ tokens: [String]) throws -> Tokenizer {
      let tokenizer = try Self.tokenizer(tokens, eos: 3)
      return tokenizer.ending(at: EndTokens(ids, from: "config.json"))
    }
    #expect(try keys(ending([3], ["<e>", "<t>"])) == [3, nil, nil])
    #expect(try keys(ending([3, 4], ["<e>", "<t>"])) == [3, 4, nil])
    #expect(try keys(ending([3, 4, 5], ["<e>", "<t>", "<m>"])) == [3, 4, 5])
    // What llama.cpp knows by its name leaves the key to another.
    #expect(try keys(ending([3, 4, 5], ["<e>", "<|im_end|>", "<m>"])) == [3, 5, nil])
    #expect(try keys(ending([3, 4], ["<e>", "<|im_end|>"])) == [3, 4, nil])
    #expect(try keys(ending([3, 4, 5], ["<e>", "<|eom_id|>", "<m>"])) == [3, 5, 4])
    let many = try ending([3, 4, 5, 6], ["<e>", "<t>", "<m>", "<n>"]).ggufVocabulary(architecture: "llama")
    #expect(many.notes.contains { $0.contains("6 (<n>)") })
    let more = try ending([3], ["<e>", "<|im_end|>"]).ggufVocabulary(architecture: "llama")
    #expect(more.notes.contains { $0.contains("4 (<|im_end|>)") })
    // One without a row takes no key from another.
    let rowless = try ending([3, 4, 5, 6], ["<e>", "<t>", "<m>", "<n>"]).ggufVocabulary(architecture: "llama", rows: 5)
    #expect([rowless.eosID, rowless.eotID, rowless.eomID] == [3, 4, nil])
    #expect(!rowless.notes.contains { $0.contains("ends") || $0.contains("<n>") })
    let late = try ending([3, 4, 5], ["<|eom_id|>", "<t>", "<|eom_id|>x"]).ggufVocabulary(
      architecture: "llama", rows: 3)
    #expect(late.eosID == nil && late.eotID == nil && late.eomID == nil)
  }
}
