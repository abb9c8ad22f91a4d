import FurlSpec

/// How a model is asked for what stands between two texts: which tokens go around them, and in which order.
///
/// A model is recognised by its tokens. The texts are those that its makers publish:
/// - StarCoder, StarCoder2: https://huggingface.co/bigcode/starcoder (Fill-in-the-middle); so Granite Code,
///   https://github.com/ibm-granite/granite-code-models. SantaCoder spells the tokens with hyphens,
///   https://huggingface.co/bigcode/santacoder.
/// - Qwen2.5-Coder: https://github.com/QwenLM/Qwen2.5-Coder (Fill in the middle with Qwen2.5-Coder); so CodeGemma,
///   https://huggingface.co/google/codegemma-2b, and Granite 4, https://www.ibm.com/granite/docs/models/granite (Fill-in-the-Middle).
/// - CodeLlama: https://github.com/meta-llama/codellama, `Llama.text_infilling`, and
///   https://huggingface.co/docs/transformers/model_doc/code_llama.
/// - DeepSeek-Coder: https://github.com/deepseek-ai/DeepSeek-Coder (Code Insertion).
/// - Codestral: https://github.com/mistralai/mistral-common, `InstructTokenizerV2.encode_fim`.
/// - Mellum: https://huggingface.co/JetBrains/Mellum-4b-base (Fill-in-the-middle with additional files as context).
package struct FillInMiddle: Sendable, Hashable {
  /// A part of the text that the model goes on from.
  enum InfillPart: Sendable, Hashable {
    case token(String)
    case prefix
    case suffix
  }

  /// What the template is called.
  package let name: String
  let parts: [InfillPart]

  private static func inOrder(_ name: String, _ prefix: String, _ suffix: String, _ middle: String) -> FillInMiddle {
    FillInMiddle(name: name, parts: [.token(prefix), .prefix, .token(suffix), .suffix, .token(middle)])
  }

  /// The published templates; of those that have the same tokens the first is the usual one.
  static let published: [FillInMiddle] = [
    inOrder("qwen2.5-coder", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    inOrder("starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    FillInMiddle(
      name: "mellum",
      parts: [.token("<fim_suffix>"), .suffix, .token("<fim_prefix>"), .prefix, .token("<fim_middle>")]),
    inOrder("santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    inOrder("codellama", "\u{2581}<PRE>", "\u{2581}<SUF>", "\u{2581}<MID>"),
    inOrder(
      "deepseek-coder", "<\u{FF5C}fim\u{2581}begin\u{FF5C}>", "<\u{FF5C}fim\u{2581}hole\u{FF5C}>",
      "<\u{FF5C}fim\u{2581}end\u{FF5C}>"),
    FillInMiddle(name: "codestral", parts: [.token("[SUFFIX]"), .suffix, .token("[PREFIX]"), .prefix]),
  ]

  /// The names of all templates.
  package static let names = published.map(\.name)

  /// The template of a name.
  package static func named(_ name: String) -> FillInMiddle? { published.first { $0.name == name } }

  /// The template whose tokens a tokenizer has.
  ///
  /// - Parameters:
  ///   - hints: names of the model: Mellum's tokens are StarCoder's, in another order.
  ///   - roles: the texts of the tokens `prefix_token`, `suffix_token` and `middle_token`, where a file names such.
  package static func recognised(by tokenizer: Tokenizer, hints: [String], roles: [String: String] = [:])
    -> FillInMiddle?
  {
    let present = published.filter { $0.tokens.allSatisfy { tokenizer.id(of: $0) != nil } }
    if hints.contains(where: { $0.lowercased().contains("mellum") }),
      let mellum = present.first(where: { $0.name == "mellum" })
    {
      return mellum
    }
    if let first = present.first { return first }
    guard let prefix = roles["prefix_token"], let suffix = roles["suffix_token"], let middle = roles["middle_token"],
      [prefix, suffix, middle].allSatisfy({ tokenizer.id(of: $0) != nil })
    else { return nil }
    return inOrder("its own", prefix, suffix, middle)
  }

  /// The tokens around the texts.
  package var tokens: [String] { parts.compactMap { if case .token(let text) = $0 { text } else { nil } } }

  /// The text that the model goes on from, as it is published. A mark for a space at the beginning of a token is one; CodeLlama's
  /// tokens and texts are apart by spaces.
  package func text(prefix: String, suffix: String) -> String {
    parts.reduce(into: "") { text, part in
      switch part {
      case .token(let token) where token.hasPrefix("\u{2581}"): text += (text.isEmpty ? "" : " ") + token.dropFirst()
      case .token(let token): text += token
      case .prefix: text += (name == "codellama" ? " " : "") + prefix
      case .suffix: text += suffix
      }
    }
  }

  /// Tokens at which a middle ends, beside those that end any text: whoever writes one has gone on to something else.
  private static let ends = [
    "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
    "<|file_separator|>",
    "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>", "<file_sep>", "<filename>", "<repo_name>",
    "<reponame>",
    "<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<fim-pad>", "\u{2581}<EOT>", "\u{2581}<PRE>", "\u{2581}<SUF>",
    "\u{2581}<MID>", "<\u{FF5C}fim\u{2581}begin\u{FF5C}>", "<\u{FF5C}fim\u{2581}hole\u{FF5C}>",
    "<\u{FF5C}fim\u{2581}end\u{FF5C}>", "[PREFIX]", "[SUFFIX]", "[MIDDLE]", "<|endoftext|>", "<|end_of_text|>",
  ]

  /// The same tokenizer with the ends of a middle.
  package func ending(_ tokenizer: Tokenizer) -> Tokenizer {
    var ends = tokenizer.ends
    for id in Set(FillInMiddle.ends + tokens).compactMap({ tokenizer.id(of: $0) }).sorted()
    where tokenizer.isSpecial(id) {
      ends.add(id, from: "fill in the middle")
    }
    return tokenizer.ending(at: ends)
  }

  /// The ids of what the model goes on from; nil where the tokenizer lacks a token.
  ///
  /// Where every text gets a space before it, as CodeLlama's and Codestral's vocabularies of SentencePiece give it, the prefix has
  /// it and the suffix has not: a character is put before that and its ids are taken off again, as the makers do.
  package func ids(prefix: String, suffix: String, with tokenizer: Tokenizer, bos: Tokenizer.BOS) -> [Int]? {
    guard tokens.allSatisfy({ tokenizer.id(of: $0) != nil }) else { return nil }
    guard tokenizer.putsSpaceBefore else { return tokenizer.encode(text(prefix: prefix, suffix: suffix), bos: bos) }
    let mark = "\u{263A}"
    let marked = tokenizer.encode(mark)
    var ids: [Int] = []
    for part in parts {
      switch part {
      case .token(let token): ids += tokenizer.id(of: token).map { [$0] } ?? []
      case .prefix: ids += tokenizer.encode(prefix)
      case .suffix: ids += tokenizer.encode(mark + suffix).dropFirst(marked.count)
      }
    }
    guard let begin = tokenizer.bosID, bos == .always || bos == .auto && tokenizer.addsBOS else { return ids }
    return [begin] + ids
  }
}

extension Tokenizer {
  /// Whether a space goes before every text.
  var putsSpaceBefore: Bool {
    parts.normalization.prependsSpace
      || parts.stages.contains { if case .marks(let prefix) = $0.rule { prefix != .never } else { false } }
  }
}
