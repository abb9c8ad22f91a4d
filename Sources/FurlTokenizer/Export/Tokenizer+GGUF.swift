import FurlBase
package import FurlSpec

extension Tokenizer {
  /// The tokenizer as llama.cpp runs it.
  ///
  /// - Parameters:
  ///   - architecture: the model's family, which decides between two names of one way of cutting.
  ///   - rows: of the model, if there is one: a token without a row ends no text.
  /// - Throws: ``FurlError`` of kind `input` when llama.cpp cannot run it.
  package func ggufVocabulary(architecture: String, rows: Int = .max) throws -> ExportedVocabulary {
    let writer = GGUFVocabularyWriter(parts: parts)
    var result =
      if parts.vocabulary.alphabet == .bytes {
        try writer.bytes(architecture: architecture)
      } else if architecture == "gemma4_text", writer.mergesText(whole: { [self] in encode($0).count == 1 }) {
        writer.mergedText()
      } else {
        try writer.text()
      }
    ExportedEnds(ends.ids.filter { $0 < rows }, of: parts, rows: rows).write(to: &result)
    return result
  }
}

/// Turns a tokenizer's parts into what GGUF files say of them.
struct GGUFVocabularyWriter {
  let parts: TokenizerParts

  private func refuse(_ problem: String) -> FurlError {
    .input(
      nil, "tokenizer", problem, remedy: "run the model with furl, or export it as safetensors")
  }

  /// A model over bytes, `gpt2`.
  func bytes(architecture: String) throws -> ExportedVocabulary {
    guard let name = preTokenizer(architecture: architecture) else {
      throw refuse("cuts texts into words in a way that llama.cpp has no name for")
    }
    let writer = TokenizerFileWriter(parts: parts)
    var result = vocabulary(model: "gpt2", preTokenizer: name)
    result.merges = parts.merges.list.map(writer.text)
    return result
  }

  /// A model over whole texts, `llama`.
  func text() throws -> ExportedVocabulary {
    guard parts.fallback.usesBytes, bytePieces.count == 256 else {
      throw refuse("has no pieces for all bytes, which llama.cpp needs for characters that are not known")
    }
    guard !parts.ignoresMerges else { throw refuse("takes whole words before it merges; llama.cpp does not") }
    var addsSpace = parts.normalization.prependsSpace
    var notes: [String] = []
    for stage in parts.stages {
      guard case .marks(let prefix) = stage.rule else {
        throw refuse("cuts texts into words before it merges; llama.cpp's algorithm for such vocabularies does not")
      }
      addsSpace = addsSpace || prefix != .never
      if prefix == .first { notes.append("llama.cpp puts a space behind every special token, not only before a text") }
    }
    guard let scores = try parts.places.isEmpty ? ScoredPieces(parts).scores() : parts.places.map({ -Float($0) }) else {
      throw refuse("merges pieces in an order that no scores have, as llama.cpp needs them")
    }
    var result = vocabulary(model: "llama", preTokenizer: "default")
    result.scores = scores
    result.addsSpace = addsSpace
    result.notes += notes
    mark(&result)
    return result
  }

  /// Whether llama.cpp's `gemma4` gives a text the same ids: merges over whole texts that none goes over a line end of,
  /// and a first token. Several line ends that are one piece are that piece to it.
  ///
  /// - Parameter whole: whether a text becomes one piece.
  func mergesText(whole: (String) -> Bool) -> Bool {
    guard parts.places.isEmpty, !parts.merges.list.isEmpty, !parts.ignoresMerges, parts.addsBOS, parts.bosID != nil,
      parts.fallback.usesBytes, bytePieces.count == 256, !parts.normalization.prependsSpace,
      parts.stages.allSatisfy({ $0.rule == .marks(.never) })
    else { return false }
    return Set(parts.merges.list.map(\.result)).allSatisfy { id in
      let piece = parts.vocabulary.piece(Int(id))
      guard piece.contains(0x0A) else { return true }
      return piece.allSatisfy { $0 == 0x0A } && whole(String(decoding: piece, as: UTF8.self))
    }
  }

