import FurlTensor
import FurlTestSupport
@testable import FurlTokenizer
import Foundation
import Testing

/// Vocabularies of GGUF files.
@Suite struct GGUFTests {
  private static func bytes() -> GGUFTokenizer {
    GGUFTokenizer(
      model: "gpt2", pre: "gpt-2", tokens: ["a", "b", "ab", "Ġ", "<s>", "é\u{301}", ""].map { Array($0.utf8) },
      types: [1, 1, 1, 1, 3, 4, 1], merges: [Array("a b".utf8)])
  }

  @Test("What a GGUF file holds is read from its keys")
  func metadata() throws {
    let path = TestData.root + "/Tests/Fixtures/gguf/llama3.gguf"
    let tokenizer = try Tokenizer(GGUFTokenizer(try GGUFFile(path: path).metadata), file: path)
    #expect(tokenizer.vocabularySize == 260 && tokenizer.bosID == 258 && tokenizer.eosID == 259 && tokenizer.addsBOS)
    // Bytes by their values, "def" by its two merges, and the token in the text.
    #expect(tokenizer.encode("def de<|end|>", bos: .auto) == [258, 257, 32, 256, 259])
    #expect(tokenizer.decode([257, 10, 258]) == "def\n<|begin|>")
  }

  @Test("The samples themselves are read")
  func samples() throws {
    let bytes = try Tokenizer(Self.bytes(), file: nil)
    #expect(bytes.encode("ab<s> a e\u{301}") == [2, 4, 3, 0, 3] && bytes.encode("e\u{301}\u{301}").isEmpty)
    #expect(bytes.encode("é\u{301}ab") == [5, 2] && bytes.decode([5, 2]) == "é\u{301}ab")
    #expect(bytes.isSpecial(4) && !bytes.isSpecial(5) && bytes.piece(6) == "")
    let text = try Tokenizer(Sample.scored(), file: nil)
    // The first of two equally good pieces; a byte; a character without bytes is unknown.
    #expect(
      text.encode("abc", bos: .auto) == [1, 11, 8] && text.encode("\n") == [5, 3] && text.encode("é") == [5, 0])
  }

  /// A change, and what the error says.
  static let refusals: [(@Sendable (inout GGUFTokenizer) -> Void, String)] = [
    ({ $0.model = "t5" }, "x.gguf: tokenizer.ggml.model: \"t5\" is not supported yet"),
    ({ $0.pre = "kimi-k2" }, "tokenizer.ggml.pre: \"kimi-k2\" is not supported yet"),
    ({ $0.tokens = [] }, "tokenizer.ggml.tokens: is empty"),
    ({ $0.tokens[1] = $0.tokens[0] }, "tokenizer.ggml.tokens[1]: \"a\" is also the piece of 0"),
    ({ $0.tokens[1] = [0xC3] }, "tokenizer.ggml.tokens[1]: is not UTF-8"),
    ({ $0.tokens[1] = Array(repeating: 0x61, count: 70_000) }, "tokens[1]: is longer than 65535 bytes"),
    ({ $0.types.removeLast() }, "tokenizer.ggml.token_type: has 6 types for 7 tokens"),
    ({ $0.types[3] = 9 }, "tokenizer.ggml.token_type[3]: 9 is not a type"),
    ({ $0.types[3] = -1 }, "tokenizer.ggml.token_type[3]: -1 is not a type"),
    ({ $0.merges = [] }, "tokenizer.ggml.merges: is missing"),
    ({ $0.merges = [[0x61]] }, "tokenizer.ggml.merges[0]: two pieces are expected"),
    ({ $0.merges = [Array("a ".utf8)] }, "tokenizer.ggml.merges[0]: two pieces are expected"),
    ({ $0.merges = [[0xFF]] }, "tokenizer.ggml.merges[0]: is not UTF-8"),
    ({ $0.merges = [Array("a z".utf8)] }, "tokenizer.ggml.merges[0]: the piece \"z\" is not in the vocabulary"),
    ({ $0.merges = [Array("b a".utf8)] }, "tokenizer.ggml.merges[0]: the piece \"ba\" is not in the vocabulary"),
    ({ $0.bosID = 7 }, "tokenizer.ggml.bos_token_id: 7 is not the id of a token"),
    ({ $0.bosID = -1 }, "tokenizer.ggml.bos_token_id: -1 is not the id of a token"),
    ({ $0.scores = [1] }, "tokenizer.ggml.scores: has 1 scores for 7 tokens"),
    ({ $0.model = "llama" }, "tokenizer.ggml.scores: is missing"),
    (
      {
        $0 = Sample.scored()
        $0.scores[4] = .nan
      }, "tokenizer.ggml.scores[4]: is not a number"
    ),
    (
      {
        $0 = Sample.scored()
        $0.tokens[4] = Array(repeating: 0x61, count: 5000)
      }, "tokenizer.ggml.tokens: has a piece of more than 4096 bytes"
    ),
  ]

  @Test(arguments: refusals.indices)
  func vocabulariesAreRefusedByKey(index: Int) {
    let (change, problem) = Self.refusals[index]
    var vocabulary = Self.bytes()
    change(&vocabulary)
    do {
      _ = try Tokenizer(vocabulary, file: "x.gguf")
      Issue.record("no error: \(problem)")
    } catch {
      #expect("\(error)".contains(problem), "\(error)")
    }
  }

  @Test("Every name of a way of cutting leads to patterns that can be run")
  func names() throws {
    for name in GGUFPreTokenizer.names {
      let cutting = try #require(GGUFPreTokenizer(name: name))
      #expect(try !cutting.stages().isEmpty)
    }
    #expect(Set(GGUFPreTokenizer.names).count == GGUFPreTokenizer.names.count)
    #expect(GGUFPreTokenizer(name: "gpt-5") == nil)
  }

  /// llama.cpp's own vectors, in the folder `models` of its sources: `FURL_LLAMA_MODELS` names it.
  @Test(
    "llama.cpp's vocabularies give llama.cpp's ids",
    .enabled(
      if: ProcessInfo.processInfo.environment["FURL_LLAMA_MODELS"] != nil,
      "needs the folder that FURL_LLAMA_MODELS names"
    ),
    arguments: [
      "command-r", "deepseek-coder", "falcon", "gemma-4", "gpt-2", "llama-bpe", "llama-spm", "mpt", "phi-3", "qwen2",
      "refact",
      "starcoder",
    ])
  func published(name: String) throws {
    let folder = try #require(ProcessInfo.processInfo.environment["FURL_LLAMA_MODELS"])
    let path = folder + "/ggml-vocab-\(name).gguf"
    let tokenizer = try Tokenizer(GGUFTokenizer(try GGUFFile(path: path).metadata), file: path)
    let input = String(decoding: try TestData.bytes(path + ".inp"), as: UTF8.self)
    let output = String(decoding: try TestData.bytes(path + ".out"), as: UTF8.self)
    let texts = input.components(separatedBy: "\n__ggml_vocab_test__\n")
    let lines = output.components(separatedBy: "\n")
    #expect(texts.count > 40)
    for (text, line) in zip(texts, lines) {
      let ids = line.split(separator: " ").compactMap { Int($0) }
      #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
    }
  }
}
