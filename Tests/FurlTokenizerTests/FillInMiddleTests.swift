import FurlBase
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Templates to fill in the middle, against the texts that the makers of the models publish (``FillInMiddle`` says where).
@Suite struct FillInMiddleTests {
  static let published: [(name: String, text: String)] = [
    ("qwen2.5-coder", "<|fim_prefix|>def f(<|fim_suffix|>):\n<|fim_middle|>"),
    ("starcoder", "<fim_prefix>def f(<fim_suffix>):\n<fim_middle>"),
    ("mellum", "<fim_suffix>):\n<fim_prefix>def f(<fim_middle>"),
    ("santacoder", "<fim-prefix>def f(<fim-suffix>):\n<fim-middle>"),
    ("codellama", "<PRE> def f( <SUF>):\n <MID>"),
    ("deepseek-coder", "<｜fim▁begin｜>def f(<｜fim▁hole｜>):\n<｜fim▁end｜>"),
    ("codestral", "[SUFFIX]):\n[PREFIX]def f("),
  ]

  @Test(arguments: published) func textsAreThosePublished(_ name: String, _ text: String) throws {
    let template = try #require(FillInMiddle.named(name))
    #expect(template.text(prefix: "def f(", suffix: "):\n").utf8.elementsEqual(text.utf8))
    #expect(FillInMiddle.names.contains(name))
  }

  /// A tokenizer with special tokens behind its letters.
  private func tokenizer(_ tokens: [String], letters: Bool = true) throws -> Tokenizer {
    let added = tokens.enumerated().map { Sample.added(.integer(100 + $0), .string($1)) }
    return try Sample.tokenizer(Sample.document(["added_tokens": .array(added)]))
  }

  @Test(arguments: published.filter { $0.name != "mellum" }) func isRecognisedByItsTokens(_ name: String, _: String)
    throws
  {
    let template = try #require(FillInMiddle.named(name))
    let tokenizer = try tokenizer(template.tokens)
    #expect(FillInMiddle.recognised(by: tokenizer, hints: ["llama"])?.name == name)
    #expect(FillInMiddle.recognised(by: try self.tokenizer(Array(template.tokens.dropLast())), hints: []) == nil)
  }

  @Test func aNameTellsMellumFromStarCoder() throws {
    let tokenizer = try tokenizer(["<fim_prefix>", "<fim_suffix>", "<fim_middle>"])
    #expect(FillInMiddle.recognised(by: tokenizer, hints: ["llama", "JetBrains/Mellum-4b-base"])?.name == "mellum")
    #expect(FillInMiddle.recognised(by: tokenizer, hints: ["starcoder2"])?.name == "starcoder")
  }

  @Test func filesMayNameTheTokens() throws {
    let tokenizer = try tokenizer(["<p>", "<s>", "<m>"])
    let roles = ["prefix_token": "<p>", "suffix_token": "<s>", "middle_token": "<m>"]
    #expect(
      FillInMiddle.recognised(by: tokenizer, hints: [], roles: roles)?.text(prefix: "a", suffix: "b") == "<p>a<s>b<m>")
    #expect(FillInMiddle.recognised(by: tokenizer, hints: [], roles: ["prefix_token": "<p>"]) == nil)
  }

  @Test func idsAreThoseOfTheText() throws {
    let template = try #require(FillInMiddle.named("starcoder"))
    let tokenizer = try tokenizer(template.tokens)
    let ids = try #require(template.ids(prefix: "ab", suffix: "c", with: tokenizer, bos: .auto))
    #expect(ids == tokenizer.encode("<fim_prefix>ab<fim_suffix>c<fim_middle>") && ids.count == 5)
    #expect(template.ids(prefix: "a", suffix: "b", with: try self.tokenizer(["<fim_prefix>"]), bos: .auto) == nil)
    let ends = template.ending(tokenizer).endIDs
    #expect(template.tokens.allSatisfy { tokenizer.id(of: $0).map(ends.contains) == true })
  }

  /// CodeLlama's makers put a space before the prefix and none before the suffix.
  @Test func onlyThePrefixGetsASpaceOfSentencePiece() throws {
    let tokenizer = try Sample.marked()
    let own = FillInMiddle(name: "x", parts: [.token("<s>"), .prefix, .token("x y"), .suffix, .token("<s>")])
    let ids = try #require(own.ids(prefix: "ab", suffix: "ab", with: tokenizer, bos: .never))
    let pieces = ids.map { tokenizer.piece($0) }
    #expect(
      pieces == ["<s>", "\u{2581}ab", "x y", "ab", "<s>"]
        || pieces == ["<s>", "\u{2581}", "\u{2581}ab", "x y", "ab", "<s>"])
  }
}