  /// A model over whole texts that merges by merges, `gemma4`.
  func mergedText() -> ExportedVocabulary {
    var result = vocabulary(model: "gemma4", preTokenizer: "gemma4")
    result.merges = parts.merges.list.map(TokenizerFileWriter(parts: parts).text)
    result.addsSpace = false
    mark(&result)
    return result
  }

  /// Says which tokens are single bytes, and which one stands for what is not known.
  private func mark(_ result: inout ExportedVocabulary) {
    result.unknownID = parts.fallback.unknownID
    for id in result.kinds.indices where result.kinds[id] == .normal {
      if id == parts.fallback.unknownID {
        result.kinds[id] = .unknown
      } else if BytePiece.byte(of: parts.vocabulary.piece(id)) != nil {
        result.kinds[id] = .byte
      }
    }
    if let id = parts.fallback.unknownID { result.kinds[id] = .unknown }
  }

  private var bytePieces: Set<UInt8> {
    let vocabulary = parts.vocabulary
    return Set((0..<vocabulary.count).compactMap { BytePiece.byte(of: vocabulary.piece($0)) })
  }

  /// The tokens with their kinds, and what both models have.
  private func vocabulary(model: String, preTokenizer: String) -> ExportedVocabulary {
    let vocabulary = parts.vocabulary
    let added = Set(parts.added.map(\.id))
    var tokens: [String] = []
    var kinds: [ExportedVocabulary.VocabularyKind] = []
    for id in 0..<vocabulary.count {
      let kind = vocabulary.kinds[id]
      let text = vocabulary.spelling(id)
      if !kind.contains(.present) {
        tokens.append("[PAD\(id)]")
        kinds.append(.unused)
      } else if added.contains(id) {
        tokens.append(text)
        kinds.append(kind.contains(.special) || Self.looksSpecial(text) ? .control : .userDefined)
      } else {
        tokens.append(text)
        kinds.append(.normal)
      }
    }
    return ExportedVocabulary(
      model: model, preTokenizer: preTokenizer, tokens: tokens, kinds: kinds, merges: [], bosID: parts.bosID,
      eosID: parts.eosID, addsBOS: parts.addsBOS && parts.bosID != nil, notes: notes)
  }

  /// Tokens that are no text, whatever their files say; llama.cpp's converter has the same list.
  private static func looksSpecial(_ text: String) -> Bool {
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(text) || (text.hasPrefix("<|") && text.hasSuffix("|>"))
      || (text.hasPrefix("<\u{FF5C}") && text.hasSuffix("\u{FF5C}>"))
      || (text.hasPrefix("<unused") && text.hasSuffix(">"))
  }

  private var notes: [String] {
    var notes: [String] = []
    if parts.normalization.composes { notes.append("llama.cpp does not normalize texts (NFC) before it cuts them") }
    if parts.added.contains(where: { !$0.flags.isDisjoint(with: [.singleWord, .stripsLeft, .stripsRight]) }) {
      notes.append("llama.cpp finds added tokens without regard to words and white space around them")
    }
    return notes
  }

  /// llama.cpp's name for the way in which texts are cut into words (`tokenizer.ggml.pre`); nil if there is none.
  ///
  /// Source: llama.cpp, `src/llama-vocab.cpp`. Its converter knows a tokenizer by the ids that it gives to one text;
  /// here it is known by what it does.
  private func preTokenizer(architecture: String) -> String? {
    guard parts.stages.allSatisfy({ $0.behavior == .isolated && !$0.inverts }) else { return nil }
    let rules = parts.stages.map(\.rule)
    // Digits one by one are a step of their own in tokenizer.json.
    func plain(_ rule: Stage.Rule) -> Stage.Rule { rule == .pattern(GGUFPreTokenizer.digit) ? .digits : rule }
    for name in GGUFPreTokenizer.mainNames {
      guard let cutting = GGUFPreTokenizer(name: name), cutting.ignoresMerges == parts.ignoresMerges,
        let stages = try? cutting.stages(), stages.map({ plain($0.rule) }) == rules.map(plain)
      else { continue }
      // Of the names for this one, the second leaves the spaces of a text as they are.
      return name == "starcoder" && architecture != "starcoder2" ? "smollm" : name
    }
    return nil
  }
}
