import FurlCheckpoint
import FurlTensor

extension Tokenizer {
  /// The tokenizer as llama.cpp runs it.
  ///
  /// - Parameter architecture: the model's family, which decides between two names of one way of cutting.
  /// - Throws: ``FurlError`` of kind `input` when llama.cpp has no name for the way in which texts are cut.
  public func ggufVocabulary(architecture: String) throws -> ExportedVocabulary {
    let vocabulary = parts.vocabulary
    let added = Set(parts.added.map(\.id))
    var tokens: [String] = []
    var kinds: [ExportedVocabulary.Kind] = []
    tokens.reserveCapacity(vocabulary.count)
    kinds.reserveCapacity(vocabulary.count)
    let isText = vocabulary.alphabet == .marked
    for id in 0..<vocabulary.count {
      let kind = vocabulary.kinds[id]
      let text = vocabulary.spelling(id)
      guard kind.contains(.present) else {
        tokens.append("[PAD\(id)]")
        kinds.append(.unused)
        continue
      }
      tokens.append(text)
      if id == parts.fallback.unknownID {
        kinds.append(.unknown)
      } else if isText, parts.fallback.usesBytes, BytePiece.byte(of: vocabulary.piece(id)) != nil {
        kinds.append(.byte)
      } else if added.contains(id) {
        kinds.append(kind.contains(.special) || PreTokenizerNames.looksSpecial(text) ? .control : .userDefined)
      } else {
        kinds.append(.normal)
      }
    }
    if isText { return try textVocabulary(tokens, kinds) }
    return ExportedVocabulary(
      model: "gpt2", preTokenizer: try PreTokenizerNames.name(of: parts, architecture: architecture), tokens: tokens,
      kinds: kinds, merges: TokenizerFileWriter(parts: parts).mergeTexts, bosID: bosID, eosID: eosID,
      addsBOS: addsBOS && bosID != nil, notes: notes)
  }

  private func textVocabulary(_ tokens: [String], _ kinds: [ExportedVocabulary.Kind]) throws -> ExportedVocabulary {
    let prefixes: [Bool] =
      [parts.normalization.prependsSpace] + parts.stages.map { $0.rule == .marks(.always) || $0.rule == .marks(.first) }
    guard parts.stages.allSatisfy({ !$0.rule.isSplit }), !parts.ignoresMerges else { throw PreTokenizerNames.unknown }
    // llama.cpp merges by scores: of merges, the rank of the first that makes a piece.
    var scores = [Float](repeating: 0, count: tokens.count)
    var notes = notes
    if parts.places.isEmpty {
      var isScored = [Bool](repeating: false, count: tokens.count)
      for (rank, merge) in parts.merges.list.enumerated() where !isScored[Int(merge.result)] {
        isScored[Int(merge.result)] = true
        scores[Int(merge.result)] = -Float(rank + 1)
      }
      notes.append("llama.cpp merges by scores, which were made of the ranks of the merges")
    } else {
      scores = parts.places.map { -Float($0) }
    }
    if parts.stages.contains(where: { $0.rule == .marks(.first) }), !parts.added.isEmpty {
      notes.append("llama.cpp puts a space before the text after special tokens, too")
    }
    return ExportedVocabulary(
      model: "llama", preTokenizer: "default", tokens: tokens, kinds: kinds, scores: scores, merges: [], bosID: bosID,
      eosID: eosID, unknownID: parts.fallback.unknownID, addsBOS: addsBOS && bosID != nil,
      addsSpace: prefixes.contains(true), notes: notes)
  }

  private var notes: [String] {
    var notes: [String] = []
    if parts.normalization.composes { notes.append("llama.cpp does not normalize texts (NFC) before it cuts them") }
    if parts.added.contains(where: { !$0.flags.isDisjoint(with: [.singleWord, .stripsLeft, .stripsRight]) }) {
      notes.append("llama.cpp finds added tokens without regard to words and white space around them")
    }
    return notes
  }
}

/// llama.cpp's names for ways of cutting a text into words (`tokenizer.ggml.pre`).
///
/// Source: llama.cpp, `src/llama-vocab.cpp`. llama.cpp's converter knows a tokenizer by the ids that it gives to one
/// text; here it is known by what it does.
enum PreTokenizerNames {
  private static let deepseekCoder = ["[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+"]

  static func name(of parts: TokenizerParts, architecture: String) throws -> String {
    let rules = parts.stages.map(\.rule)
    let cutsPlainly = parts.stages.allSatisfy { $0.behavior == .isolated && !$0.inverts }
    let name: String? =
      switch rules {
      case [.pattern(Pattern.gpt2)]: "gpt-2"
      case [.digits, .pattern(Pattern.gpt2)]: architecture == "starcoder2" ? "starcoder" : "smollm"
      // The first of the two takes whole words before it merges, the second does not.
      case [.pattern(Pattern.llama3)]: parts.ignoresMerges ? "llama-bpe" : "smaug-bpe"
      case [.pattern(Pattern.qwen2)]: "qwen2"
      case deepseekCoder.map(Stage.Rule.pattern) + [.digits]: "deepseek-coder"
      default: nil
      }
    guard cutsPlainly, let name, parts.ignoresMerges == (name == "llama-bpe") else {
      throw unknown
    }
    return name
  }

  static var unknown: FurlError {
    .input(
      nil, "tokenizer", "cuts texts into words in a way that llama.cpp has no name for",
      remedy: "run the model with furl, or export it as safetensors")
  }

  /// Tokens that are no text, whatever their files say; llama.cpp's converter has the same list.
  static func looksSpecial(_ text: String) -> Bool {
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(text) || (text.hasPrefix("<|") && text.hasSuffix("|>"))
      || (text.hasPrefix("<｜") && text.hasSuffix("｜>")) || (text.hasPrefix("<unused") && text.hasSuffix(">"))
  }
}
